// A network's graph and plan as tables for people.
#pragma once

#include <string>
#include <vector>

#include "runtime/graph/graph.h"
#include "runtime/plan/memory_plan.h"
#include "runtime/plan/program.h"

namespace dunlin::cli {

// One line an op: its module, what it does, the shape that it gives; then the names for --tap.
std::string graphText(const Graph& graph);

// Where every activation lies in the arena and between which dispatches it lives; then the barriers.
std::string planText(const Program& program, const MemoryPlan& plan, const std::vector<bool>& barrierBefore);

}  // namespace dunlin::cli
