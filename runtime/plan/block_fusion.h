// Whole blocks as one step: the fewest dispatches that the kernels allow, which need not be the fastest.
#pragma once

#include <vector>

#include "runtime/graph/graph.h"
#include "runtime/plan/fusion.h"

namespace dunlin {

// Joins steps that follow one another where nothing else reads what lies between them:
//   a dense convolution and a depthwise one, and a linear projection after them, with its shortcut (inverted residuals;
//     with squeeze-excite, which needs all of the depthwise map first, no projection);
//   the mean over pixels and the linear layer that reads it.
// The steps that were joined stay in Step::parts, for devices that cannot run them as one. Values in `kept` are
// written.
std::vector<Step> fuseBlocks(const Graph& graph, std::vector<Step> steps, const std::vector<ValueId>& kept);

}  // namespace dunlin
