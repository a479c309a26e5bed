// The planners by their properties: memory, barriers, micro-batches, strips, fusion. No device.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>

#include "models/registry.h"
#include "runtime/plan/dispatch_builders.h"
#include "runtime/plan/fusion.h"
#include "runtime/plan/hazards.h"
#include "runtime/plan/kernel_forms.h"
#include "runtime/plan/kernels.h"
#include "runtime/plan/lower.h"
#include "runtime/plan/memory_plan.h"
#include "shaders/include/params.h"

namespace dunlin {
namespace {

constexpr uint64_t kAlignment = 256;

struct Span {
    int first = -1, last = -1;
};

std::vector<Span> lifetimes(const Program& program) {
    std::vector<Span> spans(program.tensors.size());
    for (size_t i = 0; i < program.dispatches.size(); ++i) {
        for (const Binding& binding : program.dispatches[i].bindings) {
            if (binding.tensor < 0) continue;
            Span& span = spans[static_cast<size_t>(binding.tensor)];
            if (span.first < 0) span.first = static_cast<int>(i);
            span.last = static_cast<int>(i);
        }
    }
    return spans;
}

void expectNoLiveTensorsOverlap(const Program& program, const MemoryPlan& plan) {
    const std::vector<Span> spans = lifetimes(program);
    for (size_t a = 0; a < spans.size(); ++a) {
        if (program.tensors[a].storage != Storage::Arena || spans[a].first < 0) continue;
        EXPECT_EQ(plan.offsets[a] % kAlignment, 0u);
        EXPECT_LE(plan.offsets[a] + program.tensors[a].sizeBytes, plan.arenaBytes);
        for (size_t b = a + 1; b < spans.size(); ++b) {
            if (program.tensors[b].storage != Storage::Arena || spans[b].first < 0) continue;
            const bool live = spans[a].first <= spans[b].last && spans[b].first <= spans[a].last;
            const bool apart = plan.offsets[a] + program.tensors[a].sizeBytes <= plan.offsets[b] ||
                               plan.offsets[b] + program.tensors[b].sizeBytes <= plan.offsets[a];
            ASSERT_TRUE(!live || apart) << program.tensors[a].name << " and " << program.tensors[b].name;
        }
    }
}

// Whether two bindings touch the same byte, one of them writing.
bool conflict(const Program& program, const MemoryPlan& plan, const Binding& a, const Binding& b) {
    if (a.tensor < 0 || b.tensor < 0 || (!a.write && !b.write)) return false;
    const Storage storage = program.tensors[static_cast<size_t>(a.tensor)].storage;
    if (storage != program.tensors[static_cast<size_t>(b.tensor)].storage) return false;
    if (storage == Storage::Constant || storage == Storage::Input) return false;
    const auto begin = [&](const Binding& binding) {
        return binding.offsetBytes +
               (storage == Storage::Arena ? plan.offsets[static_cast<size_t>(binding.tensor)] : 0);
    };
    return begin(a) < begin(b) + b.sizeBytes && begin(b) < begin(a) + a.sizeBytes;
}

bool conflict(const Program& program, const MemoryPlan& plan, size_t i, size_t j) {
    for (const Binding& a : program.dispatches[i].bindings) {
        for (const Binding& b : program.dispatches[j].bindings) {
            if (conflict(program, plan, a, b)) return true;
        }
    }
    return false;
}

bool everyConflictIsOrdered(const Program& program, const MemoryPlan& plan, const std::vector<bool>& barriers) {
    for (size_t j = 0; j < program.dispatches.size(); ++j) {
        bool ordered = barriers[j];
        for (size_t i = j; i-- > 0;) {
            if (!ordered && conflict(program, plan, i, j)) return false;
            ordered = ordered || barriers[i];
        }
    }
    return true;
}

void expectBarriersAreRightAndNeeded(const Program& program, const MemoryPlan& plan) {
    const std::vector<bool> barriers = planBarriers(program, plan);
    EXPECT_TRUE(everyConflictIsOrdered(program, plan, barriers));
    for (size_t i = 0; i < barriers.size(); ++i) {
        if (!barriers[i]) continue;
        std::vector<bool> without = barriers;
        without[i] = false;
        EXPECT_FALSE(everyConflictIsOrdered(program, plan, without)) << "barrier " << i << " can be removed";
    }
}

// A made-up program: tensors of random sizes, dispatches that read and write random ones.
Program randomProgram(uint32_t seed) {
    std::mt19937 random(seed);
    const auto upTo = [&](int most) { return static_cast<int>(random() % static_cast<uint32_t>(most)); };
    Program program;
    for (int i = 0; i < 20; ++i) {
        Tensor tensor;
        tensor.name = "t" + std::to_string(i);
        tensor.sizeBytes = static_cast<uint64_t>(1 + upTo(5000));
        program.tensors.push_back(tensor);
    }
    for (int i = 0; i < 30; ++i) {
        Dispatch dispatch;
        for (int b = 0; b < 3; ++b) {
            const int id = std::clamp(i * 20 / 30 + upTo(6) - 3, 0, 19);
            dispatch.bindings.push_back({id, 0, program.tensors[static_cast<size_t>(id)].sizeBytes, b == 2});
        }
        program.dispatches.push_back(dispatch);
    }
    return program;
}

TEST(MemoryPlan, LiveTensorsNeverOverlapInRandomPrograms) {
    for (uint32_t seed = 0; seed < 50; ++seed) {
        const Program program = randomProgram(seed);
        const MemoryPlan plan = planMemory(program, kAlignment);
        expectNoLiveTensorsOverlap(program, plan);
        EXPECT_GE(plan.arenaBytes, plan.lowerBoundBytes);
    }
}

TEST(Hazards, EveryConflictIsOrderedAndNoBarrierCanBeRemoved) {
    for (uint32_t seed = 0; seed < 50; ++seed) {
        const Program program = randomProgram(seed);
        expectBarriersAreRightAndNeeded(program, planMemory(program, kAlignment));
    }
}

Graph build(const char* name, const Shape& input) {
    return findArchitecture(name)->build({}, input);
}

Program lowered(const Graph& graph, const SessionOptions& options = {}, const DeviceLimits& limits = {}) {
    auto program = lower(graph, options, limits);
    EXPECT_TRUE(program.ok()) << program.status().message();
    return program.ok() ? *std::move(program) : Program{};
}

struct Budget {
    const char* network;
    size_t most;
    int side = 224;
    FusionLevel fusion = FusionLevel::Default;
};
class BudgetTest : public testing::TestWithParam<std::tuple<Budget, DeviceFamily>> {};

TEST_P(BudgetTest, DispatchesBarriersPipelinesAndArenaStayWithinBudget) {
    const auto& [budget, family] = GetParam();
    DeviceLimits limits;
    limits.family = family;
    // Whole blocks read texels; every device has far more than the least.
    if (budget.fusion == FusionLevel::Max) limits.maxTexelBufferElements = uint64_t{1} << 27;
    SessionOptions options;
    options.fusion = budget.fusion;
    const Program program = lowered(build(budget.network, {1, budget.side, budget.side, 3}), options, limits);
    const MemoryPlan plan = planMemory(program, kAlignment);
    const std::vector<bool> barriers = planBarriers(program, plan);
    EXPECT_LE(program.dispatches.size(), budget.most);
    EXPECT_LE(static_cast<size_t>(std::ranges::count(barriers, true)), budget.most);
    EXPECT_LE(countPipelines(program), 30u) << "two more sources of the input stay below 32";
    EXPECT_LE(static_cast<double>(plan.arenaBytes), 1.15 * static_cast<double>(plan.lowerBoundBytes));
    expectNoLiveTensorsOverlap(program, plan);
    expectBarriersAreRightAndNeeded(program, plan);
}

INSTANTIATE_TEST_SUITE_P(
    Networks, BudgetTest,
    testing::Combine(testing::Values(Budget{"mobilenetv3_small_100", 48}, Budget{"mobilenetv3_large_100", 60},
                                     Budget{"mobilenetv2_100", 56}, Budget{"efficientnet_b0", 70},
                                     Budget{"mobilevit_xxs", 86, 256}, Budget{"mobilevit_xs", 86, 256},
                                     Budget{"mobilevit_s", 86, 256}),
                     testing::Values(DeviceFamily::Unknown, DeviceFamily::CpuDriver, DeviceFamily::Nvidia,
                                     DeviceFamily::Adreno, DeviceFamily::Mali)));

INSTANTIATE_TEST_SUITE_P(WholeBlocks, BudgetTest,
                         testing::Combine(testing::Values(Budget{"mobilenetv3_small_100", 36, 224, FusionLevel::Max},
                                                          Budget{"mobilenetv3_large_100", 42, 224, FusionLevel::Max},
                                                          Budget{"mobilenetv2_100", 38, 224, FusionLevel::Max},
                                                          Budget{"efficientnet_b0", 52, 224, FusionLevel::Max},
                                                          Budget{"mobilevit_s", 70, 256, FusionLevel::Max}),
                                          testing::Values(DeviceFamily::Unknown, DeviceFamily::CpuDriver,
                                                          DeviceFamily::Nvidia, DeviceFamily::Adreno,
                                                          DeviceFamily::Mali)));

TEST(MemoryPlan, ArenasOfEveryArchitectureAreCloseToTheLowerBound) {
    for (const Architecture& architecture : architectures()) {
        const PreprocessSpec& spec = architecture.preprocess;
        for (const DeviceFamily family : {DeviceFamily::CpuDriver, DeviceFamily::Nvidia, DeviceFamily::Adreno}) {
            DeviceLimits limits;
            limits.family = family;
            const Graph graph = architecture.build({}, {1, spec.inputHeight, spec.inputWidth, 3});
            const MemoryPlan plan = planMemory(lowered(graph, {}, limits), kAlignment);
            EXPECT_LE(static_cast<double>(plan.arenaBytes), 1.15 * static_cast<double>(plan.lowerBoundBytes))
                << architecture.name;
        }
    }
}

TEST(Lower, EveryVariantWasCompiled) {
    std::set<std::string> compiled;  // modules: unpacking one takes as long as lowering a network
    for (const Architecture& architecture : architectures()) {
        for (DeviceFamily family : {DeviceFamily::Unknown, DeviceFamily::CpuDriver, DeviceFamily::Nvidia,
                                    DeviceFamily::Amd, DeviceFamily::Intel, DeviceFamily::Adreno, DeviceFamily::Mali,
                                    DeviceFamily::PowerVr, DeviceFamily::Apple}) {
            for (Precision precision : {Precision::Fp32, Precision::Fp16}) {
                DeviceLimits limits;
                limits.family = family;
                limits.fp16 = true;
                SessionOptions options;
                options.precision = precision;
                options.taps = {"features"};
                for (int side : {32, 224}) {
                    const Program program = lowered(architecture.build({}, {1, side, side, 3}), options, limits);
                    for (const Dispatch& dispatch : program.dispatches) {
                        const std::string module = moduleName(dispatch.variant);
                        if (!compiled.insert(module).second) continue;
                        ASSERT_TRUE(unpackSpirv(dispatch.variant).ok()) << module;
                    }
                }
            }
        }
    }
}

TEST(Lower, WorkgroupsStayWithinTheLeastThatVulkanGuarantees) {
    const DeviceLimits limits;
    for (const Architecture& architecture : architectures()) {
        const Program program = lowered(architecture.build({}, {1, 1024, 1024, 3}));
        for (const Dispatch& dispatch : program.dispatches) {
            const auto& constants = dispatch.variant.constants;
            EXPECT_LE(constants[0], limits.maxWorkgroupInvocations);
            for (size_t axis = 0; axis < 3; ++axis) {
                EXPECT_GE(dispatch.workgroups[axis], 1u);
                EXPECT_LE(dispatch.workgroups[axis], limits.maxWorkgroupCount[axis]);
            }
        }
    }
}

struct Oversized {
    const char* network;
    Shape input;
};
class LimitedTest : public testing::TestWithParam<Oversized> {};

TEST_P(LimitedTest, EveryBindingRespectsTheDevicesLimits) {
    DeviceLimits limits;
    limits.maxStorageBufferRange = 8 << 20;
    const Program program = lowered(build(GetParam().network, GetParam().input), {}, limits);
    const MemoryPlan plan = planMemory(program, kAlignment);
    for (const Dispatch& dispatch : program.dispatches) {
        EXPECT_TRUE(dispatchFits(dispatch, limits)) << dispatch.name;
        for (const Binding& binding : dispatch.bindings) {
            if (binding.tensor < 0) continue;
            EXPECT_EQ(binding.offsetBytes % limits.offsetAlignment, 0u);
            EXPECT_LE(binding.offsetBytes + binding.sizeBytes,
                      program.tensors[static_cast<size_t>(binding.tensor)].sizeBytes);
        }
    }
    expectNoLiveTensorsOverlap(program, plan);
    expectBarriersAreRightAndNeeded(program, plan);
}

INSTANTIATE_TEST_SUITE_P(Networks, LimitedTest,
                         testing::Values(Oversized{"mobilenetv2_100", {1, 224, 224, 3}},
                                         Oversized{"mobilenetv2_100", {7, 224, 224, 3}},
                                         Oversized{"mobilenetv2_100", {2, 512, 512, 3}},
                                         Oversized{"mobilenetv3_large_100", {1, 720, 700, 3}},
                                         Oversized{"mobilenetv3_small_100", {64, 96, 96, 3}}));

TEST(Lower, AMapBeyondTheBufferRangeIsComputedInStrips) {
    DeviceLimits limits;
    limits.maxStorageBufferRange = 8 << 20;
    const Program program = lowered(build("mobilenetv3_small_100", {1, 1024, 1024, 3}), {}, limits);
    // blocks.1.0.conv_pw writes 256 x 256 x 72 floats: 18 MiB
    const auto strips = std::ranges::count(program.dispatches, "blocks.1.0.conv_pw", &Dispatch::name);
    EXPECT_EQ(strips, 3);
}

TEST(Lower, LargeBatchesRunAsEqualMicroBatches) {
    DeviceLimits limits;
    limits.maxStorageBufferRange = 16 << 20;  // the widest map of an image takes 4.6 MiB
    const Program program = lowered(build("mobilenetv2_100", {12, 224, 224, 3}), {}, limits);
    EXPECT_EQ(program.microBatch, 3);
    const Program single = lowered(build("mobilenetv2_100", {1, 224, 224, 3}), {}, limits);
    EXPECT_EQ(program.dispatches.size(), (single.dispatches.size() + 2) * 4) << "a preprocess dispatch an image";
}

TEST(Lower, MemoryIsLimitedByMicroBatchesBeforeItIsRefused) {
    const Graph graph = build("mobilenetv2_100", {8, 224, 224, 3});
    DeviceLimits limits;
    limits.memoryBudgetBytes = 40 << 20;
    const Program program = lowered(graph, {}, limits);
    EXPECT_LT(program.microBatch, 8);
    limits.memoryBudgetBytes = 4 << 20;
    const auto refused = lower(graph, {}, limits);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.status().code(), StatusCode::DoesNotFit);
    EXPECT_NE(refused.status().message().find("limit is 4.0 MiB"), std::string::npos) << refused.status().message();
}

TEST(Lower, Fp16IsRefusedWhereTheDeviceHasNone) {
    SessionOptions options;
    options.precision = Precision::Fp16;
    const auto refused = lower(build("mobilenetv2_100", {1, 224, 224, 3}), options, {});
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.status().code(), StatusCode::Unsupported);
}

TEST(Lower, ATappedMapIsKeptLiveAndExported) {
    SessionOptions options;
    options.taps = {"blocks.1", "pooled"};
    const Program program = lowered(build("mobilenetv3_small_100", {2, 64, 64, 3}), options);
    ASSERT_EQ(program.outputs.size(), 6u);
    EXPECT_EQ(program.outputs[4].name, "blocks.1");
    EXPECT_EQ(program.outputs[4].shape, (Shape{2, 8, 8, 24}));
    const auto exports = std::ranges::count_if(
        program.dispatches, [](const Dispatch& dispatch) { return dispatch.variant.kernel == Kernel::Export; });
    EXPECT_EQ(exports, 2);
}

TEST(Lower, ATapAskedForTwiceIsWrittenTwice) {
    SessionOptions options;
    options.taps = {"pooled", "pooled"};
    const Program program = lowered(build("mobilenetv2_100", {1, 64, 64, 3}), options);
    std::vector<uint64_t> ends;
    for (const Dispatch& dispatch : program.dispatches) {
        if (dispatch.variant.kernel != Kernel::Export) continue;
        ends.push_back(dispatch.bindings[1].offsetBytes + dispatch.bindings[1].sizeBytes);
    }
    ASSERT_EQ(ends.size(), 2u);
    EXPECT_EQ(ends[0], program.outputs[4].offsetBytes + program.outputs[4].sizeBytes);
    EXPECT_EQ(ends[1], program.outputs[5].offsetBytes + program.outputs[5].sizeBytes);
}

// The least that Vulkan guarantees of texel buffers, at sizes and widths where batches, sums and weights exceed it.
TEST(Lower, DevicesWithSmallTexelBuffersRunEveryNetwork) {
    for (DeviceFamily family : {DeviceFamily::Unknown, DeviceFamily::Mali, DeviceFamily::Adreno}) {
        DeviceLimits limits;
        limits.family = family;
        for (const Shape& input : {Shape{1, 1024, 1024, 3}, Shape{64, 224, 224, 3}, Shape{61, 320, 320, 3}}) {
            const Program program = lowered(build("mobilenetv3_large_100", input), {}, limits);
            for (const Dispatch& dispatch : program.dispatches) ASSERT_TRUE(dispatchFits(dispatch, limits));
        }
        ArchitectureOptions wide;
        wide.channelMultiplier = 2;
        wide.classes = 21843;
        const Graph graph = findArchitecture("mobilenetv3_large_100")->build(wide, {32, 224, 224, 3});
        for (const Dispatch& dispatch : lowered(graph, {}, limits).dispatches) {
            ASSERT_TRUE(dispatchFits(dispatch, limits)) << dispatch.name;
        }
    }
}

TEST(Lower, ATapThatExceedsTheRangeShrinksTheMicroBatch) {
    DeviceLimits limits;
    limits.fp16 = true;
    SessionOptions options;
    options.precision = Precision::Fp16;
    options.taps = {"blocks.0.0"};  // in float16 exactly the range, exported in float32 twice that
    const Program program = lowered(build("mobilenetv1_100", {4, 1024, 1024, 3}), options, limits);
    EXPECT_LT(program.microBatch, 4);
}

TEST(Lower, ABottleneckBeyondSharedMemoryIsRefused) {
    DeviceLimits limits;
    limits.sharedMemoryBytes = 2048;  // the means would have no room beside 128 invocations' partial results
    const auto refused = lower(build("mobilenetv3_large_100", {1, 224, 224, 3}), {}, limits);
    ASSERT_FALSE(refused.ok());
    EXPECT_NE(refused.status().message().find("2048 bytes of shared memory"), std::string::npos)
        << refused.status().message();
}

TEST(Fusion, SqueezeExciteIsOneStepAndItsProductIsNeverWritten) {
    const Graph graph = build("mobilenetv3_small_100", {1, 224, 224, 3});
    const auto steps = fuse(graph, {});
    ASSERT_TRUE(steps.ok()) << steps.status().message();
    size_t squeezes = 0, gated = 0, summed = 0, shortcuts = 0;
    for (const Step& step : *steps) {
        squeezes += step.kind == Step::Kind::SqueezeExcite;
        gated += step.gate != kNoValue;
        summed += step.writesSums;
        shortcuts += step.residual != kNoValue;
    }
    EXPECT_EQ(squeezes, 9u);
    EXPECT_EQ(gated, 9u);
    EXPECT_EQ(summed, 9u);
    EXPECT_EQ(shortcuts, 6u);
}

TEST(Fusion, AnOpWithoutAKernelIsNamed) {
    Graph graph({1, 8, 8, 4});
    graph.setOutput(graph.add("lonely", Activate{graph.input(), Activation::Relu}));
    const auto steps = fuse(graph, {});
    ASSERT_FALSE(steps.ok());
    EXPECT_NE(steps.status().message().find("lonely"), std::string::npos);
}

TEST(KernelForms, tilesOfADepthwiseShrinkWithItsFilter) {
    const auto tileOf = [](DeviceFamily family, int kernelSide) {
        DeviceLimits limits;
        limits.family = family;
        const KernelForm form = depthwiseForm(limits, {1, 56, 56, 960}, kernelSide, false);
        return form.tileX * form.tileY;
    };
    // given a map that fills every device
    EXPECT_EQ(tileOf(DeviceFamily::Adreno, 3), 8);
    EXPECT_EQ(tileOf(DeviceFamily::Adreno, 5), 4);
    for (const DeviceFamily family : {DeviceFamily::Adreno, DeviceFamily::Mali, DeviceFamily::PowerVr})
        EXPECT_EQ(tileOf(family, 7), 1);
    for (const DeviceFamily family : {DeviceFamily::Nvidia, DeviceFamily::Amd, DeviceFamily::Intel})
        EXPECT_EQ(tileOf(family, 7), 4);
}

DeviceLimits limitsOf(DeviceFamily family) {
    DeviceLimits limits;
    limits.family = family;
    return limits;
}

TEST(KernelForms, pointwiseOfFewPixelsIsSplitOnDesktopGpusOnly) {
    const Shape in = {1, 7, 7, 160}, out = {1, 7, 7, 960};
    for (const DeviceFamily family : {DeviceFamily::Nvidia, DeviceFamily::Amd}) {
        const KernelForm form = pointwiseForm(limitsOf(family), in, out);
        EXPECT_EQ(form.method, Method::SplitK);
        const int64_t tiles = divideUp(int64_t{7 * 7}, int64_t{form.tileX}) * 240;
        EXPECT_GE(tiles * form.localSize / form.groupLanes, 32768);
    }
    for (const DeviceFamily family : {DeviceFamily::CpuDriver, DeviceFamily::Adreno, DeviceFamily::Mali})
        EXPECT_EQ(pointwiseForm(limitsOf(family), in, out).method, Method::Registers);
}

TEST(KernelForms, pointwiseIsNotSplitWherePixelsOrChannelsDoNotAskForIt) {
    const DeviceLimits limits = limitsOf(DeviceFamily::Nvidia);
    // many pixels fill the device
    EXPECT_EQ(pointwiseForm(limits, {1, 56, 56, 64}, {1, 56, 56, 128}).method, Method::Registers);
    // and few input channels leave the shares nothing to do
    EXPECT_EQ(pointwiseForm(limits, {1, 7, 7, 96}, {1, 7, 7, 960}).method, Method::Registers);
}

TEST(KernelForms, whetherPointwiseIsSplitDoesNotHangOnTheBatch) {
    const DeviceLimits limits = limitsOf(DeviceFamily::Nvidia);
    for (const int batch : {1, 3, 64}) {
        const KernelForm form = pointwiseForm(limits, {batch, 7, 7, 160}, {batch, 7, 7, 960});
        EXPECT_EQ(form, pointwiseForm(limits, {1, 7, 7, 160}, {1, 7, 7, 960})) << batch;
    }
}

}  // namespace
}  // namespace dunlin
