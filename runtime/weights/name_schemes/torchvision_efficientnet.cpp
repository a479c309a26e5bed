// torchvision/models/efficientnet.py: a sequence `features` of stem, stages and head; a block's convolutions are a
// sequence too, so that what a number means depends on the kind of block.
#include "runtime/weights/name_schemes/layouts.h"

namespace dunlin {
namespace {

constexpr Place kTop[] = {{"", ""}};
constexpr Place kStages[] = {
    {"features.1.#", "blocks.0.#"}, {"features.2.#", "blocks.1.#"}, {"features.3.#", "blocks.2.#"},
    {"features.4.#", "blocks.3.#"}, {"features.5.#", "blocks.4.#"}, {"features.6.#", "blocks.5.#"},
    {"features.7.#", "blocks.6.#"},
};

// The head follows the stages: seven of them, of V2-S six.
constexpr auto kTopOfSeven = packed([] {
    return std::to_array<Part>({
        {"features.0.0.*", "conv_stem.*"},
        {"features.0.1.*", "bn1.*"},
        {"features.8.0.*", "conv_head.*"},
        {"features.8.1.*", "bn2.*"},
        {"classifier.1.*", "classifier.*"},
    });
});
constexpr auto kTopOfSix = packed([] {
    return std::to_array<Part>({
        {"features.0.0.*", "conv_stem.*"},
        {"features.0.1.*", "bn1.*"},
        {"features.7.0.*", "conv_head.*"},
        {"features.7.1.*", "bn2.*"},
        {"classifier.1.*", "classifier.*"},
    });
});

constexpr auto kInvertedResidual = packed([] {
    return std::to_array<Part>({
        {"block.0.0.*", "conv_pw.*"},
        {"block.0.1.*", "bn1.*"},
        {"block.1.0.*", "conv_dw.*"},
        {"block.1.1.*", "bn2.*"},
        {"block.2.fc1.*", "se.conv_reduce.*"},
        {"block.2.fc2.*", "se.conv_expand.*"},
        {"block.3.0.*", "conv_pwl.*"},
        {"block.3.1.*", "bn3.*"},
    });
});
constexpr auto kDepthwiseSeparable = packed([] {
    return std::to_array<Part>({
        {"block.0.0.*", "conv_dw.*"},
        {"block.0.1.*", "bn1.*"},
        {"block.1.fc1.*", "se.conv_reduce.*"},
        {"block.1.fc2.*", "se.conv_expand.*"},
        {"block.2.0.*", "conv_pw.*"},
        {"block.2.1.*", "bn2.*"},
    });
});
constexpr auto kFusedResidual = packed([] {
    return std::to_array<Part>({
        {"block.0.0.*", "conv_exp.*"},
        {"block.0.1.*", "bn1.*"},
        {"block.1.0.*", "conv_pwl.*"},
        {"block.1.1.*", "bn2.*"},
    });
});
constexpr auto kSingleConvolution = packed([] {
    return std::to_array<Part>({{"block.0.0.*", "conv.*"}, {"block.0.1.*", "bn1.*"}});
});

constexpr BlockLayout kOfSeven[] = {
    {kTop, "", kTopOfSeven},
    {kStages, "block.3.0.weight", kInvertedResidual},
    {kStages, "block.1.fc1.weight", kDepthwiseSeparable},
    {kStages, "block.1.0.weight", kFusedResidual},
    {kStages, "", kSingleConvolution},
};
constexpr BlockLayout kOfSix[] = {
    {kTop, "", kTopOfSix},
    {kStages, "block.3.0.weight", kInvertedResidual},
    {kStages, "block.1.0.weight", kFusedResidual},
    {kStages, "", kSingleConvolution},
};

// Squeeze-excite in the first stage: only the first EfficientNets. Their widths tell them apart, B0 and B1 their
// depths.
constexpr std::string_view kFirstGeneration = "features.1.0.block.1.fc1.weight", kHead = "features.8.0.weight";
constexpr Sign kB1[] = {{kFirstGeneration}, {kHead, 0, 1280}, {"features.1.1.block.1.fc1.weight"}};
constexpr Sign kB0[] = {{kFirstGeneration}, {kHead, 0, 1280}};
constexpr Sign kB2[] = {{kFirstGeneration}, {kHead, 0, 1408}};
constexpr Sign kB3[] = {{kFirstGeneration}, {kHead, 0, 1536}};
constexpr Sign kB4[] = {{kFirstGeneration}, {kHead, 0, 1792}};
constexpr Sign kB5[] = {{kFirstGeneration}, {kHead, 0, 2048}};
constexpr Sign kB6[] = {{kFirstGeneration}, {kHead, 0, 2304}};
constexpr Sign kB7[] = {{kFirstGeneration}, {kHead, 0, 2560}};

// An expansion of 3x3 in the second stage: only V2.
constexpr std::string_view kStem = "features.0.0.weight";
constexpr Sign kFused = {"features.2.0.block.0.0.weight", 2, 3};
constexpr Sign kV2L[] = {kFused, {kHead}, {kStem, 0, 32}};
constexpr Sign kV2M[] = {kFused, {kHead}, {kStem, 0, 24}};
constexpr Sign kV2S[] = {kFused, {"features.7.0.weight"}, {kStem, 0, 24}};

constexpr PublishedPreprocess bicubic(int resize, int crop) {
    return {.resize = resize, .crop = crop, .bicubic = true};
}
constexpr PublishedPreprocess bilinear(int resize, int crop) {
    return {.resize = resize, .crop = crop};
}
constexpr std::array<float, 3> kHalf = {0.5f, 0.5f, 0.5f};
constexpr PublishedPreprocess kPreprocessV2L = {
    .resize = 480, .crop = 480, .bicubic = true, .mean = kHalf, .deviation = kHalf};

// B1 was published twice under the same names; these are the numbers of the first weights (the second: 255, bilinear).
constexpr Layout kLayouts[] = {
    {"torchvision EfficientNet-B1", kB1, kOfSeven, bicubic(256, 240), 1e-5},
    {"torchvision EfficientNet-B0", kB0, kOfSeven, bicubic(256, 224), 1e-5},
    {"torchvision EfficientNet-B2", kB2, kOfSeven, bicubic(288, 288), 1e-5},
    {"torchvision EfficientNet-B3", kB3, kOfSeven, bicubic(320, 300), 1e-5},
    {"torchvision EfficientNet-B4", kB4, kOfSeven, bicubic(384, 380), 1e-5},
    {"torchvision EfficientNet-B5", kB5, kOfSeven, bicubic(456, 456), 1e-3},
    {"torchvision EfficientNet-B6", kB6, kOfSeven, bicubic(528, 528), 1e-3},
    {"torchvision EfficientNet-B7", kB7, kOfSeven, bicubic(600, 600), 1e-3},
    {"torchvision EfficientNetV2-L", kV2L, kOfSeven, kPreprocessV2L, 1e-3},
    {"torchvision EfficientNetV2-M", kV2M, kOfSeven, bilinear(480, 480), 1e-3},
    {"torchvision EfficientNetV2-S", kV2S, kOfSix, bilinear(384, 384), 1e-3},
};

}  // namespace

std::span<const Layout> torchvisionEfficientNets() {
    return kLayouts;
}

}  // namespace dunlin
