// An op's weight and bias with its BatchNorm and layer scale folded in.
#pragma once

#include <vector>

#include "runtime/graph/graph.h"
#include "runtime/weights/weights_source.h"

namespace dunlin {

// What an op computes with:
//   Conv2d, Linear                  weight in PyTorch's order [out][in / groups][kernel height][kernel width] or
//   [out][in],
//                                   bias [out], zeros where the op has none
//   LayerNorm                       weight and bias [c]
//   Attention with windows          weight [(2 height - 1) * (2 width - 1)][heads]: the relative positions' bias;
//                                   bias [3 c]: a padded token
//   EmbedTokens                     weight [prefix + h * w][c]: what is added to each token of a map of this size
struct FoldedWeights {
    std::vector<float> weight;
    std::vector<float> bias;
};

// Reads and folds the tensors of one op; arithmetic in double. Other ops give empty vectors. Thread-safe.
Result<FoldedWeights> foldWeights(const Graph& graph, const Node& node, const WeightsSource& weights);

// Every tensor of the graph against what the weights have: missing, extra (of a file) and misshapen ones in one error
// that names the first few with both shapes. "num_batches_tracked" counters are no extra tensors.
Status checkWeights(const Graph& graph, const WeightsSource& weights);

}  // namespace dunlin
