#include "models/transformer.h"

namespace dunlin {
namespace {

Parameters parametersOf(const std::string& name, Bias bias) {
    return {.weight = name + ".weight", .bias = bias == Bias::Yes ? name + ".bias" : ""};
}

}  // namespace

ValueId layerNorm(Graph& graph, const std::string& name, ValueId input, double epsilon, LayerNorm::Over over) {
    return graph.add(name, LayerNorm{input, over, epsilon, parametersOf(name, Bias::Yes)});
}

ValueId linear(Graph& graph, const std::string& name, ValueId input, int outFeatures, Bias bias,
               Activation activation) {
    return graph.add(name, Linear{input, outFeatures, activation, parametersOf(name, bias)});
}

ValueId pointwise(Graph& graph, const std::string& name, ValueId input, int outChannels, Bias bias,
                  Activation activation) {
    Conv2d conv;
    conv.input = input;
    conv.outChannels = outChannels;
    conv.activation = activation;
    conv.parameters = parametersOf(name, bias);
    return graph.add(name, conv);
}

ValueId patchEmbedding(Graph& graph, const std::string& name, ValueId input, int outChannels, int patch) {
    const Shape& map = graph.shape(input);
    Conv2d conv;
    conv.input = input;
    conv.outChannels = outChannels;
    conv.kernelH = conv.kernelW = conv.strideH = conv.strideW = patch;
    conv.padding = {.bottom = roundUp(map.h, patch) - map.h, .right = roundUp(map.w, patch) - map.w};
    conv.parameters = parametersOf(name, Bias::Yes);
    return graph.add(name, conv);
}

ValueId transformerLayer(Graph& graph, const std::string& name, ValueId input, const TransformerLayer& layer) {
    const int channels = graph.shape(input).c;
    ValueId x = layerNorm(graph, name + ".norm1", input, layer.epsilon);
    Attention attention = layer.attention;
    attention.input = linear(graph, name + ".attn.qkv", x, 3 * channels);
    x = graph.add(name + ".attn", attention);
    x = linear(graph, name + ".attn.proj", x, channels);
    const ValueId attended = graph.add(name + ".attn.add", Add{x, input, Activation::None});

    x = layerNorm(graph, name + ".norm2", attended, layer.epsilon);
    x = linear(graph, name + ".mlp.fc1", x, layer.hiddenMultiple * channels, Bias::Yes, layer.activation);
    x = linear(graph, name + ".mlp.fc2", x, channels);
    return graph.add(name + ".mlp.add", Add{x, attended, Activation::None});
}

}  // namespace dunlin
