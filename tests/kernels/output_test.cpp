// pool, head and export: from the last map to what a caller reads.
#include <cmath>
#include <limits>
#include <set>

#include "runtime/backend.h"
#include "tests/kernels/kernel_fixture.h"

namespace dunlin::test {
namespace {

class OutputTest : public KernelTest, public ::testing::WithParamInterface<Precision> {
  protected:
    void SetUp() override {
        KernelTest::SetUp();
        if (!IsSkipped() && !supports(GetParam())) GTEST_SKIP() << "the device has no float16";
    }
    DispatchBuilder builder() const { return DispatchBuilder(device().limits(), GetParam()); }
};

// The workgroup shapes that pool is used with: channel group lanes x pixel lanes.
constexpr std::pair<uint32_t, uint32_t> kPoolWorkgroups[] = {{16, 4}, {4, 16}, {1, 128}};

TEST_P(OutputTest, poolIsTheMeanOfEachImage) {
    for (const Shape& shape : {Shape{1, 7, 7, 960}, Shape{3, 5, 3, 13}, Shape{2, 1, 1, 1}, Shape{1, 31, 29, 22}}) {
        const std::vector<float> inputs = rounded(randomValues(shape.elementCount(), 1), GetParam());
        const reference::Tensor in = reference::fromFloats(shape, inputs);
        const reference::Tensor expected = evaluate(GlobalAvgPool{}, {&in});
        TestBuffers buffers(GetParam());
        const PoolCall call = {buffers.input(shape, inputs), buffers.output(expected.shape)};
        for (const auto& [groupLanes, pixelLanes] : kPoolWorkgroups) {
            for (const KernelForm& form : formsOf(Kernel::Pool, groupLanes * pixelLanes, groupLanes)) {
                SCOPED_TRACE(dunlin::describe(shape) + " " + describe(form, GetParam()));
                ASSERT_NO_FATAL_FAILURE(buffers.runTwice(builder().pool(call, form, {0, shape.n, 0, shape.h})));
                expectClose(buffers.read(call.out), expected.values, GetParam() == Precision::Fp32 ? 1e-6 : 1e-3);
            }
        }
    }
}

TEST_P(OutputTest, poolImageByImageIsTheBatch) {
    const Shape shape = {3, 6, 5, 26};
    TestBuffers buffers(GetParam());
    const PoolCall call = {buffers.input(shape, randomValues(shape.elementCount(), 1)), buffers.output({3, 1, 1, 26})};
    const KernelForm form = {LoadPath::Storage, 1, 1, 16, 4};
    ASSERT_NO_FATAL_FAILURE(buffers.run(builder().pool(call, form, {0, 3, 0, 6})));
    const std::vector<std::byte> whole = buffers.bytes(call.out);
    std::vector<Dispatch> images;
    for (int image = 0; image < 3; ++image) images.push_back(builder().pool(call, form, {image, 1, 0, 6}));
    ASSERT_NO_FATAL_FAILURE(buffers.run(images));
    EXPECT_EQ(buffers.bytes(call.out), whole);
}

TEST_P(OutputTest, exportIsTheMapWithoutPadding) {
    for (const Shape& shape : {Shape{1, 7, 7, 24}, Shape{2, 5, 3, 13}, Shape{1, 1, 1, 1}}) {
        const std::vector<float> inputs = rounded(randomValues(shape.elementCount(), 1), GetParam());
        TestBuffers buffers(GetParam());
        // The map lies behind 64 other floats in the output buffer.
        constexpr uint64_t kOthers = 64;
        ExportCall call = {buffers.input(shape, inputs),
                           buffers.outputElements(kOthers + static_cast<uint64_t>(shape.elementCount())), kOthers * 4};
        for (const KernelForm& form : formsOf(Kernel::Export)) {
            SCOPED_TRACE(dunlin::describe(shape) + " " + describe(form, GetParam()));
            ASSERT_NO_FATAL_FAILURE(buffers.runTwice(builder().exportMap(call, form, {0, shape.n, 0, shape.h})));
            const std::vector<float> result = buffers.floats(call.result);
            EXPECT_TRUE(std::equal(inputs.begin(), inputs.end(), result.begin() + kOthers));
            for (size_t i = 0; i < kOthers; ++i)
                EXPECT_TRUE(std::isnan(result[i])) << "element " << i << " was written";
        }
    }
}

TEST_P(OutputTest, exportRowsByRowsIsTheWhole) {
    const Shape shape = {2, 9, 7, 10};
    const std::vector<float> inputs = rounded(randomValues(shape.elementCount(), 1), GetParam());
    TestBuffers buffers(GetParam());
    const ExportCall call = {buffers.input(shape, inputs),
                             buffers.outputElements(static_cast<uint64_t>(shape.elementCount())), 0};
    std::vector<Dispatch> strips;
    for (int image = 0; image < 2; ++image) {
        for (int row = 0; row < 9; row += 4) {
            const Extent extent = {image, 1, row, std::min(4, 9 - row)};
            strips.push_back(builder().exportMap(call, {LoadPath::Texel, 1, 1, 64, 1}, extent));
        }
    }
    ASSERT_NO_FATAL_FAILURE(buffers.run(strips));
    EXPECT_EQ(buffers.floats(call.result), inputs);
}

// What head wrote for one image.
struct HeadResult {
    std::vector<float> logits, probabilities;
    std::vector<uint32_t> topClasses;
    std::vector<float> topProbabilities;
};

// The four outputs one behind another, each at a multiple of 256 bytes.
struct HeadBuffers : TestBuffers {
    HeadBuffers(const Shape& shape, int topK, std::span<const float> logits, Precision precision)
        : TestBuffers(precision), shape(shape) {
        const auto sizeBytes = [&](int perImage) {
            return roundUp(uint64_t{4} * static_cast<uint64_t>(shape.n * perImage), uint64_t{256});
        };
        call.logits = input(shape, logits);
        call.topK = topK;
        call.probabilitiesBytes = sizeBytes(shape.c);
        call.topClassesBytes = call.probabilitiesBytes + sizeBytes(shape.c);
        call.topProbabilitiesBytes = call.topClassesBytes + sizeBytes(topK);
        call.result = outputElements((call.topProbabilitiesBytes + sizeBytes(topK)) / 4);
    }

    HeadResult result(int image) const {
        const std::vector<float> values = floats(call.result);
        const std::vector<uint32_t> numbers = elements(call.result);
        const auto slice = [&](const auto& all, uint64_t offsetBytes, int perImage) {
            const auto begin = all.begin() + static_cast<std::ptrdiff_t>(offsetBytes / 4) + image * perImage;
            return std::decay_t<decltype(all)>(begin, begin + perImage);
        };
        return {slice(values, call.logitsBytes, shape.c), slice(values, call.probabilitiesBytes, shape.c),
                slice(numbers, call.topClassesBytes, call.topK), slice(values, call.topProbabilitiesBytes, call.topK)};
    }

    Shape shape;
    HeadCall call;
};

TEST_P(OutputTest, headIsSoftmaxAndTopK) {
    struct Case {
        int images, classes, topK;
        uint32_t invocations;
    };
    for (const Case& test : {Case{1, 1000, 5, 64}, {3, 1001, 5, 128}, {2, 1, 1, 64}, {1, 7, 7, 64}, {2, 10, 3, 48}}) {
        const Shape shape = {test.images, 1, 1, test.classes};
        const std::vector<float> logits = rounded(randomValues(shape.elementCount(), 5, 0.5f, 8.0f), GetParam());
        HeadBuffers buffers(shape, test.topK, logits, GetParam());
        for (const KernelForm& form : formsOf(Kernel::Head, test.invocations)) {
            SCOPED_TRACE(dunlin::describe(shape) + " " + describe(form, GetParam()));
            ASSERT_NO_FATAL_FAILURE(buffers.runTwice(builder().head(buffers.call, form, {0, test.images, 0, 1})));
            for (int image = 0; image < test.images; ++image) {
                const std::span<const float> given = std::span(logits).subspan(
                    static_cast<size_t>(image * test.classes), static_cast<size_t>(test.classes));
                std::vector<float> probabilities(given.size()), topProbabilities(static_cast<size_t>(test.topK));
                std::vector<uint32_t> topClasses(topProbabilities.size());
                softmax(given, probabilities);
                topK(probabilities, topClasses, topProbabilities);
                const HeadResult result = buffers.result(image);
                EXPECT_TRUE(std::equal(given.begin(), given.end(), result.logits.begin()))
                    << "logits of image " << image;
                EXPECT_EQ(result.topClasses, topClasses);
                for (size_t i = 0; i < given.size(); ++i) EXPECT_NEAR(result.probabilities[i], probabilities[i], 2e-6);
                for (size_t i = 0; i < topClasses.size(); ++i) {
                    EXPECT_EQ(result.topProbabilities[i], result.probabilities[topClasses[i]]);
                }
            }
        }
    }
}

TEST_P(OutputTest, headGivesTiesToTheLowerClass) {
    std::vector<float> logits(130, 1.0f);
    logits[40] = logits[99] = logits[7] = 2.0f;
    HeadBuffers buffers({1, 1, 1, 130}, 5, logits, GetParam());
    ASSERT_NO_FATAL_FAILURE(buffers.run(builder().head(buffers.call, {LoadPath::Texel, 1, 1, 64, 1}, {0, 1, 0, 1})));
    EXPECT_EQ(buffers.result(0).topClasses, (std::vector<uint32_t>{7, 40, 99, 0, 1}));
}

TEST_P(OutputTest, headPutsLogitsThatAreNotNumbersLast) {
    constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInfinity = std::numeric_limits<float>::infinity();
    for (const std::vector<float>& logits : {std::vector<float>{1, kNan, 3, 2, kNan},
                                             {kNan, kNan, kNan, kNan, kNan},
                                             {kInfinity, 1, -kInfinity, kNan, 2}}) {
        HeadBuffers buffers({1, 1, 1, 5}, 5, logits, GetParam());
        ASSERT_NO_FATAL_FAILURE(
            buffers.run(builder().head(buffers.call, {LoadPath::Storage, 1, 1, 64, 1}, {0, 1, 0, 1})));
        const HeadResult result = buffers.result(0);
        // Every class once, numbers before others.
        EXPECT_EQ(std::set<uint32_t>(result.topClasses.begin(), result.topClasses.end()),
                  (std::set<uint32_t>{0, 1, 2, 3, 4}));
        bool others = false;
        for (uint32_t number : result.topClasses) {
            others = others || std::isnan(logits[number]);
            EXPECT_TRUE(!others || !(logits[number] > -kInfinity)) << "class " << number;
        }
    }
}

TEST_P(OutputTest, headImageByImageIsTheBatch) {
    const Shape shape = {3, 1, 1, 301};
    HeadBuffers buffers(shape, 5, randomValues(shape.elementCount(), 5, 0.5f, 8.0f), GetParam());
    const KernelForm form = {LoadPath::Texel, 1, 1, 64, 1};
    ASSERT_NO_FATAL_FAILURE(buffers.run(builder().head(buffers.call, form, {0, 3, 0, 1})));
    const std::vector<std::byte> whole = buffers.bytes(buffers.call.result);
    std::vector<Dispatch> images;
    for (int image = 0; image < 3; ++image) images.push_back(builder().head(buffers.call, form, {image, 1, 0, 1}));
    ASSERT_NO_FATAL_FAILURE(buffers.run(images));
    EXPECT_EQ(buffers.bytes(buffers.call.result), whole);
}

INSTANTIATE_TEST_SUITE_P(Precisions, OutputTest, ::testing::Values(Precision::Fp32, Precision::Fp16),
                         [](const auto& info) { return precisionName(info.param); });

}  // namespace
}  // namespace dunlin::test
