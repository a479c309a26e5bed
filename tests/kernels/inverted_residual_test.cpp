// inverted_residual: a first convolution, a depthwise one and the projection in one dispatch, against the oracle's
// chain of the same layers.
#include <cmath>
#include <optional>

#include "runtime/plan/kernel_forms.h"
#include "tests/kernels/kernel_fixture.h"

namespace dunlin::test {
namespace {

constexpr Padding kNone = {0, 0, 0, 0}, kOne = {1, 1, 1, 1}, kTwo = {2, 2, 2, 2}, kThree = {3, 3, 3, 3};

struct Window {
    int kernel = 1, stride = 1;
    Padding padding = kNone;
};

struct InvertedResidualCase {
    const char* name;
    Shape input;
    Window first;
    int hidden;  // channels
    Window depthwise;
    int projected = 0;  // output channels; 0: the depthwise output is written
    bool residual = false, sums = false;
    Activation activation = Activation::HardSwish;
    Activation projectActivation = Activation::None;
};

const InvertedResidualCase kCases[] = {
    // A first convolution and a depthwise one.
    {"k3_14x14", {1, 14, 14, 16}, {}, 64, {3, 1, kOne}},
    {"k3_primes", {2, 13, 7, 11}, {}, 21, {3, 1, kOne}},
    {"k3_single_pixel", {2, 1, 1, 2}, {}, 3, {3, 1, kOne}},
    {"k3s2_same_padding", {1, 14, 10, 24}, {}, 36, {3, 2, {0, 0, 1, 1}}},
    {"k5_sums", {3, 5, 11, 7}, {}, 30, {5, 1, kTwo}, 0, false, true},
    {"k5s2_same_padding_sums", {2, 15, 13, 20}, {}, 44, {5, 2, {1, 2, 2, 2}}, 0, false, true},
    {"k7_no_padding", {1, 9, 12, 8}, {}, 20, {7, 1, kNone}},
    {"k7s2_sums", {1, 17, 15, 8}, {}, 12, {7, 2, kThree}, 0, false, true},
    {"stem_k3", {2, 23, 31, 3}, {3, 2, kOne}, 16, {3, 1, kOne}, 0, false, true},
    {"stem_k3_same_padding_k3s2", {1, 20, 18, 3}, {3, 2, {0, 0, 1, 1}}, 10, {3, 2, kOne}},
    {"first_k5_k3", {1, 9, 8, 6}, {5, 1, kTwo}, 9, {3, 1, kOne}},
    {"sigmoid_of_padding_lanes", {1, 6, 6, 5}, {}, 7, {3, 1, kOne}, 0, false, true, Activation::Sigmoid},
    // With the projection.
    {"projected_14x14_residual", {1, 14, 14, 24}, {}, 96, {3, 1, kOne}, 24, true, false, Activation::Relu6},
    {"projected_primes_residual", {3, 13, 7, 11}, {}, 37, {3, 1, kOne}, 11, true},
    {"projected_single_pixel", {2, 1, 1, 2}, {}, 3, {3, 1, kOne}, 1},
    {"projected_k3s2", {1, 15, 17, 19}, {}, 40, {3, 2, kOne}, 33},
    {"projected_k5_residual", {2, 7, 7, 12}, {}, 50, {5, 1, kTwo}, 12, true, false, Activation::Silu},
    {"projected_k5s2_same_padding", {1, 14, 13, 20}, {}, 44, {5, 2, {1, 2, 2, 2}}, 13},
    {"projected_k7s2", {1, 12, 15, 4}, {}, 10, {7, 2, kThree}, 6},
    {"projected_wide_activated",
     {1, 7, 7, 40},
     {},
     72,
     {3, 1, kOne},
     180,
     false,
     false,
     Activation::Relu6,
     Activation::Relu},
    {"projected_stem", {2, 21, 18, 3}, {3, 2, kOne}, 18, {3, 1, kOne}, 10},
    {"projected_sigmoid_of_padding_lanes",
     {1, 6, 6, 5},
     {},
     7,
     {3, 1, kOne},
     6,
     false,
     false,
     Activation::Sigmoid,
     Activation::Sigmoid},
};

std::ostream& operator<<(std::ostream& stream, const InvertedResidualCase& test) {
    return stream << test.name;
}

// The layers, the input, the oracle's answer, and the tensors on the device.
struct InvertedResidualProblem : TestBuffers {
    InvertedResidualProblem(const InvertedResidualCase& test, Precision precision)
        : TestBuffers(precision), precision(precision) {
        const std::vector<float> inputs = rounded(randomValues(test.input.elementCount(), 2), precision);
        const reference::Tensor in = reference::fromFloats(test.input, inputs);
        call.in = input(test.input, inputs);
        expected = in;
        call.firstWeights = append(convolution(test.first, test.hidden, 1, test.activation));
        call.hidden = expected.shape;
        call.depthwiseWeights = append(convolution(test.depthwise, test.hidden, test.hidden, test.activation));
        if (test.projected > 0) {
            call.projectWeights = append(convolution({}, test.projected, 1, test.projectActivation));
        }
        if (test.residual) {
            expected = evaluate(Add{}, {&expected, &in});
            call.residual = call.in;
        }
        call.out = output(expected.shape);
        call.firstKernelH = call.firstKernelW = test.first.kernel;
        call.firstStrideH = call.firstStrideW = test.first.stride;
        call.firstPadding = test.first.padding;
        call.kernelH = call.kernelW = test.depthwise.kernel;
        call.strideH = call.strideW = test.depthwise.stride;
        call.padding = test.depthwise.padding;
        call.firstActivation = call.activation = test.activation;
        call.projectActivation = test.projectActivation;
        hasSums = test.sums;
    }

    static Conv2d convolution(const Window& window, int outChannels, int groups, Activation activation) {
        return {.outChannels = outChannels,
                .kernelH = window.kernel,
                .kernelW = window.kernel,
                .strideH = window.stride,
                .strideW = window.stride,
                .padding = window.padding,
                .groups = groups,
                .activation = activation};
    }
    // `expected` becomes what the layer makes of it. What it may be off by is that of the layer alone, and what was
    // before it, added up as a random walk.
    Operand append(const Conv2d& op) {
        const TestLayer layer = makeLayer(op, expected.shape, precision, ++layers * 10);
        const double inputSize = rootMeanSquare(reference::toFloats(expected));
        const double weightSize = rootMeanSquare(layer.weights.weight);
        expected = evaluate(layer.op, {&expected}, layer.weights);
        tolerance = tolerance * std::sqrt(layer.products) * weightSize +
                    toleranceFor(precision, expected, layer.products, inputSize, weightSize);
        return constant(layer.packed);
    }

    Extent everything() const { return {0, expected.shape.n, 0, expected.shape.h}; }
    void addSums(int partials) {
        call.sums = output({expected.shape.n, 1, partials, expected.shape.c}, Precision::Fp32);
    }
    // The means that squeeze-excite makes of the partials, which also shows that every one of them was written.
    void expectSums() const {
        const Shape& shape = call.sums->shape;
        const std::vector<float> partials = read(*call.sums);
        std::vector<float> means(static_cast<size_t>(shape.n * shape.c));
        const float pixels = static_cast<float>(expected.shape.h) * static_cast<float>(expected.shape.w);
        for (size_t i = 0; i < partials.size(); ++i) {
            const auto channels = static_cast<size_t>(shape.c);
            const size_t image = i / (channels * static_cast<size_t>(shape.w));
            means[image * channels + i % channels] += partials[i] / pixels;
        }
        expectClose(means, evaluate(GlobalAvgPool{}, {&expected}).values, tolerance);
    }
    void expectOutput() const { expectClose(read(call.out), expected.values, tolerance); }

    Precision precision;
    uint32_t layers = 0;
    reference::Tensor expected;
    double tolerance = 0;
    bool hasSums = false;
    InvertedResidualCall call;
};

// Every tile, with the most channel groups a slice that fit in the least shared memory that Vulkan guarantees.
std::vector<KernelForm> fittingForms(const InvertedResidualCall& call) {
    std::vector<KernelForm> forms;
    for (const auto& tile : row(Kernel::InvertedResidual).tiles) {
        KernelForm form = {LoadPath::Storage, tile[0], tile[1], 64, 16};
        while (form.groupLanes > 2 && invertedResidualSharedBytes(call, form) > 16384) form.groupLanes /= 2;
        const int outGroups = channelGroups(call.out.shape.c);
        if (call.projectWeights && !projectedGroups(outGroups, form)) form.localSize = 128;
        EXPECT_LE(invertedResidualSharedBytes(call, form), 16384u);
        EXPECT_TRUE(!call.projectWeights || projectedGroups(outGroups, form));
        forms.push_back(form);
    }
    return forms;
}

class InvertedResidualTest : public KernelTest,
                             public ::testing::WithParamInterface<std::tuple<InvertedResidualCase, Precision>> {};

TEST_P(InvertedResidualTest, everyVariantAgreesWithTheOracle) {
    const auto& [test, precision] = GetParam();
    if (!supports(precision)) GTEST_SKIP() << "the device has no float16";
    InvertedResidualProblem problem(test, precision);
    const DispatchBuilder builder(device().limits(), precision);
    for (const KernelForm& form : fittingForms(problem.call)) {
        SCOPED_TRACE(describe(form, precision));
        const Extent extent = problem.everything();
        if (test.sums) {
            problem.addSums(DispatchBuilder::invertedResidualPartials(problem.expected.shape, extent.rows, form));
        }
        ASSERT_NO_FATAL_FAILURE(problem.runTwice(builder.invertedResidual(problem.call, form, extent)));
        problem.expectOutput();
        if (test.sums) problem.expectSums();
    }
}

INSTANTIATE_TEST_SUITE_P(Shapes, InvertedResidualTest,
                         ::testing::Combine(::testing::ValuesIn(kCases),
                                            ::testing::Values(Precision::Fp32, Precision::Fp16)),
                         [](const auto& info) {
                             return std::string(std::get<0>(info.param).name) + "_" +
                                    precisionName(std::get<1>(info.param));
                         });

class InvertedResidualPartsTest : public KernelTest {
  protected:
    // Runs the parts one by one and expects the bits of a dispatch over everything.
    static void expectTheWhole(InvertedResidualProblem& problem, const KernelForm& form,
                               const std::vector<Extent>& parts) {
        SCOPED_TRACE(describe(form, problem.precision));
        const DispatchBuilder builder(device().limits(), problem.precision);
        ASSERT_NO_FATAL_FAILURE(problem.run(builder.invertedResidual(problem.call, form, problem.everything())));
        const std::vector<std::byte> whole = problem.bytes(problem.call.out);
        problem.expectOutput();
        std::vector<Dispatch> dispatches;
        for (const Extent& part : parts) dispatches.push_back(builder.invertedResidual(problem.call, form, part));
        EXPECT_GT(dispatches.back().bindings[0].offsetBytes, 0u);
        ASSERT_NO_FATAL_FAILURE(problem.run(dispatches));
        EXPECT_EQ(problem.bytes(problem.call.out), whole);
    }
};

const InvertedResidualCase kPartCases[] = {
    {"depthwise_k3s2", {3, 23, 9, 20}, {}, 36, {3, 2, kOne}},
    {"depthwise_stem_k5", {3, 45, 21, 3}, {3, 2, {0, 0, 1, 1}}, 12, {5, 1, kTwo}},
    {"projected_k5s2", {3, 23, 9, 20}, {}, 36, {5, 2, {1, 2, 2, 2}}, 22},
    {"projected_residual", {3, 12, 11, 18}, {}, 36, {3, 1, kOne}, 18, true},
};

TEST_F(InvertedResidualPartsTest, rowsByRowsIsTheWhole) {
    for (const InvertedResidualCase& test : kPartCases) {
        SCOPED_TRACE(test.name);
        InvertedResidualProblem problem(test, Precision::Fp32);
        const int rows = problem.expected.shape.h;
        // given strips that tiles do not divide, each bound to the input rows that it needs
        std::vector<Extent> strips;
        for (int image = 0; image < test.input.n; ++image) {
            for (int row = 0; row < rows; row += 5) strips.push_back({image, 1, row, std::min(5, rows - row)});
        }
        for (const KernelForm& form : fittingForms(problem.call)) expectTheWhole(problem, form, strips);
    }
}

TEST_F(InvertedResidualPartsTest, imagesByImagesIsTheWhole) {
    for (const InvertedResidualCase& test : kPartCases) {
        SCOPED_TRACE(test.name);
        InvertedResidualProblem problem(test, Precision::Fp32);
        const int rows = problem.expected.shape.h;
        for (const KernelForm& form : fittingForms(problem.call)) {
            expectTheWhole(problem, form, {{0, 1, 0, rows}, {1, 2, 0, rows}});
        }
    }
}

TEST_F(InvertedResidualPartsTest, stripsAndImagesWriteTheirOwnPartials) {
    const InvertedResidualCase test = {"partials", {3, 12, 10, 7}, {}, 26, {3, 2, kOne}, 0, false, true};
    InvertedResidualProblem problem(test, Precision::Fp32);
    const DispatchBuilder builder(device().limits(), Precision::Fp32);
    const KernelForm form = {LoadPath::Storage, 4, 4, 32, 4};
    const Shape& shape = problem.expected.shape;
    const int partialsOfFour = DispatchBuilder::invertedResidualPartials(shape, 4, form);
    const int partialsOfTwo = DispatchBuilder::invertedResidualPartials(shape, 2, form);
    problem.addSums(partialsOfFour + partialsOfTwo);
    // when each image is computed by a strip of 4 rows and one of 2
    std::vector<Dispatch> strips;
    for (int image = 0; image < test.input.n; ++image) {
        problem.call.partialBegin = 0;
        strips.push_back(builder.invertedResidual(problem.call, form, {image, 1, 0, 4}));
        problem.call.partialBegin = partialsOfFour;
        strips.push_back(builder.invertedResidual(problem.call, form, {image, 1, 4, 2}));
    }
    ASSERT_NO_FATAL_FAILURE(problem.runTwice(strips));
    // then the map and its means are as the oracle says
    problem.expectOutput();
    problem.expectSums();
}

TEST_F(InvertedResidualPartsTest, workgroupSlicesAndGridDoNotMatter) {
    for (const InvertedResidualCase& test : kPartCases) {
        SCOPED_TRACE(test.name);
        InvertedResidualProblem problem(test, Precision::Fp32);
        DeviceLimits narrow = device().limits();
        narrow.maxWorkgroupCount[0] = 2;  // the grid has to grow along y
        const DispatchBuilder builder(narrow, Precision::Fp32);
        std::vector<std::byte> first;
        for (const auto& [localSize, slice] : {std::pair{64u, 2u}, {128u, 2u}, {32u, 4u}, {8u, 2u}}) {
            const KernelForm form = {LoadPath::Storage, 4, 4, localSize, slice};
            SCOPED_TRACE(describe(form, Precision::Fp32));
            ASSERT_NO_FATAL_FAILURE(problem.run(builder.invertedResidual(problem.call, form, problem.everything())));
            if (first.empty()) first = problem.bytes(problem.call.out);
            EXPECT_EQ(problem.bytes(problem.call.out), first);
        }
    }
}

InvertedResidualCall blockOf(int inChannels, int hidden, int outChannels, int kernel, int stride) {
    InvertedResidualCall call;
    call.in.shape = {1, 28, 28, inChannels};
    call.hidden = {1, 28, 28, hidden};
    call.out.shape = {1, 28 / stride, 28 / stride, outChannels};
    call.projectWeights = Operand{};
    call.kernelH = call.kernelW = kernel;
    call.strideH = call.strideW = stride;
    return call;
}

TEST(InvertedResidualForm, fitsInTheLeastThatVulkanGuarantees) {
    const DeviceLimits least;
    for (const int kernel : {3, 5, 7}) {
        for (const int stride : {1, 2}) {
            const InvertedResidualCall call = blockOf(40, 240, 40, kernel, stride);
            const std::optional<KernelForm> form = invertedResidualForm(least, call);
            ASSERT_TRUE(form) << "kernel " << kernel << ", stride " << stride;
            EXPECT_LE(invertedResidualSharedBytes(call, *form), least.sharedMemoryBytes);
            EXPECT_LE(form->localSize, least.maxWorkgroupInvocations);
        }
    }
}

TEST(InvertedResidualForm, thereIsNoneWhereSharedMemoryOrRegistersDoNotAllowIt) {
    DeviceLimits small;
    small.sharedMemoryBytes = 2048;
    EXPECT_FALSE(invertedResidualForm(small, blockOf(40, 240, 40, 5, 2)));
    // 4x4 pixels of 320 channel groups are 40 sums for each of 128 invocations.
    EXPECT_FALSE(invertedResidualForm(DeviceLimits{}, blockOf(160, 960, 1280, 3, 1)));
}

}  // namespace
}  // namespace dunlin::test
