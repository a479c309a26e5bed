// How the CPU backend computes a graph, as plain data: which nodes go to XNNPACK together, which have kernels of our
// own, and where the values between them lie.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/graph/graph.h"

namespace dunlin::cpu {

// One step after the other computes the graph.
struct Step {
    enum class Kind {
        Xnnpack,     // nodes as one XNNPACK runtime
        Kernel,      // a node by a kernel of our own
        Activation,  // the activation of a node that XNNPACK computed without it in the step before, in place
    };
    Kind kind;
    size_t firstNode, nodeCount;
    bool operator==(const Step&) const = default;
};

using Schedule = std::vector<Step>;

// The longest runs of nodes that XNNPACK computes, and what lies between them.
Schedule scheduleOf(const Graph& graph);

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

// Values share memory where their lifetimes allow: from the node that writes them to the last that reads them; the
// input and the kept values to the end. Largest first, each at the lowest offset that is free. Every value is followed
// by the bytes that XNNPACK may read past its end.
ArenaPlan planArena(const Graph& graph, const Schedule& schedule, std::span<const ValueId> kept);

}  // namespace dunlin::cpu
