// conv2d: direct convolution, mainly the stem.
#include "tests/kernels/kernel_fixture.h"

namespace dunlin::test {
namespace {

struct Conv2dCase {
    const char* name;
    Shape input;
    int outChannels;
    int kernelH, kernelW, strideH, strideW;
    Padding padding;
    Activation activation = Activation::None;
    bool residual = false;
};

const Conv2dCase kCases[] = {
    {"stem_224", {1, 224, 224, 3}, 16, 3, 3, 2, 2, {1, 1, 1, 1}, Activation::HardSwish},
    {"stem_same_padding", {1, 32, 32, 3}, 32, 3, 3, 2, 2, {0, 0, 1, 1}, Activation::HardSwish},
    {"smaller_than_the_kernel", {2, 1, 2, 3}, 5, 3, 3, 2, 2, {1, 1, 1, 1}, Activation::HardSwish},
    {"prime_sides", {2, 13, 17, 5}, 7, 3, 3, 2, 2, {1, 1, 1, 1}, Activation::HardSwish},
    {"residual_3x3", {3, 7, 9, 20}, 20, 3, 3, 1, 1, {1, 1, 1, 1}, Activation::Relu6, true},
    {"patchify_4x4", {1, 16, 20, 3}, 24, 4, 4, 4, 4, {0, 0, 0, 0}, Activation::None},
    {"uneven_5x3", {1, 11, 10, 6}, 9, 5, 3, 1, 2, {3, 0, 1, 2}, Activation::None},
};

std::ostream& operator<<(std::ostream& stream, const Conv2dCase& test) {
    return stream << test.name;
}

// The layer, its inputs, the oracle's answer, and the tensors on the device.
struct Conv2dProblem : TestBuffers {
    Conv2dProblem(const Conv2dCase& test, Precision precision)
        : TestBuffers(precision), layer(makeLayer(opOf(test), test.input, precision, 1)) {
        const std::vector<float> inputs = rounded(randomValues(test.input.elementCount(), 2), precision);
        const reference::Tensor in = reference::fromFloats(test.input, inputs);
        expected = evaluate(layer.op, {&in}, layer.weights);
        if (test.residual) {
            const std::vector<float> values = rounded(randomValues(expected.shape.elementCount(), 3), precision);
            const reference::Tensor other = reference::fromFloats(expected.shape, values);
            expected = evaluate(Add{}, {&expected, &other});
            call.residual = input(expected.shape, values);
        }
        tolerance = toleranceFor(precision, expected, layer.products, rootMeanSquare(inputs),
                                 rootMeanSquare(layer.weights.weight));
        call.in = input(test.input, inputs);
        call.weights = constant(layer.packed);
        call.out = output(expected.shape);
        call.kernelH = test.kernelH;
        call.kernelW = test.kernelW;
        call.strideH = test.strideH;
        call.strideW = test.strideW;
        call.padding = test.padding;
        call.activation = test.activation;
    }

    static Conv2d opOf(const Conv2dCase& test) {
        return {.outChannels = test.outChannels,
                .kernelH = test.kernelH,
                .kernelW = test.kernelW,
                .strideH = test.strideH,
                .strideW = test.strideW,
                .padding = test.padding,
                .activation = test.activation};
    }
    Extent everything() const { return {0, expected.shape.n, 0, expected.shape.h}; }

    TestLayer layer;
    reference::Tensor expected;
    double tolerance;
    Conv2dCall call;
};

class Conv2dTest : public KernelTest, public ::testing::WithParamInterface<std::tuple<Conv2dCase, Precision>> {};

TEST_P(Conv2dTest, everyVariantAgreesWithTheOracle) {
    const auto& [test, precision] = GetParam();
    if (!supports(precision)) GTEST_SKIP() << "the device has no float16";
    Conv2dProblem problem(test, precision);
    const DispatchBuilder builder(device().limits(), precision);
    for (const KernelForm& form : formsOf(Kernel::Conv2d)) {
        SCOPED_TRACE(describe(form, precision));
        ASSERT_NO_FATAL_FAILURE(problem.runTwice(builder.conv2d(problem.call, form, problem.everything())));
        expectClose(problem.read(problem.call.out), problem.expected.values, problem.tolerance);
    }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Conv2dTest,
                         ::testing::Combine(::testing::ValuesIn(kCases),
                                            ::testing::Values(Precision::Fp32, Precision::Fp16)),
                         [](const auto& info) {
                             return std::string(std::get<0>(info.param).name) + "_" +
                                    precisionName(std::get<1>(info.param));
                         });

class Conv2dPartsTest : public KernelTest {};

TEST_F(Conv2dPartsTest, rowsByRowsIsTheWhole) {
    // given the result of one dispatch, with a residual
    const Conv2dCase& test = kCases[4];
    Conv2dProblem problem(test, Precision::Fp32);
    const DispatchBuilder builder(device().limits(), Precision::Fp32);
    const KernelForm form = {LoadPath::Texel, 4, 1, 64, 1};
    ASSERT_NO_FATAL_FAILURE(problem.run(builder.conv2d(problem.call, form, problem.everything())));
    const std::vector<std::byte> whole = problem.bytes(problem.call.out);
    // when every image is computed in strips of 3, 3 and 1 rows, each bound to the input rows that it needs
    std::vector<Dispatch> strips;
    for (int image = 0; image < test.input.n; ++image) {
        for (int row = 0; row < problem.expected.shape.h; row += 3) {
            const Extent extent = {image, 1, row, std::min(3, problem.expected.shape.h - row)};
            strips.push_back(builder.conv2d(problem.call, form, extent));
        }
    }
    EXPECT_GT(strips.back().bindings[0].offsetBytes, 0u);
    ASSERT_NO_FATAL_FAILURE(problem.run(strips));
    // then the bits are the same
    EXPECT_EQ(problem.bytes(problem.call.out), whole);
}

TEST_F(Conv2dPartsTest, workgroupSizeAndGridDoNotMatter) {
    Conv2dProblem problem(kCases[3], Precision::Fp32);
    DeviceLimits narrow = device().limits();
    narrow.maxWorkgroupCount[0] = 1;  // the grid has to grow along y
    std::vector<std::byte> first;
    for (const auto& [localSize, groupLanes] : {std::pair{64u, 1u}, {128u, 1u}, {32u, 4u}}) {
        const KernelForm form = {LoadPath::Texel, 1, 1, localSize, groupLanes};
        SCOPED_TRACE(describe(form, Precision::Fp32));
        const DispatchBuilder builder(narrow, Precision::Fp32);
        const Dispatch dispatch = builder.conv2d(problem.call, form, problem.everything());
        EXPECT_GT(dispatch.workgroups[1], 1u);
        ASSERT_NO_FATAL_FAILURE(problem.run(dispatch));
        if (first.empty()) first = problem.bytes(problem.call.out);
        EXPECT_EQ(problem.bytes(problem.call.out), first);
    }
}

}  // namespace
}  // namespace dunlin::test
