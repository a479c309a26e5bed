// pointwise by cooperative matrices: the module that the library has, on devices that have them, and on others the same
// source with plain arithmetic in their place (matrix_emulated.glsl), which proves all but the multiplication itself.
#include <cstdint>

#include "matrix_emulated.h"  // generated
#include "runtime/plan/form_candidates.h"
#include "tests/kernels/pointwise_problem.h"

namespace dunlin::test {
namespace {

constexpr Precision kHalf = Precision::Fp16;

const PointwiseCase kCases[] = {
    {"one_of_each", {1, 1, 1, 1}, 1},
    {"tiny", {1, 1, 3, 2}, 3, Activation::HardSwish},
    {"primes", {1, 13, 11, 17}, 19, Activation::HardSwish},
    {"whole_matrices", {1, 8, 16, 64}, 128, Activation::Relu},
    {"one_more_than_whole", {1, 1, 129, 65}, 129, Activation::Relu},
    {"expand_14", {1, 14, 14, 112}, 672, Activation::HardSwish},
    {"classifier_batch", {40, 1, 1, 576}, 101, Activation::None},
    {"primes_gated", {3, 7, 5, 23}, 29, Activation::None, true, true},
    {"project_gated_7", {1, 7, 7, 960}, 160, Activation::None, true, true},
    {"padding_lanes", {1, 9, 9, 12}, 6, Activation::Sigmoid},  // of zero it is one half
};
// 3 images, gated, with a residual; nothing divides by a tile.
const PointwiseCase kParts = {"parts", {3, 11, 7, 20}, 37, Activation::HardSwish, true, true};

// Which shader is run, and for a device of which matrices.
struct Target {
    const char* name;
    MatrixShape shape;  // all zero: the device's own, and the library's shader
    bool isEmulated() const { return shape.rows > 0; }
};
// A subgroup's size is the device's.
const Target kTargets[] = {{"device", {}},
                           {"emulated_16x16x16", {16, 16, 16, 1}},
                           {"emulated_8x16x8", {8, 16, 8, 1}},
                           {"emulated_16x8x16", {16, 8, 16, 1}}};

std::ostream& operator<<(std::ostream& stream, const Target& target) {
    return stream << target.name;
}

class MatrixTest : public KernelTest {
  protected:
    void use(const Target& target) {
        isEmulated_ = target.isEmulated();
        limits_ = device().limits();
        if (!supports(kHalf)) GTEST_SKIP() << "the device has no float16";
        if (!isEmulated_ && limits_.matrix == MatrixShape{})
            GTEST_SKIP() << "the device has no cooperative matrices, or the validation layer is older than they are";
        if (!isEmulated_) return;
        // Others may choose among sizes of subgroups where none is asked for.
        if (limits_.family != DeviceFamily::CpuDriver) GTEST_SKIP() << "emulated on software drivers only";
        limits_.matrix = target.shape;
        limits_.matrix.subgroupSize = limits_.subgroupSize;
    }

    std::vector<KernelForm> forms() const {
        std::vector<KernelForm> forms;
        for (const MethodRow& way : row(Kernel::Pointwise).methods) {
            if (way.method != Method::Matrix) continue;
            forms.push_back(formOf(way, LoadPath::Storage, kHalf, limits_).value());
        }
        return forms;
    }

    PointwiseBuffers buffersOf(const PointwiseCase& test, const PointwiseProblem& problem) const {
        PointwiseBuffers buffers(test, problem, kHalf);
        if (isEmulated_) buffers.code = k_matrix_emulated;
        return buffers;
    }

    Dispatch dispatch(const PointwiseBuffers& buffers, const KernelForm& form, const Extent& extent) const {
        Dispatch built = DispatchBuilder(limits_, kHalf).pointwise(buffers.call, form, extent);
        // Plain arithmetic needs nothing of the device that the library asks for with its own method.
        if (isEmulated_) built.variant.method = Method::Registers;
        return built;
    }

    DeviceLimits limits_;
    bool isEmulated_ = false;
};

class MatrixCasesTest : public MatrixTest, public ::testing::WithParamInterface<std::tuple<PointwiseCase, Target>> {
  protected:
    void SetUp() override {
        KernelTest::SetUp();
        if (!IsSkipped()) use(std::get<1>(GetParam()));
    }
};

TEST_P(MatrixCasesTest, everyFormAgreesWithTheOracle) {
    const PointwiseCase& test = std::get<0>(GetParam());
    const PointwiseProblem problem(test, kHalf);
    PointwiseBuffers buffers = buffersOf(test, problem);
    for (const KernelForm& form : forms()) {
        SCOPED_TRACE(describe(form, kHalf));
        ASSERT_NO_FATAL_FAILURE(buffers.runTwice(dispatch(buffers, form, everything(problem.outShape))));
        expectClose(buffers.read(buffers.call.out), problem.expected.values, problem.tolerance);
    }
}

INSTANTIATE_TEST_SUITE_P(Shapes, MatrixCasesTest,
                         ::testing::Combine(::testing::ValuesIn(kCases), ::testing::ValuesIn(kTargets)),
                         [](const auto& info) {
                             return std::string(std::get<0>(info.param).name) + "_" + std::get<1>(info.param).name;
                         });

class MatrixPartsTest : public MatrixTest, public ::testing::WithParamInterface<Target> {
  protected:
    void SetUp() override {
        KernelTest::SetUp();
        if (!IsSkipped()) use(GetParam());
    }
};

TEST_P(MatrixPartsTest, imagesAndRowsByThemselvesAreTheWhole) {
    const PointwiseProblem problem(kParts, kHalf);
    PointwiseBuffers buffers = buffersOf(kParts, problem);
    for (const KernelForm& form : forms()) {
        SCOPED_TRACE(describe(form, kHalf));
        // given the result of one dispatch
        ASSERT_NO_FATAL_FAILURE(buffers.run(dispatch(buffers, form, everything(problem.outShape))));
        const std::vector<std::byte> whole = buffers.bytes(buffers.call.out);
        // when every image is computed in strips of 4, 4 and 3 rows, each bound to its part of the tensors only
        std::vector<Dispatch> strips;
        for (int image = 0; image < kParts.input.n; ++image) {
            for (int row = 0; row < kParts.input.h; row += 4)
                strips.push_back(dispatch(buffers, form, {image, 1, row, std::min(4, kParts.input.h - row)}));
        }
        ASSERT_NO_FATAL_FAILURE(buffers.run(strips));
        // then the bits are the same
        EXPECT_EQ(buffers.bytes(buffers.call.out), whole);
    }
}

TEST_P(MatrixPartsTest, theGridMayGrowAlongY) {
    const PointwiseProblem problem(kParts, kHalf);
    PointwiseBuffers buffers = buffersOf(kParts, problem);
    limits_.maxWorkgroupCount[0] = 3;
    const Dispatch tall = dispatch(buffers, forms().back(), everything(problem.outShape));
    EXPECT_GT(tall.workgroups[1], 1u);
    ASSERT_NO_FATAL_FAILURE(buffers.run(tall));
    expectClose(buffers.read(buffers.call.out), problem.expected.values, problem.tolerance);
}

TEST_P(MatrixPartsTest, everyActivationAndOrderOfTheResidualAgreesWithTheOracle) {
    for (uint32_t kind = 0; kind <= static_cast<uint32_t>(Activation::GeluTanh); ++kind) {
        const PointwiseCase test = {"activation", {1, 9, 9, 12}, 6, static_cast<Activation>(kind)};
        SCOPED_TRACE(name(test.activation));
        const PointwiseProblem problem(test, kHalf);
        PointwiseBuffers buffers = buffersOf(test, problem);
        ASSERT_NO_FATAL_FAILURE(buffers.run(dispatch(buffers, forms().front(), everything(problem.outShape))));
        expectClose(buffers.read(buffers.call.out), problem.expected.values, problem.tolerance);
    }
    // relu(sum + bias + residual), by the answer of the other order without an activation
    const PointwiseCase test = {"before", {1, 9, 9, 12}, 6, Activation::None, true};
    PointwiseProblem problem(test, kHalf);
    PointwiseBuffers buffers = buffersOf(test, problem);
    buffers.call.activation = Activation::Relu;
    buffers.call.residualOrder = ResidualOrder::BeforeActivation;
    for (double& value : problem.expected.values) value = std::max(value, 0.0);
    ASSERT_NO_FATAL_FAILURE(buffers.run(dispatch(buffers, forms().front(), everything(problem.outShape))));
    expectClose(buffers.read(buffers.call.out), problem.expected.values, problem.tolerance);
}

INSTANTIATE_TEST_SUITE_P(Targets, MatrixPartsTest, ::testing::ValuesIn(kTargets),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace dunlin::test
