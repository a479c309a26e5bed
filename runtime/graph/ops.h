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
    Gelu,         // exact, with erf
    GeluTanh,     // the tanh form
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

// Which tensors an op's numbers are made of, by canonical name. `bias` may be empty; with `norm` set, the op's weight and
// bias are those after folding.
struct Parameters {
    std::string weight = {};
    std::string bias = {};
    std::optional<BatchNorm> norm = {};
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

// The mean over the pixels of each image: [n, 1, 1, c].
struct GlobalAvgPool {
    ValueId input = kNoValue;
};

struct Activate {
    ValueId input = kNoValue;
    Activation activation = Activation::None;
};

// Over the channels of each pixel.
struct Softmax {
    ValueId input = kNoValue;
};

using Op = std::variant<Conv2d, Linear, Add, Mul, GlobalAvgPool, Activate, Softmax>;

const char* name(const Op& op);  // "Conv2d"

}  // namespace dunlin
