#include "runtime/plan/prepack.h"

#include <bit>
#include <cassert>
#include <cstring>
#include <optional>

#include "runtime/plan/fusion.h"
#include "runtime/plan/stored_layout.h"

namespace dunlin {
namespace {

// Writes lanes of consecutive vec4 at either precision.
class PackedWriter {
  public:
    PackedWriter(std::span<std::byte> bytes, Precision precision) : bytes_(bytes), precision_(precision) {}

    void set(uint64_t group, int lane, float value) {
        const uint64_t element = group * kChannelGroup + static_cast<uint64_t>(lane);
        if (precision_ == Precision::Fp32) {
            std::memcpy(&bytes_[element * sizeof(float)], &value, sizeof value);
        } else {
            const uint16_t half = toHalf(value);
            std::memcpy(&bytes_[element * sizeof(uint16_t)], &half, sizeof half);
        }
    }

  private:
    std::span<std::byte> bytes_;
    Precision precision_;
};

// A layer as rows of products: how its weights lie in the file and on the device.
struct Gemm {
    std::vector<int> outputs, inputs;  // position of each channel
    int storedOutputs, storedInputs;   // channels with padding
    int window = 1;                    // kernelH * kernelW
    int mergedBlock = 0;  // side of the squares that SpaceToDepth merges before the layer; 0: a convolution's order

    uint64_t rowGroups() const {
        return 1 + static_cast<uint64_t>(window) * static_cast<uint64_t>(roundUp(storedInputs, kChannelGroup));
    }
    uint64_t groups() const { return static_cast<uint64_t>(channelGroups(storedOutputs)) * rowGroups(); }

    // Index of the weight of one place of the window and one input channel, within those of an output.
    size_t sourceIndex(size_t tap, size_t in) const {
        if (mergedBlock == 0) return in * static_cast<size_t>(window) + tap;
        const auto block = static_cast<size_t>(mergedBlock);
        return (tap % block * block + tap / block) * inputs.size() + in;
    }
};

// Nothing for depthwise convolutions and ops without weights.
std::optional<Gemm> gemmOf(const Graph& graph, const Node& node) {
    const auto gemm = [&](ValueId input, int window, int block) {
        const std::vector<int> in = channelParts(graph, input), out = channelParts(graph, node.output);
        return Gemm{
            channelPositions(out), channelPositions(in), storedChannels(out), storedChannels(in), window, block};
    };
    if (const auto* conv = std::get_if<Conv2d>(&node.op)) {
        if (conv->groups != 1) return std::nullopt;
        return gemm(conv->input, conv->kernelH * conv->kernelW, 0);
    }
    if (const auto* linear = std::get_if<Linear>(&node.op)) {
        if (const SpaceToDepth* merge = mergedPatches(graph, node.op))
            return gemm(merge->input, merge->block * merge->block, merge->block);
        return gemm(linear->input, 1, 0);
    }
    return std::nullopt;
}

void packGemm(const Gemm& gemm, const FoldedWeights& folded, PackedWriter writer) {
    const auto window = static_cast<size_t>(gemm.window);
    const size_t perOutput = gemm.inputs.size() * window;
    const auto paddedInputs = static_cast<uint64_t>(roundUp(gemm.storedInputs, kChannelGroup));
    for (size_t out = 0; out < gemm.outputs.size(); ++out) {
        const uint64_t row = static_cast<uint64_t>(gemm.outputs[out] / kChannelGroup) * gemm.rowGroups();
        const int lane = gemm.outputs[out] % kChannelGroup;
        writer.set(row, lane, folded.bias[out]);
        const float* weights = folded.weight.data() + out * perOutput;
        for (size_t tap = 0; tap < window; ++tap) {
            for (size_t in = 0; in < gemm.inputs.size(); ++in) {
                const uint64_t column = tap * paddedInputs + static_cast<uint64_t>(gemm.inputs[in]);
                writer.set(row + 1 + column, lane, weights[gemm.sourceIndex(tap, in)]);
            }
        }
    }
}

// Rows of `channels` values from the group `begin` on, each row beginning a new group.
void packRows(std::span<const float> values, int channels, uint64_t begin, PackedWriter writer) {
    const auto width = static_cast<size_t>(channels);
    const auto groups = static_cast<uint64_t>(channelGroups(channels));
    for (size_t i = 0; i < values.size(); ++i) {
        const size_t channel = i % width;
        writer.set(begin + i / width * groups + channel / kChannelGroup, static_cast<int>(channel % kChannelGroup),
                   values[i]);
    }
}

uint64_t windowBiasGroups(const Attention& attention) {
    const AttentionWindows& windows = *attention.windows;
    return static_cast<uint64_t>(2 * windows.height - 1) * static_cast<uint64_t>(2 * windows.width - 1) *
           static_cast<uint64_t>(channelGroups(attention.heads));
}

void packWindows(const Graph& graph, const Attention& attention, const FoldedWeights& folded, PackedWriter writer) {
    packRows(folded.weight, attention.heads, 0, writer);
    const std::vector<int> positions = channelPositions(channelParts(graph, attention.input));
    for (size_t c = 0; c < positions.size(); ++c) {
        const auto group = static_cast<uint64_t>(positions[c] / kChannelGroup);
        writer.set(windowBiasGroups(attention) + group, positions[c] % kChannelGroup, folded.bias[c]);
    }
}

// What fusion computes inside the layer's kernel, moved into its weights.
void foldLayerNorm(LayerNorm::Over over, const FoldedWeights& norm, FoldedWeights& layer) {
    const size_t inputs = norm.weight.size();
    for (size_t out = 0; out < layer.bias.size(); ++out) {
        const std::span<float> row(layer.weight.data() + out * inputs, inputs);
        double shift = 0, mean = 0;
        for (size_t k = 0; k < inputs; ++k) {
            shift += double{row[k]} * norm.bias[k];
            mean += double{row[k]} * norm.weight[k] / static_cast<double>(inputs);
        }
        if (over == LayerNorm::Over::Image) mean = 0;
        for (size_t k = 0; k < inputs; ++k) row[k] = static_cast<float>(double{row[k]} * norm.weight[k] - mean);
        layer.bias[out] = static_cast<float>(layer.bias[out] + shift);
    }
}

void packDepthwise(int channels, int window, const FoldedWeights& folded, PackedWriter writer) {
    const auto groups = static_cast<uint64_t>(channelGroups(channels));
    for (int channel = 0; channel < channels; ++channel) {
        const auto group = static_cast<uint64_t>(channel / kChannelGroup);
        const int lane = channel % kChannelGroup;
        writer.set(group, lane, folded.bias[static_cast<size_t>(channel)]);
        for (int tap = 0; tap < window; ++tap) {
            const size_t element =
                static_cast<size_t>(channel) * static_cast<size_t>(window) + static_cast<size_t>(tap);
            writer.set(static_cast<uint64_t>(1 + tap) * groups + group, lane, folded.weight[element]);
        }
    }
}

uint64_t packedGroups(const Graph& graph, const Node& node) {
    if (const auto gemm = gemmOf(graph, node)) return gemm->groups();
    const auto groups = static_cast<uint64_t>(channelGroups(graph.shape(node.output).c));
    if (const auto* conv = std::get_if<Conv2d>(&node.op); conv && isDepthwise(graph, *conv))
        return static_cast<uint64_t>(1 + conv->kernelH * conv->kernelW) * groups;
    if (std::holds_alternative<LayerNorm>(node.op)) return 2 * groups;
    if (std::holds_alternative<EmbedTokens>(node.op)) return static_cast<uint64_t>(graph.shape(node.output).w) * groups;
    if (const auto* attention = std::get_if<Attention>(&node.op); attention && attention->windows) {
        const int stored = storedChannels(channelParts(graph, attention->input));
        return windowBiasGroups(*attention) + static_cast<uint64_t>(channelGroups(stored));
    }
    return 0;
}

std::string identityOf(const Graph& graph, const Node& node) {
    std::string identity = node.name;
    if (const int norm = foldedNorm(graph, node.op); norm >= 0)
        identity += " after " + graph.nodes()[static_cast<size_t>(norm)].name;
    if (const auto* tokens = std::get_if<EmbedTokens>(&node.op)) {
        const Shape& map = graph.shape(tokens->input);
        identity += " for " + std::to_string(map.h) + "x" + std::to_string(map.w);
    }
    return identity;
}

}  // namespace

std::vector<Constant> constantsOf(const Graph& graph, Precision precision) {
    std::vector<Constant> constants;
    for (size_t i = 0; i < graph.nodes().size(); ++i) {
        const uint64_t groups = packedGroups(graph, graph.nodes()[i]);
        const uint64_t groupBytes = kChannelGroup * static_cast<uint64_t>(elementSize(precision));
        if (groups > 0)
            constants.push_back(
                {static_cast<int>(i), groups, groups * groupBytes, identityOf(graph, graph.nodes()[i])});
    }
    return constants;
}

Result<FoldedWeights> constantWeights(const Graph& graph, const Constant& constant, const WeightsSource& weights) {
    const Node& node = graph.nodes()[static_cast<size_t>(constant.node)];
    DUNLIN_ASSIGN(FoldedWeights folded, foldWeights(graph, node, weights));
    const int norm = foldedNorm(graph, node.op);
    if (norm < 0) return folded;
    const Node& normNode = graph.nodes()[static_cast<size_t>(norm)];
    DUNLIN_ASSIGN(const FoldedWeights normWeights, foldWeights(graph, normNode, weights));
    foldLayerNorm(std::get<LayerNorm>(normNode.op).over, normWeights, folded);
    return folded;
}

void prepack(const Graph& graph, const Constant& constant, const FoldedWeights& folded, Precision precision,
             std::span<std::byte> packed) {
    assert(packed.size() == constant.sizeBytes);
    std::memset(packed.data(), 0, packed.size());
    const Node& node = graph.nodes()[static_cast<size_t>(constant.node)];
    const PackedWriter writer(packed, precision);
    const int channels = graph.shape(node.output).c;
    if (const auto gemm = gemmOf(graph, node)) {
        packGemm(*gemm, folded, writer);
    } else if (const auto* conv = std::get_if<Conv2d>(&node.op)) {
        packDepthwise(conv->outChannels, conv->kernelH * conv->kernelW, folded, writer);
    } else if (const auto* attention = std::get_if<Attention>(&node.op)) {
        packWindows(graph, *attention, folded, writer);
    } else {  // LayerNorm and EmbedTokens
        packRows(folded.weight, channels, 0, writer);
        packRows(folded.bias, channels, static_cast<uint64_t>(channelGroups(channels)), writer);
    }
}

uint16_t toHalf(float value) {
    const auto bits = std::bit_cast<uint32_t>(value);
    const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000u);
    const uint32_t magnitude = bits & 0x7fffffffu;
    constexpr uint16_t kLargestFinite = 0x7bff;
    if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);  // NaN stays NaN
    if (magnitude >= 0x477fe000u) return sign | kLargestFinite;                 // 65504 and beyond
    if (magnitude < 0x38800000u) {                                              // subnormal in float16
        // Adding 0.5 shifts the value so that the float unit rounds it to nearest even at float16's last place.
        const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
        return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(0.5f)));
    }
    const uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u);  // to nearest even at bit 13
    return static_cast<uint16_t>(sign | ((rounded - 0x38000000u) >> 13));
}

float fromHalf(uint16_t half) {
    const uint32_t sign = (half & 0x8000u) << 16;
    const uint32_t exponent = half >> 10 & 0x1fu, mantissa = half & 0x3ffu;
    if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000u | mantissa << 13);
    if (exponent == 0) {
        const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
        return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
    }
    return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
}

}  // namespace dunlin
