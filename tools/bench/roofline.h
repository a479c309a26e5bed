// The physical limit of a network: what its parts must at least do, at the speeds that were measured on the device.
#pragma once

#include <vector>

#include "runtime/plan/dispatch_cost.h"
#include "tools/bench/ceilings.h"

namespace dunlin::bench {

// Of each dispatch. The picture that preprocess reads counts as one of the network's size, which is what is measured.
std::vector<DispatchCost> dispatchCosts(const Graph& graph, const LoweredNetwork& network);

// Of each node, as the CPU computes them: activations and weights in float32, each read and written once. A
// kernel reads some values out of the caches as soon as they are written, which is a bandwidth of its own (ceilings.h).
std::vector<DispatchCost> nodeCosts(const Graph& graph);

// Nanoseconds. The sum over the dispatches of the longer of moving bytes and arithmetic, plus what it takes to start
// each: barrierNs where it waits for those before it (hazards.h), else dispatchNs.
double networkLimitNs(const Ceilings& ceilings, const std::vector<DispatchCost>& costs,
                      const std::vector<bool>& barrierBefore, Precision precision);

}  // namespace dunlin::bench
