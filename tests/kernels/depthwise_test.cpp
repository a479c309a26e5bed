// depthwise: every tile, kernel size and stride, and the partial sums that squeeze-excite reads.
#include <cmath>

#include "tests/kernels/kernel_fixture.h"

namespace dunlin::test {
namespace {

struct DepthwiseCase {
    const char* name;
    Shape input;
    int kernel, stride;
    Padding padding;
    bool squeeze = false;
    Activation activation = Activation::HardSwish;
};

const DepthwiseCase kCases[] = {
    {"k3_56x56x72", {1, 56, 56, 72}, 3, 1, {1, 1, 1, 1}},
    {"k3_single_pixel", {2, 1, 1, 2}, 3, 1, {1, 1, 1, 1}},
    {"k3_primes", {2, 13, 7, 11}, 3, 1, {1, 1, 1, 1}},
    {"k3s2_112x112x16", {1, 112, 112, 16}, 3, 2, {1, 1, 1, 1}},
    {"k3s2_same_padding", {1, 14, 10, 24}, 3, 2, {0, 0, 1, 1}},
    {"k3s2_odd_sum", {2, 15, 17, 19}, 3, 2, {1, 1, 1, 1}, true},
    {"k5_14x14x96_sum", {1, 14, 14, 96}, 5, 1, {2, 2, 2, 2}, true},
    {"k5_primes_sum", {3, 5, 11, 7}, 5, 1, {2, 2, 2, 2}, true},
    {"k5s2_same_padding", {1, 14, 13, 20}, 5, 2, {1, 2, 2, 2}},
    {"k7_no_padding", {1, 9, 12, 8}, 7, 1, {0, 0, 0, 0}},
};

std::ostream& operator<<(std::ostream& stream, const DepthwiseCase& test) {
    return stream << test.name;
}

// The layer, its inputs, the oracle's answer, and the tensors on the device.
struct DepthwiseProblem : TestBuffers {
    DepthwiseProblem(const DepthwiseCase& test, Precision precision)
        : TestBuffers(precision), layer(makeLayer(opOf(test), test.input, precision, 1)) {
        const std::vector<float> inputs = rounded(randomValues(test.input.elementCount(), 2), precision);
        const reference::Tensor in = reference::fromFloats(test.input, inputs);
        expected = evaluate(layer.op, {&in}, layer.weights);
        tolerance = toleranceFor(precision, expected, layer.products, rootMeanSquare(inputs),
                                 rootMeanSquare(layer.weights.weight));
        call.in = input(test.input, inputs);
        call.weights = constant(layer.packed);
        call.out = output(expected.shape);
        call.kernelH = call.kernelW = test.kernel;
        call.strideH = call.strideW = test.stride;
        call.padding = test.padding;
        call.activation = test.activation;
    }

    static Conv2d opOf(const DepthwiseCase& test) {
        return {.outChannels = test.input.c,
                .kernelH = test.kernel,
                .kernelW = test.kernel,
                .strideH = test.stride,
                .strideW = test.stride,
                .padding = test.padding,
                .groups = test.input.c,
                .activation = test.activation};
    }
    Extent everything() const { return {0, expected.shape.n, 0, expected.shape.h}; }

    // A new tensor for the partial sums.
    void addSums(int partials) {
        call.sums = output({expected.shape.n, 1, partials, expected.shape.c}, Precision::Fp32);
    }
    // What squeeze-excite makes of the partials: their sum over each image, against the oracle's.
    void expectSums(double meanTolerance) const {
        const Shape& shape = call.sums->shape;
        const std::vector<float> partials = read(*call.sums);
        const double pixels = double{1} * expected.shape.h * expected.shape.w;
        std::vector<float> means;
        for (int n = 0; n < shape.n; ++n) {
            for (int c = 0; c < shape.c; ++c) {
                double sum = 0;
                for (int p = 0; p < shape.w; ++p)
                    sum += double{partials[static_cast<size_t>((n * shape.w + p) * shape.c + c)]};
                means.push_back(static_cast<float>(sum / pixels));
            }
        }
        expectClose(means, evaluate(GlobalAvgPool{}, {&expected}).values, meanTolerance);
    }

    TestLayer layer;
    reference::Tensor expected;
    double tolerance;
    DepthwiseCall call;
};

class DepthwiseTest : public KernelTest, public ::testing::WithParamInterface<std::tuple<DepthwiseCase, Precision>> {};

TEST_P(DepthwiseTest, everyVariantAgreesWithTheOracle) {
    const auto& [test, precision] = GetParam();
    if (!supports(precision)) GTEST_SKIP() << "the device has no float16";
    DepthwiseProblem problem(test, precision);
    const DispatchBuilder builder(device().limits(), precision);
    const uint32_t groupLanes = test.squeeze ? 4 : 64, tileLanes = 64 / groupLanes;
    for (const KernelForm& form : formsOf(Kernel::Depthwise, groupLanes * tileLanes, groupLanes)) {
        SCOPED_TRACE(describe(form, precision));
        const Extent extent = problem.everything();
        if (test.squeeze) problem.addSums(DispatchBuilder::partialCount(problem.expected.shape, extent.rows, form));
        ASSERT_NO_FATAL_FAILURE(problem.runTwice(builder.depthwise(problem.call, form, extent)));
        expectClose(problem.read(problem.call.out), problem.expected.values, problem.tolerance);
        if (test.squeeze) problem.expectSums(problem.tolerance);
    }
}

INSTANTIATE_TEST_SUITE_P(Shapes, DepthwiseTest,
                         ::testing::Combine(::testing::ValuesIn(kCases),
                                            ::testing::Values(Precision::Fp32, Precision::Fp16)),
                         [](const auto& info) {
                             return std::string(std::get<0>(info.param).name) + "_" +
                                    precisionName(std::get<1>(info.param));
                         });

class DepthwisePartsTest : public KernelTest {};

TEST_F(DepthwisePartsTest, rowsByRowsIsTheWhole) {
    // given the result of one dispatch, and tiles that do not divide the strips
    const DepthwiseCase test = {"strips", {2, 23, 9, 20}, 3, 2, {1, 1, 1, 1}};
    DepthwiseProblem problem(test, Precision::Fp32);
    const DispatchBuilder builder(device().limits(), Precision::Fp32);
    for (const LoadPath load : {LoadPath::Texel, LoadPath::Storage}) {
        const KernelForm form = {load, 4, 2, 64, 1};
        SCOPED_TRACE(describe(form, Precision::Fp32));
        ASSERT_NO_FATAL_FAILURE(problem.run(builder.depthwise(problem.call, form, problem.everything())));
        const std::vector<std::byte> whole = problem.bytes(problem.call.out);
        // when every image is computed in strips of 5, 5 and 2 rows, each bound to the input rows that it needs
        std::vector<Dispatch> strips;
        for (int image = 0; image < test.input.n; ++image) {
            for (int row = 0; row < problem.expected.shape.h; row += 5) {
                const Extent extent = {image, 1, row, std::min(5, problem.expected.shape.h - row)};
                strips.push_back(builder.depthwise(problem.call, form, extent));
            }
        }
        EXPECT_GT(strips.back().bindings[0].offsetBytes, 0u);
        ASSERT_NO_FATAL_FAILURE(problem.run(strips));
        // then the bits are the same
        EXPECT_EQ(problem.bytes(problem.call.out), whole);
    }
}

TEST_F(DepthwisePartsTest, stripsAndImagesWriteTheirOwnPartials) {
    const DepthwiseCase test = {"partials", {3, 12, 10, 24}, 3, 2, {1, 1, 1, 1}, true};
    DepthwiseProblem problem(test, Precision::Fp32);
    const DispatchBuilder builder(device().limits(), Precision::Fp32);
    const KernelForm form = {LoadPath::Texel, 2, 2, 8, 2};
    const Shape& shape = problem.expected.shape;
    const int partialsOfFour = DispatchBuilder::partialCount(shape, 4, form);
    const int partialsOfTwo = DispatchBuilder::partialCount(shape, 2, form);
    problem.addSums(partialsOfFour + partialsOfTwo);
    // when each image is computed by a strip of 4 rows and one of 2
    std::vector<Dispatch> strips;
    for (int image = 0; image < test.input.n; ++image) {
        problem.call.partialBegin = 0;
        strips.push_back(builder.depthwise(problem.call, form, {image, 1, 0, 4}));
        problem.call.partialBegin = partialsOfFour;
        strips.push_back(builder.depthwise(problem.call, form, {image, 1, 4, 2}));
    }
    ASSERT_NO_FATAL_FAILURE(problem.runTwice(strips));
    // then the map and its means are as the oracle says; reading them also shows that every partial was written
    expectClose(problem.read(problem.call.out), problem.expected.values, problem.tolerance);
    problem.expectSums(problem.tolerance);
}

TEST_F(DepthwisePartsTest, workgroupSizeAndGridDoNotMatter) {
    const DepthwiseCase test = {"workgroups", {2, 12, 10, 52}, 3, 1, {1, 1, 1, 1}};
    DepthwiseProblem problem(test, Precision::Fp32);
    DeviceLimits narrow = device().limits();
    narrow.maxWorkgroupCount[0] = 2;  // the grid has to grow along y
    std::vector<std::byte> first;
    for (const auto& [localSize, groupLanes] : {std::pair{64u, 1u}, {128u, 1u}, {64u, 8u}}) {
        const KernelForm form = {LoadPath::Texel, 2, 2, localSize, groupLanes};
        SCOPED_TRACE(describe(form, Precision::Fp32));
        const DispatchBuilder builder(narrow, Precision::Fp32);
        ASSERT_NO_FATAL_FAILURE(problem.run(builder.depthwise(problem.call, form, problem.everything())));
        if (first.empty()) first = problem.bytes(problem.call.out);
        EXPECT_EQ(problem.bytes(problem.call.out), first);
    }
}

}  // namespace
}  // namespace dunlin::test
