// Convolutions and linear layers on the CPU against the oracle: each length of vectors that this processor has, shapes
// that tiles divide and not, what may be fused into them, and the same bits on any number of threads.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "runtime/cpu/kernels/kernel.h"
#include "runtime/cpu/reference.h"
#include "runtime/cpu/thread_pool.h"
#include "runtime/weights/synthetic.h"
#include "tests/unit/cpu_networks.h"

namespace dunlin {
namespace {

using test::GuardedFloats, test::noise, test::scratchFloats;

constexpr Activation kActivations[] = {Activation::None,        Activation::Relu, Activation::Relu6,
                                       Activation::HardSwish,   Activation::Silu, Activation::Sigmoid,
                                       Activation::HardSigmoid, Activation::Gelu, Activation::GeluTanh};
const Parameters kParameters = {.weight = "op.weight", .bias = "op.bias"};

// A node, what is fused into it, and the values that it reads beside the input.
struct Case {
    Graph graph;
    cpu::Fusion fusion = {};
    std::vector<float> input, gate, residual;

    Case(const Shape& shape, const Op& op) : graph(shape) {
        graph.setOutput(graph.add("op", op));
        input = noise(static_cast<size_t>(shape.elementCount()));
    }
    const Shape& output() const { return graph.shape(graph.output()); }

    Case& gated() {
        const Shape& shape = graph.shape(graph.input());
        gate = noise(static_cast<size_t>(shape.n * shape.c), 1);
        fusion.gate = 1;
        return *this;
    }
    Case& added(Activation activation) {
        residual = noise(static_cast<size_t>(output().elementCount()), 2);
        fusion.residual = 2;
        fusion.activation = activation;
        return *this;
    }
};

std::vector<float> compute(const Case& c, cpu::Vectors vectors, size_t threads) {
    const Node& node = c.graph.nodes()[0];
    const auto kernel = cpu::makeKernel(c.graph, node, *formulaWeights(), c.fusion);
    EXPECT_TRUE(kernel.ok());
    if (!kernel.ok()) return {};
    auto pool = cpu::ThreadPool::create(threads);
    const cpu::Workers workers = {.pool = pool->get(), .count = threads, .vectors = vectors};
    const uint64_t scratchBytes = cpu::kernelNeed(c.graph, node, threads, c.fusion).scratchBytes;
    const GuardedFloats scratch(scratchFloats(scratchBytes));
    const GuardedFloats input(c.input), gate(c.gate), residual(c.residual);
    std::vector<const float*> inputs = {input.data()};
    if (!c.gate.empty()) inputs.push_back(gate.data());
    if (!c.residual.empty()) inputs.push_back(residual.data());
    const GuardedFloats output(static_cast<size_t>(c.output().elementCount()));
    (*kernel)->run(workers, inputs, output.data(), reinterpret_cast<std::byte*>(scratch.data()));
    return output.values();
}

reference::Tensor expectedOf(const Case& c) {
    const Shape& shape = c.graph.shape(c.graph.input());
    reference::Tensor input = reference::fromFloats(shape, c.input);
    for (size_t i = 0; i < input.values.size() && !c.gate.empty(); ++i) {
        const size_t channel = i % static_cast<size_t>(shape.c);
        const size_t image = i / static_cast<size_t>(shape.h * shape.w * shape.c);
        input.values[i] *= c.gate[image * static_cast<size_t>(shape.c) + channel];
    }
    const Node& node = c.graph.nodes()[0];
    const reference::Tensor* const inputs[] = {&input};
    reference::Tensor output = reference::evaluate(node.op, inputs, *foldWeights(c.graph, node, *formulaWeights()));
    for (size_t i = 0; i < output.values.size() && !c.residual.empty(); ++i)
        output.values[i] = reference::activate(c.fusion.activation, output.values[i] + c.residual[i]);
    return output;
}

void expectMatchesOracle(const Case& c) {
    const reference::Tensor expected = expectedOf(c);
    double largest = 1;
    for (double value : expected.values) largest = std::max(largest, std::abs(value));
    for (cpu::Vectors vectors : cpu::kAllVectors) {
        if (!cpu::hasVectors(vectors)) continue;
        const std::vector<float> output = compute(c, vectors, 1);
        ASSERT_EQ(output.size(), expected.values.size());
        for (size_t i = 0; i < output.size(); ++i)
            ASSERT_NEAR(output[i], expected.values[i], 1e-5 * largest)
                << "element " << i << " with vectors number " << static_cast<int>(vectors);
        for (size_t threads : {2, 3}) ASSERT_EQ(output, compute(c, vectors, threads)) << threads << " threads";
    }
}

TEST(CpuLinear, OfAnyNumberOfRowsAndColumns) {
    for (int rows : {1, 2, 3, 5, 6, 7, 13, 14, 15, 29, 49})
        for (const auto& [inputs, outputs] : {std::pair(1, 1),
                                              {3, 4},
                                              {17, 7},
                                              {8, 8},
                                              {5, 15},
                                              {16, 16},
                                              {24, 17},
                                              {7, 24},
                                              {33, 31},
                                              {40, 40},
                                              {9, 49},
                                              {64, 96},
                                              {96, 100}}) {
            SCOPED_TRACE(std::to_string(rows) + " rows, " + std::to_string(inputs) + " -> " + std::to_string(outputs));
            expectMatchesOracle({{1, 1, rows, inputs}, Linear{0, outputs, Activation::None, kParameters}});
        }
}

TEST(CpuLinear, OfManyWeightsIsCutIntoColumnsToo) {
    expectMatchesOracle({{1, 7, 7, 320}, Linear{0, 1280, Activation::Relu6, kParameters}});
    expectMatchesOracle({{1, 1, 1, 1024}, Linear{0, 1000, Activation::None, kParameters}});
    expectMatchesOracle({{1, 56, 56, 24}, Linear{0, 72, Activation::HardSwish, kParameters}});
}

TEST(CpuLinear, WithEveryActivation) {
    for (Activation activation : kActivations)
        for (int outputs : {1, 32, 45}) {
            SCOPED_TRACE(std::string(name(activation)) + " of " + std::to_string(outputs));
            expectMatchesOracle({{1, 3, 5, 19}, Linear{0, outputs, activation, kParameters}});
        }
}

TEST(CpuLinear, WithAGateForEachImageAndAResidual) {
    for (const Shape& shape : {Shape{1, 1, 1, 8}, Shape{2, 7, 7, 36}, Shape{3, 5, 4, 17}, Shape{1, 14, 14, 120}})
        for (int outputs : {1, 24, 40, 64}) {
            SCOPED_TRACE(describe(shape) + " to " + std::to_string(outputs));
            const Linear linear = {0, outputs, Activation::None, kParameters};
            expectMatchesOracle(Case(shape, linear).gated());
            expectMatchesOracle(Case(shape, linear).added(Activation::None));
            expectMatchesOracle(Case(shape, linear).added(Activation::Relu));
            expectMatchesOracle(Case(shape, linear).gated().added(Activation::GeluTanh));
        }
}

TEST(CpuLinear, PassesNoNumberThroughCuts) {
    for (Activation activation : {Activation::Relu, Activation::Relu6, Activation::HardSwish}) {
        Case c({1, 1, 1, 4}, Linear{0, 40, activation, kParameters});
        c.input[2] = NAN;
        for (cpu::Vectors vectors : cpu::kAllVectors) {
            if (!cpu::hasVectors(vectors)) continue;
            for (float value : compute(c, vectors, 1)) EXPECT_TRUE(std::isnan(value)) << name(activation);
        }
    }
}

struct Window {
    Shape input;
    int outputs, kernelH, kernelW, strideH, strideW;
    Padding padding = {};
    int groups = 1;
    Conv2d conv(Activation activation = Activation::None) const {
        return {.input = 0,
                .outChannels = outputs,
                .kernelH = kernelH,
                .kernelW = kernelW,
                .strideH = strideH,
                .strideW = strideW,
                .padding = padding,
                .groups = groups,
                .activation = activation,
                .parameters = kParameters};
    }
    std::string text() const {
        return describe(input) + " to " + std::to_string(outputs) + ", " + std::to_string(kernelH) + "x" +
               std::to_string(kernelW) + ", stride " + std::to_string(strideH) + "x" + std::to_string(strideW) +
               ", groups " + std::to_string(groups);
    }
};

TEST(CpuConvolution, OfAnyWindow) {
    for (const Window& window :
         {Window{{1, 1, 1, 1}, 1, 1, 1, 1, 1}, Window{{1, 1, 1, 3}, 5, 3, 3, 1, 1, {1, 1, 1, 1}},
          Window{{2, 9, 7, 3}, 16, 3, 3, 2, 2, {1, 1, 1, 1}}, Window{{1, 32, 32, 3}, 32, 3, 3, 2, 2, {0, 0, 1, 1}},
          Window{{1, 13, 11, 17}, 24, 3, 3, 1, 1, {1, 1, 1, 1}}, Window{{1, 16, 16, 3}, 40, 4, 4, 4, 4},
          Window{{2, 8, 10, 24}, 33, 2, 2, 2, 2}, Window{{1, 9, 9, 20}, 20, 1, 1, 2, 2},
          Window{{1, 14, 14, 32}, 48, 3, 3, 1, 1, {1, 1, 1, 1}}, Window{{1, 7, 5, 6}, 10, 5, 3, 2, 1, {4, 0, 1, 2}},
          Window{{1, 10, 10, 3}, 64, 7, 7, 2, 2, {3, 3, 3, 3}}, Window{{1, 6, 6, 8}, 12, 1, 1, 1, 1, {1, 2, 0, 3}},
          Window{{1, 3, 17, 5}, 9, 3, 1, 1, 3, {2, 0, 2, 0}}, Window{{1, 4, 4, 128}, 160, 3, 3, 1, 1, {1, 1, 1, 1}}})
        for (Activation activation : {Activation::None, Activation::HardSwish}) {
            SCOPED_TRACE(window.text());
            expectMatchesOracle({window.input, window.conv(activation)});
        }
}

TEST(CpuConvolution, OfGroups) {
    for (const Window& window :
         {Window{{1, 9, 7, 12}, 18, 3, 3, 1, 1, {1, 1, 1, 1}, 3}, Window{{2, 6, 6, 8}, 16, 1, 1, 1, 1, {}, 2},
          Window{{1, 10, 10, 64}, 64, 3, 3, 2, 2, {1, 1, 1, 1}, 8},
          Window{{1, 5, 5, 6}, 12, 3, 3, 1, 1, {1, 1, 1, 1}, 6},
          Window{{1, 8, 8, 80}, 96, 3, 3, 1, 1, {1, 1, 1, 1}, 2}}) {
        SCOPED_TRACE(window.text());
        expectMatchesOracle({window.input, window.conv(Activation::Relu)});
    }
}

TEST(CpuConvolution, WithAResidual) {
    for (const Window& window :
         {Window{{1, 9, 8, 12}, 24, 3, 3, 1, 1, {1, 1, 1, 1}}, Window{{2, 7, 7, 16}, 45, 3, 3, 2, 2, {1, 1, 1, 1}}}) {
        SCOPED_TRACE(window.text());
        expectMatchesOracle(Case(window.input, window.conv()).added(Activation::Relu));
    }
}

TEST(CpuConvolution, OfEachChannelByItself) {
    for (int channels : {2, 3, 4, 5, 8, 12, 16, 17, 24, 40, 72})
        for (const Window& window : {Window{{1, 1, 1, channels}, channels, 3, 3, 1, 1, {1, 1, 1, 1}},
                                     Window{{2, 7, 7, channels}, channels, 3, 3, 1, 1, {1, 1, 1, 1}},
                                     Window{{1, 9, 16, channels}, channels, 3, 3, 1, 1, {1, 1, 1, 1}},
                                     Window{{1, 8, 30, channels}, channels, 3, 3, 2, 2, {0, 0, 1, 1}},
                                     Window{{1, 14, 14, channels}, channels, 5, 5, 1, 1, {2, 2, 2, 2}},
                                     Window{{1, 11, 23, channels}, channels, 5, 5, 2, 2, {1, 1, 2, 2}},
                                     Window{{1, 9, 18, channels}, channels, 7, 7, 1, 1, {3, 3, 3, 3}},
                                     Window{{1, 10, 31, channels}, channels, 7, 7, 2, 2, {3, 3, 3, 3}},
                                     Window{{1, 5, 29, channels}, channels, 3, 3, 1, 1, {}},
                                     Window{{1, 12, 10, channels}, channels, 6, 4, 3, 1, {5, 3, 5, 3}},
                                     Window{{1, 9, 30, channels}, channels, 2, 15, 1, 3, {0, 7, 0, 7}}}) {
            Window depthwise = window;
            depthwise.groups = channels;
            SCOPED_TRACE(depthwise.text());
            expectMatchesOracle({window.input, depthwise.conv()});
        }
}

TEST(CpuConvolution, OfEachChannelWithEveryActivation) {
    for (Activation activation : kActivations) {
        const Window window = {{1, 6, 9, 20}, 20, 3, 3, 1, 1, {1, 1, 1, 1}, 20};
        SCOPED_TRACE(name(activation));
        expectMatchesOracle({window.input, window.conv(activation)});
    }
}

// --- blocks: several convolutions by one kernel ------------------------------------------------------------------

struct Block {
    Shape input;
    int expanded;  // 0: no expansion
    Window window;
    int projected;  // 0: no projection
    bool hasResidual = false;
};

Graph graphOf(const Block& block) {
    const auto named = [](const std::string& name) {
        return Parameters{.weight = name + ".weight", .bias = name + ".bias"};
    };
    Graph graph(block.input);
    ValueId value = graph.input();
    if (block.expanded != 0)
        value = graph.add("expand", Conv2d{.input = value,
                                           .outChannels = block.expanded,
                                           .activation = Activation::Relu6,
                                           .parameters = named("expand")});
    Window window = block.window;
    window.outputs = window.groups = graph.shape(value).c;
    Conv2d depthwise = window.conv(Activation::HardSwish);
    depthwise.input = value;
    depthwise.parameters = named("depthwise");
    value = graph.add("depthwise", depthwise);
    if (block.projected != 0)
        value = graph.add("project",
                          Conv2d{.input = value, .outChannels = block.projected, .parameters = named("project")});
    graph.setOutput(value);
    return graph;
}

std::vector<float> computeBlock(const Graph& graph, const std::vector<float>& input, bool hasResidual,
                                cpu::Vectors vectors, size_t threads) {
    const cpu::Fusion fusion = {.residual = hasResidual ? 0 : kNoValue, .activation = Activation::None};
    const auto kernel = cpu::makeKernelOfBlock(graph, graph.nodes(), *formulaWeights(), fusion);
    EXPECT_TRUE(kernel.ok());
    if (!kernel.ok()) return {};
    auto pool = cpu::ThreadPool::create(threads);
    const GuardedFloats scratch(scratchFloats(cpu::kernelNeedOfBlock(graph, graph.nodes(), threads).scratchBytes));
    const GuardedFloats guarded(input), output(static_cast<size_t>(graph.shape(graph.output()).elementCount()));
    const float* const inputs[] = {guarded.data(), guarded.data()};
    (*kernel)->run({.pool = pool->get(), .count = threads, .vectors = vectors},
                   std::span(inputs).first(hasResidual ? 2 : 1), output.data(),
                   reinterpret_cast<std::byte*>(scratch.data()));
    return output.values();
}

TEST(CpuBlock, IsItsConvolutionsOneAfterTheOther) {
    const Window three = {{}, 0, 3, 3, 1, 1, {1, 1, 1, 1}}, halved = {{}, 0, 3, 3, 2, 2, {0, 0, 1, 1}};
    const Window five = {{}, 0, 5, 5, 1, 1, {2, 2, 2, 2}}, unpadded = {{}, 0, 5, 5, 2, 2, {}};
    const Window sparse = {{}, 0, 3, 2, 4, 3, {1, 1, 1, 1}}, lost = {{}, 0, 3, 3, 1, 2, {5, 4, 4, 5}};
    for (const Block& block : {Block{{1, 40, 40, 16}, 96, three, 16, true}, Block{{1, 41, 37, 24}, 72, halved, 40},
                               Block{{2, 43, 29, 17}, 61, five, 17, true}, Block{{1, 50, 47, 8}, 40, unpadded, 0},
                               Block{{1, 56, 56, 32}, 0, three, 16}, Block{{2, 60, 60, 12}, 30, three, 0},
                               Block{{1, 50, 49, 12}, 40, sparse, 20}, Block{{1, 40, 41, 16}, 50, lost, 24}}) {
        SCOPED_TRACE(describe(block.input) + " to " + std::to_string(block.expanded));
        const Graph graph = graphOf(block);
        ASSERT_TRUE(cpu::hasKernelOfBlock(graph, graph.nodes()));
        const std::vector<float> input = noise(static_cast<size_t>(block.input.elementCount()));
        const ValueId wanted[] = {graph.output()};
        auto expected =
            reference::evaluate(graph, *formulaWeights(), reference::fromFloats(block.input, input), wanted);
        ASSERT_TRUE(expected.ok());
        std::vector<double>& right = expected->front().values;
        for (size_t i = 0; i < right.size() && block.hasResidual; ++i) right[i] += input[i];
        for (cpu::Vectors vectors : cpu::kAllVectors) {
            if (!cpu::hasVectors(vectors)) continue;
            const std::vector<float> output = computeBlock(graph, input, block.hasResidual, vectors, 1);
            ASSERT_EQ(output.size(), right.size());
            for (size_t i = 0; i < output.size(); ++i) ASSERT_NEAR(output[i], right[i], 2e-5) << "element " << i;
            for (size_t threads : {2, 3})
                ASSERT_EQ(output, computeBlock(graph, input, block.hasResidual, vectors, threads));
        }
    }
}

TEST(CpuBlock, IsMadeOfWhatWouldNotStayInACache) {
    const Window three = {{}, 0, 3, 3, 1, 1, {1, 1, 1, 1}};
    const auto isBlock = [](const Block& block) {
        const Graph graph = graphOf(block);
        return cpu::hasKernelOfBlock(graph, graph.nodes());
    };
    EXPECT_TRUE(isBlock({{1, 56, 56, 24}, 144, three, 24}));
    EXPECT_FALSE(isBlock({{1, 7, 7, 24}, 144, three, 24})) << "small maps";
    EXPECT_FALSE(isBlock({{1, 56, 56, 320}, 640, three, 320})) << "many weights";
    EXPECT_FALSE(isBlock({{1, 112, 112, 64}, 0, three, 0})) << "a single node";
}

}  // namespace
}  // namespace dunlin
