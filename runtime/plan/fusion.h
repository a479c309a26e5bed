// Which ops run together in one kernel.
#pragma once

#include <vector>

#include "runtime/graph/graph.h"
#include "runtime/status.h"

namespace dunlin {

// One kernel's worth of the graph.
struct Step {
    enum class Kind {
        Convolution,  // Conv2d or Linear, with its activation; perhaps gated at the load, perhaps with a shortcut added
        SqueezeExcite,  // both bottleneck layers, from the sums that a depthwise step leaves
        Pool,
    };
    Kind kind = Kind::Convolution;
    int node = -1;        // the convolution; squeeze-excite: its expanding layer; or the pool
    int reduceNode = -1;  // squeeze-excite only
    ValueId input = kNoValue;
    ValueId output = kNoValue;    // of everything fused; squeeze-excite: the gate
    ValueId residual = kNoValue;  // added after the activation
    ValueId gate = kNoValue;      // multiplies the input, by image and channel
    bool writesSums = false;      // depthwise: a squeeze-excite step needs the sums of its output
};

// Steps in graph order. Values in `kept` are written even where fusion would remove them; if fusion must remove one
// (a squeeze-excite product), the error says so. Unsupported names an op that no kernel computes.
Result<std::vector<Step>> fuse(const Graph& graph, const std::vector<ValueId>& kept);

// A convolution with one filter a channel.
bool isDepthwise(const Graph& graph, const Conv2d& conv);
// A convolution or linear layer that looks at one pixel at a time.
bool isPointwise(const Op& op);

}  // namespace dunlin
