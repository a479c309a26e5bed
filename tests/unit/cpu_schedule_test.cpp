// Which steps compute a graph on the CPU, and that no two values that are needed at once share memory.
#include "runtime/cpu/schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

#include "runtime/cpu/host_memory.h"

namespace dunlin::cpu {
namespace {

Parameters named(const std::string& name) {
    return {.weight = name + ".weight", .bias = name + ".bias"};
}

// norm, fc1 (gelu), fc2, add: the second half of a transformer block.
Graph mlp() {
    Graph graph({1, 4, 4, 32});
    const ValueId norm = graph.add("norm", LayerNorm{.input = 0, .parameters = named("norm")});
    const ValueId fc1 = graph.add("fc1", Linear{norm, 128, Activation::Gelu, named("fc1")});
    const ValueId fc2 = graph.add("fc2", Linear{fc1, 32, Activation::None, named("fc2")});
    graph.setOutput(graph.add("add", Add{fc2, graph.input(), Activation::None}));
    return graph;
}

TEST(CpuSchedule, AddsAResidualWhereItsOtherSummandIsComputed) {
    const Step fc2 = {2, {.residual = 0}, kNoValue, 4};
    EXPECT_EQ(scheduleOf(mlp(), {}), (Schedule{{0}, {1}, fc2}));
    EXPECT_EQ(readBy(mlp(), fc2), (std::vector<ValueId>{2, 0}));
    EXPECT_EQ(writtenBy(mlp(), fc2), 4);
}

TEST(CpuSchedule, KeepsASummandThatIsAskedForOrReadTwice) {
    const ValueId kept[] = {3};
    EXPECT_EQ(scheduleOf(mlp(), kept).size(), 4u);

    Graph graph({1, 4, 4, 32});
    const ValueId fc = graph.add("fc", Linear{graph.input(), 32, Activation::None, named("fc")});
    graph.setOutput(graph.add("add", Add{fc, fc, Activation::None}));
    EXPECT_EQ(scheduleOf(graph, {}).size(), 2u);
}

TEST(CpuSchedule, DoesNotAddBeforeTheOtherSummandIsThereNorToAnActivation) {
    Graph graph({1, 4, 4, 32});
    const ValueId first = graph.add("first", Linear{graph.input(), 32, Activation::None, named("first")});
    const ValueId second = graph.add("second", Linear{graph.input(), 32, Activation::Relu, named("second")});
    graph.setOutput(graph.add("add", Add{first, second, Activation::Relu}));
    for (const Step& step : scheduleOf(graph, {})) EXPECT_EQ(step.fusion, Fusion());
}

// A squeeze-excite's second half.
Graph gated(Conv2d project) {
    Graph graph({1, 6, 6, 24});
    const ValueId mean = graph.add("mean", GlobalAvgPool{graph.input()});
    const ValueId gate = graph.add("gate", Linear{mean, 24, Activation::HardSigmoid, named("gate")});
    project.input = graph.add("scale", Mul{graph.input(), gate});
    project.parameters = named("project");
    graph.setOutput(graph.add("project", project));
    return graph;
}

TEST(CpuSchedule, MultipliesByAGateWhereItsProductIsRead) {
    const Graph graph = gated({.outChannels = 16});
    const Schedule schedule = scheduleOf(graph, {});
    EXPECT_EQ(schedule.back(), (Step{3, {.gate = 2}, 0}));
    EXPECT_EQ(readBy(graph, schedule.back()), (std::vector<ValueId>{0, 2}));
    const ValueId kept[] = {3};
    EXPECT_EQ(scheduleOf(graph, kept).back(), (Step{3}));
}

TEST(CpuSchedule, GatesNoConvolutionOfNeighbours) {
    const Conv2d window = {.outChannels = 16, .kernelH = 3, .kernelW = 3, .padding = {1, 1, 1, 1}};
    EXPECT_EQ(scheduleOf(gated(window), {}).back(), (Step{3}));
    EXPECT_EQ(scheduleOf(gated({.outChannels = 16, .strideH = 2, .strideW = 2}), {}).back(), (Step{3}));
    EXPECT_EQ(scheduleOf(gated({.outChannels = 24, .groups = 24}), {}).back(), (Step{3}));
}

// A chain of random widths in which an op may read any value before it.
Graph randomGraph(uint32_t seed) {
    std::mt19937 random(seed);
    const auto pick = [&](int low, int high) { return std::uniform_int_distribution(low, high)(random); };
    Graph graph({1, pick(1, 9), pick(1, 9), pick(1, 40)});
    for (int i = 0; i < 30; ++i) {
        const ValueId input = std::max(0, static_cast<ValueId>(graph.values().size()) - pick(1, 4));
        const std::string name = "op" + std::to_string(i);
        switch (pick(0, 3)) {
            case 0:
                graph.add(name, LayerNorm{.input = input, .parameters = named(name)});
                break;
            case 1:
                graph.add(name, Concat{input, input});
                break;
            default:
                graph.add(name, Linear{input, pick(1, 60), pick(0, 1) == 0 ? Activation::Gelu : Activation::None,
                                       named(name)});
        }
    }
    graph.setOutput(static_cast<ValueId>(graph.values().size()) - 1);
    return graph;
}

TEST(CpuArena, ValuesThatAreNeededAtOnceDoNotOverlap) {
    for (uint32_t seed = 0; seed < 50; ++seed) {
        const Graph graph = randomGraph(seed);
        const ValueId kept[] = {graph.output(), static_cast<ValueId>(seed % 20)};
        const ArenaPlan plan = planArena(graph, scheduleOf(graph, kept), kept);
        const size_t nodes = graph.nodes().size();
        const auto needed = [&](size_t value, size_t node) {  // by the definition, not by intervals
            const auto id = static_cast<ValueId>(value);
            const bool isWritten = id == graph.input() || static_cast<size_t>(graph.values()[value].producer) <= node;
            bool isRead = id == graph.input() || id == kept[0] || id == kept[1] ||
                          static_cast<size_t>(graph.values()[value].producer) == node;
            for (size_t later = node; later < nodes && !isRead; ++later)
                isRead = std::ranges::count(inputsOf(graph.nodes()[later].op), id) > 0;
            return isWritten && isRead;
        };
        for (size_t a = 0; a < graph.values().size(); ++a) {
            const uint64_t aBytes = static_cast<uint64_t>(graph.values()[a].shape.elementCount()) * 4;
            ASSERT_EQ(plan.offsets[a] % kArenaAlignment, 0u);
            ASSERT_LE(plan.offsets[a] + aBytes, plan.bytes);
            for (size_t b = 0; b < a; ++b) {
                const uint64_t bBytes = static_cast<uint64_t>(graph.values()[b].shape.elementCount()) * 4;
                if (plan.offsets[a] + aBytes <= plan.offsets[b] || plan.offsets[b] + bBytes <= plan.offsets[a])
                    continue;
                for (size_t node = 0; node < nodes; ++node)
                    ASSERT_FALSE(needed(a, node) && needed(b, node))
                        << seed << ": " << a << " and " << b << " at " << node;
            }
        }
    }
}

TEST(CpuArena, IsNotTheSumOfAllMaps) {
    Graph graph({1, 16, 16, 64});
    ValueId value = graph.input();
    for (int i = 0; i < 20; ++i) value = graph.add("gelu", Activate{value, Activation::Gelu});
    graph.setOutput(graph.add("mean", GlobalAvgPool{value}));
    const ValueId kept[] = {graph.output()};
    // The input to the end, one value and the next, and the mean of 64 floats.
    EXPECT_LE(planArena(graph, scheduleOf(graph, kept), kept).bytes, 3 * 16 * 16 * 64 * 4 + 256u);
}

TEST(CpuMemory, OfSeveralStepsIsTheArenaTheWeightsAndOneStepsFoldedWeights) {
    const Graph graph = mlp();
    const ValueId kept[] = {graph.output()};
    const HostMemoryNeed need = hostMemoryNeed(graph, kept);
    constexpr uint64_t kFc1 = (32 * 128 + 128) * 4, kFc2 = (128 * 32 + 32) * 4, kNorm = 2 * 32 * 4;
    EXPECT_EQ(need.weightBytes, kFc1 + kFc2 + kNorm);
    EXPECT_EQ(need.foldedBytes, kFc1);
    EXPECT_EQ(need.activationBytes, planArena(graph, scheduleOf(graph, kept), kept).bytes);
    EXPECT_EQ(need.peakBytes(), need.weightBytes + need.foldedBytes + need.activationBytes);
}

TEST(CpuMemory, EveryThreadThatAttendsHasScratch) {
    Graph graph({1, 16, 16, 96});
    graph.setOutput(graph.add("attention", Attention{.input = 0, .heads = 2}));
    const ValueId kept[] = {graph.output()};
    const uint64_t one = hostMemoryNeed(graph, kept, 1).activationBytes,
                   nine = hostMemoryNeed(graph, kept, 9).activationBytes;
    // At least the keys and values of a head for each.
    EXPECT_GE(nine - one, 8u * 2 * 16 * 16 * 16 * 4);
}

}  // namespace
}  // namespace dunlin::cpu
