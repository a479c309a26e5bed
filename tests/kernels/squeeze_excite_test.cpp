// squeeze_excite: from partial sums to the gate, for bottlenecks from one channel up and maps wider than shared memory.
#include <algorithm>

#include "tests/kernels/kernel_fixture.h"

namespace dunlin::test {
namespace {

struct SqueezeExciteCase {
    const char* name;
    int images, channels, reducedChannels, partials;
    uint32_t invocations = 64;
    Activation reduceActivation = Activation::Relu, gateActivation = Activation::HardSigmoid;
};

const SqueezeExciteCase kCases[] = {
    {"one_of_each", 1, 1, 1, 1},
    {"small_16_8", 2, 16, 8, 25},
    {"odd_19_5", 3, 19, 5, 7},
    {"bottleneck_of_one", 1, 40, 1, 13},
    {"large_960_240", 1, 960, 240, 4, 128},
    {"many_partials", 1, 32, 8, 200, 128},
    {"wider_than_shared_memory", 2, 4093, 64, 2, 128},
    {"silu_sigmoid", 2, 30, 10, 3, 128, Activation::Silu, Activation::Sigmoid},
};

std::ostream& operator<<(std::ostream& stream, const SqueezeExciteCase& test) {
    return stream << test.name;
}

// Both layers, the partial sums, the oracle's gate, and the tensors on the device.
struct SqueezeExciteProblem : TestBuffers {
    SqueezeExciteProblem(const SqueezeExciteCase& test, Precision precision)
        : TestBuffers(precision), pooled{test.images, 1, 1, test.channels} {
        const TestLayer reduce =
            makeLayer(Conv2d{.outChannels = test.reducedChannels, .activation = test.reduceActivation}, pooled,
                      precision, 1, 1.0);
        const Shape hiddenShape = layerOutput(reduce, pooled);
        const TestLayer expand = makeLayer(Conv2d{.outChannels = test.channels, .activation = test.gateActivation},
                                           hiddenShape, precision, 2, 2.0);

        const Shape sumsShape = {test.images, 1, test.partials, test.channels};
        const std::vector<float> partials = randomValues(sumsShape.elementCount(), 3, 20.0f, 80.0f);
        const reference::Tensor mean = meanOf(reference::fromFloats(sumsShape, partials));
        const reference::Tensor hidden = evaluate(reduce.op, {&mean}, reduce.weights);
        expected = evaluate(expand.op, {&hidden}, expand.weights);

        call.sums = input(sumsShape, partials, Precision::Fp32);
        call.reduceWeights = constant(reduce.packed);
        call.expandWeights = constant(expand.packed);
        call.gate = output(pooled);
        call.reducedChannels = test.reducedChannels;
        call.pixels = kPixels;
        call.reduceActivation = test.reduceActivation;
        call.gateActivation = test.gateActivation;
    }

    static constexpr int kPixels = 100;
    Shape pooled;
    reference::Tensor expected;
    SqueezeExciteCall call;

  private:
    // The oracle's mean over the partials, times their number, over the number of pixels.
    static reference::Tensor meanOf(const reference::Tensor& sums) {
        reference::Tensor mean = evaluate(GlobalAvgPool{}, {&sums});
        for (double& value : mean.values) value *= double{1} * sums.shape.w / kPixels;
        return mean;
    }
};

class SqueezeExciteTest : public KernelTest,
                          public ::testing::WithParamInterface<std::tuple<SqueezeExciteCase, Precision>> {};

TEST_P(SqueezeExciteTest, gateAgreesWithTheOracle) {
    const auto& [test, precision] = GetParam();
    if (!supports(precision)) GTEST_SKIP() << "the device has no float16";
    SqueezeExciteProblem problem(test, precision);
    const DispatchBuilder builder(device().limits(), precision);
    // Float32 arithmetic in both precisions: only the gate itself is rounded.
    const double tolerance = precision == Precision::Fp32 ? 2e-5 : 1e-3;
    for (const KernelForm& form : formsOf(Kernel::SqueezeExcite, test.invocations)) {
        SCOPED_TRACE(describe(form, precision));
        const Dispatch dispatch = builder.squeezeExcite(problem.call, form, {0, test.images, 0, 1});
        const auto& constants = dispatch.variant.constants;
        EXPECT_LE(
            (constants[constant_id::kMaxGroups] + constants[constant_id::kMaxReducedGroups] + test.invocations) * 16,
            16384u)
            << "bytes of shared memory";
        ASSERT_NO_FATAL_FAILURE(problem.runTwice(dispatch));
        expectClose(problem.read(problem.call.gate), problem.expected.values, tolerance);
    }
}

INSTANTIATE_TEST_SUITE_P(Shapes, SqueezeExciteTest,
                         ::testing::Combine(::testing::ValuesIn(kCases),
                                            ::testing::Values(Precision::Fp32, Precision::Fp16)),
                         [](const auto& info) {
                             return std::string(std::get<0>(info.param).name) + "_" +
                                    precisionName(std::get<1>(info.param));
                         });

class SqueezeExcitePartsTest : public KernelTest {};

TEST_F(SqueezeExcitePartsTest, imageByImageIsTheBatch) {
    const SqueezeExciteCase test = {"batch", 3, 76, 20, 11};
    SqueezeExciteProblem problem(test, Precision::Fp32);
    const DispatchBuilder builder(device().limits(), Precision::Fp32);
    const KernelForm form = {LoadPath::Texel, 1, 1, 64, 1};
    ASSERT_NO_FATAL_FAILURE(problem.run(builder.squeezeExcite(problem.call, form, {0, 3, 0, 1})));
    const std::vector<std::byte> whole = problem.bytes(problem.call.gate);
    std::vector<Dispatch> images;
    for (int image = 0; image < 3; ++image)
        images.push_back(builder.squeezeExcite(problem.call, form, {image, 1, 0, 1}));
    ASSERT_NO_FATAL_FAILURE(problem.run(images));
    EXPECT_EQ(problem.bytes(problem.call.gate), whole);
}

}  // namespace
}  // namespace dunlin::test
