// Which dispatches need a barrier before them.
#pragma once

#include <vector>

#include "runtime/plan/memory_plan.h"
#include "runtime/plan/program.h"

namespace dunlin {

// barrierBefore[i]: dispatch i reads or writes bytes that a dispatch since the last barrier wrote, or writes bytes that one
// read. Computed from where tensors lie, so aliased memory counts. One memory barrier orders everything before it against
// everything after, so barriers are placed as late as possible and no fewer would do.
std::vector<bool> planBarriers(const Program& program, const MemoryPlan& plan);

}  // namespace dunlin
