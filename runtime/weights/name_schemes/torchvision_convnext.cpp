// torchvision/models/convnext.py: a sequence `features` of stem, then stages and the reductions between them.
#include "runtime/weights/name_schemes/layouts.h"

namespace dunlin {
namespace {

constexpr Place kTop[] = {{"", ""}};
constexpr auto kTopParts = packed([] {
    return std::to_array<Part>({
        {"features.0.0.*", "stem.0.*"},
        {"features.0.1.*", "stem.1.*"},
        {"classifier.0.*", "head.norm.*"},
        {"classifier.2.*", "head.fc.*"},
    });
});

constexpr Place kStages[] = {
    {"features.1.#", "stages.0.blocks.#"},
    {"features.3.#", "stages.1.blocks.#"},
    {"features.5.#", "stages.2.blocks.#"},
    {"features.7.#", "stages.3.blocks.#"},
};
constexpr auto kBlockParts = packed([] {
    return std::to_array<Part>({
        {"layer_scale", "gamma", ShapeChange::ToVector},  // [c, 1, 1]
        {"block.0.*", "conv_dw.*"},
        {"block.2.*", "norm.*"},
        {"block.3.*", "mlp.fc1.*"},
        {"block.5.*", "mlp.fc2.*"},
    });
});

constexpr Place kReductions[] = {
    {"features.2", "stages.1.downsample"},
    {"features.4", "stages.2.downsample"},
    {"features.6", "stages.3.downsample"},
};
constexpr auto kReductionParts = packed([] {
    return std::to_array<Part>({{"0.*", "0.*"}, {"1.*", "1.*"}});
});  // LayerNorm, convolution

constexpr BlockLayout kBlocks[] = {
    {kTop, "", kTopParts}, {kStages, "", kBlockParts}, {kReductions, "", kReductionParts}};

constexpr std::string_view kScale = "features.1.0.layer_scale", kDeep = "features.5.26.layer_scale";
constexpr Sign kLarge[] = {{kScale, 0, 192}, {kDeep}};
constexpr Sign kBase[] = {{kScale, 0, 128}, {kDeep}};
constexpr Sign kSmall[] = {{kScale, 0, 96}, {kDeep}};
constexpr Sign kTiny[] = {{kScale, 0, 96}};

constexpr Layout kLayouts[] = {
    {"torchvision ConvNeXt-Large", kLarge, kBlocks, PublishedPreprocess{.resize = 232, .crop = 224}},
    {"torchvision ConvNeXt-Base", kBase, kBlocks, PublishedPreprocess{.resize = 232, .crop = 224}},
    {"torchvision ConvNeXt-Small", kSmall, kBlocks, PublishedPreprocess{.resize = 230, .crop = 224}},
    {"torchvision ConvNeXt-Tiny", kTiny, kBlocks, PublishedPreprocess{.resize = 236, .crop = 224}},
};

}  // namespace

std::span<const Layout> torchvisionConvNeXts() {
    return kLayouts;
}

}  // namespace dunlin
