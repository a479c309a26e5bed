#include "runtime/plan/prepack.h"

#include <bit>
#include <cassert>
#include <cstring>
#include <optional>

#include "runtime/plan/fusion.h"

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

struct GemmShape {
    int outChannels, inChannels, window;  // window: kernelH * kernelW
    uint64_t rowGroups() const { return 1 + uint64_t{1} * static_cast<uint64_t>(window) * paddedInput(); }
    uint64_t paddedInput() const { return static_cast<uint64_t>(roundUp(inChannels, kChannelGroup)); }
};

// The GEMM form of a node; nothing for depthwise convolutions and ops without weights.
std::optional<GemmShape> gemmShape(const Graph& graph, const Node& node) {
    if (const auto* conv = std::get_if<Conv2d>(&node.op)) {
        if (isDepthwise(graph, *conv)) return std::nullopt;
        return GemmShape{conv->outChannels, graph.shape(conv->input).c / conv->groups, conv->kernelH * conv->kernelW};
    }
    if (const auto* linear = std::get_if<Linear>(&node.op)) {
        return GemmShape{linear->outFeatures, graph.shape(linear->input).c, 1};
    }
    return std::nullopt;
}

void packGemm(const GemmShape& shape, const FoldedWeights& folded, PackedWriter writer) {
    const auto window = static_cast<uint64_t>(shape.window);
    const auto inputs = static_cast<uint64_t>(shape.inChannels);
    for (int out = 0; out < shape.outChannels; ++out) {
        const uint64_t row = static_cast<uint64_t>(out / kChannelGroup) * shape.rowGroups();
        const int lane = out % kChannelGroup;
        writer.set(row, lane, folded.bias[static_cast<size_t>(out)]);
        const float* weights = folded.weight.data() + static_cast<size_t>(out) * inputs * window;
        for (uint64_t in = 0; in < inputs; ++in) {
            for (uint64_t tap = 0; tap < window; ++tap) {
                writer.set(row + 1 + tap * shape.paddedInput() + in, lane, weights[in * window + tap]);
            }
        }
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
    if (const auto gemm = gemmShape(graph, node)) {
        return static_cast<uint64_t>(channelGroups(gemm->outChannels)) * gemm->rowGroups();
    }
    if (const auto* conv = std::get_if<Conv2d>(&node.op)) {
        return static_cast<uint64_t>(1 + conv->kernelH * conv->kernelW) *
               static_cast<uint64_t>(channelGroups(conv->outChannels));
    }
    return 0;
}

}  // namespace

std::vector<Constant> constantsOf(const Graph& graph, Precision precision) {
    std::vector<Constant> constants;
    for (size_t i = 0; i < graph.nodes().size(); ++i) {
        const uint64_t groups = packedGroups(graph, graph.nodes()[i]);
        const uint64_t groupBytes = kChannelGroup * static_cast<uint64_t>(elementSize(precision));
        if (groups > 0) constants.push_back({static_cast<int>(i), groups, groups * groupBytes});
    }
    return constants;
}

void prepack(const Graph& graph, const Constant& constant, const FoldedWeights& folded, Precision precision,
             std::span<std::byte> packed) {
    assert(packed.size() == constant.sizeBytes);
    std::memset(packed.data(), 0, packed.size());
    const Node& node = graph.nodes()[static_cast<size_t>(constant.node)];
    const PackedWriter writer(packed, precision);
    if (const auto gemm = gemmShape(graph, node)) {
        packGemm(*gemm, folded, writer);
    } else {
        const auto& conv = std::get<Conv2d>(node.op);
        packDepthwise(conv.outChannels, conv.kernelH * conv.kernelW, folded, writer);
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
