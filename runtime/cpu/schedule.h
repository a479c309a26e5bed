// How the CPU backend computes a graph, as plain data: which nodes one kernel computes together, and where the values
// between them lie.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/cpu/kernels/aligned.h"
#include "runtime/cpu/kernels/kernel.h"
#include "runtime/graph/graph.h"

namespace dunlin::cpu {

// One step after the other computes the graph: each a node by a kernel, or several that one kernel computes as a block,
// which may compute the nodes before and behind them too. What lies between those has no memory.
struct Step {
    size_t firstNode = 0, nodeCount = 1;
    Fusion fusion = {};
    ValueId gated = kNoValue;   // what the gate multiplies: read in place of the node's input
    ValueId output = kNoValue;  // of the Add; else the node's own
    bool operator==(const Step&) const = default;
};

using Schedule = std::vector<Step>;

// `kept` values can be read after a run. Blocks of convolutions that one kernel computes are one step. A Mul by a gate
// goes into the convolution behind it, an Add into the one before it, where nobody else reads what lies between them;
// the mean of each map into the depthwise convolution that writes it.
Schedule scheduleOf(const Graph& graph, std::span<const ValueId> kept);

// What a step's kernel needs, and the kernel.
KernelNeed kernelNeed(const Graph& graph, const Step& step, size_t workers);
Result<std::unique_ptr<Kernel>> makeKernel(const Graph& graph, const Step& step, const WeightsSource& weights);

// What a step reads, in the order of Kernel::run, and what it writes, beside the mean of that (Fusion::mean).
std::vector<ValueId> readBy(const Graph& graph, const Step& step);
ValueId writtenBy(const Graph& graph, const Step& step);

// What a node applies to its result; None for ops that have no activation beside their own work.
Activation activationOf(const Op& op);

constexpr uint64_t kArenaAlignment = kCacheLine;
constexpr uint64_t kNotInArena = ~uint64_t{0};

struct ArenaPlan {
    std::vector<uint64_t> offsets;  // in bytes, by ValueId; kNotInArena for values that have no memory
    uint64_t bytes = 0;
};

// Values share memory where their lifetimes allow: from the step that writes them to the last that reads them; the
// input and the kept values to the end. Largest first, each at the lowest offset that is free.
ArenaPlan planArena(const Graph& graph, const Schedule& schedule, std::span<const ValueId> kept);

}  // namespace dunlin::cpu
