// torchvision/models/vision_transformer.py and swin_transformer.py.
#include "runtime/weights/name_schemes/layouts.h"

namespace dunlin {
namespace {

constexpr Place kTop[] = {{"", ""}};

constexpr auto kTopViT = packed([] {
    return std::to_array<Part>({
        {"class_token", "cls_token"},
        {"encoder.pos_embedding", "pos_embed"},
        {"conv_proj.*", "patch_embed.proj.*"},
        {"encoder.ln.*", "norm.*"},
        {"heads.head.*", "head.*"},
    });
});
constexpr Place kLayersViT[] = {{"encoder.layers.encoder_layer_#", "blocks.#"}};
constexpr auto kLayerViT = packed([] {
    return std::to_array<Part>({
        {"ln_1.*", "norm1.*"},
        {"self_attention.in_proj_weight",
         "attn.qkv.weight"},  // query, key and value one after another, as timm has them
        {"self_attention.in_proj_bias", "attn.qkv.bias"},
        {"self_attention.out_proj.*", "attn.proj.*"},
        {"ln_2.*", "norm2.*"},
        {"mlp.linear_1.*", "mlp.fc1.*"},  // in the published files
        {"mlp.linear_2.*", "mlp.fc2.*"},
        {"mlp.0.*", "mlp.fc1.*"},  // in what later versions save
        {"mlp.3.*", "mlp.fc2.*"},
    });
});
constexpr BlockLayout kBlocksViT[] = {{kTop, "", kTopViT}, {kLayersViT, "", kLayerViT}};

// Width, patch and the tokens (one more than patches) of the published weights; other sizes of picture are their
// authors' own.
constexpr std::string_view kPatches = "conv_proj.weight", kTokens = "encoder.pos_embedding";
constexpr Sign kViTB16[] = {{kPatches, 0, 768}, {kPatches, 3, 16}, {kTokens, 1, 197}};
constexpr Sign kViTB16Swag[] = {{kPatches, 0, 768}, {kPatches, 3, 16}, {kTokens, 1, 577}};
constexpr Sign kViTB32[] = {{kPatches, 0, 768}, {kPatches, 3, 32}, {kTokens, 1, 50}};
constexpr Sign kViTL16[] = {{kPatches, 0, 1024}, {kPatches, 3, 16}, {kTokens, 1, 197}};
constexpr Sign kViTL32[] = {{kPatches, 0, 1024}, {kPatches, 3, 32}, {kTokens, 1, 50}};
constexpr Sign kViT[] = {{"encoder.layers.encoder_layer_0.self_attention.in_proj_weight"}, {kTokens}};

constexpr auto kTopSwin = packed([] {
    return std::to_array<Part>({
        {"features.0.0.*", "patch_embed.proj.*"},
        {"features.0.2.*", "patch_embed.norm.*"},
        {"norm.*", "norm.*"},
        {"head.*", "head.fc.*"},
    });
});
constexpr Place kStagesSwin[] = {
    {"features.1.#", "layers.0.blocks.#"},
    {"features.3.#", "layers.1.blocks.#"},
    {"features.5.#", "layers.2.blocks.#"},
    {"features.7.#", "layers.3.blocks.#"},
};
constexpr auto kBlockSwin = packed([] {
    return std::to_array<Part>({
        {"norm1.*", "norm1.*"},
        {"attn.relative_position_bias_table", "attn.relative_position_bias_table"},
        {"attn.relative_position_index", ""},  // follows from the window's size
        {"attn.qkv.*", "attn.qkv.*"},
        {"attn.proj.*", "attn.proj.*"},
        {"norm2.*", "norm2.*"},
        {"mlp.0.*", "mlp.fc1.*"},
        {"mlp.3.*", "mlp.fc2.*"},
    });
});
// Both libraries merge a square's pixels in the order (row, column) = (0, 0), (1, 0), (0, 1), (1, 1).
constexpr Place kMergingSwin[] = {
    {"features.2", "layers.1.downsample"},
    {"features.4", "layers.2.downsample"},
    {"features.6", "layers.3.downsample"},
};
constexpr auto kMergingPartsSwin = packed([] {
    return std::to_array<Part>({{"norm.*", "norm.*"}, {"reduction.*", "reduction.*"}});
});
constexpr BlockLayout kBlocksSwin[] = {
    {kTop, "", kTopSwin}, {kStagesSwin, "", kBlockSwin}, {kMergingSwin, "", kMergingPartsSwin}};

// The second version of Swin has no table.
constexpr std::string_view kTable = "features.1.0.attn.relative_position_bias_table";
constexpr std::string_view kPatchesSwin = "features.0.0.weight", kDeepSwin = "features.5.17.norm1.weight";
constexpr Sign kSwinB[] = {{kTable}, {kPatchesSwin, 0, 128}, {kDeepSwin}};
constexpr Sign kSwinS[] = {{kTable}, {kPatchesSwin, 0, 96}, {kDeepSwin}};
constexpr Sign kSwinT[] = {{kTable}, {kPatchesSwin, 0, 96}};

constexpr PublishedPreprocess bicubic(int resize, int crop) {
    return {.resize = resize, .crop = crop, .bicubic = true};
}
constexpr PublishedPreprocess bilinear(int resize, int crop) {
    return {.resize = resize, .crop = crop};
}

constexpr Layout kLayouts[] = {
    {"torchvision ViT-B/16", kViTB16, kBlocksViT, bilinear(256, 224)},
    {"torchvision ViT-B/16, SWAG", kViTB16Swag, kBlocksViT, bicubic(384, 384)},
    {"torchvision ViT-B/32", kViTB32, kBlocksViT, bilinear(256, 224)},
    {"torchvision ViT-L/16", kViTL16, kBlocksViT, bilinear(242, 224)},
    {"torchvision ViT-L/32", kViTL32, kBlocksViT, bilinear(256, 224)},
    {"torchvision ViT", kViT, kBlocksViT, std::nullopt},
    {"torchvision Swin-B", kSwinB, kBlocksSwin, bicubic(238, 224)},
    {"torchvision Swin-S", kSwinS, kBlocksSwin, bicubic(246, 224)},
    {"torchvision Swin-T", kSwinT, kBlocksSwin, bicubic(232, 224)},
};

}  // namespace

std::span<const Layout> torchvisionTransformers() {
    return kLayouts;
}

}  // namespace dunlin
