// The mathematics of the networks: typed ops, each one from the papers. No device and no kernels here.
// BatchNorm is not an op: it is folded into the convolution before it when weights are read (weights/fold.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

namespace dunlin {

using ValueId = int32_t;
constexpr ValueId kNoValue = -1;

// In the order of the constants in shaders/include/activation.glsl.
enum class Activation : uint32_t {
    None,
    Relu,
    Relu6,
    HardSwish,    // x * relu6(x + 3) / 6
    HardSigmoid,  // relu6(x + 3) / 6
    Silu,         // x * sigmoid(x)
    Sigmoid,
    Gelu,      // exact, with erf
    GeluTanh,  // the tanh form
};
const char* name(Activation activation);

// Zeros around the input, in elements.
struct Padding {
    int top = 0, left = 0, bottom = 0, right = 0;
    bool operator==(const Padding&) const = default;
};

struct BatchNorm {
    std::string name;  // canonical prefix: "blocks.0.0.bn1"
    double epsilon = 1e-5;
};

// Which tensors an op's numbers are made of, by canonical name. `bias` may be empty; with `norm` set, the op's weight
// and bias are those after folding; with `scale` set, they are then multiplied by that tensor of [outputs] (layer
// scale).
struct Parameters {
    std::string weight = {};
    std::string bias = {};
    std::optional<BatchNorm> norm = {};
    std::string scale = {};
};

// Weight [outChannels, inChannels / groups, kernelH, kernelW]. groups == channels is a depthwise convolution.
struct Conv2d {
    ValueId input = kNoValue;
    int outChannels = 0;
    int kernelH = 1, kernelW = 1;
    int strideH = 1, strideW = 1;
    Padding padding = {};
    int groups = 1;
    Activation activation = Activation::None;
    Parameters parameters = {};
};

// Weight [outFeatures, inFeatures], applied to the channels of every pixel.
struct Linear {
    ValueId input = kNoValue;
    int outFeatures = 0;
    Activation activation = Activation::None;
    Parameters parameters = {};
};

struct Add {
    ValueId a = kNoValue, b = kNoValue;
    Activation activation = Activation::None;
};

// Elementwise; `b` may be [n, 1, 1, c] and is then applied to every pixel of its image.
struct Mul {
    ValueId a = kNoValue, b = kNoValue;
};

// The mean over the pixels of each image, in row-major order from `begin` on: [n, 1, 1, c]. `count` 0 means all that
// follow. Over tokens it takes the class token (count 1), or the mean of those after it.
struct GlobalAvgPool {
    ValueId input = kNoValue;
    int begin = 0, count = 0;
};

struct Activate {
    ValueId input = kNoValue;
    Activation activation = Activation::None;
};

// Over the channels of each pixel.
struct Softmax {
    ValueId input = kNoValue;
};

// (x - mean) / sqrt(variance + epsilon), then the weight and bias [c] of `parameters`. Mean and variance (biased) of
// each pixel's channels (Ba et al. 2016), or of all of an image (GroupNorm with one group, Wu and He 2018).
struct LayerNorm {
    enum class Over { Pixel, Image };
    ValueId input = kNoValue;
    Over over = Over::Pixel;
    double epsilon = 1e-5;
    Parameters parameters = {};
};

// Swin's windows (Liu et al. 2021): tokens attend within windows of height x width pixels. The map is rolled up and
// left by the shift, then padded with zeros at the bottom and right to whole windows, before the linear layer that
// makes q, k and v: a padded token is that layer's bias. After a shift, pixels that were not neighbours do not see each
// other. A relative position has a learnt bias for each head.
struct AttentionWindows {
    int height = 0, width = 0;
    int shiftH = 0, shiftW = 0;  // 0 along a side that one window covers
    std::string bias;         // [(2 height - 1) * (2 width - 1), heads]; row of query - key, (y, x) in row-major order
    std::string paddedToken;  // [3 c]: the bias of the layer before
};

// softmax(q k^T / sqrt(d)) v for each head (Vaswani et al. 2017). The input [n, h, w, 3 c] has q, k and v after one
// another, each [heads][d] with d = c / heads; the output is [n, h, w, c].
// Pixels attend to those of the same place in their patch, equal (y mod patchH, x mod patchW): MobileViT's unfold and
// fold (Mehta and Rastegari 2022). The patch divides the map. With 1x1 all attend to all. Windows exclude patches.
struct Attention {
    ValueId input = kNoValue;
    int heads = 1;
    int patchH = 1, patchW = 1;
    std::optional<AttentionWindows> windows = {};
};

// MobileViTv2's attention of linear cost (Mehta and Rastegari 2023). The input [n, h, w, 1 + 2 c] has a score, keys and
// values after one another. Over the pixels of one place in their patch, as above: context = sum of softmax(score) *
// key; output = relu(value) * context.
struct SeparableAttention {
    ValueId input = kNoValue;
    int patchH = 1, patchW = 1;
};

// The channels of a, then those of b.
struct Concat {
    ValueId a = kNoValue, b = kNoValue;
};

// Bilinear, without antialiasing. Pixel centres lie at one half; with `alignCorners`, the centres of the corners' pixels
// stay where they are instead (PyTorch's align_corners).
struct Resize {
    ValueId input = kNoValue;
    int height = 0, width = 0;
    bool alignCorners = false;
};

// Padding never wins.
struct MaxPool {
    ValueId input = kNoValue;
    int kernelH = 1, kernelW = 1;
    int strideH = 1, strideW = 1;
    Padding padding = {};
};

// Squares of block x block pixels become one: [n, ceil(h / block), ceil(w / block), block^2 c], channel
// (dx * block + dy) * c + k, zeros where a square hangs over the edge. Swin's patch merging.
struct SpaceToDepth {
    ValueId input = kNoValue;
    int block = 2;
};

// A map as a sequence of tokens [n, 1, prefix + h * w, c], ViT's way (Dosovitskiy et al. 2021): a class token before
// the pixels where `classToken` has a name (prefix 1, else 0), and a position embedding added to all of them. The
// embedding [1, prefix + grid^2, c] was learnt for a map of grid x grid; for another one it is resized, bicubic and
// antialiased.
struct EmbedTokens {
    ValueId input = kNoValue;
    int grid = 0;
    std::string classToken = {};  // [1, 1, c]
    std::string positions = {};
    int prefix() const { return classToken.empty() ? 0 : 1; }
};

using Op = std::variant<Conv2d, Linear, Add, Mul, GlobalAvgPool, Activate, Softmax, LayerNorm, Attention,
                        SeparableAttention, Concat, Resize, MaxPool, SpaceToDepth, EmbedTokens>;

const char* name(const Op& op);  // "Conv2d"

}  // namespace dunlin
