#include "models/efficientnet.h"

#include <cmath>
#include <iterator>
#include <string_view>

#include "models/builder.h"
#include "models/inverted_residual.h"

namespace dunlin {
namespace {

using enum Block;

constexpr auto kSilu = Activation::Silu;
constexpr auto kRelu6 = Activation::Relu6;

constexpr BlockRow kB0[] = {
    {0, Separable, 1, 3, 1, 1, 16, 0.25, kSilu},         {1, InvertedResidual, 2, 3, 2, 6, 24, 0.25, kSilu},
    {2, InvertedResidual, 2, 5, 2, 6, 40, 0.25, kSilu},  {3, InvertedResidual, 3, 3, 2, 6, 80, 0.25, kSilu},
    {4, InvertedResidual, 3, 5, 1, 6, 112, 0.25, kSilu}, {5, InvertedResidual, 4, 5, 2, 6, 192, 0.25, kSilu},
    {6, InvertedResidual, 1, 3, 1, 6, 320, 0.25, kSilu},
};

constexpr BlockRow kLite0[] = {
    {0, Separable, 1, 3, 1, 1, 16, 0, kRelu6},         {1, InvertedResidual, 2, 3, 2, 6, 24, 0, kRelu6},
    {2, InvertedResidual, 2, 5, 2, 6, 40, 0, kRelu6},  {3, InvertedResidual, 3, 3, 2, 6, 80, 0, kRelu6},
    {4, InvertedResidual, 3, 5, 1, 6, 112, 0, kRelu6}, {5, InvertedResidual, 4, 5, 2, 6, 192, 0, kRelu6},
    {6, InvertedResidual, 1, 3, 1, 6, 320, 0, kRelu6},
};

constexpr BlockRow kV2B0[] = {
    {0, ResidualConvolution, 1, 3, 1, 1, 16, 0, kSilu},   {1, FusedInvertedResidual, 2, 3, 2, 4, 32, 0, kSilu},
    {2, FusedInvertedResidual, 2, 3, 2, 4, 48, 0, kSilu}, {3, InvertedResidual, 3, 3, 2, 4, 96, 0.25, kSilu},
    {4, InvertedResidual, 5, 3, 1, 6, 112, 0.25, kSilu},  {5, InvertedResidual, 8, 3, 2, 6, 192, 0.25, kSilu},
};

constexpr BlockRow kV2S[] = {
    {0, ResidualConvolution, 2, 3, 1, 1, 24, 0, kSilu},   {1, FusedInvertedResidual, 4, 3, 2, 4, 48, 0, kSilu},
    {2, FusedInvertedResidual, 4, 3, 2, 4, 64, 0, kSilu}, {3, InvertedResidual, 6, 3, 2, 4, 128, 0.25, kSilu},
    {4, InvertedResidual, 9, 3, 1, 6, 160, 0.25, kSilu},  {5, InvertedResidual, 15, 3, 2, 6, 256, 0.25, kSilu},
};

// timm's, from the paper's table before its authors published their code: the first stage projects too.
constexpr BlockRow kV2RwS[] = {
    {0, FusedInvertedResidual, 2, 3, 1, 1, 24, 0, kSilu}, {1, FusedInvertedResidual, 4, 3, 2, 4, 48, 0, kSilu},
    {2, FusedInvertedResidual, 4, 3, 2, 4, 64, 0, kSilu}, {3, InvertedResidual, 6, 3, 2, 4, 128, 0.25, kSilu},
    {4, InvertedResidual, 9, 3, 1, 6, 160, 0.25, kSilu},  {5, InvertedResidual, 15, 3, 2, 6, 272, 0.25, kSilu},
};

constexpr BlockRow kV2M[] = {
    {0, ResidualConvolution, 3, 3, 1, 1, 24, 0, kSilu},   {1, FusedInvertedResidual, 5, 3, 2, 4, 48, 0, kSilu},
    {2, FusedInvertedResidual, 5, 3, 2, 4, 80, 0, kSilu}, {3, InvertedResidual, 7, 3, 2, 4, 160, 0.25, kSilu},
    {4, InvertedResidual, 14, 3, 1, 6, 176, 0.25, kSilu}, {5, InvertedResidual, 18, 3, 2, 6, 304, 0.25, kSilu},
    {6, InvertedResidual, 5, 3, 1, 6, 512, 0.25, kSilu},
};

constexpr BlockRow kV2L[] = {
    {0, ResidualConvolution, 4, 3, 1, 1, 32, 0, kSilu},   {1, FusedInvertedResidual, 7, 3, 2, 4, 64, 0, kSilu},
    {2, FusedInvertedResidual, 7, 3, 2, 4, 96, 0, kSilu}, {3, InvertedResidual, 10, 3, 2, 4, 192, 0.25, kSilu},
    {4, InvertedResidual, 19, 3, 1, 6, 224, 0.25, kSilu}, {5, InvertedResidual, 25, 3, 2, 6, 384, 0.25, kSilu},
    {6, InvertedResidual, 7, 3, 1, 6, 640, 0.25, kSilu},
};

constexpr BlockRow kV2Xl[] = {
    {0, ResidualConvolution, 4, 3, 1, 1, 32, 0, kSilu},   {1, FusedInvertedResidual, 8, 3, 2, 4, 64, 0, kSilu},
    {2, FusedInvertedResidual, 8, 3, 2, 4, 96, 0, kSilu}, {3, InvertedResidual, 16, 3, 2, 4, 192, 0.25, kSilu},
    {4, InvertedResidual, 24, 3, 1, 6, 256, 0.25, kSilu}, {5, InvertedResidual, 32, 3, 2, 6, 512, 0.25, kSilu},
    {6, InvertedResidual, 8, 3, 1, 6, 640, 0.25, kSilu},
};

constexpr SqueezeExcite kSqueezeExcite = {SqueezeExcite::Of::Input, kSilu, Activation::Sigmoid};

// What the members of a family share; the compound scaling applies to the rows, and to what is not fixed.
struct Family {
    const char* title;
    std::span<const BlockRow> rows;
    int stemChannels, headChannels;
    Activation activation;      // of stem and head
    double keptShare;           // of the channels by rounding
    bool fixedStem, fixedHead;  // do not grow with the width
    bool fixedFirstLast;        // the first and the last stage do not grow with the depth
};

constexpr Family kV1 = {"EfficientNet", kB0, 32, 1280, kSilu, 0.9, false, false, false};
constexpr Family kLite = {"EfficientNet-Lite", kLite0, 32, 1280, kRelu6, 0.9, true, true, true};
constexpr Family kV2Base = {"EfficientNetV2", kV2B0, 32, 1280, kSilu, 0, false, false, false};
constexpr Family kV2Small = {"EfficientNetV2", kV2S, 24, 1280, kSilu, 0.9, false, false, false};
constexpr Family kV2SmallRw = {"EfficientNetV2", kV2RwS, 24, 1792, kSilu, 0.9, false, false, false};
constexpr Family kV2Medium = {"EfficientNetV2", kV2M, 24, 1280, kSilu, 0.9, false, true, false};
constexpr Family kV2Large = {"EfficientNetV2", kV2L, 32, 1280, kSilu, 0.9, false, true, false};
constexpr Family kV2XLarge = {"EfficientNetV2", kV2Xl, 32, 1280, kSilu, 0.9, false, true, false};

enum class Colours { ImageNet, Half };  // ImageNet's mean and deviation, or one half for each

struct Member {
    const char* name;
    const Family& family;
    double width, depth;
    int side;  // of the input
    double cropFraction;
    Colours colours;
    Interpolation interpolation = Interpolation::Bicubic;
    bool published = true;  // whether weights of it exist
    bool squash = false;    // pictures lose their proportions (timm's crop_mode)
};

using enum Colours;
constexpr auto kBilinear = Interpolation::Bilinear;
constexpr auto kBicubic = Interpolation::Bicubic;

// Coefficients as in the paper and its authors' code; the rest as timm's first weights of each were trained.
constexpr Member kMembers[] = {
    {"efficientnet_b0", kV1, 1.0, 1.0, 224, 0.875, ImageNet},
    {"efficientnet_b1", kV1, 1.0, 1.1, 240, 0.9, Half},
    {"efficientnet_b2", kV1, 1.1, 1.2, 256, 0.875, ImageNet},
    {"efficientnet_b3", kV1, 1.2, 1.4, 288, 0.875, ImageNet},
    {"efficientnet_b4", kV1, 1.4, 1.8, 320, 0.875, ImageNet},
    {"efficientnet_b5", kV1, 1.6, 2.2, 448, 1.0, ImageNet, kBicubic, true, true},
    {"efficientnet_b6", kV1, 1.8, 2.6, 528, 0.942, ImageNet, kBicubic, false},
    {"efficientnet_b7", kV1, 2.0, 3.1, 600, 0.949, ImageNet, kBicubic, false},
    {"efficientnet_b8", kV1, 2.2, 3.6, 672, 0.954, ImageNet, kBicubic, false},
    {"tf_efficientnet_b0", kV1, 1.0, 1.0, 224, 0.875, ImageNet},
    {"tf_efficientnet_b1", kV1, 1.0, 1.1, 240, 0.882, ImageNet},
    {"tf_efficientnet_b2", kV1, 1.1, 1.2, 260, 0.890, ImageNet},
    {"tf_efficientnet_b3", kV1, 1.2, 1.4, 300, 0.904, ImageNet},
    {"tf_efficientnet_b4", kV1, 1.4, 1.8, 380, 0.922, ImageNet},
    {"tf_efficientnet_b5", kV1, 1.6, 2.2, 456, 0.934, ImageNet},
    {"tf_efficientnet_b6", kV1, 1.8, 2.6, 528, 0.942, ImageNet},
    {"tf_efficientnet_b7", kV1, 2.0, 3.1, 600, 0.949, ImageNet},
    {"tf_efficientnet_b8", kV1, 2.2, 3.6, 672, 0.954, Half},
    {"efficientnet_lite0", kLite, 1.0, 1.0, 224, 0.875, ImageNet},
    {"efficientnet_lite1", kLite, 1.0, 1.1, 240, 0.882, ImageNet, kBicubic, false},
    {"efficientnet_lite2", kLite, 1.1, 1.2, 260, 0.890, ImageNet, kBicubic, false},
    {"efficientnet_lite3", kLite, 1.2, 1.4, 300, 0.904, ImageNet, kBicubic, false},
    {"efficientnet_lite4", kLite, 1.4, 1.8, 380, 0.922, ImageNet, kBicubic, false},
    {"tf_efficientnet_lite0", kLite, 1.0, 1.0, 224, 0.875, Half},
    {"tf_efficientnet_lite1", kLite, 1.0, 1.1, 240, 0.882, Half},
    {"tf_efficientnet_lite2", kLite, 1.1, 1.2, 260, 0.890, Half},
    {"tf_efficientnet_lite3", kLite, 1.2, 1.4, 300, 0.904, Half, kBilinear},
    {"tf_efficientnet_lite4", kLite, 1.4, 1.8, 380, 0.920, Half, kBilinear},
    {"efficientnetv2_rw_s", kV2SmallRw, 1.0, 1.0, 288, 1.0, ImageNet},
    {"efficientnetv2_s", kV2Small, 1.0, 1.0, 288, 1.0, ImageNet, kBicubic, false},
    {"efficientnetv2_m", kV2Medium, 1.0, 1.0, 320, 1.0, ImageNet, kBicubic, false},
    {"efficientnetv2_l", kV2Large, 1.0, 1.0, 384, 1.0, ImageNet, kBicubic, false},
    {"efficientnetv2_xl", kV2XLarge, 1.0, 1.0, 384, 1.0, ImageNet, kBicubic, false},
    {"tf_efficientnetv2_s", kV2Small, 1.0, 1.0, 300, 1.0, Half},
    {"tf_efficientnetv2_m", kV2Medium, 1.0, 1.0, 384, 1.0, Half, kBicubic, true, true},
    {"tf_efficientnetv2_l", kV2Large, 1.0, 1.0, 384, 1.0, Half, kBicubic, true, true},
    {"tf_efficientnetv2_xl", kV2XLarge, 1.0, 1.0, 384, 1.0, Half, kBicubic, true, true},
    {"tf_efficientnetv2_b0", kV2Base, 1.0, 1.0, 192, 0.875, ImageNet},
    {"tf_efficientnetv2_b1", kV2Base, 1.0, 1.1, 192, 0.882, ImageNet},
    {"tf_efficientnetv2_b2", kV2Base, 1.1, 1.2, 208, 0.890, ImageNet},
    {"tf_efficientnetv2_b3", kV2Base, 1.2, 1.4, 240, 0.9, Half, kBicubic, true, true},
};

// The paper's compound scaling: channels times the width coefficient, repeats times the depth coefficient.
class Scaling {
  public:
    Scaling(const Family& family, double width, double depth) : family_(family), width_(width), depth_(depth) {}

    int stemChannels() const { return family_.fixedStem ? family_.stemChannels : channels(family_.stemChannels); }
    int headChannels() const { return family_.fixedHead ? family_.headChannels : channels(family_.headChannels); }
    std::vector<BlockRow> rows() const {
        std::vector<BlockRow> rows(family_.rows.begin(), family_.rows.end());
        for (BlockRow& row : rows) {
            row.channels = channels(row.channels);
            const bool firstOrLast = &row == &rows.front() || &row == &rows.back();
            if (firstOrLast && family_.fixedFirstLast) continue;
            row.repeats = static_cast<int>(std::ceil(row.repeats * depth_));
        }
        return rows;
    }

  private:
    int channels(int unscaled) const { return makeDivisible(unscaled * width_, family_.keptShare); }

    const Family& family_;
    double width_, depth_;
};

bool isTensorFlow(const Member& member) {
    return std::string_view(member.name).starts_with("tf_");
}

Graph build(const Member& member, const ArchitectureOptions& options, const Shape& input) {
    const bool tensorFlow = isTensorFlow(member);
    const double epsilon = options.batchNormEpsilon > 0 ? options.batchNormEpsilon : (tensorFlow ? 1e-3 : 1e-5);
    NetworkBuilder builder(input, {.samePadding = options.samePadding || tensorFlow, .epsilon = epsilon});
    const Family& family = member.family;
    const Scaling scaling(family, options.channelMultiplier > 0 ? options.channelMultiplier : member.width,
                          options.depthMultiplier > 0 ? options.depthMultiplier : member.depth);

    ValueId x = appendStem(builder, scaling.stemChannels(), family.activation);
    x = appendStages(builder, scaling.rows(), kSqueezeExcite, x);
    x = appendHeadConvolution(builder, x, scaling.headChannels(), family.activation);
    builder.graph().tap("features", x);
    x = builder.pool("global_pool", x);
    builder.graph().tap("pooled", x);
    builder.graph().setOutput(builder.linear("classifier", x, options.classes));
    return builder.take();
}

PreprocessSpec preprocessOf(const Member& member) {
    PreprocessSpec spec;
    if (member.colours == Half) spec.mean = spec.deviation = {0.5f, 0.5f, 0.5f};
    spec.interpolation = member.interpolation;
    spec.cropFraction = member.cropFraction;
    spec.squash = member.squash;
    spec.inputHeight = spec.inputWidth = member.side;
    return spec;
}

}  // namespace

std::vector<Architecture> efficientnetArchitectures() {
    std::vector<Architecture> all;
    for (const Member& member : kMembers) {
        Architecture architecture;
        architecture.name = member.name;
        architecture.family = member.family.title;
        architecture.preprocess = preprocessOf(member);
        architecture.build = [&member](const ArchitectureOptions& options, const Shape& input) {
            return build(member, options, input);
        };
        architecture.arguments = {"channel_multiplier", "depth_multiplier", "pad_type", "bn_eps"};
        architecture.landmark = "bn2.weight";
        architecture.hasPublishedWeights = member.published;
        all.push_back(std::move(architecture));
    }
    return all;
}

}  // namespace dunlin
