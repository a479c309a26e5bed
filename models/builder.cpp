#include "models/builder.h"

#include <algorithm>
#include <cmath>

namespace dunlin {

namespace {

// How many rows of the input one row of this op's output stands for, over its first input's.
int strideOf(const Op& op) {
    if (const auto* conv = std::get_if<Conv2d>(&op)) return conv->strideH;
    if (const auto* pool = std::get_if<MaxPool>(&op)) return pool->strideH;
    if (const auto* merge = std::get_if<SpaceToDepth>(&op)) return merge->block;
    return 1;  // networks resize only to what a patch divides, and back
}

int strideOf(const Graph& graph, ValueId map) {
    int stride = 1;
    while (map != graph.input()) {
        const Op& op = graph.nodes()[static_cast<size_t>(graph.producer(map))].op;
        stride *= strideOf(op);
        map = inputsOf(op)[0];
    }
    return stride;
}

}  // namespace

int makeDivisible(double channels, double share) {
    constexpr int kDivisor = 8;
    const int rounded = std::max(kDivisor, static_cast<int>(channels + kDivisor / 2.0) / kDivisor * kDivisor);
    return rounded < share * channels ? rounded + kDivisor : rounded;
}

int scaledChannels(int channels, double width) {
    return width == 1.0 ? channels : makeDivisible(channels * width);
}

void tapStage(Graph& graph, const std::string& name, ValueId map) {
    graph.tap(name, map);
    const int stride = strideOf(graph, map);
    for (const int tapped : {4, 8, 16, 32}) {
        if (stride == tapped) graph.tap("stride" + std::to_string(stride), map);
    }
}

Padding NetworkBuilder::padding(const Shape& input, int kernel, int stride) const {
    if (!options_.samePadding) {
        const int both = ((stride - 1) + (kernel - 1)) / 2;
        return {both, both, both, both};
    }
    const auto total = [&](int size) { return std::max((divideUp(size, stride) - 1) * stride + kernel - size, 0); };
    const int vertical = total(input.h), horizontal = total(input.w);
    return {vertical / 2, horizontal / 2, vertical - vertical / 2, horizontal - horizontal / 2};
}

ValueId NetworkBuilder::convolution(const ConvNormNames& names, ValueId input, int outChannels, int kernel, int stride,
                                    int groups, Activation activation) {
    Conv2d conv;
    conv.input = input;
    conv.outChannels = outChannels;
    conv.kernelH = conv.kernelW = kernel;
    conv.strideH = conv.strideW = stride;
    conv.padding = padding(graph_.shape(input), kernel, stride);
    conv.groups = groups;
    conv.activation = activation;
    conv.parameters = {names.conv + ".weight", "", BatchNorm{names.norm, options_.epsilon}};
    return graph_.add(names.conv, conv);
}

ValueId NetworkBuilder::convNorm(const ConvNormNames& names, ValueId input, int outChannels, int kernel, int stride,
                                 Activation activation) {
    return convolution(names, input, outChannels, kernel, stride, 1, activation);
}

ValueId NetworkBuilder::depthwise(const ConvNormNames& names, ValueId input, int kernel, int stride,
                                  Activation activation) {
    return convolution(names, input, channels(input), kernel, stride, channels(input), activation);
}

ValueId NetworkBuilder::convBias(const std::string& name, ValueId input, int outChannels, Activation activation) {
    Conv2d conv;
    conv.input = input;
    conv.outChannels = outChannels;
    conv.activation = activation;
    conv.parameters = {name + ".weight", name + ".bias", std::nullopt};
    return graph_.add(name, conv);
}

ValueId NetworkBuilder::squeezeExcite(const std::string& name, ValueId input, int reducedChannels,
                                      Activation reduceActivation, Activation gateActivation) {
    const ValueId mean = graph_.add(name + ".mean", GlobalAvgPool{input});
    const ValueId reduced = convBias(name + ".conv_reduce", mean, reducedChannels, reduceActivation);
    const ValueId gate = convBias(name + ".conv_expand", reduced, channels(input), gateActivation);
    return graph_.add(name, Mul{input, gate});
}

ValueId NetworkBuilder::add(const std::string& name, ValueId x, ValueId shortcut, Activation activation) {
    return graph_.add(name, Add{x, shortcut, activation});
}

ValueId NetworkBuilder::pool(const std::string& name, ValueId input) {
    return graph_.add(name, GlobalAvgPool{input});
}

ValueId NetworkBuilder::linear(const std::string& name, ValueId input, int outFeatures) {
    Linear linear;
    linear.input = input;
    linear.outFeatures = outFeatures;
    linear.parameters = {name + ".weight", name + ".bias", std::nullopt};
    return graph_.add(name, linear);
}

}  // namespace dunlin
