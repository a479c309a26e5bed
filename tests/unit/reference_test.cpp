// The oracle against numbers worked out by hand.
#include "runtime/cpu/reference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace dunlin::reference {
namespace {

Tensor tensor(const Shape& shape, std::vector<float> nhwc) {
    return fromFloats(shape, nhwc);
}

Tensor evaluateOne(const Op& op, const Tensor& input, const FoldedWeights& weights = {}) {
    const Tensor* inputs[] = {&input};
    return evaluate(op, inputs, weights);
}

Tensor evaluateTwo(const Op& op, const Tensor& a, const Tensor& b) {
    const Tensor* inputs[] = {&a, &b};
    return evaluate(op, inputs, {});
}

void expectValues(const Tensor& tensor, const Shape& shape, const std::vector<double>& expected) {
    ASSERT_EQ(tensor.shape, shape) << describe(tensor.shape);
    ASSERT_EQ(tensor.values.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(tensor.values[i], expected[i], 1e-12) << "element " << i;
}

TEST(Activations, MatchTheirFormulas) {
    const double e = std::exp(1.0);
    struct Case {
        Activation activation;
        double x, y;
    };
    const Case cases[] = {
        {Activation::None, -7.5, -7.5},
        {Activation::Relu, -2, 0},
        {Activation::Relu, 7, 7},
        {Activation::Relu6, -2, 0},
        {Activation::Relu6, 4, 4},
        {Activation::Relu6, 7, 6},
        {Activation::HardSwish, -3.5, 0},
        {Activation::HardSwish, 1, 4.0 / 6.0},
        {Activation::HardSwish, -1, -2.0 / 6.0},
        {Activation::HardSwish, 5, 5},
        {Activation::HardSigmoid, -4, 0},
        {Activation::HardSigmoid, 0, 0.5},
        {Activation::HardSigmoid, 1.5, 0.75},
        {Activation::HardSigmoid, 4, 1},
        {Activation::Sigmoid, 0, 0.5},
        {Activation::Sigmoid, 1, e / (e + 1)},
        {Activation::Silu, 1, e / (e + 1)},
        {Activation::Silu, -1, -1 / (e + 1)},
        {Activation::Gelu, 0, 0},
        {Activation::Gelu, 1, 0.8413447460685429},  // the normal distribution at one deviation
        {Activation::Gelu, -1, -0.15865525393145707},
        {Activation::GeluTanh, 1, 0.8411919906082768},  // as PyTorch prints it
    };
    for (const Case& c : cases)
        EXPECT_NEAR(activate(c.activation, c.x), c.y, 1e-12) << name(c.activation) << " " << c.x;
}

TEST(Conv2d, OneByOneIsAMatrixProductPerPixelWithBias) {
    // Given two pixels of two channels, and out0 = a + 10 b + 100, out1 = 2a - b.
    const Tensor input = tensor({1, 1, 2, 2}, {1, 2, 3, 4});
    const Conv2d conv{.outChannels = 2};
    expectValues(evaluateOne(conv, input, {{1, 10, 2, -1}, {100, 0}}), {1, 1, 2, 2}, {121, 0, 143, 2});
}

TEST(Conv2d, ActivationComesAfterTheBias) {
    const Tensor input = tensor({1, 1, 2, 1}, {1, 9});
    const Conv2d conv{.outChannels = 1, .activation = Activation::Relu6};
    expectValues(evaluateOne(conv, input, {{1}, {-2}}), {1, 1, 2, 1}, {0, 6});
}

TEST(Conv2d, KernelIsCorrelatedNotFlipped) {
    // Given one lit pixel, a 3x3 correlation paints the kernel turned by 180 degrees around it.
    const Tensor input = tensor({1, 3, 3, 1}, {0, 0, 0, 0, 1, 0, 0, 0, 0});
    const Conv2d conv{.outChannels = 1, .kernelH = 3, .kernelW = 3, .padding = {1, 1, 1, 1}};
    expectValues(evaluateOne(conv, input, {{1, 2, 3, 4, 5, 6, 7, 8, 9}, {0}}), {1, 3, 3, 1},
                 {9, 8, 7, 6, 5, 4, 3, 2, 1});
}

TEST(Conv2d, AsymmetricPaddingAndUnequalStrides) {
    // Given rows 1 2 3 / 4 5 6, one zero row below and two zero columns at the right, a kernel of ones, strides 1
    // and 2.
    const Tensor input = tensor({1, 2, 3, 1}, {1, 2, 3, 4, 5, 6});
    const Conv2d conv{.outChannels = 1,
                      .kernelH = 2,
                      .kernelW = 2,
                      .strideH = 1,
                      .strideW = 2,
                      .padding = {.top = 0, .left = 0, .bottom = 1, .right = 2}};
    expectValues(evaluateOne(conv, input, {{1, 1, 1, 1}, {0}}), {1, 2, 2, 1}, {12, 9, 9, 6});
}

TEST(Conv2d, PaddingBeforeShiftsTheWindow) {
    // Given zeros above and at the left only, the first output sees the corner pixel with the kernel's last weight.
    const Tensor input = tensor({1, 2, 2, 1}, {1, 2, 3, 4});
    const Conv2d conv{.outChannels = 1,
                      .kernelH = 2,
                      .kernelW = 2,
                      .strideH = 2,
                      .strideW = 2,
                      .padding = {.top = 1, .left = 1, .bottom = 0, .right = 0}};
    expectValues(evaluateOne(conv, input, {{1000, 100, 10, 1}, {0}}), {1, 1, 1, 1}, {1});
}

TEST(Conv2d, NonSquareKernel) {
    const Tensor input = tensor({1, 2, 3, 1}, {1, 2, 3, 4, 5, 6});
    const Conv2d conv{.outChannels = 1, .kernelH = 1, .kernelW = 3};
    expectValues(evaluateOne(conv, input, {{1, 10, 100}, {0}}), {1, 2, 1, 1}, {321, 654});
}

TEST(Conv2d, DepthwiseKeepsChannelsApart) {
    // Given channels (1, 5), (2, 6) side by side and one 1x2 kernel a channel: 1a + 2b and 3a + 4b.
    const Tensor input = tensor({1, 1, 2, 2}, {1, 5, 2, 6});
    const Conv2d conv{.outChannels = 2, .kernelH = 1, .kernelW = 2, .groups = 2};
    expectValues(evaluateOne(conv, input, {{1, 2, 3, 4}, {0, 0}}), {1, 1, 1, 2}, {5, 39});
}

TEST(Conv2d, GroupsReadOnlyTheirOwnInputs) {
    // Given four channels in two groups with two outputs each; every weight is its own power of ten.
    const Tensor input = tensor({1, 1, 1, 4}, {1, 2, 3, 4});
    const Conv2d conv{.outChannels = 4, .groups = 2};
    expectValues(evaluateOne(conv, input, {{1, 10, 100, 1000, 1, 10, 100, 1000}, {0, 0, 0, 0}}), {1, 1, 1, 4},
                 {21, 2100, 43, 4300});
}

TEST(Conv2d, ImagesOfABatchDoNotMix) {
    const Tensor input = tensor({2, 1, 2, 1}, {1, 2, 3, 4});
    const Conv2d conv{.outChannels = 1, .kernelH = 1, .kernelW = 2, .padding = {.right = 1}};
    expectValues(evaluateOne(conv, input, {{1, 10}, {0}}), {2, 1, 2, 1}, {21, 2, 43, 4});
}

TEST(Linear, WorksOnTheChannelsOfEveryPixel) {
    const Tensor input = tensor({1, 1, 2, 2}, {1, 2, 3, 4});
    const Linear linear{.outFeatures = 1, .activation = Activation::Relu};
    expectValues(evaluateOne(linear, input, {{1, -1}, {1.5}}), {1, 1, 2, 1}, {0.5, 0.5});
}

TEST(Add, SumsAndThenActivates) {
    const Tensor a = tensor({1, 1, 2, 1}, {1, 5}), b = tensor({1, 1, 2, 1}, {-3, 4});
    expectValues(evaluateTwo(Add{.activation = Activation::Relu6}, a, b), {1, 1, 2, 1}, {0, 6});
}

TEST(Mul, ElementByElement) {
    const Tensor a = tensor({1, 1, 2, 1}, {2, 5}), b = tensor({1, 1, 2, 1}, {-3, 4});
    expectValues(evaluateTwo(Mul{}, a, b), {1, 1, 2, 1}, {-6, 20});
}

TEST(Mul, AGateIsAppliedToEveryPixelOfItsImage) {
    const Tensor map = tensor({2, 1, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
    const Tensor gate = tensor({2, 1, 1, 2}, {10, 0, 1, -1});
    expectValues(evaluateTwo(Mul{}, map, gate), {2, 1, 2, 2}, {10, 0, 30, 0, 5, -6, 7, -8});
}

TEST(GlobalAvgPool, IsTheMeanOfEachChannelOfEachImage) {
    const Tensor input = tensor({2, 2, 1, 2}, {1, 10, 3, 30, 5, 50, 9, 70});
    expectValues(evaluateOne(GlobalAvgPool{}, input), {2, 1, 1, 2}, {2, 20, 7, 60});
}

TEST(Activate, TouchesEveryElement) {
    const Tensor input = tensor({1, 1, 2, 2}, {-1, 1, -2, 8});
    expectValues(evaluateOne(Activate{.activation = Activation::Relu6}, input), {1, 1, 2, 2}, {0, 1, 0, 6});
}

TEST(Softmax, NormalisesEachPixelAndDoesNotOverflow) {
    const Tensor input = tensor({1, 1, 2, 2}, {0, std::log(3.0f), 5000, 5000});
    const Tensor output = evaluateOne(Softmax{}, input);
    EXPECT_NEAR(output.values[0], 0.25, 1e-7);
    EXPECT_NEAR(output.values[1], 0.75, 1e-7);
    EXPECT_EQ(output.values[2], 0.5);
    EXPECT_EQ(output.values[3], 0.5);
}

TEST(Resize, PixelCentresLieAtOneHalf) {
    const Tensor input = tensor({1, 1, 3, 1}, {0, 4, 8});
    expectValues(evaluateOne(Resize{.height = 1, .width = 4}, input), {1, 1, 4, 1}, {0, 2.5, 5.5, 8});
}

TEST(Resize, CornersMayKeepTheirPlaces) {
    const Tensor input = tensor({1, 3, 1, 1}, {0, 3, 9});
    expectValues(evaluateOne(Resize{.height = 4, .width = 1, .alignCorners = true}, input), {1, 4, 1, 1}, {0, 2, 5, 9});
    const Tensor one = tensor({1, 1, 1, 1}, {7});
    expectValues(evaluateOne(Resize{.height = 2, .width = 2, .alignCorners = true}, one), {1, 2, 2, 1}, {7, 7, 7, 7});
}

TEST(Tensors, NchwBecomesNhwc) {
    expectValues(fromNchw({1, 1, 2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6}), {1, 1, 2, 3}, {1, 3, 5, 2, 4, 6});
}

}  // namespace
}  // namespace dunlin::reference
