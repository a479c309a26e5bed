// Where each arena tensor lies: tensors whose lifetimes do not overlap share memory.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/plan/program.h"

namespace dunlin {

struct MemoryPlan {
    std::vector<uint64_t> offsets;   // by TensorId; UINT64_MAX for tensors that are not in the arena
    uint64_t arenaBytes = 0;
    uint64_t lowerBoundBytes = 0;    // the largest sum of sizes live at one dispatch, aligned alike
};

// Offsets are multiples of `alignment`. A tensor is live from the first dispatch that writes it to the last that reads it.
// Best fit, largest first or by the breadth of the dispatches, after Pisarchyk and Lee, "Efficient Memory Management for
// Deep Neural Net Inference" (2020); then again with what lay on top placed earlier, while that helps.
MemoryPlan planMemory(const Program& program, uint64_t alignment);

}  // namespace dunlin
