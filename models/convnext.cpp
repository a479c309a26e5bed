#include "models/convnext.h"

#include <array>

#include "models/builder.h"
#include "models/transformer.h"

namespace dunlin {
namespace {

// Depths and channels of the four stages.
struct Member {
    const char* name;
    std::array<int, 4> depths, channels;
    // The block's linear layers are stored as 1x1 convolutions: the same arithmetic, weights of another shape.
    bool convolutionalMlp;
    double cropFraction;
};

constexpr Member kMembers[] = {
    {"convnext_atto", {2, 2, 6, 2}, {40, 80, 160, 320}, true, 0.875},
    {"convnext_femto", {2, 2, 6, 2}, {48, 96, 192, 384}, true, 0.875},
    {"convnext_pico", {2, 2, 6, 2}, {64, 128, 256, 512}, true, 0.875},
    {"convnext_nano", {2, 2, 8, 2}, {80, 160, 320, 640}, true, 0.95},
    {"convnext_tiny", {3, 3, 9, 3}, {96, 192, 384, 768}, false, 0.95},
    {"convnext_small", {3, 3, 27, 3}, {96, 192, 384, 768}, false, 0.95},
    {"convnext_base", {3, 3, 27, 3}, {128, 256, 512, 1024}, false, 0.875},
    {"convnext_large", {3, 3, 27, 3}, {192, 384, 768, 1536}, false, 0.875},
    {"convnext_xlarge", {3, 3, 27, 3}, {256, 512, 1024, 2048}, false, 0.875},
};

constexpr int kStemPatch = 4, kDownsamplePatch = 2;
constexpr int kDepthwiseKernel = 7;
constexpr int kExpansion = 4;

class ConvNext {
  public:
    ConvNext(const Shape& input, double epsilon, bool convolutionalMlp)
        : builder_(input, {}), epsilon_(epsilon), convolutionalMlp_(convolutionalMlp) {}

    Graph build(const Member& member, int classes) {
        Graph& graph = builder_.graph();
        ValueId x = patches("stem.0", graph.input(), member.channels[0], kStemPatch);
        x = norm("stem.1", x);
        graph.tap("stem", x);
        for (size_t i = 0; i < member.depths.size(); ++i) {
            const std::string stage = "stages." + std::to_string(i);
            if (i > 0) {
                x = norm(stage + ".downsample.0", x);
                x = patches(stage + ".downsample.1", x, member.channels[i], kDownsamplePatch);
            }
            for (int j = 0; j < member.depths[i]; ++j) {
                const std::string name = stage + ".blocks." + std::to_string(j);
                x = block(name, x);
                graph.tap(name, x);
            }
            tapStage(graph, stage, x);
        }
        graph.tap("features", x);
        x = builder_.pool("head.global_pool", x);
        graph.tap("pooled", x);
        x = norm("head.norm", x);
        graph.tap("head.norm", x);
        graph.setOutput(builder_.linear("head.fc", x, classes));
        return builder_.take();
    }

  private:
    ValueId norm(const std::string& name, ValueId input) { return layerNorm(builder_.graph(), name, input, epsilon_); }

    // Squares of side x side pixels become one; what hangs over the edge is left out.
    ValueId patches(const std::string& name, ValueId input, int outChannels, int side) {
        Conv2d conv;
        conv.input = input;
        conv.outChannels = outChannels;
        conv.kernelH = conv.kernelW = conv.strideH = conv.strideW = side;
        conv.parameters = {.weight = name + ".weight", .bias = name + ".bias"};
        return builder_.graph().add(name, conv);
    }

    ValueId depthwise(const std::string& name, ValueId input) {
        constexpr int kPadding = kDepthwiseKernel / 2;
        Conv2d conv;
        conv.input = input;
        conv.outChannels = conv.groups = builder_.channels(input);
        conv.kernelH = conv.kernelW = kDepthwiseKernel;
        conv.padding = {kPadding, kPadding, kPadding, kPadding};
        conv.parameters = {.weight = name + ".weight", .bias = name + ".bias"};
        return builder_.graph().add(name, conv);
    }

    // A linear layer on the channels of every pixel; `scale` is a layer scale's name or empty.
    ValueId pointwise(const std::string& name, ValueId input, int outChannels, Activation activation,
                      const std::string& scale) {
        const Parameters parameters = {.weight = name + ".weight", .bias = name + ".bias", .scale = scale};
        if (!convolutionalMlp_) return builder_.graph().add(name, Linear{input, outChannels, activation, parameters});
        Conv2d conv;
        conv.input = input;
        conv.outChannels = outChannels;
        conv.activation = activation;
        conv.parameters = parameters;
        return builder_.graph().add(name, conv);
    }

    ValueId block(const std::string& name, ValueId input) {
        const int channels = builder_.channels(input);
        ValueId x = depthwise(name + ".conv_dw", input);
        x = norm(name + ".norm", x);
        x = pointwise(name + ".mlp.fc1", x, channels * kExpansion, Activation::Gelu, {});
        x = pointwise(name + ".mlp.fc2", x, channels, Activation::None, name + ".gamma");
        return builder_.add(name + ".add", x, input);
    }

    NetworkBuilder builder_;
    double epsilon_;
    bool convolutionalMlp_;
};

}  // namespace

std::vector<Architecture> convnextArchitectures() {
    std::vector<Architecture> all;
    for (const Member& member : kMembers) {
        Architecture architecture;
        architecture.name = member.name;
        architecture.family = "ConvNeXt";
        architecture.preprocess.interpolation = Interpolation::Bicubic;
        architecture.preprocess.cropFraction = member.cropFraction;
        architecture.build = [&member](const ArchitectureOptions& options, const Shape& input) {
            const double epsilon = options.layerNormEpsilon > 0 ? options.layerNormEpsilon : 1e-6;
            const bool convolutionalMlp = options.convolutionalMlp.value_or(member.convolutionalMlp);
            return ConvNext(input, epsilon, convolutionalMlp).build(member, options.classes);
        };
        architecture.arguments = {"norm_eps", "conv_mlp"};
        architecture.landmark = "stages.0.blocks.0.gamma";
        all.push_back(std::move(architecture));
    }
    return all;
}

}  // namespace dunlin
