#include "models/swin.h"

#include "models/builder.h"
#include "models/transformer.h"

namespace dunlin {
namespace {

constexpr int kStages = 4, kPatch = 4;
constexpr int kMlpMultiple = 4;
constexpr double kEpsilon = 1e-5;

struct Member {
    const char* name;
    int channels, heads;  // of the first stage; each next one has twice as many
    int blocks[kStages];
    int window;
    int side;  // of the pictures that it was trained with
};

constexpr Member kMembers[] = {
    {"swin_tiny_patch4_window7_224", 96, 3, {2, 2, 6, 2}, 7, 224},
    {"swin_small_patch4_window7_224", 96, 3, {2, 2, 18, 2}, 7, 224},
    {"swin_base_patch4_window7_224", 128, 4, {2, 2, 18, 2}, 7, 224},
    {"swin_base_patch4_window12_384", 128, 4, {2, 2, 18, 2}, 12, 384},
};

// Every second block's windows lie between those of the block before.
AttentionWindows windowsOf(const std::string& block, int window, bool shifted, const Shape& map) {
    const auto shift = [&](int side) { return shifted && side > window ? window / 2 : 0; };
    return {.height = window,
            .width = window,
            .shiftH = shift(map.h),
            .shiftW = shift(map.w),
            .bias = block + ".attn.relative_position_bias_table",
            .paddedToken = block + ".attn.qkv.bias"};
}

ValueId patchMerging(Graph& graph, const std::string& name, ValueId x) {
    const int channels = graph.shape(x).c;
    x = graph.add(name, SpaceToDepth{x, 2});
    x = layerNorm(graph, name + ".norm", x, kEpsilon);
    return linear(graph, name + ".reduction", x, 2 * channels, Bias::No);
}

ValueId stage(Graph& graph, const Member& member, int index, ValueId x) {
    const std::string name = "layers." + std::to_string(index);
    if (index > 0) x = patchMerging(graph, name + ".downsample", x);
    for (int block = 0; block < member.blocks[index]; ++block) {
        const std::string blockName = name + ".blocks." + std::to_string(block);
        Attention attention;
        attention.heads = member.heads << index;
        attention.windows = windowsOf(blockName, member.window, block % 2 == 1, graph.shape(x));
        x = transformerLayer(graph, blockName, x, {attention, kMlpMultiple, Activation::Gelu, kEpsilon});
        graph.tap(blockName, x);
    }
    tapStage(graph, name, x);
    return x;
}

Graph build(const Member& member, const ArchitectureOptions& options, const Shape& input) {
    Graph graph(input);
    ValueId x = patchEmbedding(graph, "patch_embed.proj", graph.input(), member.channels, kPatch);
    x = layerNorm(graph, "patch_embed.norm", x, kEpsilon);
    graph.tap("patch_embed", x);
    for (int index = 0; index < kStages; ++index) x = stage(graph, member, index, x);
    x = layerNorm(graph, "norm", x, kEpsilon);
    graph.tap("norm", x);
    graph.tap("features", x);
    x = graph.add("head.global_pool", GlobalAvgPool{x});
    graph.tap("pooled", x);
    graph.setOutput(linear(graph, "head.fc", x, options.classes));
    return graph;
}

Architecture architecture(const Member& member) {
    PreprocessSpec preprocess;
    preprocess.interpolation = Interpolation::Bicubic;
    preprocess.cropFraction = member.side == 224 ? 0.9 : 1.0;
    preprocess.inputHeight = preprocess.inputWidth = member.side;
    return {.name = member.name,
            .family = "Swin",
            .preprocess = preprocess,
            .build = [&member](const ArchitectureOptions& options, const Shape& input) {
                return build(member, options, input);
            },
            .landmark = "layers.0.blocks.0.attn.relative_position_bias_table"};
}

}  // namespace

std::vector<Architecture> swinArchitectures() {
    std::vector<Architecture> all;
    for (const Member& member : kMembers) all.push_back(architecture(member));
    return all;
}

}  // namespace dunlin
