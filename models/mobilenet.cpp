#include "models/mobilenet.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "models/builder.h"

namespace dunlin {
namespace {

constexpr auto kRelu = Activation::Relu;
constexpr auto kRelu6 = Activation::Relu6;
constexpr auto kHardSwish = Activation::HardSwish;

enum class Block {
    Separable,           // depthwise, squeeze-excite, linear projection
    SeparableActivated,  // MobileNetV1's: an activation after the projection as well, never a shortcut
    InvertedResidual,    // expand, depthwise, squeeze-excite, linear projection
    Convolution,         // one 1x1 convolution
};

// One row of a paper's table. `squeeze` is the bottleneck's width over the expanded width; 0: no squeeze-excite.
struct BlockRow {
    int stage;
    Block block;
    int repeats, kernel, stride;
    double expansion;
    int channels;
    double squeeze;
    Activation activation;
};

using enum Block;

constexpr BlockRow kV1[] = {
    {0, SeparableActivated, 1, 3, 1, 1, 64, 0, kRelu6},   {1, SeparableActivated, 2, 3, 2, 1, 128, 0, kRelu6},
    {2, SeparableActivated, 2, 3, 2, 1, 256, 0, kRelu6},  {3, SeparableActivated, 6, 3, 2, 1, 512, 0, kRelu6},
    {4, SeparableActivated, 2, 3, 2, 1, 1024, 0, kRelu6},
};

constexpr BlockRow kV2[] = {
    {0, Separable, 1, 3, 1, 1, 16, 0, kRelu6},         {1, InvertedResidual, 2, 3, 2, 6, 24, 0, kRelu6},
    {2, InvertedResidual, 3, 3, 2, 6, 32, 0, kRelu6},  {3, InvertedResidual, 4, 3, 2, 6, 64, 0, kRelu6},
    {4, InvertedResidual, 3, 3, 1, 6, 96, 0, kRelu6},  {5, InvertedResidual, 3, 3, 2, 6, 160, 0, kRelu6},
    {6, InvertedResidual, 1, 3, 1, 6, 320, 0, kRelu6},
};

constexpr BlockRow kV3Large[] = {
    {0, Separable, 1, 3, 1, 1, 16, 0, kRelu},
    {1, InvertedResidual, 1, 3, 2, 4, 24, 0, kRelu},
    {1, InvertedResidual, 1, 3, 1, 3, 24, 0, kRelu},
    {2, InvertedResidual, 3, 5, 2, 3, 40, 0.25, kRelu},
    {3, InvertedResidual, 1, 3, 2, 6, 80, 0, kHardSwish},
    {3, InvertedResidual, 1, 3, 1, 2.5, 80, 0, kHardSwish},
    {3, InvertedResidual, 2, 3, 1, 2.3, 80, 0, kHardSwish},
    {4, InvertedResidual, 2, 3, 1, 6, 112, 0.25, kHardSwish},
    {5, InvertedResidual, 3, 5, 2, 6, 160, 0.25, kHardSwish},
    {6, Convolution, 1, 1, 1, 1, 960, 0, kHardSwish},
};

constexpr BlockRow kV3Small[] = {
    {0, Separable, 1, 3, 2, 1, 16, 0.25, kRelu},
    {1, InvertedResidual, 1, 3, 2, 4.5, 24, 0, kRelu},
    {1, InvertedResidual, 1, 3, 1, 3.67, 24, 0, kRelu},
    {2, InvertedResidual, 1, 5, 2, 4, 40, 0.25, kHardSwish},
    {2, InvertedResidual, 2, 5, 1, 6, 40, 0.25, kHardSwish},
    {3, InvertedResidual, 2, 5, 1, 3, 48, 0.25, kHardSwish},
    {4, InvertedResidual, 3, 5, 2, 6, 96, 0.25, kHardSwish},
    {5, Convolution, 1, 1, 1, 1, 576, 0, kHardSwish},
};

enum class Head {
    PoolOnly,      // MobileNetV1
    ConvThenPool,  // MobileNetV2: 1x1 convolution with BatchNorm, then pool
    PoolThenConv,  // MobileNetV3: pool, then 1x1 convolution with bias
};

struct Family {
    const char* prefix;  // of the name, before "_100"
    const char* title;
    std::span<const BlockRow> rows;
    int stemChannels;
    Activation activation;  // of stem and head
    Head head;
    int headChannels;
    bool tensorflow;                       // SAME padding, epsilon 1e-3
    bool minimal;                          // MobileNetV3 without squeeze-excite, hard-swish and 5x5 kernels
    std::span<const int> publishedWidths;  // in hundredths
};

constexpr int kWidthsV1[] = {25, 50, 75, 100, 125};
constexpr int kWidthsV2[] = {35, 50, 75, 100, 140};
constexpr int kWidthsV3Large[] = {75, 100};
constexpr int kWidthsV3Small[] = {50, 75, 100};
constexpr int kWidthsTf[] = {75, 100};
constexpr int kWidthsMinimal[] = {100};

constexpr Family kFamilies[] = {
    {"mobilenetv1", "MobileNetV1", kV1, 32, kRelu6, Head::PoolOnly, 0, false, false, kWidthsV1},
    {"mobilenetv2", "MobileNetV2", kV2, 32, kRelu6, Head::ConvThenPool, 1280, false, false, kWidthsV2},
    {"mobilenetv3_large", "MobileNetV3", kV3Large, 16, kHardSwish, Head::PoolThenConv, 1280, false, false,
     kWidthsV3Large},
    {"mobilenetv3_small", "MobileNetV3", kV3Small, 16, kHardSwish, Head::PoolThenConv, 1024, false, false,
     kWidthsV3Small},
    {"tf_mobilenetv3_large", "MobileNetV3", kV3Large, 16, kHardSwish, Head::PoolThenConv, 1280, true, false, kWidthsTf},
    {"tf_mobilenetv3_large_minimal", "MobileNetV3", kV3Large, 16, kRelu, Head::PoolThenConv, 1280, true, true,
     kWidthsMinimal},
    {"tf_mobilenetv3_small", "MobileNetV3", kV3Small, 16, kHardSwish, Head::PoolThenConv, 1024, true, false, kWidthsTf},
    {"tf_mobilenetv3_small_minimal", "MobileNetV3", kV3Small, 16, kRelu, Head::PoolThenConv, 1024, true, true,
     kWidthsMinimal},
};

// A row as this family uses it: the minimal variants keep the table's shape and drop what is slow on old hardware.
BlockRow adapted(const Family& family, BlockRow row) {
    if (family.minimal) {
        row.kernel = std::min(row.kernel, 3);
        row.squeeze = 0;
        row.activation = kRelu;
    }
    return row;
}

int stemChannels(const Family& family, double width) {
    // MobileNetV3's narrow members keep the stem, as its authors' code does.
    const bool fixed = family.head == Head::PoolThenConv && width < 0.75;
    return fixed ? family.stemChannels : scaledChannels(family.stemChannels, width);
}

// The MobileNets' block, as timm names its parts.
class MobilenetBlocks {
  public:
    MobilenetBlocks(NetworkBuilder& builder, double width) : builder_(builder), width_(width) {}

    ValueId block(const std::string& name, const BlockRow& row, int stride, ValueId input) {
        const int outChannels = scaledChannels(row.channels, width_);
        switch (row.block) {
            case Convolution:
                return builder_.convNorm({name + ".conv", name + ".bn1"}, input, outChannels, row.kernel, stride,
                                         row.activation);
            case Separable:
            case SeparableActivated:
                return separable(name, row, stride, input, outChannels);
            case InvertedResidual:
                return invertedResidual(name, row, stride, input, outChannels);
        }
        return input;
    }

  private:
    ValueId separable(const std::string& name, const BlockRow& row, int stride, ValueId input, int outChannels) {
        const bool activated = row.block == SeparableActivated;
        ValueId x = builder_.depthwise({name + ".conv_dw", name + ".bn1"}, input, row.kernel, stride, row.activation);
        x = squeezeExcite(name, row, x);
        x = builder_.convNorm({name + ".conv_pw", name + ".bn2"}, x, outChannels, 1, 1,
                              activated ? row.activation : Activation::None);
        return activated ? x : shortcut(name, stride, input, x);
    }

    ValueId invertedResidual(const std::string& name, const BlockRow& row, int stride, ValueId input, int outChannels) {
        const int expanded = makeDivisible(builder_.channels(input) * row.expansion);
        ValueId x = builder_.convNorm({name + ".conv_pw", name + ".bn1"}, input, expanded, 1, 1, row.activation);
        x = builder_.depthwise({name + ".conv_dw", name + ".bn2"}, x, row.kernel, stride, row.activation);
        x = squeezeExcite(name, row, x);
        x = builder_.convNorm({name + ".conv_pwl", name + ".bn3"}, x, outChannels, 1, 1, Activation::None);
        return shortcut(name, stride, input, x);
    }

    ValueId squeezeExcite(const std::string& name, const BlockRow& row, ValueId x) {
        if (row.squeeze == 0) return x;
        const int reduced = makeDivisible(builder_.channels(x) * row.squeeze);
        return builder_.squeezeExcite(name + ".se", x, reduced, Activation::Relu, Activation::HardSigmoid);
    }

    ValueId shortcut(const std::string& name, int stride, ValueId input, ValueId x) {
        const bool fits = stride == 1 && builder_.channels(input) == builder_.channels(x);
        return fits ? builder_.add(name + ".add", x, input) : x;
    }

    NetworkBuilder& builder_;
    double width_;
};

ValueId head(const Family& family, double width, NetworkBuilder& builder, ValueId x) {
    Graph& graph = builder.graph();
    if (family.head == Head::ConvThenPool) {
        const int channels = std::max(family.headChannels, scaledChannels(family.headChannels, width));
        x = builder.convNorm({"conv_head", "bn2"}, x, channels, 1, 1, family.activation);
        graph.untappable("conv_head", "its BatchNorm is folded into it; 'features' is what follows its activation");
    } else if (family.head == Head::PoolOnly) {
        graph.tap("conv_head", x);  // timm's identity
    }
    graph.tap("features", x);
    x = builder.pool("global_pool", x);
    graph.tap("pooled", x);
    if (family.head == Head::PoolThenConv) {
        x = builder.convBias("conv_head", x, family.headChannels, family.activation);
        graph.tap("conv_head", x);
    }
    return x;
}

Graph build(const Family& family, double width, const ArchitectureOptions& options, const Shape& input) {
    if (options.channelMultiplier > 0) width = options.channelMultiplier;
    const double epsilon = options.batchNormEpsilon > 0 ? options.batchNormEpsilon : (family.tensorflow ? 1e-3 : 1e-5);
    NetworkBuilder builder(input, {.samePadding = options.samePadding || family.tensorflow, .epsilon = epsilon});
    Graph& graph = builder.graph();

    ValueId x =
        builder.convNorm({"conv_stem", "bn1"}, graph.input(), stemChannels(family, width), 3, 2, family.activation);
    graph.tap("stem", x);
    graph.untappable("conv_stem", "its BatchNorm is folded into it; 'stem' is what follows its activation");

    MobilenetBlocks blocks(builder, width);
    int stage = 0, blockInStage = 0;
    for (const BlockRow& tableRow : family.rows) {
        const BlockRow row = adapted(family, tableRow);
        if (row.stage != stage) blockInStage = 0;
        stage = row.stage;
        for (int repeat = 0; repeat < row.repeats; ++repeat, ++blockInStage) {
            const std::string name = "blocks." + std::to_string(stage) + "." + std::to_string(blockInStage);
            x = blocks.block(name, row, repeat == 0 ? row.stride : 1, x);
            graph.tap(name, x);
        }
        graph.tap("blocks." + std::to_string(stage), x);
    }
    x = head(family, width, builder, x);
    graph.setOutput(builder.linear("classifier", x, options.classes));
    return builder.take();
}

PreprocessSpec preprocessOf(const Family& family) {
    PreprocessSpec spec;
    spec.interpolation = family.tensorflow ? Interpolation::Bilinear : Interpolation::Bicubic;
    if (family.tensorflow || family.head == Head::PoolOnly) spec.mean = spec.deviation = {0.5f, 0.5f, 0.5f};
    return spec;
}

std::string nameOf(const Family& family, int hundredths) {
    char suffix[8];
    std::snprintf(suffix, sizeof suffix, "_%03d", hundredths);
    return family.prefix + std::string(suffix);
}

Architecture architecture(const Family& family, int hundredths) {
    const double width = hundredths / 100.0;
    return {nameOf(family, hundredths), family.title, preprocessOf(family),
            [&family, width](const ArchitectureOptions& options, const Shape& input) {
                return build(family, width, options, input);
            }};
}

constexpr int kMinWidth = 10, kMaxWidth = 400;  // hundredths

}  // namespace

std::vector<Architecture> mobilenetArchitectures() {
    std::vector<Architecture> all;
    for (const Family& family : kFamilies) {
        for (int width : family.publishedWidths) all.push_back(architecture(family, width));
    }
    return all;
}

std::optional<Architecture> findMobilenet(std::string_view name) {
    const size_t underscore = name.rfind('_');
    if (underscore == std::string_view::npos) return std::nullopt;
    const std::string_view digits = name.substr(underscore + 1);
    if (digits.size() != 3 || !std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; })) {
        return std::nullopt;
    }
    const int hundredths = (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0');
    if (hundredths < kMinWidth || hundredths > kMaxWidth) return std::nullopt;
    const auto family = std::ranges::find(kFamilies, name.substr(0, underscore), &Family::prefix);
    if (family == std::end(kFamilies)) return std::nullopt;
    return architecture(*family, hundredths);
}

}  // namespace dunlin
