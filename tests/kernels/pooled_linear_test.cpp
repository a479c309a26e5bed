// pooled_linear: the mean of each image and the linear layer behind it, for maps of one channel up and wider than a
// workgroup.
#include "runtime/plan/kernel_forms.h"
#include "tests/kernels/kernel_fixture.h"

namespace dunlin::test {
namespace {

struct PooledLinearCase {
    const char* name;
    Shape input;
    int outFeatures;
    Activation activation = Activation::None;
    int begin = 0, count = 0;  // pixels, as in GlobalAvgPool
};

const PooledLinearCase kCases[] = {
    {"one_of_each", {1, 1, 1, 1}, 1},
    {"tiny", {1, 2, 3, 2}, 3},
    {"odd", {2, 5, 3, 7}, 13},
    {"primes", {3, 11, 7, 263}, 19},
    {"no_pixels_to_pool", {2, 1, 1, 576}, 101},
    {"many_pixels_few_channels", {1, 14, 14, 3}, 5},
    {"mobilenet_v2", {1, 7, 7, 1280}, 1000},
    {"mobilevit_s", {1, 8, 8, 640}, 1000},
    {"mobilenet_v3", {1, 7, 7, 960}, 1280, Activation::HardSwish},
    {"resnet50", {1, 7, 7, 2048}, 1000},
    {"first_token", {2, 1, 17, 20}, 10, Activation::None, 0, 1},
    {"all_but_the_first_token", {2, 1, 17, 20}, 10, Activation::None, 1, 0},
    {"pixels_in_between", {3, 4, 5, 9}, 6, Activation::HardSwish, 7, 6},
};

std::ostream& operator<<(std::ostream& stream, const PooledLinearCase& test) {
    return stream << test.name;
}

// Pixels around a number for each image and channel, so that means are neither alike nor close to zero.
std::vector<float> mapAroundMeans(const Shape& shape) {
    const auto channels = static_cast<size_t>(shape.c);
    const size_t imageValues = channels * static_cast<size_t>(shape.h) * static_cast<size_t>(shape.w);
    const std::vector<float> means = randomValues(int64_t{shape.n} * shape.c, 2, 0.5f, 1.5f);
    std::vector<float> values = randomValues(shape.elementCount(), 3, 0.05f, 0.4f);
    for (size_t i = 0; i < values.size(); ++i) values[i] += means[i / imageValues * channels + i % channels];
    return values;
}

// A map and a layer, the oracle's answer, and the tensors on the device.
struct PooledLinearProblem : TestBuffers {
    PooledLinearProblem(const PooledLinearCase& test, Precision precision) : TestBuffers(precision) {
        const Shape pooled = {test.input.n, 1, 1, test.input.c};
        const TestLayer layer =
            makeLayer(Linear{.outFeatures = test.outFeatures, .activation = test.activation}, pooled, precision, 1);
        const std::vector<float> map = rounded(mapAroundMeans(test.input), precision);
        const reference::Tensor in = reference::fromFloats(test.input, map);
        const reference::Tensor mean = evaluate(GlobalAvgPool{.begin = test.begin, .count = test.count}, {&in});
        expected = evaluate(layer.op, {&mean}, layer.weights);
        call.in = input(test.input, map);
        call.weights = constant(layer.packed);
        call.out = output(expected.shape);
        call.begin = test.begin;
        call.count = test.count;
        call.activation = test.activation;
        // Arithmetic is float32 in every precision: only the output itself is rounded.
        double largest = 0;
        for (double value : expected.values) largest = std::max(largest, std::abs(value));
        tolerance = (precision == Precision::Fp32 ? 1e-5 : 1e-5 + 0x1p-11) * largest;
    }

    // Compares one run with the oracle, and another with it bit by bit.
    void expectAgreement(const DeviceLimits& limits, Precision precision, const KernelForm& form) {
        SCOPED_TRACE(describe(form, precision));
        const Dispatch dispatch = DispatchBuilder(limits, precision).pooledLinear(call, form, everyImage());
        ASSERT_NO_FATAL_FAILURE(runTwice(dispatch));
        expectClose(read(call.out), expected.values, tolerance);
    }
    Extent everyImage() const { return {0, call.in.shape.n, 0, 1}; }

    reference::Tensor expected;
    double tolerance = 0;
    PooledLinearCall call;
};

// Workgroups that the device has room for.
bool fits(const DeviceLimits& limits, const KernelForm& form) {
    return form.localSize <= std::min(limits.maxWorkgroupInvocations, limits.maxWorkgroupSize[0]);
}

class PooledLinearTest : public KernelTest,
                         public ::testing::WithParamInterface<std::tuple<PooledLinearCase, Precision>> {};

TEST_P(PooledLinearTest, everyVariantAgreesWithTheOracle) {
    const auto& [test, precision] = GetParam();
    if (!supports(precision)) GTEST_SKIP() << "the device has no float16";
    PooledLinearProblem problem(test, precision);
    for (const KernelForm& form : formsOf(Kernel::PooledLinear, 64, 16)) {
        problem.expectAgreement(device().limits(), precision, form);
    }
}

TEST_P(PooledLinearTest, theDefaultFormAgreesWithTheOracle) {
    const auto& [test, precision] = GetParam();
    if (!supports(precision)) GTEST_SKIP() << "the device has no float16";
    PooledLinearProblem problem(test, precision);
    for (const DeviceFamily family : {DeviceFamily::CpuDriver, DeviceFamily::Nvidia, DeviceFamily::Adreno}) {
        DeviceLimits limits = device().limits();
        limits.family = family;
        const KernelForm form = pooledLinearForm(limits, test.input, channelGroups(test.outFeatures));
        problem.expectAgreement(device().limits(), precision, form);
    }
}

INSTANTIATE_TEST_SUITE_P(Shapes, PooledLinearTest,
                         ::testing::Combine(::testing::ValuesIn(kCases),
                                            ::testing::Values(Precision::Fp32, Precision::Fp16)),
                         [](const auto& info) {
                             return std::string(std::get<0>(info.param).name) + "_" +
                                    precisionName(std::get<1>(info.param));
                         });

class PooledLinearPartsTest : public KernelTest, public ::testing::WithParamInterface<Precision> {
  protected:
    // 3 images; 37 input groups are more than a small workgroup's, and nothing divides by a tile.
    static constexpr PooledLinearCase kCase = {"parts", {3, 5, 7, 146}, 75, Activation::HardSwish, 2, 31};

    void SetUp() override {
        KernelTest::SetUp();
        if (!IsSkipped() && !supports(GetParam())) GTEST_SKIP() << "the device has no float16";
    }
};

// From one lane of output groups to as many as invocations; 96 is no power of two.
TEST_P(PooledLinearPartsTest, everyWorkgroupAgreesWithTheOracle) {
    PooledLinearProblem problem(kCase, GetParam());
    for (const auto& [localSize, groupLanes] :
         {std::pair{64u, 1u}, {64u, 64u}, {16u, 4u}, {96u, 12u}, {128u, 8u}, {256u, 32u}, {256u, 256u}}) {
        const KernelForm form = {LoadPath::Texel, 1, 4, localSize, groupLanes};
        if (fits(device().limits(), form)) problem.expectAgreement(device().limits(), GetParam(), form);
    }
}

TEST_P(PooledLinearPartsTest, imageByImageIsTheBatch) {
    PooledLinearProblem problem(kCase, GetParam());
    const DispatchBuilder builder(device().limits(), GetParam());
    const KernelForm form = {LoadPath::Storage, 1, 1, 64, 8};
    ASSERT_NO_FATAL_FAILURE(problem.run(builder.pooledLinear(problem.call, form, problem.everyImage())));
    const std::vector<std::byte> whole = problem.bytes(problem.call.out);
    std::vector<Dispatch> images;
    for (int image = 0; image < kCase.input.n; ++image) {
        images.push_back(builder.pooledLinear(problem.call, form, {image, 1, 0, 1}));
    }
    EXPECT_GT(images.back().bindings[0].offsetBytes, 0u);
    ASSERT_NO_FATAL_FAILURE(problem.run(images));
    EXPECT_EQ(problem.bytes(problem.call.out), whole);
}

TEST_P(PooledLinearPartsTest, aLaterMicroBatchIsLikeTheFirst) {
    // given tensors that hold images 4 to 6 of a batch
    PooledLinearProblem problem(kCase, GetParam());
    const DispatchBuilder builder(device().limits(), GetParam());
    const KernelForm form = {LoadPath::Texel, 1, 4, 64, 16};
    ASSERT_NO_FATAL_FAILURE(problem.run(builder.pooledLinear(problem.call, form, problem.everyImage())));
    const std::vector<std::byte> first = problem.bytes(problem.call.out);
    problem.call.in.firstImage = problem.call.out.firstImage = 4;
    // when those images are computed
    ASSERT_NO_FATAL_FAILURE(problem.run(builder.pooledLinear(problem.call, form, {4, kCase.input.n, 0, 1})));
    // then the bits are those of a first micro-batch
    EXPECT_EQ(problem.bytes(problem.call.out), first);
}

// Sigmoid makes one half of zero: padding lanes show it where they are not cleared.
TEST_P(PooledLinearPartsTest, everyActivationAgreesWithTheOracle) {
    for (uint32_t kind = 0; kind <= static_cast<uint32_t>(Activation::GeluTanh); ++kind) {
        const PooledLinearCase test = {"activation", {1, 3, 3, 12}, 6, static_cast<Activation>(kind)};
        SCOPED_TRACE(name(test.activation));
        PooledLinearProblem problem(test, GetParam());
        problem.expectAgreement(device().limits(), GetParam(), {LoadPath::Storage, 1, 1, 64, 4});
    }
}

INSTANTIATE_TEST_SUITE_P(Precisions, PooledLinearPartsTest, ::testing::Values(Precision::Fp32, Precision::Fp16),
                         [](const auto& info) { return precisionName(info.param); });

TEST(PooledLinearForm, fitsEveryDevice) {
    for (const uint32_t invocations : {128u, 192u, 256u, 1024u}) {
        for (const DeviceFamily family : {DeviceFamily::CpuDriver, DeviceFamily::Nvidia, DeviceFamily::Mali}) {
            for (const PooledLinearCase& test : kCases) {
                DeviceLimits limits;
                limits.family = family;
                limits.maxWorkgroupInvocations = limits.maxWorkgroupSize[0] = invocations;
                const KernelForm form = pooledLinearForm(limits, test.input, channelGroups(test.outFeatures));
                EXPECT_LE(form.localSize, std::min(invocations, 256u));
                EXPECT_EQ(form.localSize % form.groupLanes, 0u);
                EXPECT_LE(2 * form.localSize * 16, limits.sharedMemoryBytes) << "bytes of shared memory";
                EXPECT_TRUE(
                    unpackSpirv({Kernel::PooledLinear, Precision::Fp32, form.load, form.tileX, form.tileY, {}}).ok());
            }
        }
    }
}

// Every workgroup pools for itself, so many of them would repeat much.
TEST(PooledLinearForm, poolsInFewWorkgroups) {
    const auto workgroupsOf = [](DeviceFamily family, const Shape& in, int outFeatures) {
        DeviceLimits limits;
        limits.family = family;
        const KernelForm form = pooledLinearForm(limits, in, channelGroups(outFeatures));
        return divideUp(channelGroups(outFeatures), static_cast<int>(form.groupLanes * form.tileY));
    };
    EXPECT_EQ(workgroupsOf(DeviceFamily::CpuDriver, {1, 7, 7, 1280}, 1000), 2);
    EXPECT_EQ(workgroupsOf(DeviceFamily::CpuDriver, {1, 3, 3, 1280}, 1000), 4);
    EXPECT_EQ(workgroupsOf(DeviceFamily::Nvidia, {1, 7, 7, 1280}, 1000), 16);
    EXPECT_EQ(workgroupsOf(DeviceFamily::Adreno, {1, 7, 7, 1280}, 1000), 8);
}

}  // namespace
}  // namespace dunlin::test
