#include "runtime/plan/stored_layout.h"

namespace dunlin {
namespace {

std::vector<int> heads(int count, int channels) {
    return std::vector<int>(static_cast<size_t>(count), channels);
}

}  // namespace

std::vector<int> channelParts(const Graph& graph, ValueId value) {
    const int channels = graph.shape(value).c;
    if (const auto* attention = graph.producerAs<Attention>(value))
        return heads(attention->heads, channels / attention->heads);
    if (const auto* concat = graph.producerAs<Concat>(value))
        return {graph.shape(concat->a).c, graph.shape(concat->b).c};
    for (const Node& node : graph.nodes()) {
        if (const auto* attention = std::get_if<Attention>(&node.op); attention && attention->input == value)
            return heads(3 * attention->heads, channels / (3 * attention->heads));
        if (const auto* separable = std::get_if<SeparableAttention>(&node.op); separable && separable->input == value)
            return {1, (channels - 1) / 2, (channels - 1) / 2};
    }
    return {channels};
}

int storedChannels(const std::vector<int>& parts) {
    if (parts.size() == 1) return parts[0];
    int stored = 0;
    for (int part : parts) stored += roundUp(part, kChannelGroup);
    return stored;
}

Shape storedShape(const Graph& graph, ValueId value) {
    Shape shape = graph.shape(value);
    shape.c = storedChannels(channelParts(graph, value));
    return shape;
}

std::vector<int> channelPositions(const std::vector<int>& parts) {
    std::vector<int> positions;
    int begin = 0;
    for (int part : parts) {
        for (int c = 0; c < part; ++c) positions.push_back(begin + c);
        begin += roundUp(part, kChannelGroup);
    }
    return positions;
}

}  // namespace dunlin
