#include "runtime/weights/synthetic.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace dunlin {
namespace {

std::vector<float> readFormula(const std::string& name, const std::vector<int64_t>& shape,
                               std::map<std::string, double> scale = {}) {
    size_t count = 1;
    for (const int64_t dimension : shape) count *= static_cast<size_t>(dimension);
    std::vector<float> values(count);
    const Status status = formulaWeights(std::move(scale))->read(name, shape, values);
    EXPECT_TRUE(status.ok()) << status.message();
    return values;
}

// The vectors that the formula's definition gives, to eight decimals.
TEST(FormulaWeights, MatchThePublishedVectors) {
    const auto expectBegin = [](const std::vector<float>& values, std::initializer_list<double> published) {
        ASSERT_GE(values.size(), published.size());
        for (size_t i = 0; i < published.size(); ++i) EXPECT_NEAR(values[i], published.begin()[i], 1e-8) << i;
    };
    std::vector<float> cells(3);
    formulaNoise("input.cells", cells);
    expectBegin(cells, {-0.2884444, 0.71951854, -0.3111887});
    expectBegin(readFormula("conv_stem.weight", {16, 3, 3, 3}), {-0.0234717, -0.05296091, -0.18883748});
    expectBegin(readFormula("a.running_var", {2}), {0.930982, 0.99913293});
}

struct Range {
    const char* name;
    std::vector<int64_t> shape;
    double low, high;
};

TEST(FormulaWeights, SpreadByTheLastPartOfTheName) {
    const Range ranges[] = {
        {"x.running_var", {4000}, 0.5, 1.5},
        {"x.running_mean", {4000}, -0.1, 0.1},
        {"x.gamma", {4000}, 0.25, 0.75},
        {"x.weight", {4000}, 0.8, 1.2},
        {"x.bias", {4000}, -0.1, 0.1},
        {"x.layer_scale", {4000}, -0.1, 0.1},
        {"pos_embed", {1, 50, 80}, -0.2, 0.2},
        {"cls_token", {1, 1, 4000}, -0.2, 0.2},
        {"x.relative_position_bias_table", {1000, 4}, -0.2, 0.2},
        {"conv.weight", {100, 10, 2, 2}, -std::sqrt(4.0 / 40), std::sqrt(4.0 / 40)},
        {"linear.weight", {100, 40}, -std::sqrt(3.0 / 40), std::sqrt(3.0 / 40)},
    };
    for (const Range& range : ranges) {
        const std::vector<float> values = readFormula(range.name, range.shape);
        const auto [low, high] = std::ranges::minmax(values);
        const double width = range.high - range.low;
        EXPECT_NEAR(low, range.low, 0.01 * width) << range.name;
        EXPECT_NEAR(high, range.high, 0.01 * width) << range.name;
    }
}

TEST(FormulaWeights, ScaleTheRunningVarianceOfANamedBatchNormOnly) {
    const std::map<std::string, double> scale = {{"blocks.0.bn1", 3.0}};
    const std::vector<float> plain = readFormula("blocks.0.bn1.running_var", {5});
    const std::vector<float> scaled = readFormula("blocks.0.bn1.running_var", {5}, scale);
    for (size_t i = 0; i < plain.size(); ++i) EXPECT_FLOAT_EQ(scaled[i], 3.0f * plain[i]);
    EXPECT_EQ(readFormula("blocks.0.bn1.weight", {5}, scale), readFormula("blocks.0.bn1.weight", {5}));
    EXPECT_EQ(readFormula("bn1.running_var", {5}, scale), readFormula("bn1.running_var", {5}));
}

TEST(FormulaWeights, RefuseABufferOfAnotherSize) {
    std::vector<float> values(5);
    const Status status = formulaWeights()->read("x.weight", std::vector<int64_t>{2, 3}, values);
    EXPECT_EQ(status.code(), StatusCode::InvalidArgument);
    EXPECT_EQ(status.message(), "x.weight [2, 3] does not fit into 5 values");
}

TEST(FormulaInput, RepeatsEachCellOverItsSquare) {
    // Given an input whose last square is cut
    constexpr int kHeight = 33, kWidth = 40;
    const std::vector<float> input = formulaInput(2, kHeight, kWidth);
    ASSERT_EQ(input.size(), 2u * 3 * kHeight * kWidth);

    std::vector<float> cells(2 * 3 * 2 * 2), noise(input.size());
    formulaNoise("input.cells", cells);
    formulaNoise("input.noise", noise);
    const auto at = [&](size_t plane, size_t y, size_t x) { return (plane * kHeight + y) * kWidth + x; };
    // Then the second image's last plane has four cells
    EXPECT_FLOAT_EQ(input[at(5, 0, 0)], 1.5f * cells[20] + 0.5f * noise[at(5, 0, 0)]);
    EXPECT_FLOAT_EQ(input[at(5, 31, 32)], 1.5f * cells[21] + 0.5f * noise[at(5, 31, 32)]);
    EXPECT_FLOAT_EQ(input[at(5, 32, 31)], 1.5f * cells[22] + 0.5f * noise[at(5, 32, 31)]);
    EXPECT_FLOAT_EQ(input[at(5, 32, 39)], 1.5f * cells[23] + 0.5f * noise[at(5, 32, 39)]);
}

}  // namespace
}  // namespace dunlin
