// layer_norm and moments: over pixels and over images.
#include <cmath>

#include "runtime/plan/kernel_forms.h"
#include "tests/kernels/kernel_fixture.h"

namespace dunlin::test {
namespace {

constexpr float kEpsilon = 1e-5f;

struct LayerNormCase {
    const char* name;
    Shape shape;
    float offset = 0;  // of the inputs
};

const LayerNormCase kCases[] = {
    {"tokens_1x197x384", {1, 1, 197, 384}},
    {"swin_14x14x96", {1, 14, 14, 96}},
    {"primes", {2, 5, 7, 13}},
    {"one_channel", {2, 2, 3, 1}},
    {"two_channels", {1, 3, 1, 2}},
    {"single_pixel", {3, 1, 1, 30}},
    {"far_from_zero", {2, 4, 5, 37}, 100.0f},
};

std::ostream& operator<<(std::ostream& stream, const LayerNormCase& test) {
    return stream << test.name;
}

struct LayerNormProblem : TestBuffers {
    LayerNormProblem(const LayerNormCase& test, Precision precision, LayerNorm::Over over = LayerNorm::Over::Pixel)
        : TestBuffers(precision) {
        std::vector<float> inputs = randomValues(test.shape.elementCount(), 1);
        for (float& value : inputs) value += test.offset;
        inputs = rounded(std::move(inputs), precision);
        FoldedWeights weights;
        weights.weight = rounded(randomValues(test.shape.c, 2), precision);
        weights.bias = rounded(randomValues(test.shape.c, 3), precision);
        const reference::Tensor in = reference::fromFloats(test.shape, inputs);
        expected = evaluate(LayerNorm{.over = over, .epsilon = double{kEpsilon}}, {&in}, weights);

        std::vector<float> packed = weights.weight;
        packed.insert(packed.end(), weights.bias.begin(), weights.bias.end());
        call.in = input(test.shape, inputs);
        call.weights = input({1, 1, 2, test.shape.c}, packed);
        call.out = output(test.shape);
        call.epsilon = kEpsilon;
        double largest = 0;
        for (double value : expected.values) largest = std::max(largest, std::abs(value));
        // The mean is off by 1e-7 of the offset, which counts as much as the inputs' deviation is small (about 0.66).
        tolerance = (precision == Precision::Fp32 ? 1e-5 : 0x1p-10) * largest + 1e-6 * double{test.offset};
    }
    Extent everything() const { return {0, expected.shape.n, 0, expected.shape.h}; }

    reference::Tensor expected;
    double tolerance;
    LayerNormCall call;
};

class LayerNormTest : public KernelTest, public ::testing::WithParamInterface<std::tuple<LayerNormCase, Precision>> {};

// Invocations of a workgroup, and how many of them share a pixel.
constexpr std::pair<uint32_t, uint32_t> kWorkgroups[] = {{64, 1}, {64, 16}, {128, 128}, {21, 3}};

TEST_P(LayerNormTest, everyVariantAgreesWithTheOracle) {
    const auto& [test, precision] = GetParam();
    if (!supports(precision)) GTEST_SKIP() << "the device has no float16";
    LayerNormProblem problem(test, precision);
    const DispatchBuilder builder(device().limits(), precision);
    for (const auto& [localSize, groupLanes] : kWorkgroups) {
        for (const KernelForm& form : formsOf(Kernel::LayerNorm, localSize, groupLanes)) {
            SCOPED_TRACE(describe(form, precision));
            ASSERT_NO_FATAL_FAILURE(problem.runTwice(builder.layerNorm(problem.call, form, problem.everything())));
            expectClose(problem.read(problem.call.out), problem.expected.values, problem.tolerance);
        }
    }
}

TEST_P(LayerNormTest, withMomentsItIsOverTheImage) {
    const auto& [test, precision] = GetParam();
    if (!supports(precision)) GTEST_SKIP() << "the device has no float16";
    LayerNormProblem problem(test, precision, LayerNorm::Over::Image);
    const DispatchBuilder builder(device().limits(), precision);
    const Operand moments = problem.output({test.shape.n, 1, 1, 4});
    problem.call.moments = moments;
    for (const uint32_t localSize : {1u, 64u, 100u}) {
        for (const KernelForm& form : formsOf(Kernel::LayerNorm, 64, 16)) {
            SCOPED_TRACE(describe(form, precision) + " moments " + std::to_string(localSize));
            const KernelForm momentsForm = {form.load, 1, 1, localSize, 1};
            const Dispatch dispatches[] = {
                builder.moments({problem.call.in, moments, kEpsilon}, momentsForm, problem.everything()),
                builder.layerNorm(problem.call, form, problem.everything())};
            ASSERT_NO_FATAL_FAILURE(problem.runTwice(dispatches));
            expectClose(problem.read(problem.call.out), problem.expected.values, problem.tolerance);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Shapes, LayerNormTest,
                         ::testing::Combine(::testing::ValuesIn(kCases),
                                            ::testing::Values(Precision::Fp32, Precision::Fp16)),
                         [](const auto& info) {
                             return std::string(std::get<0>(info.param).name) + "_" +
                                    precisionName(std::get<1>(info.param));
                         });

class LayerNormPartsTest : public KernelTest {};

TEST_F(LayerNormPartsTest, rowsByRowsIsTheWhole) {
    for (const bool overImage : {false, true}) {
        LayerNormProblem problem({"strips", {2, 11, 5, 18}}, Precision::Fp32,
                                 overImage ? LayerNorm::Over::Image : LayerNorm::Over::Pixel);
        const DispatchBuilder builder(device().limits(), Precision::Fp32);
        const KernelForm form = {LoadPath::Texel, 1, 1, 64, 4};
        std::vector<Dispatch> dispatches;
        if (overImage) {
            problem.call.moments = problem.output({2, 1, 1, 4});
            dispatches.push_back(
                builder.moments({problem.call.in, *problem.call.moments, kEpsilon}, form, problem.everything()));
        }
        for (int image = 0; image < 2; ++image) {
            for (int row = 0; row < 11; row += 4)
                dispatches.push_back(builder.layerNorm(problem.call, form, {image, 1, row, std::min(4, 11 - row)}));
        }
        ASSERT_NO_FATAL_FAILURE(problem.run(dispatches));
        expectClose(problem.read(problem.call.out), problem.expected.values, problem.tolerance);
    }
}

TEST_F(LayerNormPartsTest, momentsImageByImageAreThoseOfTheBatch) {
    // given tensors that hold the images 2 to 4 of a batch
    LayerNormProblem problem({"images", {3, 4, 7, 10}}, Precision::Fp32, LayerNorm::Over::Image);
    const DispatchBuilder builder(device().limits(), Precision::Fp32);
    Operand moments = problem.output({3, 1, 1, 4});
    problem.call.in.firstImage = problem.call.out.firstImage = moments.firstImage = 2;
    problem.call.moments = moments;
    const KernelForm form = {LoadPath::Storage, 1, 1, 64, 2};
    std::vector<Dispatch> dispatches;
    for (int image = 2; image < 5; ++image) {
        const Extent extent = {image, 1, 0, 4};
        dispatches.push_back(builder.moments({problem.call.in, moments, kEpsilon}, form, extent));
        dispatches.push_back(builder.layerNorm(problem.call, form, extent));
    }
    ASSERT_NO_FATAL_FAILURE(problem.run(dispatches));
    expectClose(problem.read(problem.call.out), problem.expected.values, problem.tolerance);
}

TEST_F(LayerNormPartsTest, theMeanOfAnImageFarFromZeroLosesNoVariance) {
    // given a deviation of about 0.7 around 1000, where the mean of squares would lose half of float32's digits
    LayerNormProblem problem({"far", {1, 31, 29, 22}, 1000.0f}, Precision::Fp32, LayerNorm::Over::Image);
    const DispatchBuilder builder(device().limits(), Precision::Fp32);
    problem.call.moments = problem.output({1, 1, 1, 4});
    const Dispatch dispatches[] = {
        builder.moments({problem.call.in, *problem.call.moments, kEpsilon}, momentsForm(device().limits()),
                        problem.everything()),
        builder.layerNorm(problem.call, layerNormForm(device().limits(), problem.call.out.shape),
                          problem.everything())};
    ASSERT_NO_FATAL_FAILURE(problem.run(dispatches));
    expectClose(problem.read(problem.call.out), problem.expected.values, problem.tolerance);
}

}  // namespace
}  // namespace dunlin::test
