// What every backend does after the network: probabilities, the likeliest classes, and where the outputs lie.
#include "runtime/backend.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace dunlin {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> softmaxOf(std::vector<float> logits) {
    std::vector<float> probabilities(logits.size());
    softmax(logits, probabilities);
    return probabilities;
}

struct Top {
    std::vector<uint32_t> classes;
    std::vector<float> values;
};
Top topOf(std::vector<float> probabilities, size_t k) {
    Top top{std::vector<uint32_t>(k), std::vector<float>(k)};
    topK(probabilities, top.classes, top.values);
    return top;
}

TEST(SoftmaxOfLogits, IsExponentialsOverTheirSum) {
    const std::vector<float> probabilities = softmaxOf({0, std::log(2.0f), std::log(5.0f)});
    EXPECT_NEAR(probabilities[0], 0.125, 1e-7);
    EXPECT_NEAR(probabilities[1], 0.25, 1e-7);
    EXPECT_NEAR(probabilities[2], 0.625, 1e-7);
}

TEST(SoftmaxOfLogits, DoesNotOverflowOrVanish) {
    const std::vector<float> probabilities = softmaxOf({1e30f, 1e30f, -1e30f});
    EXPECT_EQ(probabilities, (std::vector<float>{0.5f, 0.5f, 0.0f}));
    EXPECT_EQ(softmaxOf({-3e38f}), std::vector<float>{1.0f});
}

TEST(SoftmaxOfLogits, SumsToOneOverManyClasses) {
    std::vector<float> logits(21843);
    for (size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(i % 17) * 0.3f;
    const std::vector<float> probabilities = softmaxOf(logits);
    EXPECT_NEAR(std::accumulate(probabilities.begin(), probabilities.end(), 0.0), 1.0, 1e-6);
}

TEST(SoftmaxOfLogits, MayWriteOverItsInput) {
    std::vector<float> logits = {0, std::log(3.0f)};
    softmax(logits, logits);
    EXPECT_NEAR(logits[0], 0.25, 1e-7);
    EXPECT_NEAR(logits[1], 0.75, 1e-7);
}

TEST(SoftmaxOfLogits, ANanSpoilsEveryProbabilityWhereverItStands) {
    for (size_t position = 0; position < 3; ++position) {
        std::vector<float> logits = {1, 2, 3};
        logits[position] = kNan;
        for (float probability : softmaxOf(logits)) EXPECT_TRUE(std::isnan(probability)) << position;
    }
}

TEST(TopK, IsSortedFromTheLikeliestDown) {
    const Top top = topOf({0.1f, 0.4f, 0.2f, 0.3f}, 3);
    EXPECT_EQ(top.classes, (std::vector<uint32_t>{1, 3, 2}));
    EXPECT_EQ(top.values, (std::vector<float>{0.4f, 0.3f, 0.2f}));
}

TEST(TopK, TiesGoToTheLowerClass) {
    EXPECT_EQ(topOf({0.25f, 0.5f, 0.25f, 0.5f, 0.25f}, 5).classes, (std::vector<uint32_t>{1, 3, 0, 2, 4}));
    EXPECT_EQ(topOf({0.0f, -0.0f, 0.0f}, 3).classes, (std::vector<uint32_t>{0, 1, 2}));
}

TEST(TopK, OfAllClassesIsASortOfAll) {
    EXPECT_EQ(topOf({3, 1, 2}, 3).classes, (std::vector<uint32_t>{0, 2, 1}));
    EXPECT_TRUE(topOf({3, 1, 2}, 0).classes.empty());
}

TEST(TopK, NanComesAfterEveryNumberAndByClass) {
    const Top top = topOf({kNan, 0.1f, kNan, -kInfinity, 0.9f}, 5);
    EXPECT_EQ(top.classes, (std::vector<uint32_t>{4, 1, 3, 0, 2}));
    EXPECT_TRUE(std::isnan(top.values[3]));
    EXPECT_EQ(topOf({kNan, kNan, kNan}, 2).classes, (std::vector<uint32_t>{0, 1}));
}

Graph smallGraph() {
    Graph graph({2, 5, 7, 3});
    const ValueId conv =
        graph.add("conv", Conv2d{.input = graph.input(), .outChannels = 6, .parameters = {.weight = "w"}});
    graph.tap("conv", conv);
    const ValueId pooled = graph.add("pool", GlobalAvgPool{.input = conv});
    graph.setOutput(graph.add("classifier", Linear{.input = pooled, .outFeatures = 10, .parameters = {.weight = "c"}}));
    return graph;
}

TEST(OutputLayout, HasTheFourOutputsAndThenTheTaps) {
    uint64_t totalBytes = 0;
    const std::vector<OutputSlice> slices = outputLayout(smallGraph(), {.taps = {"conv"}, .topK = 3}, &totalBytes);

    ASSERT_EQ(slices.size(), 5u);
    EXPECT_EQ(slices[0].name, "logits");
    EXPECT_EQ(slices[0].shape, (Shape{2, 1, 1, 10}));
    EXPECT_EQ(slices[1].name, "probabilities");
    EXPECT_EQ(slices[1].shape, (Shape{2, 1, 1, 10}));
    EXPECT_EQ(slices[2].name, "top_classes");
    EXPECT_EQ(slices[2].shape, (Shape{2, 1, 1, 3}));
    EXPECT_EQ(slices[3].name, "top_probabilities");
    EXPECT_EQ(slices[3].shape, (Shape{2, 1, 1, 3}));
    EXPECT_EQ(slices[4].name, "conv");
    EXPECT_EQ(slices[4].shape, (Shape{2, 5, 7, 6}));
    for (const OutputSlice& slice : slices) EXPECT_EQ(slice.isInteger, slice.name == "top_classes");
}

TEST(OutputLayout, SlicesAreAlignedAndDoNotOverlap) {
    uint64_t totalBytes = 0;
    const std::vector<OutputSlice> slices =
        outputLayout(smallGraph(), {.taps = {"conv", "conv"}, .topK = 3}, &totalBytes);
    uint64_t end = 0;
    for (const OutputSlice& slice : slices) {
        EXPECT_EQ(slice.offsetBytes % 256, 0u) << slice.name;
        EXPECT_EQ(slice.sizeBytes, static_cast<uint64_t>(slice.shape.elementCount()) * 4) << slice.name;
        EXPECT_GE(slice.offsetBytes, end) << slice.name;
        end = slice.offsetBytes + slice.sizeBytes;
    }
    EXPECT_GE(totalBytes, end);
}

TEST(OutputLayout, TopKIsClampedToTheClasses) {
    EXPECT_EQ(outputLayout(smallGraph(), {.topK = 50}, nullptr)[2].shape.c, 10);
    EXPECT_EQ(outputLayout(smallGraph(), {.topK = 0}, nullptr)[2].shape.c, 1);
}

}  // namespace
}  // namespace dunlin
