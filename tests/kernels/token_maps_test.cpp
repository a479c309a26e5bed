// separable_attention, embed_tokens, resize, max_pool, and pool over some of the pixels.
#include <cmath>

#include "runtime/plan/kernel_forms.h"
#include "tests/kernels/kernel_fixture.h"

namespace dunlin::test {
namespace {

class TokenMapsTest : public KernelTest, public ::testing::WithParamInterface<Precision> {
  protected:
    void SetUp() override {
        KernelTest::SetUp();
        if (!IsSkipped() && !supports(GetParam())) GTEST_SKIP() << "the device has no float16";
    }
    DispatchBuilder builder() const { return DispatchBuilder(device().limits(), GetParam()); }
    // The rounding of a result as large as `largest` (and, in float32, of what led to it).
    static double toleranceOf(double largest) { return largest * (GetParam() == Precision::Fp32 ? 1e-5 : 0x1p-10); }
    static std::vector<float> valuesOf(const Shape& shape) {
        return rounded(randomValues(shape.elementCount(), 1), GetParam());
    }
};

struct SeparableCase {
    Shape out;
    int patchH, patchW;
    float largestScore;
};

// A pixel's score, keys and values, each padded to whole channel groups.
std::vector<float> padSeparable(std::span<const float> values, int channels) {
    const auto c = static_cast<size_t>(channels), padded = roundUp(c, size_t{kChannelGroup});
    std::vector<float> result;
    for (size_t begin = 0; begin < values.size(); begin += 1 + 2 * c) {
        const size_t pixel = result.size();
        result.resize(pixel + kChannelGroup + 2 * padded);
        result[pixel] = values[begin];
        std::copy_n(&values[begin + 1], c, &result[pixel + kChannelGroup]);
        std::copy_n(&values[begin + 1 + c], c, &result[pixel + kChannelGroup + padded]);
    }
    return result;
}

TEST_P(TokenMapsTest, separableAttentionAgreesWithTheOracle) {
    for (const SeparableCase& test : {SeparableCase{{1, 16, 16, 64}, 2, 2, 4.0f},
                                      {{2, 9, 4, 13}, 3, 2, 1.0f},
                                      {{3, 1, 1, 1}, 1, 1, 1.0f},
                                      {{1, 2, 2, 6}, 2, 2, 1.0f},
                                      {{2, 7, 5, 30}, 1, 1, 60000.0f}}) {
        Shape shape = test.out;
        shape.c = 1 + 2 * test.out.c;
        std::vector<float> inputs = randomValues(shape.elementCount(), 1);
        for (size_t i = 0; i < inputs.size(); i += static_cast<size_t>(shape.c)) inputs[i] *= test.largestScore;
        inputs = rounded(std::move(inputs), GetParam());
        const reference::Tensor in = reference::fromFloats(shape, inputs);
        const reference::Tensor expected =
            evaluate(SeparableAttention{.patchH = test.patchH, .patchW = test.patchW}, {&in});
        TestBuffers buffers(GetParam());
        shape.c = (1 + 2 * channelGroups(test.out.c)) * kChannelGroup;
        const SeparableAttentionCall call = {buffers.input(shape, padSeparable(inputs, test.out.c)),
                                             buffers.output(test.out), test.patchH, test.patchW};
        for (const auto& [localSize, groupLanes] : {std::pair{64u, 1u}, {64u, 16u}, {128u, 8u}, {21u, 3u}, {8u, 8u}}) {
            for (const KernelForm& form : formsOf(Kernel::SeparableAttention, localSize, groupLanes)) {
                SCOPED_TRACE(dunlin::describe(test.out) + " " + describe(form, GetParam()));
                const Extent everything = {0, test.out.n, 0, test.out.h};
                ASSERT_NO_FATAL_FAILURE(buffers.runTwice(builder().separableAttention(call, form, everything)));
                expectClose(buffers.read(call.out), expected.values, toleranceOf(1));
            }
        }
    }
}

TEST_P(TokenMapsTest, separableAttentionImageByImageIsTheBatch) {
    const Shape out = {3, 6, 4, 10}, in = {3, 6, 4, (1 + 2 * 3) * kChannelGroup};
    TestBuffers buffers(GetParam());
    SeparableAttentionCall call = {buffers.input(in, padSeparable(valuesOf({3, 6, 4, 21}), 10)), buffers.output(out), 2,
                                   2};
    const KernelForm form = separableAttentionForm(device().limits(), out);
    ASSERT_NO_FATAL_FAILURE(buffers.run(builder().separableAttention(call, form, {0, 3, 0, 6})));
    const std::vector<std::byte> whole = buffers.bytes(call.out);
    // when the tensors hold the images 5 to 7 of a batch
    call.in.firstImage = call.out.firstImage = 5;
    std::vector<Dispatch> images;
    for (int image = 5; image < 8; ++image)
        images.push_back(builder().separableAttention(call, form, {image, 1, 0, 6}));
    ASSERT_NO_FATAL_FAILURE(buffers.run(images));
    EXPECT_EQ(buffers.bytes(call.out), whole);
}

TEST_P(TokenMapsTest, embedTokensAgreesWithTheOracle) {
    for (const Shape& shape : {Shape{1, 14, 14, 192}, {2, 3, 5, 13}, {3, 1, 1, 1}}) {
        for (const int prefix : {0, 1}) {
            EmbedTokens op{.grid = shape.h, .positions = "positions"};
            if (prefix == 1) op.classToken = "classToken";
            const std::vector<float> inputs = valuesOf(shape);
            const int tokens = prefix + shape.h * shape.w;
            FoldedWeights weights;
            weights.weight = rounded(randomValues(int64_t{tokens} * shape.c, 2), GetParam());
            const reference::Tensor in = reference::fromFloats(shape, inputs);
            const reference::Tensor expected = evaluate(op, {&in}, weights);
            TestBuffers buffers(GetParam());
            EmbedTokensCall call = {buffers.input(shape, inputs),
                                    buffers.input({1, 1, tokens, shape.c}, weights.weight),
                                    buffers.output(expected.shape), prefix};
            for (const KernelForm& form : formsOf(Kernel::EmbedTokens)) {
                SCOPED_TRACE(dunlin::describe(shape) + " " + describe(form, GetParam()));
                ASSERT_NO_FATAL_FAILURE(buffers.runTwice(builder().embedTokens(call, form, {0, shape.n, 0, 1})));
                expectClose(buffers.read(call.out), expected.values, toleranceOf(2));
            }
            // The same images as the third and later ones of a batch, one by one.
            call.in.firstImage = call.out.firstImage = 2;
            std::vector<Dispatch> images;
            for (int image = 0; image < shape.n; ++image)
                images.push_back(builder().embedTokens(call, elementwiseForm(device().limits()), {2 + image, 1, 0, 1}));
            ASSERT_NO_FATAL_FAILURE(buffers.run(images));
            expectClose(buffers.read(call.out), expected.values, toleranceOf(2));
        }
    }
}

// Every image in strips of three rows.
std::vector<Extent> stripsOf(const Shape& out) {
    std::vector<Extent> strips;
    for (int image = 0; image < out.n; ++image) {
        for (int row = 0; row < out.h; row += 3) strips.push_back({image, 1, row, std::min(3, out.h - row)});
    }
    return strips;
}

TEST_P(TokenMapsTest, resizeAgreesWithTheOracle) {
    struct Case {
        Shape from;
        int height, width;
        bool alignCorners = false;
    };
    for (const Case& test : {Case{{1, 14, 14, 32}, 16, 16},
                             {{1, 16, 16, 32}, 14, 14},
                             {{2, 5, 7, 13}, 11, 3},
                             {{1, 1, 1, 2}, 4, 5},
                             {{1, 9, 8, 4}, 1, 1},
                             {{3, 6, 6, 5}, 6, 6},
                             {{1, 14, 14, 8}, 16, 16, true},
                             {{2, 5, 7, 13}, 11, 3, true},
                             {{1, 4, 3, 2}, 1, 1, true},
                             {{1, 1, 1, 5}, 3, 2, true}}) {
        const std::vector<float> inputs = valuesOf(test.from);
        const reference::Tensor in = reference::fromFloats(test.from, inputs);
        const reference::Tensor expected =
            evaluate(Resize{.height = test.height, .width = test.width, .alignCorners = test.alignCorners}, {&in});
        TestBuffers buffers(GetParam());
        const ResizeCall call = {buffers.input(test.from, inputs), buffers.output(expected.shape), test.alignCorners};
        for (const KernelForm& form : formsOf(Kernel::Resize)) {
            SCOPED_TRACE(dunlin::describe(expected.shape) + " " + describe(form, GetParam()));
            const Extent everything = {0, test.from.n, 0, test.height};
            ASSERT_NO_FATAL_FAILURE(buffers.runTwice(builder().resize(call, form, everything)));
            expectClose(buffers.read(call.out), expected.values, toleranceOf(1));
            const std::vector<std::byte> whole = buffers.bytes(call.out);
            std::vector<Dispatch> strips;
            for (const Extent& extent : stripsOf(expected.shape))
                strips.push_back(builder().resize(call, form, extent));
            ASSERT_NO_FATAL_FAILURE(buffers.run(strips));
            EXPECT_EQ(buffers.bytes(call.out), whole);
        }
    }
}

TEST_P(TokenMapsTest, maxPoolIsTheOracleBitByBit) {
    struct Case {
        Shape from;
        int kernel, stride;
        Padding padding;
    };
    for (const Case& test : {Case{{1, 56, 56, 16}, 3, 2, {1, 1, 1, 1}},
                             {{2, 13, 7, 11}, 3, 1, {1, 1, 1, 1}},
                             {{2, 9, 10, 6}, 2, 2, {0, 0, 0, 0}},
                             {{1, 14, 11, 3}, 5, 3, {2, 1, 2, 3}},
                             {{3, 1, 1, 1}, 3, 2, {1, 1, 1, 1}}}) {
        // Mostly negative, so that a padding of zeros would win.
        std::vector<float> inputs = randomValues(test.from.elementCount(), 1);
        for (float& value : inputs) value -= 0.9f;
        inputs = rounded(std::move(inputs), GetParam());
        const reference::Tensor in = reference::fromFloats(test.from, inputs);
        const MaxPool op = {kNoValue, test.kernel, test.kernel, test.stride, test.stride, test.padding};
        const reference::Tensor expected = evaluate(op, {&in});
        TestBuffers buffers(GetParam());
        const MaxPoolCall call = {buffers.input(test.from, inputs),
                                  buffers.output(expected.shape),
                                  test.kernel,
                                  test.kernel,
                                  test.stride,
                                  test.stride,
                                  test.padding};
        for (const KernelForm& form : formsOf(Kernel::MaxPool)) {
            SCOPED_TRACE(dunlin::describe(test.from) + " " + describe(form, GetParam()));
            const Extent everything = {0, test.from.n, 0, expected.shape.h};
            ASSERT_NO_FATAL_FAILURE(buffers.runTwice(builder().maxPool(call, form, everything)));
            expectClose(buffers.read(call.out), expected.values, 0);
            std::vector<Dispatch> strips;
            for (const Extent& extent : stripsOf(expected.shape))
                strips.push_back(builder().maxPool(call, form, extent));
            ASSERT_NO_FATAL_FAILURE(buffers.run(strips));
            expectClose(buffers.read(call.out), expected.values, 0);
        }
    }
}

TEST_P(TokenMapsTest, poolTakesTheMeanOfSomePixels) {
    struct Case {
        Shape shape;
        int begin, count;
    };
    for (const Case& test :
         {Case{{2, 1, 197, 30}, 0, 1}, {{2, 1, 197, 30}, 1, 0}, {{3, 5, 7, 9}, 6, 11}, {{1, 1, 1, 1}, 0, 1}}) {
        const std::vector<float> inputs = valuesOf(test.shape);
        const reference::Tensor in = reference::fromFloats(test.shape, inputs);
        const reference::Tensor expected = evaluate(GlobalAvgPool{.begin = test.begin, .count = test.count}, {&in});
        TestBuffers buffers(GetParam());
        const PoolCall call = {buffers.input(test.shape, inputs), buffers.output(expected.shape), test.begin,
                               test.count};
        for (const KernelForm& form : formsOf(Kernel::Pool, 64, 4)) {
            SCOPED_TRACE(dunlin::describe(test.shape) + " " + describe(form, GetParam()));
            const Extent everything = {0, test.shape.n, 0, test.shape.h};
            ASSERT_NO_FATAL_FAILURE(buffers.runTwice(builder().pool(call, form, everything)));
            expectClose(buffers.read(call.out), expected.values, toleranceOf(1));
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Precisions, TokenMapsTest, ::testing::Values(Precision::Fp32, Precision::Fp16),
                         [](const auto& info) { return precisionName(info.param); });

}  // namespace
}  // namespace dunlin::test
