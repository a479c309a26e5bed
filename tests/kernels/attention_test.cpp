// attention: global, within patches' places and within windows; every tile, with and without shared keys.
#include <cmath>

#include "runtime/plan/kernel_forms.h"
#include "tests/kernels/kernel_fixture.h"

namespace dunlin::test {
namespace {

struct AttentionCase {
    const char* name;
    int images, height, width;
    int heads, headChannels;
    int patchH = 1, patchW = 1;
    std::optional<AttentionWindows> windows = {};
    float low = 0.25f, high = 1.0f;  // magnitudes of the inputs
};

AttentionWindows windowsOf(int height, int width, int shiftH, int shiftW) {
    return {height, width, shiftH, shiftW, "bias", "paddedToken"};
}

const AttentionCase kCases[] = {
    {"vit_197x64", 1, 1, 197, 2, 64},
    {"single_token", 2, 1, 1, 3, 6},
    {"two_tokens_one_channel", 3, 1, 2, 1, 1},
    {"primes", 2, 7, 5, 3, 13},
    {"widest_head", 1, 3, 11, 2, 128},
    {"sharp_softmax", 2, 1, 41, 3, 14, 1, 1, {}, 1.0f, 8.0f},
    {"patches_16x16_d36", 1, 16, 16, 4, 36, 2, 2},
    {"patches_3x2", 2, 9, 10, 2, 6, 3, 2},
    {"patches_as_large_as_the_map", 2, 2, 3, 2, 4, 2, 3},
    {"windows_14x14", 1, 14, 14, 3, 32, 1, 1, windowsOf(7, 7, 0, 0)},
    {"windows_14x14_shifted", 2, 14, 14, 3, 32, 1, 1, windowsOf(7, 7, 3, 3)},
    {"one_window", 1, 7, 7, 5, 8, 1, 1, windowsOf(7, 7, 0, 0)},
    {"window_larger_than_the_map", 2, 3, 4, 5, 6, 1, 1, windowsOf(7, 7, 0, 0)},
    {"windows_padded", 2, 10, 9, 5, 6, 1, 1, windowsOf(7, 7, 0, 0)},
    {"windows_padded_shifted", 2, 10, 9, 5, 6, 1, 1, windowsOf(7, 7, 3, 3)},
    {"windows_of_two_sides", 2, 8, 11, 4, 7, 1, 1, windowsOf(3, 5, 1, 2)},
    {"windows_shifted_along_one_side", 1, 4, 13, 2, 8, 1, 1, windowsOf(4, 4, 0, 2)},
};

std::ostream& operator<<(std::ostream& stream, const AttentionCase& test) {
    return stream << test.name;
}

int paddedChannels(int channels) {
    return roundUp(channels, kChannelGroup);
}

// Rows of `width` values, each padded with zeros to whole channel groups.
std::vector<float> padRows(std::span<const float> values, int width) {
    const auto from = static_cast<size_t>(width), to = static_cast<size_t>(paddedChannels(width));
    std::vector<float> padded(values.size() / from * to);
    for (size_t i = 0; i < values.size(); ++i) padded[i / from * to + i % from] = values[i];
    return padded;
}

// The values of such rows; fails the test where padding is not zero.
std::vector<float> unpadRows(std::span<const float> padded, int width) {
    const auto from = static_cast<size_t>(paddedChannels(width)), to = static_cast<size_t>(width);
    std::vector<float> values;
    size_t dirtyLanes = 0;
    for (size_t i = 0; i < padded.size(); ++i) {
        if (i % from < to) {
            values.push_back(padded[i]);
        } else if (!(padded[i] == 0.0f)) {
            ++dirtyLanes;
        }
    }
    EXPECT_EQ(dirtyLanes, 0u) << "padding lanes of heads that are not zero";
    return values;
}

struct AttentionProblem : TestBuffers {
    AttentionProblem(const AttentionCase& test, Precision precision) : TestBuffers(precision) {
        const int channels = test.heads * test.headChannels;
        const Shape map = {test.images, test.height, test.width, 3 * channels};
        const std::vector<float> qkv = rounded(randomValues(map.elementCount(), 1, test.low, test.high), precision);
        FoldedWeights weights;
        if (test.windows) {
            const int positions = (2 * test.windows->height - 1) * (2 * test.windows->width - 1);
            weights.weight = rounded(randomValues(int64_t{positions} * test.heads, 2), precision);
            weights.bias = rounded(randomValues(3 * channels, 3), precision);
        }
        const reference::Tensor in = reference::fromFloats(map, qkv);
        expected = evaluate(
            Attention{.heads = test.heads, .patchH = test.patchH, .patchW = test.patchW, .windows = test.windows},
            {&in}, weights);

        const int padded = test.heads * paddedChannels(test.headChannels);
        call.in = input({map.n, map.h, map.w, 3 * padded}, padRows(qkv, test.headChannels));
        call.out = output({map.n, map.h, map.w, padded});
        if (test.windows) {
            std::vector<float> packed = padRows(weights.weight, test.heads);
            const std::vector<float> paddedToken = padRows(weights.bias, test.headChannels);
            packed.insert(packed.end(), paddedToken.begin(), paddedToken.end());
            call.constants = input({1, 1, 1, static_cast<int>(packed.size())}, packed);
        }
        call.heads = test.heads;
        call.headChannels = test.headChannels;
        call.patchH = test.patchH;
        call.patchW = test.patchW;
        call.windows = test.windows;
        // Results are means of values. Float32: scores are off by 1e-7 of themselves. Float16: the result's rounding.
        tolerance = double{test.high} * (precision == Precision::Fp32 ? 1e-5 : 0x1p-11 * 1.01);
    }

    std::vector<float> result() const { return unpadRows(read(call.out), call.headChannels); }
    Extent everything() const { return {0, expected.shape.n, 0, expected.shape.h}; }

    reference::Tensor expected;
    double tolerance;
    AttentionCall call;
};

class AttentionTest : public KernelTest, public ::testing::WithParamInterface<std::tuple<AttentionCase, Precision>> {};

// Invocations of a workgroup, and how many of them take queries side by side.
constexpr std::pair<uint32_t, uint32_t> kWorkgroups[] = {{64, 64}, {33, 11}};

// Large tiles of wide heads take the software driver long to compile, most of all with shared keys, and test nothing
// that smaller ones do not.
bool isQuicklyCompiled(const KernelForm& form, int headChannels) {
    const int registers = form.tileX * channelGroups(headChannels);
    const int most = form.localSize != form.groupLanes ? 16 : form.load == LoadPath::Storage ? 32 : 64;
    return registers <= most;
}

TEST_P(AttentionTest, everyVariantAgreesWithTheOracle) {
    const auto& [test, precision] = GetParam();
    if (!supports(precision)) GTEST_SKIP() << "the device has no float16";
    AttentionProblem problem(test, precision);
    const DispatchBuilder builder(device().limits(), precision);
    for (const auto& [localSize, groupLanes] : kWorkgroups) {
        for (const KernelForm& form : formsOf(Kernel::Attention, localSize, groupLanes)) {
            if (!isQuicklyCompiled(form, test.headChannels)) continue;
            SCOPED_TRACE(describe(form, precision));
            ASSERT_NO_FATAL_FAILURE(problem.runTwice(builder.attention(problem.call, form, problem.everything())));
            expectClose(problem.result(), problem.expected.values, problem.tolerance);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Shapes, AttentionTest,
                         ::testing::Combine(::testing::ValuesIn(kCases),
                                            ::testing::Values(Precision::Fp32, Precision::Fp16)),
                         [](const auto& info) {
                             return std::string(std::get<0>(info.param).name) + "_" +
                                    precisionName(std::get<1>(info.param));
                         });

class AttentionRangeTest : public KernelTest, public ::testing::WithParamInterface<Precision> {};

TEST_P(AttentionRangeTest, largeInputsGiveNumbers) {
    // given scores far beyond exp's range, and in float16 products far beyond its largest number
    if (!supports(GetParam())) GTEST_SKIP() << "the device has no float16";
    const bool isHalf = GetParam() == Precision::Fp16;
    AttentionCase test = {"large", 1, 8, 8, 2, 12, 1, 1, windowsOf(4, 4, 2, 2)};
    test.low = isHalf ? 3e4f : 1e3f;
    test.high = isHalf ? 6.5e4f : 1e4f;
    AttentionProblem problem(test, GetParam());
    const DispatchBuilder builder(device().limits(), GetParam());
    for (const uint32_t groupLanes : {64u, 16u}) {
        const KernelForm form = {LoadPath::Texel, 4, 1, 64, groupLanes};
        SCOPED_TRACE(describe(form, GetParam()));
        ASSERT_NO_FATAL_FAILURE(problem.run(builder.attention(problem.call, form, problem.everything())));
        // then every query takes the value of the key that wins
        expectClose(problem.result(), problem.expected.values, problem.tolerance);
    }
}

INSTANTIATE_TEST_SUITE_P(Precisions, AttentionRangeTest, ::testing::Values(Precision::Fp32, Precision::Fp16),
                         [](const auto& info) { return precisionName(info.param); });

class AttentionPartsTest : public KernelTest {};

TEST_F(AttentionPartsTest, imageByImageIsTheBatch) {
    const AttentionCase test = {"images", 3, 10, 9, 3, 10, 1, 1, windowsOf(7, 7, 3, 3)};
    AttentionProblem problem(test, Precision::Fp32);
    const DispatchBuilder builder(device().limits(), Precision::Fp32);
    for (const LoadPath load : {LoadPath::Texel, LoadPath::Storage}) {
        const KernelForm form = {load, 4, 1, 64, 16};
        ASSERT_NO_FATAL_FAILURE(problem.run(builder.attention(problem.call, form, problem.everything())));
        const std::vector<std::byte> whole = problem.bytes(problem.call.out);
        std::vector<Dispatch> images;
        for (int image = 0; image < 3; ++image)
            images.push_back(builder.attention(problem.call, form, {image, 1, 0, 10}));
        ASSERT_NO_FATAL_FAILURE(problem.run(images));
        EXPECT_EQ(problem.bytes(problem.call.out), whole);
    }
}

TEST_F(AttentionPartsTest, aMicroBatchCountsItsImagesOn) {
    // given tensors that hold the images 4 and 5 of a batch
    const AttentionCase test = {"micro_batch", 2, 6, 6, 2, 8, 2, 2};
    AttentionProblem problem(test, Precision::Fp32);
    const DispatchBuilder builder(device().limits(), Precision::Fp32);
    problem.call.in.firstImage = problem.call.out.firstImage = 4;
    const KernelForm form = {LoadPath::Storage, 4, 1, 64, 64};
    ASSERT_NO_FATAL_FAILURE(problem.run(builder.attention(problem.call, form, {4, 2, 0, 6})));
    expectClose(problem.result(), problem.expected.values, problem.tolerance);
}

TEST_F(AttentionPartsTest, theGridGrowsAlongY) {
    AttentionProblem problem({"grid", 2, 1, 50, 3, 8}, Precision::Fp32);
    DeviceLimits narrow = device().limits();
    narrow.maxWorkgroupCount[0] = 2;
    const DispatchBuilder builder(narrow, Precision::Fp32);
    const Dispatch dispatch = builder.attention(problem.call, {LoadPath::Texel, 1, 1, 32, 8}, problem.everything());
    EXPECT_GT(dispatch.workgroups[1], 1u);
    ASSERT_NO_FATAL_FAILURE(problem.run(dispatch));
    expectClose(problem.result(), problem.expected.values, problem.tolerance);
}

TEST_F(AttentionPartsTest, theDefaultFormOfEveryFamilyWorks) {
    for (const DeviceFamily family : {DeviceFamily::CpuDriver, DeviceFamily::Nvidia, DeviceFamily::Unknown}) {
        DeviceLimits limits = device().limits();
        limits.family = family;
        for (const int headChannels : {8, 128}) {
            AttentionProblem problem({"form", 1, 1, 50, 3, headChannels}, Precision::Fp32);
            const KernelForm form = attentionForm(limits, problem.call);
            SCOPED_TRACE(describe(form, Precision::Fp32));
            EXPECT_EQ(form.localSize % form.groupLanes, 0u);
            const DispatchBuilder builder(limits, Precision::Fp32);
            ASSERT_NO_FATAL_FAILURE(problem.run(builder.attention(problem.call, form, problem.everything())));
            expectClose(problem.result(), problem.expected.values, problem.tolerance);
        }
    }
}

TEST_F(AttentionPartsTest, keysAreSharedOutWhereQueriesDoNotFillTheDevice) {
    DeviceLimits limits = device().limits();
    AttentionCall call;
    call.heads = 6;
    call.headChannels = 64;
    const auto shares = [&](DeviceFamily family, int images) {
        limits.family = family;
        call.out.shape = {images, 1, 197, 6 * 64};
        const KernelForm form = attentionForm(limits, call);
        return form.localSize / form.groupLanes;
    };
    EXPECT_EQ(shares(DeviceFamily::Nvidia, 1), 8u);
    EXPECT_EQ(shares(DeviceFamily::Nvidia, 16), 2u);
    EXPECT_EQ(shares(DeviceFamily::Nvidia, 64), 1u);
    EXPECT_EQ(shares(DeviceFamily::CpuDriver, 1), 1u);
}

TEST_F(AttentionPartsTest, queriesShareKeysWhereRegistersAreFewAndTheDeviceIsFull) {
    DeviceLimits limits = device().limits();
    AttentionCall call;
    call.heads = 4;
    const auto queries = [&](DeviceFamily family, int images, int headChannels) {
        limits.family = family;
        call.headChannels = headChannels;
        call.out.shape = {images, 32, 32, 4 * headChannels};
        return int{attentionForm(limits, call).tileX};
    };
    EXPECT_EQ(queries(DeviceFamily::Nvidia, 32, 16), 4);
    EXPECT_EQ(queries(DeviceFamily::Nvidia, 31, 16), 1) << "the device would not be full";
    EXPECT_EQ(queries(DeviceFamily::Nvidia, 32, 17), 1) << "registers would not do";
    EXPECT_EQ(queries(DeviceFamily::Adreno, 32, 16), 1);
}

}  // namespace
}  // namespace dunlin::test
