// Which ops run together in one kernel.
#pragma once

#include <vector>

#include "runtime/graph/graph.h"
#include "runtime/status.h"

namespace dunlin {

// One kernel's worth of the graph.
struct Step {
    enum class Kind {
        // Conv2d or Linear with its activation, and perhaps: a gate at the load, a LayerNorm before it, a concatenation
        // or merged patches as its input, a shortcut added.
        Convolution,
        SqueezeExcite,  // both bottleneck layers, from the sums that a depthwise step leaves
        Moments,        // mean and deviation of each image, for a LayerNorm over images
        LayerNorm,      // by itself, where something other than a pointwise layer reads it
        Pool,
        Attention,
        SeparableAttention,
        EmbedTokens,
        Resize,
        MaxPool,
        InvertedResidual,  // block_fusion.h: a dense convolution, a depthwise one, perhaps a projection
        PooledLinear,      // block_fusion.h: a pool and a linear layer
    };
    Kind kind = Kind::Convolution;
    int node = -1;        // the op; squeeze-excite: its expanding layer; moments: the LayerNorm
    int reduceNode = -1;  // squeeze-excite only
    ValueId input = kNoValue;
    ValueId output = kNoValue;    // of everything fused; squeeze-excite: the gate; moments: none
    ValueId gate = kNoValue;      // multiplies the input, by image and channel
    ValueId residual = kNoValue;  // a shortcut that is added
    bool residualBeforeActivation = false;
    Activation activation = Activation::None;  // convolution: its own, or that of the addition
    ValueId second = kNoValue;                 // convolution: its channels follow those of the input
    int normNode = -1;                         // convolution: the LayerNorm before it
    int mergedBlock = 0;                       // convolution: side of the squares of pixels that are one input; 0: none
    bool writesSums = false;                   // depthwise: a squeeze-excite step needs the sums of its output
    std::vector<Step> parts = {};              // of a joined step, in order
};

// Steps in graph order. Values in `kept` are written even where fusion would remove them; if fusion must remove one
// (a squeeze-excite product, a concatenation), the error says so. Unsupported names an op that no kernel computes.
Result<std::vector<Step>> fuse(const Graph& graph, const std::vector<ValueId>& kept);

// A convolution with one filter a channel.
bool isDepthwise(const Graph& graph, const Conv2d& conv);
// A convolution or linear layer that looks at one pixel at a time.
bool isPointwise(const Op& op);
// The node of the LayerNorm that is computed inside a layer's kernel: that which a pointwise layer reads; else -1.
int foldedNorm(const Graph& graph, const Op& op);
// The patches that a linear layer merges, where it reads a LayerNorm of them; else null.
const SpaceToDepth* mergedPatches(const Graph& graph, const Op& op);

}  // namespace dunlin
