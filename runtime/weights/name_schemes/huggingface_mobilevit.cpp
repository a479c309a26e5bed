// transformers' MobileViT (models/mobilevit/modeling_mobilevit.py) and MobileViTv2 (models/mobilevitv2). A network for
// classification has the prefix before all but its classifier, the bare network has none.
#include "runtime/weights/name_schemes/layouts.h"

namespace dunlin {
namespace {

constexpr Place kTop[] = {{"", ""}};
constexpr auto kTopParts = packed([] {
    return std::to_array<Part>({
        {"conv_stem.convolution.*", "stem.conv.*"},
        {"conv_stem.normalization.*", "stem.bn.*"},
        {"conv_1x1_exp.convolution.*", "final_conv.conv.*"},  // of the first version only
        {"conv_1x1_exp.normalization.*", "final_conv.bn.*"},
        {"classifier.*", "head.fc.*"},
    });
});

constexpr Place kResiduals[] = {
    {"encoder.layer.#.layer.#", "stages.#.#"},
    {"encoder.layer.#.downsampling_layer", "stages.#.0"},
};
constexpr auto kResidualParts = packed([] {
    return std::to_array<Part>({
        {"expand_1x1.convolution.*", "conv1_1x1.conv.*"},
        {"expand_1x1.normalization.*", "conv1_1x1.bn.*"},
        {"conv_3x3.convolution.*", "conv2_kxk.conv.*"},
        {"conv_3x3.normalization.*", "conv2_kxk.bn.*"},
        {"reduce_1x1.convolution.*", "conv3_1x1.conv.*"},
        {"reduce_1x1.normalization.*", "conv3_1x1.bn.*"},
    });
});

constexpr Place kMobileViTs[] = {{"encoder.layer.#", "stages.#.1"}};
constexpr auto kMobileViTParts = packed([] {
    return std::to_array<Part>({
        {"conv_kxk.convolution.*", "conv_kxk.conv.*"},
        {"conv_kxk.normalization.*", "conv_kxk.bn.*"},
        {"conv_1x1.convolution.*", "conv_1x1.*"},
        {"layernorm.*", "norm.*"},
        {"conv_projection.convolution.*", "conv_proj.conv.*"},
        {"conv_projection.normalization.*", "conv_proj.bn.*"},
        {"fusion.convolution.*", "conv_fusion.conv.*"},  // of the first version only
        {"fusion.normalization.*", "conv_fusion.bn.*"},
    });
});

constexpr Place kTransformers[] = {{"encoder.layer.#.transformer.layer.#", "stages.#.1.transformer.#"}};
constexpr auto kTransformerParts = packed([] {
    return std::to_array<Part>({
        {"layernorm_before.*", "norm1.*"},
        {"attention.attention.query.*", "attn.qkv.*", ShapeChange::None, 0, 3},
        {"attention.attention.key.*", "attn.qkv.*", ShapeChange::None, 1, 3},
        {"attention.attention.value.*", "attn.qkv.*", ShapeChange::None, 2, 3},
        {"attention.output.dense.*", "attn.proj.*"},
        {"layernorm_after.*", "norm2.*"},
        {"intermediate.dense.*", "mlp.fc1.*"},
        {"output.dense.*", "mlp.fc2.*"},
    });
});
constexpr auto kTransformerPartsV2 = packed([] {
    return std::to_array<Part>({
        {"layernorm_before.*", "norm1.*"},
        {"attention.qkv_proj.convolution.*", "attn.qkv_proj.*"},
        {"attention.out_proj.convolution.*", "attn.out_proj.*"},
        {"layernorm_after.*", "norm2.*"},
        {"ffn.conv1.convolution.*", "mlp.fc1.*"},
        {"ffn.conv2.convolution.*", "mlp.fc2.*"},
    });
});

constexpr BlockLayout kBlocks[] = {{kTop, "", kTopParts},
                                   {kResiduals, "", kResidualParts},
                                   {kTransformers, "", kTransformerParts},
                                   {kMobileViTs, "", kMobileViTParts}};
constexpr BlockLayout kBlocksV2[] = {{kTop, "", kTopParts},
                                     {kResiduals, "", kResidualParts},
                                     {kTransformers, "", kTransformerPartsV2},
                                     {kMobileViTs, "", kMobileViTParts}};

constexpr Sign kV1[] = {{"encoder.layer.2.transformer.layer.0.attention.attention.query.weight"}};
constexpr Sign kV2[] = {{"encoder.layer.2.transformer.layer.0.attention.qkv_proj.convolution.weight"}};

// What MobileViTImageProcessor does for the published weights: colours in 0..1 as they are, but blue first.
constexpr PublishedPreprocess kPreprocess = {
    .resize = 288, .crop = 256, .swapRedBlue = true, .mean = {0, 0, 0}, .deviation = {1, 1, 1}};

constexpr Layout kLayouts[] = {
    {"Hugging Face MobileViT", kV1, kBlocks, kPreprocess, 1e-5, "mobilevit."},
    {"Hugging Face MobileViTv2", kV2, kBlocksV2, kPreprocess, 1e-5, "mobilevitv2."},
};

}  // namespace

std::span<const Layout> huggingFaceMobileViTs() {
    return kLayouts;
}

}  // namespace dunlin
