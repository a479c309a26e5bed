#include "models/vit.h"

#include "models/transformer.h"

namespace dunlin {
namespace {

constexpr int kHeadChannels = 64;
constexpr int kMlpMultiple = 4;
constexpr double kEpsilon = 1e-6;

struct Member {
    const char* name;
    const char* family;
    int blocks, channels, patch;
    int side;  // of the pictures that it was trained with
};

constexpr Member kMembers[] = {
    {"vit_tiny_patch16_224", "ViT", 12, 192, 16, 224},   {"vit_tiny_patch16_384", "ViT", 12, 192, 16, 384},
    {"vit_small_patch16_224", "ViT", 12, 384, 16, 224},  {"vit_small_patch16_384", "ViT", 12, 384, 16, 384},
    {"vit_small_patch32_224", "ViT", 12, 384, 32, 224},  {"vit_small_patch32_384", "ViT", 12, 384, 32, 384},
    {"vit_base_patch16_224", "ViT", 12, 768, 16, 224},   {"vit_base_patch16_384", "ViT", 12, 768, 16, 384},
    {"vit_base_patch32_224", "ViT", 12, 768, 32, 224},   {"vit_base_patch32_384", "ViT", 12, 768, 32, 384},
    {"vit_large_patch16_224", "ViT", 24, 1024, 16, 224}, {"vit_large_patch16_384", "ViT", 24, 1024, 16, 384},
    {"vit_large_patch32_224", "ViT", 24, 1024, 32, 224}, {"vit_large_patch32_384", "ViT", 24, 1024, 32, 384},
    {"deit_tiny_patch16_224", "DeiT", 12, 192, 16, 224}, {"deit_small_patch16_224", "DeiT", 12, 384, 16, 224},
    {"deit_base_patch16_224", "DeiT", 12, 768, 16, 224}, {"deit_base_patch16_384", "DeiT", 12, 768, 16, 384},
};

// What the classifier reads: the class token, or the mean of the others, which is then normalised instead of the
// tokens.
ValueId head(Graph& graph, ValueId tokens, GlobalPool globalPool) {
    constexpr int kClassTokens = 1;
    if (globalPool == GlobalPool::Average) {
        graph.tap("norm", tokens);  // timm's identity
        graph.tap("features", tokens);
        const ValueId mean = graph.add("pool", GlobalAvgPool{tokens, /* begin = */ kClassTokens, /* count = */ 0});
        return layerNorm(graph, "fc_norm", mean, kEpsilon);
    }
    const ValueId normalised = layerNorm(graph, "norm", tokens, kEpsilon);
    graph.tap("norm", normalised);
    graph.tap("features", normalised);
    return graph.add("pool", GlobalAvgPool{normalised, /* begin = */ 0, kClassTokens});
}

Graph build(const Member& member, const ArchitectureOptions& options, const Shape& input) {
    Graph graph(input);
    ValueId x = patchEmbedding(graph, "patch_embed.proj", graph.input(), member.channels, member.patch);
    graph.tap("patch_embed", x);
    x = graph.add("pos_embed", EmbedTokens{x, member.side / member.patch, "cls_token", "pos_embed"});
    for (int block = 0; block < member.blocks; ++block) {
        const std::string name = "blocks." + std::to_string(block);
        const Attention attention = {.heads = member.channels / kHeadChannels};
        x = transformerLayer(graph, name, x, {attention, kMlpMultiple, Activation::Gelu, kEpsilon});
        graph.tap(name, x);
    }
    x = head(graph, x, options.globalPool);
    graph.tap("pooled", x);
    graph.setOutput(linear(graph, "head", x, options.classes));
    return graph;
}

Architecture architecture(const Member& member) {
    PreprocessSpec preprocess;
    // The networks that came from TensorFlow expect -1..1; DeiT's authors kept ImageNet's mean and deviation.
    if (member.family == std::string_view("ViT")) preprocess.mean = preprocess.deviation = {0.5f, 0.5f, 0.5f};
    preprocess.interpolation = Interpolation::Bicubic;
    preprocess.cropFraction = member.side == 224 ? 0.9 : 1.0;
    preprocess.inputHeight = preprocess.inputWidth = member.side;
    return {.name = member.name,
            .family = member.family,
            .preprocess = preprocess,
            .build = [&member](const ArchitectureOptions& options,
                               const Shape& input) { return build(member, options, input); },
            .sizeMultiple = member.patch,
            .landmark = "pos_embed",
            .hasClassToken = true};
}

}  // namespace

std::vector<Architecture> vitArchitectures() {
    std::vector<Architecture> all;
    for (const Member& member : kMembers) all.push_back(architecture(member));
    return all;
}

}  // namespace dunlin
