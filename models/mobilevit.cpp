#include "models/mobilevit.h"

#include <cstdio>

#include "models/builder.h"
#include "models/transformer.h"

namespace dunlin {
namespace {

constexpr auto kSilu = Activation::Silu;
constexpr int kStages = 5, kFirstAttentionStage = 2;
constexpr int kPatch = 2;  // of the published networks
constexpr int kMlpMultiple = 2;
constexpr int kHeads = 4;  // MobileViT's; MobileViTv2 has one score a token
constexpr double kLayerNormEpsilon = 1e-5;

// Of both papers' stages. Inverted residuals come first, the first one of them with the stride; then, where there are
// layers, a block that attends.
constexpr int kStrides[kStages] = {1, 2, 2, 2, 2};
constexpr int kLayers[kStages] = {0, 0, 2, 4, 3};

// One column of a paper's table.
struct Network {
    bool second;  // MobileViTv2: separable attention, no fusion
    int stemChannels;
    double expansion;  // of the inverted residuals
    int repeats[kStages];
    int channels[kStages];
    int tokenChannels[kStages];  // 0 where nothing attends
    int finalChannels;           // of the last 1x1 convolution; 0: there is none
};

struct NamedNetwork {
    const char* name;
    Network network;
};
constexpr NamedNetwork kFirst[] = {
    {"mobilevit_xxs", {false, 16, 2, {1, 3, 1, 1, 1}, {16, 24, 48, 64, 80}, {0, 0, 64, 80, 96}, 320}},
    {"mobilevit_xs", {false, 16, 4, {1, 3, 1, 1, 1}, {32, 48, 64, 80, 96}, {0, 0, 96, 120, 144}, 384}},
    {"mobilevit_s", {false, 16, 4, {1, 3, 1, 1, 1}, {32, 64, 96, 128, 160}, {0, 0, 144, 192, 240}, 640}},
};

// MobileViTv2 is one network in several widths.
constexpr Network kSecond = {true, 32, 2, {1, 2, 1, 1, 1}, {64, 128, 256, 384, 512}, {0, 0, 128, 192, 256}, 0};
constexpr int kSecondWidths[] = {50, 75, 100, 125, 150, 175, 200};  // in hundredths

Network secondNetwork(int hundredths) {
    Network network = kSecond;
    network.stemChannels = network.stemChannels * hundredths / 100;
    for (int& channels : network.channels) channels = makeDivisible(channels * hundredths / 100);
    for (int stage = kFirstAttentionStage; stage < kStages; ++stage)
        network.tokenChannels[stage] = makeDivisible(network.channels[stage] / 2.0);
    return network;
}

struct BlockSize {
    int channels, tokenChannels, layers;
};

// The blocks of both, as timm names their parts.
class MobilevitBlocks {
  public:
    MobilevitBlocks(NetworkBuilder& builder, double expansion)
        : builder_(builder), graph_(builder.graph()), expansion_(expansion) {}

    ValueId invertedResidual(const std::string& name, ValueId input, int outChannels, int stride) {
        const int expanded = makeDivisible(builder_.channels(input) * expansion_);
        ValueId x = builder_.convNorm(convNorm(name + ".conv1_1x1"), input, expanded, 1, 1, kSilu);
        x = builder_.depthwise(convNorm(name + ".conv2_kxk"), x, 3, stride, kSilu);
        x = builder_.convNorm(convNorm(name + ".conv3_1x1"), x, outChannels, 1, 1, Activation::None);
        const bool fits = stride == 1 && builder_.channels(input) == outChannels;
        return fits ? builder_.add(name + ".add", x, input) : x;
    }

    // Local representation by convolutions, global representation by attention, and both fused.
    ValueId first(const std::string& name, ValueId input, const BlockSize& size, int patch) {
        ValueId x = builder_.convNorm(convNorm(name + ".conv_kxk"), input, size.channels, 3, 1, kSilu);
        x = pointwise(graph_, name + ".conv_1x1", x, size.tokenChannels, Bias::No);
        const Shape map = graph_.shape(x);
        x = resized(name + ".unfold", x, roundUp(map.h, patch), roundUp(map.w, patch), false);
        for (int layer = 0; layer < size.layers; ++layer) {
            const Attention attention = {.heads = kHeads, .patchH = patch, .patchW = patch};
            x = transformerLayer(graph_, name + ".transformer." + std::to_string(layer), x,
                                 {attention, kMlpMultiple, kSilu, kLayerNormEpsilon});
        }
        x = layerNorm(graph_, name + ".norm", x, kLayerNormEpsilon);
        x = resized(name + ".fold", x, map.h, map.w, false);
        x = builder_.convNorm(convNorm(name + ".conv_proj"), x, size.channels, 1, 1, kSilu);
        x = graph_.add(name + ".concat", Concat{input, x});
        return builder_.convNorm(convNorm(name + ".conv_fusion"), x, size.channels, 3, 1, kSilu);
    }

    // Where the patch does not divide the map, the block's result stays as large as its input was made.
    ValueId second(const std::string& name, ValueId input, const BlockSize& size, int patch) {
        const Shape map = graph_.shape(input);
        ValueId x = resized(name + ".unfold", input, roundUp(map.h, patch), roundUp(map.w, patch), true);
        x = builder_.depthwise(convNorm(name + ".conv_kxk"), x, 3, 1, kSilu);
        x = pointwise(graph_, name + ".conv_1x1", x, size.tokenChannels, Bias::No);
        for (int layer = 0; layer < size.layers; ++layer)
            x = separableLayer(name + ".transformer." + std::to_string(layer), x, patch);
        x = layerNorm(graph_, name + ".norm", x, kLayerNormEpsilon, LayerNorm::Over::Image);
        return builder_.convNorm(convNorm(name + ".conv_proj"), x, size.channels, 1, 1, Activation::None);
    }

  private:
    static ConvNormNames convNorm(const std::string& name) { return {name + ".conv", name + ".bn"}; }

    ValueId resized(const std::string& name, ValueId x, int height, int width, bool alignCorners) {
        const Shape& map = graph_.shape(x);
        if (map.h == height && map.w == width) return x;
        return graph_.add(name, Resize{x, height, width, alignCorners});
    }

    ValueId separableLayer(const std::string& name, ValueId input, int patch) {
        const int channels = builder_.channels(input);
        ValueId x = layerNorm(graph_, name + ".norm1", input, kLayerNormEpsilon, LayerNorm::Over::Image);
        x = pointwise(graph_, name + ".attn.qkv_proj", x, 1 + 2 * channels);
        x = graph_.add(name + ".attn", SeparableAttention{x, patch, patch});
        x = pointwise(graph_, name + ".attn.out_proj", x, channels);
        const ValueId attended = builder_.add(name + ".attn.add", x, input);

        x = layerNorm(graph_, name + ".norm2", attended, kLayerNormEpsilon, LayerNorm::Over::Image);
        x = pointwise(graph_, name + ".mlp.fc1", x, kMlpMultiple * channels, Bias::Yes, kSilu);
        x = pointwise(graph_, name + ".mlp.fc2", x, channels);
        return builder_.add(name + ".mlp.add", x, attended);
    }

    NetworkBuilder& builder_;
    Graph& graph_;
    double expansion_;
};

ValueId stage(int index, const Network& network, int patch, NetworkBuilder& builder, ValueId x) {
    const std::string name = "stages." + std::to_string(index);
    const BlockSize size = {network.channels[index], network.tokenChannels[index], kLayers[index]};
    MobilevitBlocks blocks(builder, network.expansion);
    for (int repeat = 0; repeat < network.repeats[index]; ++repeat) {
        const std::string block = name + "." + std::to_string(repeat);
        x = blocks.invertedResidual(block, x, size.channels, repeat == 0 ? kStrides[index] : 1);
        builder.graph().tap(block, x);
    }
    if (size.layers > 0) {
        const std::string block = name + "." + std::to_string(network.repeats[index]);
        x = network.second ? blocks.second(block, x, size, patch) : blocks.first(block, x, size, patch);
        builder.graph().tap(block, x);
    }
    tapStage(builder.graph(), name, x);
    return x;
}

Graph build(const Network& network, const ArchitectureOptions& options, const Shape& input) {
    const double epsilon = options.batchNormEpsilon > 0 ? options.batchNormEpsilon : 1e-5;
    NetworkBuilder builder(input, {.epsilon = epsilon});
    Graph& graph = builder.graph();

    ValueId x = builder.convNorm({"stem.conv", "stem.bn"}, graph.input(), network.stemChannels, 3, 2, kSilu);
    graph.tap("stem", x);
    for (int index = 0; index < kStages; ++index) {
        const bool attends = index >= kFirstAttentionStage;
        const int asked = attends ? options.patchSizes[static_cast<size_t>(index - kFirstAttentionStage)] : 0;
        x = stage(index, network, asked > 0 ? asked : kPatch, builder, x);
    }
    if (network.finalChannels > 0)
        x = builder.convNorm({"final_conv.conv", "final_conv.bn"}, x, network.finalChannels, 1, 1, kSilu);
    graph.tap("final_conv", x);  // of MobileViTv2 timm's identity
    graph.tap("features", x);
    x = builder.pool("head.global_pool", x);
    graph.tap("pooled", x);
    graph.setOutput(builder.linear("head.fc", x, options.classes));
    return builder.take();
}

std::string secondName(int hundredths) {
    char suffix[8];
    std::snprintf(suffix, sizeof suffix, "_%03d", hundredths);
    return "mobilevitv2" + std::string(suffix);
}

Architecture architecture(std::string name, const Network& network) {
    PreprocessSpec preprocess;
    preprocess.mean = {0, 0, 0};
    preprocess.deviation = {1, 1, 1};
    preprocess.interpolation = Interpolation::Bicubic;
    preprocess.cropFraction = network.second ? 0.888 : 0.9;
    preprocess.inputHeight = preprocess.inputWidth = 256;
    return {.name = std::move(name),
            .family = network.second ? "MobileViTv2" : "MobileViT",
            .preprocess = preprocess,
            .build = [network](const ArchitectureOptions& options,
                               const Shape& input) { return build(network, options, input); },
            .arguments = {"patch_size"},
            .landmark = "stages.2.1.transformer.0.norm1.weight"};
}

}  // namespace

std::vector<Architecture> mobilevitArchitectures() {
    std::vector<Architecture> all;
    for (const auto& [name, network] : kFirst) all.push_back(architecture(name, network));
    for (int width : kSecondWidths) all.push_back(architecture(secondName(width), secondNetwork(width)));
    return all;
}

}  // namespace dunlin
