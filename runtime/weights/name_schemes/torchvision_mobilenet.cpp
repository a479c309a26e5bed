// torchvision/models/mobilenetv2.py and mobilenetv3.py: a sequence `features` with stem, blocks and head.
#include "runtime/weights/name_schemes/layouts.h"

namespace dunlin {
namespace {

constexpr Place kTop[] = {{"", ""}};
constexpr Place kFirst[] = {{"features.1", "blocks.0.0"}};  // the only block that does not expand
constexpr Place kOthers[] = {{"features.#", "blocks.@"}};

constexpr auto kTopV2 = packed([] {
    return std::to_array<Part>({
        {"features.0.0.*", "conv_stem.*"},
        {"features.0.1.*", "bn1.*"},
        {"features.18.0.*", "conv_head.*"},
        {"features.18.1.*", "bn2.*"},
        {"classifier.1.*", "classifier.*"},
    });
});
constexpr auto kFirstV2 = packed([] {
    return std::to_array<Part>({
        {"conv.0.0.*", "conv_dw.*"},
        {"conv.0.1.*", "bn1.*"},
        {"conv.1.*", "conv_pw.*"},
        {"conv.2.*", "bn2.*"},
    });
});
constexpr auto kOthersV2 = packed([] {
    return std::to_array<Part>({
        {"conv.0.0.*", "conv_pw.*"},
        {"conv.0.1.*", "bn1.*"},
        {"conv.1.0.*", "conv_dw.*"},
        {"conv.1.1.*", "bn2.*"},
        {"conv.2.*", "conv_pwl.*"},
        {"conv.3.*", "bn3.*"},
    });
});
constexpr BlockLayout kBlocksV2[] = {{kTop, "", kTopV2}, {kFirst, "", kFirstV2}, {kOthers, "", kOthersV2}};
constexpr int kStagesV2[] = {1, 2, 3, 4, 3, 3, 1};
constexpr Sign kSignsV2[] = {{"features.1.conv.0.0.weight"}};

// Squeeze-excite, where a block has it, moves the projection from 2 to 3 (in the first block, which does not expand,
// from 1 to 2).
constexpr auto kOthersV3 = packed([] {
    return std::to_array<Part>({
        {"block.0.0.*", "conv_pw.*"},
        {"block.0.1.*", "bn1.*"},
        {"block.1.0.*", "conv_dw.*"},
        {"block.1.1.*", "bn2.*"},
        {"block.2.fc1.*", "se.conv_reduce.*"},
        {"block.2.fc2.*", "se.conv_expand.*"},
        {"block.2.0.*", "conv_pwl.*"},
        {"block.2.1.*", "bn3.*"},
        {"block.3.0.*", "conv_pwl.*"},
        {"block.3.1.*", "bn3.*"},
    });
});

// torchvision classifies with two Linear layers; timm's first one is a 1x1 convolution.
constexpr auto kTopLarge = packed([] {
    return std::to_array<Part>({
        {"features.0.0.*", "conv_stem.*"},
        {"features.0.1.*", "bn1.*"},
        {"features.16.0.*", "blocks.6.0.conv.*"},
        {"features.16.1.*", "blocks.6.0.bn1.*"},
        {"classifier.0.*", "conv_head.*", ShapeChange::ToConvolution},
        {"classifier.3.*", "classifier.*"},
    });
});
constexpr auto kFirstLarge = packed([] {
    return std::to_array<Part>({
        {"block.0.0.*", "conv_dw.*"},
        {"block.0.1.*", "bn1.*"},
        {"block.1.0.*", "conv_pw.*"},
        {"block.1.1.*", "bn2.*"},
    });
});
constexpr BlockLayout kBlocksLarge[] = {{kTop, "", kTopLarge}, {kFirst, "", kFirstLarge}, {kOthers, "", kOthersV3}};
constexpr int kStagesLarge[] = {1, 2, 3, 4, 2, 3};
constexpr Sign kSignsLarge[] = {{"features.16.0.weight"}};

constexpr auto kTopSmall = packed([] {
    return std::to_array<Part>({
        {"features.0.0.*", "conv_stem.*"},
        {"features.0.1.*", "bn1.*"},
        {"features.12.0.*", "blocks.5.0.conv.*"},
        {"features.12.1.*", "blocks.5.0.bn1.*"},
        {"classifier.0.*", "conv_head.*", ShapeChange::ToConvolution},
        {"classifier.3.*", "classifier.*"},
    });
});
constexpr auto kFirstSmall = packed([] {
    return std::to_array<Part>({
        {"block.0.0.*", "conv_dw.*"},
        {"block.0.1.*", "bn1.*"},
        {"block.1.fc1.*", "se.conv_reduce.*"},
        {"block.1.fc2.*", "se.conv_expand.*"},
        {"block.2.0.*", "conv_pw.*"},
        {"block.2.1.*", "bn2.*"},
    });
});
constexpr BlockLayout kBlocksSmall[] = {{kTop, "", kTopSmall}, {kFirst, "", kFirstSmall}, {kOthers, "", kOthersV3}};
constexpr int kStagesSmall[] = {1, 2, 3, 2, 3};
constexpr Sign kSignsSmall[] = {{"features.12.0.weight"}};

// torchvision builds its MobileNetV3 with BatchNorm2d(eps=0.001), its V2 with PyTorch's default.
constexpr PublishedPreprocess kPreprocess = {};
constexpr Layout kLayouts[] = {
    {"torchvision MobileNetV2", kSignsV2, kBlocksV2, kPreprocess, 0, "", kStagesV2, 1},
    {"torchvision MobileNetV3-Large", kSignsLarge, kBlocksLarge, kPreprocess, 1e-3, "", kStagesLarge, 1},
    {"torchvision MobileNetV3-Small", kSignsSmall, kBlocksSmall, kPreprocess, 1e-3, "", kStagesSmall, 1},
};

}  // namespace

std::span<const Layout> torchvisionMobileNets() {
    return kLayouts;
}

}  // namespace dunlin
