#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "runtime/plan/prepack.h"

namespace dunlin {
namespace {

std::vector<float> packedFloats(const Graph& graph, const FoldedWeights& folded) {
    const Constant constant = constantsOf(graph, Precision::Fp32).at(0);
    std::vector<float> values(constant.sizeBytes / sizeof(float));
    prepack(graph, constant, folded, Precision::Fp32, std::as_writable_bytes(std::span(values)));
    return values;
}

// given weights numbered 1, 2, 3, ... in PyTorch's order and biases 1000, 1001, ...
FoldedWeights numbered(size_t weights, size_t outputs) {
    FoldedWeights folded;
    for (size_t i = 0; i < weights; ++i) folded.weight.push_back(static_cast<float>(i + 1));
    for (size_t i = 0; i < outputs; ++i) folded.bias.push_back(static_cast<float>(1000 + i));
    return folded;
}

TEST(Prepack, GemmPutsTheBiasFirstThenInputChannelsWithinEachTap) {
    Graph graph({1, 4, 4, 3});
    Conv2d conv;
    conv.input = graph.input();
    conv.outChannels = 5;
    conv.kernelH = 1;
    conv.kernelW = 2;
    conv.parameters = {"w", "b", std::nullopt};
    graph.add("conv", conv);
    // when packed: 2 output groups of 1 + 2 taps * 4 padded inputs
    const std::vector<float> packed = packedFloats(graph, numbered(5 * 3 * 2, 5));
    ASSERT_EQ(packed.size(), 2u * (1 + 2 * 4) * 4);
    const auto at = [&](size_t group, size_t row, size_t lane) { return packed[(group * 9 + row) * 4 + lane]; };
    EXPECT_EQ(at(0, 0, 2), 1002);                       // bias of output 2
    EXPECT_EQ(at(0, 1, 0), 1);                          // output 0, tap 0, input 0
    EXPECT_EQ(at(0, 1 + 1, 0), 3);                      // output 0, tap 0, input 1
    EXPECT_EQ(at(0, 1 + 4, 0), 2);                      // output 0, tap 1, input 0
    EXPECT_EQ(at(0, 1 + 4 + 2, 3), 3 * 6 + 2 * 2 + 2);  // output 3, tap 1, input 2
    EXPECT_EQ(at(0, 1 + 3, 0), 0) << "the padded input channel";
    EXPECT_EQ(at(1, 0, 0), 1004);
    EXPECT_EQ(at(1, 0, 1), 0) << "the padded output channel";
}

TEST(Prepack, DepthwisePutsTheBiasRowFirst) {
    Graph graph({1, 4, 4, 6});
    Conv2d conv;
    conv.input = graph.input();
    conv.outChannels = conv.groups = 6;
    conv.kernelH = conv.kernelW = 3;
    conv.parameters = {"w", "b", std::nullopt};
    graph.add("conv", conv);
    const std::vector<float> packed = packedFloats(graph, numbered(6 * 9, 6));
    ASSERT_EQ(packed.size(), 10u * 2 * 4);
    const auto at = [&](size_t row, size_t channel) { return packed[(row * 2 + channel / 4) * 4 + channel % 4]; };
    EXPECT_EQ(at(0, 5), 1005);
    EXPECT_EQ(at(1 + 4, 5), 5 * 9 + 4 + 1);
    EXPECT_EQ(at(1 + 4, 7), 0);
}

TEST(Half, RoundTripsEveryNumber) {
    for (uint32_t bits = 0; bits < 65536; ++bits) {
        const auto half = static_cast<uint16_t>(bits);
        const float value = fromHalf(half);
        if (!std::isfinite(value)) continue;
        ASSERT_EQ(toHalf(value), half) << bits;
    }
}

TEST(Half, RoundsToNearestEvenAndSaturates) {
    EXPECT_EQ(toHalf(1.0f + 0x1p-11f), toHalf(1.0f)) << "a tie goes to the even neighbour";
    EXPECT_EQ(toHalf(1.0f + 3 * 0x1p-11f), toHalf(1.0f + 2 * 0x1p-10f));
    EXPECT_EQ(toHalf(0x1p-25f), 0) << "a tie at the smallest subnormal";
    EXPECT_EQ(toHalf(1.5f * 0x1p-25f), 1);
    EXPECT_EQ(fromHalf(toHalf(1e6f)), 65504.0f);
    EXPECT_EQ(fromHalf(toHalf(-std::numeric_limits<float>::infinity())), -65504.0f);
    EXPECT_EQ(fromHalf(toHalf(65519.0f)), 65504.0f);
    EXPECT_TRUE(std::isnan(fromHalf(toHalf(std::numeric_limits<float>::quiet_NaN()))));
}

}  // namespace
}  // namespace dunlin
