#include "models/mobilenet.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "models/builder.h"
#include "models/inverted_residual.h"

namespace dunlin {
namespace {

constexpr auto kRelu = Activation::Relu;
constexpr auto kRelu6 = Activation::Relu6;
constexpr auto kHardSwish = Activation::HardSwish;

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

constexpr SqueezeExcite kSqueezeExcite = {SqueezeExcite::Of::Expanded, kRelu, Activation::HardSigmoid};

// The rows as this family uses them: scaled, and the minimal variants without what is slow on old hardware.
std::vector<BlockRow> rowsOf(const Family& family, double width) {
    std::vector<BlockRow> rows(family.rows.begin(), family.rows.end());
    for (BlockRow& row : rows) {
        row.channels = scaledChannels(row.channels, width);
        if (!family.minimal) continue;
        row.kernel = std::min(row.kernel, 3);
        row.squeeze = 0;
        row.activation = kRelu;
    }
    return rows;
}

int stemChannels(const Family& family, double width) {
    // MobileNetV3's narrow members keep the stem, as its authors' code does.
    const bool fixed = family.head == Head::PoolThenConv && width < 0.75;
    return fixed ? family.stemChannels : scaledChannels(family.stemChannels, width);
}

ValueId head(const Family& family, double width, NetworkBuilder& builder, ValueId x) {
    Graph& graph = builder.graph();
    if (family.head == Head::ConvThenPool) {
        const int channels = std::max(family.headChannels, scaledChannels(family.headChannels, width));
        x = appendHeadConvolution(builder, x, channels, family.activation);
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
    ValueId x = appendStem(builder, stemChannels(family, width), family.activation);
    x = appendStages(builder, rowsOf(family, width), kSqueezeExcite, x);
    x = head(family, width, builder, x);
    builder.graph().setOutput(builder.linear("classifier", x, options.classes));
    return builder.take();
}

PreprocessSpec preprocessOf(const Family& family, int hundredths) {
    PreprocessSpec spec;
    spec.interpolation = family.tensorflow ? Interpolation::Bilinear : Interpolation::Bicubic;
    if (family.tensorflow || family.head == Head::PoolOnly) spec.mean = spec.deviation = {0.5f, 0.5f, 0.5f};
    // timm's widest MobileNetV1 was trained in another way than the rest.
    if (family.head == Head::PoolOnly && hundredths == 125) spec.cropFraction = 0.9;
    return spec;
}

std::string nameOf(const Family& family, int hundredths) {
    char suffix[8];
    std::snprintf(suffix, sizeof suffix, "_%03d", hundredths);
    return family.prefix + std::string(suffix);
}

Architecture architecture(const Family& family, int hundredths) {
    const double width = hundredths / 100.0;
    Architecture architecture;
    architecture.name = nameOf(family, hundredths);
    architecture.family = family.title;
    architecture.preprocess = preprocessOf(family, hundredths);
    architecture.build = [&family, width](const ArchitectureOptions& options, const Shape& input) {
        return build(family, width, options, input);
    };
    architecture.arguments = {"channel_multiplier", "pad_type", "bn_eps"};
    architecture.landmark = "conv_stem.weight";
    return architecture;
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
