// What the architecture tables are built with: the compound layers that the networks share.
#pragma once

#include <string>
#include <utility>

#include "runtime/graph/graph.h"

namespace dunlin {

// The nearest multiple of 8 that keeps `share` of the channels, at least 8. The MobileNets' papers' rule keeps nine
// tenths.
int makeDivisible(double channels, double share = 0.9);
// Channels times the width multiplier, rounded so.
int scaledChannels(int channels, double width);

// A stage's output, a map: a tap by its name, and by the pixels of the input that one of its own stands for, "stride4",
// "stride8", "stride16" and "stride32". The last stage of a stride has that name.
void tapStage(Graph& graph, const std::string& name, ValueId map);

struct BuilderOptions {
    bool samePadding = false;  // TensorFlow's: output = ceil(input / stride), the odd zero at the bottom and right
    double epsilon = 1e-5;     // of BatchNorm
};

// Canonical names of a convolution and of the BatchNorm after it.
struct ConvNormNames {
    std::string conv, norm;
};

// Wraps a Graph under construction. Each function appends ops and returns their last value.
class NetworkBuilder {
  public:
    NetworkBuilder(const Shape& input, const BuilderOptions& options) : graph_(input), options_(options) {}

    Graph& graph() { return graph_; }
    Graph take() { return std::move(graph_); }
    int channels(ValueId value) const { return graph_.shape(value).c; }

    ValueId convNorm(const ConvNormNames& names, ValueId input, int outChannels, int kernel, int stride,
                     Activation activation);
    ValueId depthwise(const ConvNormNames& names, ValueId input, int kernel, int stride, Activation activation);
    // A 1x1 convolution with bias and no BatchNorm.
    ValueId convBias(const std::string& name, ValueId input, int outChannels, Activation activation);
    // x times a gate computed from its mean over the pixels; <name>.conv_reduce and <name>.conv_expand.
    ValueId squeezeExcite(const std::string& name, ValueId input, int reducedChannels, Activation reduceActivation,
                          Activation gateActivation);
    ValueId add(const std::string& name, ValueId x, ValueId shortcut, Activation activation = Activation::None);
    ValueId pool(const std::string& name, ValueId input);
    ValueId linear(const std::string& name, ValueId input, int outFeatures);

  private:
    ValueId convolution(const ConvNormNames& names, ValueId input, int outChannels, int kernel, int stride, int groups,
                        Activation activation);
    Padding padding(const Shape& input, int kernel, int stride) const;

    Graph graph_;
    BuilderOptions options_;
};

}  // namespace dunlin
