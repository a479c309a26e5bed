// pointwise: 1x1 convolutions and linear layers, with gate and residual.
#include "tests/kernels/pointwise_problem.h"

namespace dunlin::test {
namespace {

// Two specializations, so that few pipelines are compiled; the others are covered below.
constexpr Activation kPlain = Activation::HardSwish;
const PointwiseCase kCases[] = {
    {"one_of_each", {1, 1, 1, 1}, 1, kPlain},
    {"tiny", {1, 1, 3, 2}, 3, kPlain},
    {"odd", {1, 5, 3, 7}, 13, kPlain},
    {"primes", {1, 13, 11, 17}, 19, kPlain},
    {"classifier", {2, 1, 1, 576}, 1001, kPlain},
    {"expand_112", {1, 112, 112, 16}, 64, kPlain},
    {"expand_14", {1, 14, 14, 112}, 672, kPlain},
    {"tiny_gated", {2, 1, 1, 1}, 1, Activation::None, true, true},
    {"primes_gated", {3, 7, 5, 23}, 29, Activation::None, true, true},
    {"project_gated_7", {1, 7, 7, 960}, 160, Activation::None, true, true},
};

class PointwiseTest : public KernelTest, public ::testing::WithParamInterface<std::tuple<PointwiseCase, Precision>> {};

TEST_P(PointwiseTest, everyVariantAgreesWithTheOracle) {
    const auto& [test, precision] = GetParam();
    if (!supports(precision)) GTEST_SKIP() << "the device has no float16";
    const PointwiseProblem problem(test, precision);
    PointwiseBuffers buffers(test, problem, precision);
    const DispatchBuilder builder(device().limits(), precision);
    for (const KernelForm& form : formsOf(Kernel::Pointwise)) {
        SCOPED_TRACE(describe(form, precision));
        ASSERT_NO_FATAL_FAILURE(buffers.runTwice(builder.pointwise(buffers.call, form, everything(problem.outShape))));
        expectClose(buffers.read(buffers.call.out), problem.expected.values, problem.tolerance);
    }
}

INSTANTIATE_TEST_SUITE_P(Shapes, PointwiseTest,
                         ::testing::Combine(::testing::ValuesIn(kCases),
                                            ::testing::Values(Precision::Fp32, Precision::Fp16)),
                         [](const auto& info) {
                             return std::string(std::get<0>(info.param).name) + "_" +
                                    precisionName(std::get<1>(info.param));
                         });

class PointwisePartsTest : public KernelTest, public ::testing::WithParamInterface<Precision> {
  protected:
    // 3 images, gated, with a residual; nothing divides by a tile.
    static constexpr PointwiseCase kCase = {"parts", {3, 11, 7, 20}, 37, Activation::HardSwish, true, true};

    void SetUp() override {
        KernelTest::SetUp();
        if (!IsSkipped() && !supports(GetParam())) GTEST_SKIP() << "the device has no float16";
    }
};

// One form of each method.
const KernelForm kOfEachMethod[] = {{LoadPath::Storage, 4, 2, 64, 1},
                                    {LoadPath::Texel, 8, 2, 64, 1},
                                    {LoadPath::Storage, 4, 2, 128, 8, Method::SharedTiles},
                                    {LoadPath::Texel, 4, 1, 64, 8, Method::SplitK}};

TEST_P(PointwisePartsTest, rowsByRowsIsTheWhole) {
    const PointwiseProblem problem(kCase, GetParam());
    PointwiseBuffers buffers(kCase, problem, GetParam());
    const DispatchBuilder builder(device().limits(), GetParam());
    for (const KernelForm& form : kOfEachMethod) {
        SCOPED_TRACE(describe(form, GetParam()));
        // given the result of one dispatch
        ASSERT_NO_FATAL_FAILURE(buffers.run(builder.pointwise(buffers.call, form, everything(problem.outShape))));
        const std::vector<std::byte> whole = buffers.bytes(buffers.call.out);
        // when every image is computed in strips of 4, 4 and 3 rows, each bound to its part of the tensors only
        std::vector<Dispatch> strips;
        for (int image = 0; image < kCase.input.n; ++image) {
            for (int row = 0; row < kCase.input.h; row += 4) {
                const Extent extent = {image, 1, row, std::min(4, kCase.input.h - row)};
                strips.push_back(builder.pointwise(buffers.call, form, extent));
            }
        }
        EXPECT_GT(strips.back().bindings[0].offsetBytes, 0u);
        ASSERT_NO_FATAL_FAILURE(buffers.run(strips));
        // then the bits are the same
        EXPECT_EQ(buffers.bytes(buffers.call.out), whole);
    }
}

TEST_P(PointwisePartsTest, imageByImageIsTheBatch) {
    const PointwiseProblem problem(kCase, GetParam());
    PointwiseBuffers buffers(kCase, problem, GetParam());
    const DispatchBuilder builder(device().limits(), GetParam());
    for (const KernelForm& form : kOfEachMethod) {
        SCOPED_TRACE(describe(form, GetParam()));
        ASSERT_NO_FATAL_FAILURE(buffers.run(builder.pointwise(buffers.call, form, everything(problem.outShape))));
        const std::vector<std::byte> whole = buffers.bytes(buffers.call.out);
        std::vector<Dispatch> images;
        for (int image = 0; image < kCase.input.n; ++image)
            images.push_back(builder.pointwise(buffers.call, form, {image, 1, 0, kCase.input.h}));
        ASSERT_NO_FATAL_FAILURE(buffers.run(images));
        EXPECT_EQ(buffers.bytes(buffers.call.out), whole);
    }
}

TEST_P(PointwisePartsTest, sharedTilesGiveTheBitsOfRegisters) {
    const PointwiseProblem problem(kCase, GetParam());
    PointwiseBuffers buffers(kCase, problem, GetParam());
    const DispatchBuilder builder(device().limits(), GetParam());
    const auto bitsOf = [&](const KernelForm& form) {
        buffers.run(builder.pointwise(buffers.call, form, everything(problem.outShape)));
        return buffers.bytes(buffers.call.out);
    };
    EXPECT_EQ(bitsOf({LoadPath::Storage, 4, 1, 64, 8, Method::SharedTiles}), bitsOf({LoadPath::Storage, 4, 1, 64, 1}));
}

TEST_P(PointwisePartsTest, everyWorkgroupOfAMethodAgreesWithTheOracle) {
    const PointwiseProblem problem(kCase, GetParam());
    PointwiseBuffers buffers(kCase, problem, GetParam());
    DeviceLimits narrow = device().limits();
    narrow.maxWorkgroupCount[0] = 3;  // the grid has to grow along y
    const DispatchBuilder builder(narrow, GetParam());
    for (const Method method : {Method::SharedTiles, Method::SplitK}) {
        for (const auto& [localSize, groupLanes] : {std::pair{64u, 64u}, {64u, 1u}, {48u, 3u}, {128u, 16u}, {8u, 8u}}) {
            const KernelForm form = {LoadPath::Storage, 4, 1, localSize, groupLanes, method};
            SCOPED_TRACE(describe(form, GetParam()));
            ASSERT_NO_FATAL_FAILURE(buffers.run(builder.pointwise(buffers.call, form, everything(problem.outShape))));
            expectClose(buffers.read(buffers.call.out), problem.expected.values, problem.tolerance);
        }
    }
}

TEST_P(PointwisePartsTest, workgroupSizeAndGridDoNotMatter) {
    const PointwiseProblem problem(kCase, GetParam());
    PointwiseBuffers buffers(kCase, problem, GetParam());
    DeviceLimits narrow = device().limits();
    narrow.maxWorkgroupCount[0] = 3;  // the grid has to grow along y
    std::vector<std::byte> first;
    for (const auto& [localSize, groupLanes] : {std::pair{64u, 1u}, {16u, 1u}, {128u, 1u}, {64u, 8u}, {24u, 1u}}) {
        const KernelForm form = {LoadPath::Texel, 4, 1, localSize, groupLanes};
        SCOPED_TRACE(describe(form, GetParam()));
        const DispatchBuilder builder(narrow, GetParam());
        const Dispatch dispatch = builder.pointwise(buffers.call, form, everything(problem.outShape));
        EXPECT_GT(dispatch.workgroups[1], 1u);
        ASSERT_NO_FATAL_FAILURE(buffers.run(dispatch));
        if (first.empty()) first = buffers.bytes(buffers.call.out);
        EXPECT_EQ(buffers.bytes(buffers.call.out), first);
    }
}

TEST_P(PointwisePartsTest, residualAndGateWorkAlone) {
    for (const bool residual : {false, true}) {
        SCOPED_TRACE(residual ? "residual" : "gate");
        const PointwiseCase test = {"alone", {2, 9, 5, 11}, 9, Activation::None, residual, !residual};
        const PointwiseProblem problem(test, GetParam());
        PointwiseBuffers buffers(test, problem, GetParam());
        const DispatchBuilder builder(device().limits(), GetParam());
        const KernelForm form = {LoadPath::Texel, 4, 1, 64, 1};
        ASSERT_NO_FATAL_FAILURE(buffers.run(builder.pointwise(buffers.call, form, everything(problem.outShape))));
        expectClose(buffers.read(buffers.call.out), problem.expected.values, problem.tolerance);
    }
}

// Sigmoid makes one half of zero: padding lanes show it where they are not cleared.
TEST_P(PointwisePartsTest, everyActivationAgreesWithTheOracle) {
    for (uint32_t kind = 0; kind <= static_cast<uint32_t>(Activation::GeluTanh); ++kind) {
        const PointwiseCase test = {"activation", {1, 9, 9, 12}, 6, static_cast<Activation>(kind)};
        SCOPED_TRACE(name(test.activation));
        const PointwiseProblem problem(test, GetParam());
        PointwiseBuffers buffers(test, problem, GetParam());
        const DispatchBuilder builder(device().limits(), GetParam());
        const KernelForm form = {LoadPath::Storage, 1, 1, 64, 1};
        ASSERT_NO_FATAL_FAILURE(buffers.run(builder.pointwise(buffers.call, form, everything(problem.outShape))));
        expectClose(buffers.read(buffers.call.out), problem.expected.values, problem.tolerance);
    }
}

INSTANTIATE_TEST_SUITE_P(Precisions, PointwisePartsTest, ::testing::Values(Precision::Fp32, Precision::Fp16),
                         [](const auto& info) { return precisionName(info.param); });

}  // namespace
}  // namespace dunlin::test
