// An op's weight and bias with its BatchNorm folded in.
#pragma once

#include <vector>

#include "runtime/graph/graph.h"
#include "runtime/weights/weights_source.h"

namespace dunlin {

struct FoldedWeights {
    std::vector<float> weight;  // PyTorch's order: [out][in / groups][kernel height][kernel width] or [out][in]
    std::vector<float> bias;    // [out]; zeros where the op has none
};

// Reads and folds one Conv2d or Linear; arithmetic in double. Other ops give empty vectors. Thread-safe.
Result<FoldedWeights> foldWeights(const Graph& graph, const Node& node, const WeightsSource& weights);

// Every tensor of the graph against what the weights have: missing, extra (of a file) and misshapen ones in one error that
// names the first few with both shapes. "num_batches_tracked" counters are no extra tensors.
Status checkWeights(const Graph& graph, const WeightsSource& weights);

}  // namespace dunlin
