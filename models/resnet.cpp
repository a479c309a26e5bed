#include "models/resnet.h"

#include <array>

#include "models/builder.h"

namespace dunlin {
namespace {

constexpr auto kRelu = Activation::Relu;

enum class Block {
    Basic,       // two 3x3 convolutions
    Bottleneck,  // 1x1, 3x3, and 1x1 to four times the channels
};

struct Member {
    const char* name;
    Block block;
    std::array<int, 4> repeats;
    double cropFraction;
};

constexpr Member kMembers[] = {
    {"resnet18", Block::Basic, {2, 2, 2, 2}, 0.95},        {"resnet34", Block::Basic, {3, 4, 6, 3}, 0.95},
    {"resnet50", Block::Bottleneck, {3, 4, 6, 3}, 0.95},   {"resnet101", Block::Bottleneck, {3, 4, 23, 3}, 0.95},
    {"resnet152", Block::Bottleneck, {3, 8, 36, 3}, 0.95},
};

constexpr std::array<int, 4> kChannels = {64, 128, 256, 512};  // of the 3x3 convolutions of a stage
constexpr int kBottleneckExpansion = 4;

// What is added to the block's output: its input, or where the shapes differ, a 1x1 convolution of it. Appended before
// the main path, so that the addition can be fused into that path's last convolution.
ValueId shortcut(NetworkBuilder& builder, const std::string& name, ValueId input, int outChannels, int stride) {
    if (stride == 1 && builder.channels(input) == outChannels) return input;
    return builder.convNorm({name + ".downsample.0", name + ".downsample.1"}, input, outChannels, 1, stride,
                            Activation::None);
}

ValueId basic(NetworkBuilder& builder, const std::string& name, ValueId input, int channels, int stride) {
    const ValueId other = shortcut(builder, name, input, channels, stride);
    ValueId x = builder.convNorm({name + ".conv1", name + ".bn1"}, input, channels, 3, stride, kRelu);
    x = builder.convNorm({name + ".conv2", name + ".bn2"}, x, channels, 3, 1, Activation::None);
    return builder.add(name + ".add", x, other, kRelu);
}

ValueId bottleneck(NetworkBuilder& builder, const std::string& name, ValueId input, int channels, int stride) {
    const int outChannels = channels * kBottleneckExpansion;
    const ValueId other = shortcut(builder, name, input, outChannels, stride);
    ValueId x = builder.convNorm({name + ".conv1", name + ".bn1"}, input, channels, 1, 1, kRelu);
    x = builder.convNorm({name + ".conv2", name + ".bn2"}, x, channels, 3, stride, kRelu);
    x = builder.convNorm({name + ".conv3", name + ".bn3"}, x, outChannels, 1, 1, Activation::None);
    return builder.add(name + ".add", x, other, kRelu);
}

ValueId stem(NetworkBuilder& builder) {
    Graph& graph = builder.graph();
    const ValueId x = builder.convNorm({"conv1", "bn1"}, graph.input(), kChannels[0], 7, 2, kRelu);
    graph.tap("act1", x);
    graph.untappable("conv1", "its BatchNorm is folded into it; 'act1' is what follows its activation");
    MaxPool pool;
    pool.input = x;
    pool.kernelH = pool.kernelW = 3;
    pool.strideH = pool.strideW = 2;
    pool.padding = {1, 1, 1, 1};
    const ValueId pooled = graph.add("maxpool", pool);
    graph.tap("stem", pooled);
    return pooled;
}

Graph build(const Member& member, const ArchitectureOptions& options, const Shape& input) {
    NetworkBuilder builder(input, {.epsilon = options.batchNormEpsilon > 0 ? options.batchNormEpsilon : 1e-5});
    Graph& graph = builder.graph();
    ValueId x = stem(builder);
    for (size_t stage = 0; stage < member.repeats.size(); ++stage) {
        const std::string layer = "layer" + std::to_string(stage + 1);
        for (int i = 0; i < member.repeats[stage]; ++i) {
            const std::string name = layer + "." + std::to_string(i);
            const int stride = stage > 0 && i == 0 ? 2 : 1;
            x = member.block == Block::Basic ? basic(builder, name, x, kChannels[stage], stride)
                                             : bottleneck(builder, name, x, kChannels[stage], stride);
            graph.tap(name, x);
        }
        tapStage(graph, layer, x);
    }
    graph.tap("features", x);
    x = builder.pool("global_pool", x);
    graph.tap("pooled", x);
    graph.setOutput(builder.linear("fc", x, options.classes));
    return builder.take();
}

}  // namespace

std::vector<Architecture> resnetArchitectures() {
    std::vector<Architecture> all;
    for (const Member& member : kMembers) {
        Architecture architecture;
        architecture.name = member.name;
        architecture.family = "ResNet";
        architecture.preprocess.interpolation = Interpolation::Bicubic;
        architecture.preprocess.cropFraction = member.cropFraction;
        architecture.build = [&member](const ArchitectureOptions& options, const Shape& input) {
            return build(member, options, input);
        };
        architecture.landmark = "layer4.0.conv1.weight";
        architecture.otherPublisher = "torchvision";
        all.push_back(std::move(architecture));
    }
    return all;
}

}  // namespace dunlin
