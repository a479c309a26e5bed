// Which steps compute a graph on the CPU, that no two values that are needed at once share memory, and that the steps'
// results do not depend on what they fuse.
#include "runtime/cpu/schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "runtime/cpu/host_memory.h"
#include "runtime/cpu/kernels/attention_block.h"
#include "runtime/cpu/network.h"
#include "runtime/cpu/reference.h"
#include "runtime/cpu/thread_pool.h"
#include "runtime/weights/synthetic.h"
#include "tests/unit/cpu_networks.h"

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
    const Step fc2 = {2, 1, {.residual = 0}, kNoValue, 4};
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
    EXPECT_EQ(schedule.back(), (Step{3, 1, {.gate = 2}, 0}));
    EXPECT_EQ(readBy(graph, schedule.back()), (std::vector<ValueId>{0, 2}));
    const ValueId kept[] = {3};
    EXPECT_EQ(scheduleOf(graph, kept).back(), (Step{3}));
}

TEST(CpuSchedule, GatesNoConvolutionOfNeighbours) {
    const Conv2d window = {.outChannels = 16, .kernelH = 3, .kernelW = 3, .padding = {1, 1, 1, 1}};
    EXPECT_EQ(scheduleOf(gated(window), {}).back(), (Step{3, 1}));
    EXPECT_EQ(scheduleOf(gated({.outChannels = 16, .strideH = 2, .strideW = 2}), {}).back(), (Step{3, 1}));
    EXPECT_EQ(scheduleOf(gated({.outChannels = 24, .groups = 24}), {}).back(), (Step{3, 1}));
}

TEST(CpuSchedule, ComputesABlockAsOneStepUnlessItsInsideIsAskedFor) {
    Graph graph({1, 56, 56, 24});
    const auto pointwise = [&](const char* name, ValueId input, int channels) {
        return graph.add(name, Conv2d{.input = input, .outChannels = channels, .parameters = named(name)});
    };
    const ValueId expanded = pointwise("expand", graph.input(), 144);
    const ValueId depthwise = graph.add("depthwise", Conv2d{.input = expanded,
                                                            .outChannels = 144,
                                                            .kernelH = 3,
                                                            .kernelW = 3,
                                                            .padding = {1, 1, 1, 1},
                                                            .groups = 144,
                                                            .parameters = named("depthwise")});
    const ValueId projected = pointwise("project", depthwise, 24);
    graph.setOutput(graph.add("add", Add{graph.input(), projected, Activation::Relu}));
    const Step block = {0, 3, {.residual = 0, .activation = Activation::Relu}, kNoValue, 4};
    EXPECT_EQ(scheduleOf(graph, {}), (Schedule{block}));
    EXPECT_EQ(readBy(graph, block), (std::vector<ValueId>{0, 0}));
    EXPECT_EQ(writtenBy(graph, block), 4);
    EXPECT_EQ(scheduleOf(graph, {&depthwise, 1}).front(), (Step{0, 2}));
    EXPECT_EQ(scheduleOf(graph, {&expanded, 1}).front(), (Step{0, 1}));
}

// Ops of random widths, each of which may read any of the few values before it, on a map of a few pixels or on one that
// is large enough for blocks.
class RandomGraph {
  public:
    explicit RandomGraph(uint32_t seed) : random_(seed), graph_(inputOf(seed)) {
        while (graph_.nodes().size() < 30) addSome();
        graph_.setOutput(last());
    }
    Graph take() { return std::move(graph_); }

  private:
    static Shape inputOf(uint32_t seed) {
        const int side = static_cast<int>(seed % 7);
        return seed % 3 == 0 ? Shape{1, 56, 56, 16} : Shape{1, 1 + side, 7 - side / 2, 20};
    }
    int pick(int low, int high) { return std::uniform_int_distribution(low, high)(random_); }
    std::string nextName() const { return "op" + std::to_string(graph_.nodes().size()); }
    ValueId last() const { return static_cast<ValueId>(graph_.values().size()) - 1; }
    int channels(ValueId value) const { return graph_.shape(value).c; }
    Activation activation() { return pick(0, 2) == 0 ? Activation(pick(0, 4)) : Activation::None; }

    ValueId addPointwise(ValueId input, int width) {
        const Parameters parameters = named(nextName());
        if (pick(0, 1) == 0) return graph_.add(nextName(), Linear{input, width, activation(), parameters});
        return graph_.add(
            nextName(),
            Conv2d{.input = input, .outChannels = width, .activation = activation(), .parameters = parameters});
    }
    ValueId addDepthwise(ValueId input) {
        const int width = channels(input);
        return graph_.add(nextName(), Conv2d{.input = input,
                                             .outChannels = width,
                                             .kernelH = 3,
                                             .kernelW = 3,
                                             .padding = {1, 1, 1, 1},
                                             .groups = width,
                                             .activation = activation(),
                                             .parameters = named(nextName())});
    }
    ValueId expand(ValueId input) {
        const Conv2d conv = {.input = input, .outChannels = 36, .parameters = named(nextName())};
        return graph_.add(nextName(), conv);
    }
    ValueId project(ValueId input, int width) {
        const Conv2d conv = {.input = input, .outChannels = width, .parameters = named(nextName())};
        return graph_.add(nextName(), conv);
    }
    void addSum(ValueId value) {
        for (ValueId other = value - 1; other >= 0; --other)
            if (graph_.shape(other) == graph_.shape(value)) {
                graph_.add(nextName(), Add{value, other, activation()});
                return;
            }
    }
    void addGated(ValueId input) {
        const int width = channels(input);
        const ValueId mean = graph_.add(nextName(), GlobalAvgPool{input});
        const ValueId gate = graph_.add(nextName(), Linear{mean, width, Activation::HardSigmoid, named(nextName())});
        addPointwise(graph_.add(nextName(), Mul{input, gate}), pick(2, 40));
    }
    void addSome() {
        // Of the maps: what a gate is made of has one pixel.
        ValueId input = std::max(0, last() - pick(0, 3));
        while (graph_.shape(input).h != graph_.shape(0).h || graph_.shape(input).w != graph_.shape(0).w) --input;
        switch (pick(0, 7)) {
            case 0:
                graph_.add(nextName(), LayerNorm{.input = input, .parameters = named(nextName())});
                break;
            case 1:
                if (channels(input) <= 40) graph_.add(nextName(), Concat{input, input});
                break;
            case 2:
                addGated(input);
                break;
            case 3:
                addSum(project(addDepthwise(expand(input)), channels(input)));
                break;
            case 4:
                addDepthwise(input);
                break;
            case 5:
                addSum(addPointwise(input, channels(input)));
                break;
            default:
                addPointwise(input, pick(2, 40));
        }
    }

    std::mt19937 random_;
    Graph graph_;
};

Graph randomGraph(uint32_t seed) {
    return RandomGraph(seed).take();
}

// A depthwise convolution, alone or behind an expansion, and the mean of its result, which a gate is made of.
Graph squeezed(const Shape& input, int expanded, bool isWhole) {
    Graph graph(input);
    ValueId value = graph.input();
    if (expanded != 0)
        value = graph.add("expand", Conv2d{.input = value, .outChannels = expanded, .parameters = named("expand")});
    const int channels = graph.shape(value).c;
    value = graph.add("depthwise", Conv2d{.input = value,
                                          .outChannels = channels,
                                          .kernelH = 3,
                                          .kernelW = 3,
                                          .padding = {1, 1, 1, 1},
                                          .groups = channels,
                                          .activation = Activation::HardSwish,
                                          .parameters = named("depthwise")});
    const ValueId mean = graph.add("mean", GlobalAvgPool{value, 0, isWhole ? 0 : 3});
    graph.setOutput(graph.add("gated", Mul{value, mean}));
    return graph;
}

TEST(CpuSchedule, TakesTheMeanOfAMapWhileItIsWritten) {
    const Graph graph = squeezed({1, 9, 11, 24}, 0, true);
    const Schedule schedule = scheduleOf(graph, {});
    EXPECT_EQ(schedule, (Schedule{{0, 1, {.mean = 2}}, {2}}));
    EXPECT_EQ(writtenBy(graph, schedule[0]), 1);
    // Not of a part of the pixels.
    EXPECT_EQ(scheduleOf(squeezed({1, 9, 11, 24}, 0, false), {}).size(), 3u);
    // Behind an expansion too, as one block.
    const Step block = {0, 2, {.mean = 3}};
    EXPECT_EQ(scheduleOf(squeezed({1, 56, 56, 24}, 72, true), {}), (Schedule{block, {3}}));
}

TEST(CpuNetwork, MeansTakenWhileAMapIsWrittenAreTheOracles) {
    for (const auto& [input, expanded] : {std::pair(Shape{1, 9, 11, 24}, 0),
                                          {Shape{2, 14, 13, 3}, 0},
                                          {Shape{1, 7, 7, 100}, 0},
                                          {Shape{1, 56, 56, 24}, 72},
                                          {Shape{2, 60, 41, 9}, 61}}) {
        SCOPED_TRACE(describe(input));
        const Graph graph = squeezed(input, expanded, true);
        const auto mean = static_cast<ValueId>(graph.values().size() - 2);
        const std::vector<ValueId> kept = {mean, graph.output()};
        const std::vector<float> values = test::noise(static_cast<size_t>(input.elementCount()), 1);
        auto expected = reference::evaluate(graph, *formulaWeights(), reference::fromFloats(input, values), kept);
        ASSERT_TRUE(expected.ok());
        for (Vectors vectors : kAllVectors) {
            if (!hasVectors(vectors)) continue;
            const auto single = test::runNetwork(graph, values, kept, nullptr, vectors);
            ASSERT_EQ(single.size(), 2u);
            for (size_t i = 0; i < single[0].size(); ++i)
                ASSERT_NEAR(single[0][i], (*expected)[0].values[i], 2e-6) << "channel " << i;
            for (size_t threads : {2, 3}) {
                auto pool = ThreadPool::create(threads);
                ASSERT_TRUE(pool.ok());
                EXPECT_EQ(test::runNetwork(graph, values, kept, pool->get(), vectors), single);
            }
        }
    }
}

TEST(CpuSchedule, OfRandomGraphsFusesWhatItCan) {
    size_t blocks = 0, gates = 0, residuals = 0, blocksWithResidual = 0, means = 0;
    for (uint32_t seed = 0; seed < 50; ++seed)
        for (const Step& step : scheduleOf(randomGraph(seed), {})) {
            const bool isBlock = step.nodeCount > 1, hasResidual = step.fusion.residual != kNoValue;
            blocks += isBlock;
            gates += step.fusion.gate != kNoValue;
            residuals += hasResidual;
            blocksWithResidual += isBlock && hasResidual;
            means += step.fusion.mean != kNoValue;
        }
    EXPECT_GE(blocks, 20u);
    EXPECT_GE(gates, 20u);
    EXPECT_GE(residuals, 20u);
    EXPECT_GE(blocksWithResidual, 5u);
    EXPECT_GE(means, 3u);
}

// The steps at which a value must be in its place, by the definition and not by intervals: it has been written, and is
// being written or will be read.
std::vector<bool> stepsThatNeed(const Graph& graph, const Schedule& schedule, std::span<const ValueId> kept,
                                ValueId value) {
    const bool isInput = value == graph.input();
    const bool staysToTheEnd = isInput || std::ranges::count(kept, value) > 0;
    std::vector<bool> needed(schedule.size());
    bool isWritten = isInput;
    for (size_t step = 0; step < schedule.size(); ++step) {
        const bool isBeingWritten = writtenBy(graph, schedule[step]) == value || schedule[step].fusion.mean == value;
        isWritten = isWritten || isBeingWritten;
        bool isRead = staysToTheEnd || isBeingWritten;
        for (size_t later = step; later < schedule.size() && !isRead; ++later)
            isRead = std::ranges::count(readBy(graph, schedule[later]), value) > 0;
        needed[step] = isWritten && isRead;
    }
    return needed;
}

TEST(CpuArena, ValuesThatAreNeededAtOnceDoNotOverlap) {
    for (uint32_t seed = 0; seed < 50; ++seed) {
        const Graph graph = randomGraph(seed);
        const ValueId kept[] = {graph.output(), static_cast<ValueId>(seed % 20)};
        const Schedule schedule = scheduleOf(graph, kept);
        const ArenaPlan plan = planArena(graph, schedule, kept);
        std::vector<std::vector<bool>> needed;
        for (size_t a = 0; a < graph.values().size(); ++a) {
            needed.push_back(stepsThatNeed(graph, schedule, kept, static_cast<ValueId>(a)));
            if (plan.offsets[a] == kNotInArena) continue;
            const uint64_t aBytes = static_cast<uint64_t>(graph.values()[a].shape.elementCount()) * 4;
            ASSERT_EQ(plan.offsets[a] % kArenaAlignment, 0u);
            ASSERT_LE(plan.offsets[a] + aBytes, plan.bytes);
            for (size_t b = 0; b < a; ++b) {
                if (plan.offsets[b] == kNotInArena) continue;
                const uint64_t bBytes = static_cast<uint64_t>(graph.values()[b].shape.elementCount()) * 4;
                if (plan.offsets[a] + aBytes <= plan.offsets[b] || plan.offsets[b] + bBytes <= plan.offsets[a])
                    continue;
                for (size_t step = 0; step < schedule.size(); ++step)
                    ASSERT_FALSE(needed[a][step] && needed[b][step])
                        << seed << ": " << a << " and " << b << " at " << step;
            }
        }
    }
}

TEST(CpuArena, HoldsWhatIsReadWrittenAndKept) {
    for (uint32_t seed = 0; seed < 50; ++seed) {
        const Graph graph = randomGraph(seed);
        const ValueId kept[] = {graph.output(), static_cast<ValueId>(seed % 20)};
        const Schedule schedule = scheduleOf(graph, kept);
        const ArenaPlan plan = planArena(graph, schedule, kept);
        std::vector<ValueId> used(std::begin(kept), std::end(kept));
        for (const Step& step : schedule) {
            used.push_back(writtenBy(graph, step));
            if (step.fusion.mean != kNoValue) used.push_back(step.fusion.mean);
            for (ValueId value : readBy(graph, step)) used.push_back(value);
        }
        for (ValueId value : used)
            ASSERT_NE(plan.offsets[static_cast<size_t>(value)], kNotInArena) << seed << ": " << value;
    }
}

TEST(CpuNetwork, OfRandomOpsIsTheOraclesAndHasTheSameBitsWhateverIsKept) {
    auto pool = ThreadPool::create(2);
    ASSERT_TRUE(pool.ok());
    for (uint32_t seed = 0; seed < 12; ++seed) {
        const Graph graph = randomGraph(seed);
        const Shape& shape = graph.shape(graph.input());
        const std::vector<float> input = test::noise(static_cast<size_t>(shape.elementCount()), 1);
        std::vector<ValueId> all(graph.values().size());
        std::iota(all.begin(), all.end(), 0);
        const auto unfused = test::runNetwork(graph, input, all, nullptr);
        ASSERT_EQ(unfused.size(), all.size());

        const auto oracle = reference::evaluate(graph, *formulaWeights(), reference::fromFloats(shape, input), all);
        ASSERT_TRUE(oracle.ok()) << oracle.status().message();
        for (size_t value = 0; value < all.size(); ++value) {
            double largestError = 0, largest = 1;
            for (size_t i = 0; i < unfused[value].size(); ++i) {
                const double right = (*oracle)[value].values[i];
                largestError = std::max(largestError, std::abs(unfused[value][i] - right));
                largest = std::max(largest, std::abs(right));
            }
            ASSERT_LE(largestError / largest, 1e-4) << seed << ": " << value;
        }

        std::mt19937 random(seed);
        for (size_t keptCount : {0, 1, 4}) {
            std::vector<ValueId> kept;
            std::ranges::sample(all, std::back_inserter(kept), static_cast<std::ptrdiff_t>(keptCount), random);
            if (std::ranges::count(kept, graph.output()) == 0) kept.push_back(graph.output());
            const auto fused = test::runNetwork(graph, input, kept, pool->get());
            ASSERT_EQ(fused.size(), kept.size());
            for (size_t i = 0; i < kept.size(); ++i) {
                const std::vector<float>& expected = unfused[static_cast<size_t>(kept[i])];
                EXPECT_EQ(std::memcmp(fused[i].data(), expected.data(), expected.size() * sizeof(float)), 0)
                    << seed << ": " << kept[i] << " of " << kept.size() << " kept";
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
    // At least a block of queries' scores and, for each token, where its keys lie.
    constexpr uint64_t kTokens = 16 * 16;
    EXPECT_GE(nine - one, 8 * kTokens * (kMaxBlockQueries * sizeof(float) + sizeof(const float*)));
}

}  // namespace
}  // namespace dunlin::cpu
