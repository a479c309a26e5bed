// How the CPU backend computes a graph, as plain data: which nodes go to XNNPACK together, which have kernels of our
// own, and where the values between them lie.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/cpu/kernels/kernel.h"
#include "runtime/graph/graph.h"

namespace dunlin::cpu {

// One step after the other computes the graph.
struct Step {
    enum class Kind {
        Xnnpack,     // nodes as one XNNPACK runtime
        Kernel,      // a node by a kernel of our own, or several that one kernel computes as a block
        Activation,  // the activation of a node that XNNPACK computed without it in the step before, in place
    };
    Kind kind;
    size_t firstNode, nodeCount;
    // Of a Kernel step that computes the nodes before and behind its own too: then their results have no memory.
    Fusion fusion = {};
    ValueId gated = kNoValue;   // what the gate multiplies: read in place of the node's input
    ValueId output = kNoValue;  // of the Add; else the node's own
    bool operator==(const Step&) const = default;
};

using Schedule = std::vector<Step>;

// The longest runs of nodes that XNNPACK computes, and what lies between them. `kept` values can be read after a run.
// Blocks of convolutions that one kernel computes are one step. A Mul by a gate goes into the convolution behind it, an
// Add into the one before it, where nobody else reads what lies between them.
Schedule scheduleOf(const Graph& graph, std::span<const ValueId> kept);

// What a step's kernel needs, and the kernel; for Kernel steps.
KernelNeed kernelNeed(const Graph& graph, const Step& step, size_t workers);
Result<std::unique_ptr<Kernel>> makeKernel(const Graph& graph, const Step& step, const WeightsSource& weights);

// What a step reads, a kernel's in the order of Kernel::run; and what it writes. Of XNNPACK's nodes, also what they
// write and read among themselves.
std::vector<ValueId> readBy(const Graph& graph, const Step& step);
std::vector<ValueId> writtenBy(const Graph& graph, const Step& step);

// Whether XNNPACK computes everything: then it has the values' memory too, but that of the input and of kept values.
bool isOneRuntime(const Schedule& schedule);

// What a node applies to its result; None for ops that have no activation beside their own work.
Activation activationOf(const Op& op);

constexpr uint64_t kArenaAlignment = 64;  // bytes: a cache line, and the widest vectors
constexpr uint64_t kNotInArena = ~uint64_t{0};

struct ArenaPlan {
    std::vector<uint64_t> offsets;  // in bytes, by ValueId; kNotInArena for values that have other memory
    uint64_t bytes = 0;
};

// Values share memory where their lifetimes allow: from the step that writes them to the last that reads them; the
// input and the kept values to the end. Largest first, each at the lowest offset that is free. Every value is followed
// by the bytes that XNNPACK may read past its end.
ArenaPlan planArena(const Graph& graph, const Schedule& schedule, std::span<const ValueId> kept);

}  // namespace dunlin::cpu
