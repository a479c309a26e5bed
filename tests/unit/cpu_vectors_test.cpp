// Every kernel of the CPU backend but those of convolutions, with vectors of every length and on one to three threads,
// against the oracle: shapes that no vector divides, single elements, and sizes of real networks.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "runtime/cpu/kernels/kernel.h"
#include "runtime/cpu/reference.h"
#include "runtime/weights/synthetic.h"
#include "tests/unit/cpu_networks.h"

namespace dunlin {
namespace {

using test::noise;

const Parameters kParameters = {.weight = "op.weight", .bias = "op.bias"};

// A graph of one op on inputs of these shapes, which stand for any values before it.
class OneOp {
  public:
    OneOp(const Op& op, const std::vector<Shape>& inputs) : graph_(inputs[0]) {
        ValueId second = graph_.input();
        // A second input needs a node that makes it: a pooling makes one pixel, a concatenation more channels.
        if (inputs.size() > 1 && inputs[1].h * inputs[1].w == 1 && inputs[0] != inputs[1])
            second = graph_.add("second", GlobalAvgPool{graph_.input()});
        else if (inputs.size() > 1)
            second = graph_.add("second", Activate{graph_.input(), Activation::None});
        graph_.setOutput(graph_.add("op", withInputs(op, graph_.input(), second)));
        for (size_t i = 0; i < inputs.size(); ++i) {
            inputs_.push_back(noise(static_cast<size_t>(inputs[i].elementCount())));
            // The second is not the first one over again.
            if (i == 1) std::ranges::reverse(inputs_[1]);
            maps_.push_back(reference::fromFloats(inputs[i], inputs_[i]));
        }
    }

    std::vector<double> expected() const {
        std::vector<const reference::Tensor*> maps;
        for (const reference::Tensor& map : maps_) maps.push_back(&map);
        return reference::evaluate(node().op, maps, *foldWeights(graph_, node(), *formulaWeights())).values;
    }

    // Scratch of exactly the size that the kernel asks for, of no numbers.
    std::vector<float> run(cpu::Vectors vectors, size_t threads) const {
        const auto pool = cpu::ThreadPool::create(threads);
        const auto kernel = cpu::makeKernel(graph_, node(), *formulaWeights());
        EXPECT_TRUE(pool.ok() && kernel.ok());
        if (!pool.ok() || !kernel.ok()) return {};
        std::vector<float> output(static_cast<size_t>(graph_.shape(node().output).elementCount()), NAN);
        std::vector<double> scratch(cpu::kernelNeed(graph_, node(), threads).scratchBytes / sizeof(double) + 1, NAN);
        std::vector<const float*> inputs;
        for (const auto& input : inputs_) inputs.push_back(input.data());
        (*kernel)->run({.pool = pool->get(), .count = threads, .vectors = vectors}, inputs, output.data(),
                       reinterpret_cast<std::byte*>(scratch.data()));
        return output;
    }

  private:
    static Op withInputs(Op op, ValueId first, ValueId second) {
        std::visit(
            [=](auto& any) {
                if constexpr (requires { any.a; }) {
                    any.a = first;
                    any.b = second;
                } else {
                    any.input = first;
                }
            },
            op);
        return op;
    }
    const Node& node() const { return graph_.nodes().back(); }

    Graph graph_;
    std::vector<std::vector<float>> inputs_;
    std::vector<reference::Tensor> maps_;
};

void expectMatchesOracle(const Op& op, const std::vector<Shape>& inputs) {
    SCOPED_TRACE(std::string(name(op)) + " of " + describe(inputs[0]));
    const OneOp one(op, inputs);
    const std::vector<double> expected = one.expected();
    double largest = 1;
    for (double value : expected) largest = std::max(largest, std::abs(value));
    for (cpu::Vectors vectors : cpu::kAllVectors) {
        if (!cpu::hasVectors(vectors)) continue;
        SCOPED_TRACE("vectors of kind " + std::to_string(static_cast<int>(vectors)));
        const std::vector<float> output = one.run(vectors, 1);
        ASSERT_EQ(output.size(), expected.size());
        for (size_t i = 0; i < output.size(); ++i)
            ASSERT_NEAR(output[i], expected[i], 1e-6 * largest) << "element " << i;
        for (size_t threads : {2, 3}) ASSERT_EQ(one.run(vectors, threads), output) << threads << " threads";
    }
}

const Shape kShapes[] = {{1, 1, 1, 1}, {2, 3, 5, 7}, {1, 4, 4, 33}, {2, 7, 7, 96}, {1, 28, 28, 45}, {3, 1, 1, 1000}};

TEST(CpuVectors, SumsWithEveryActivation) {
    for (int number = 0; number <= static_cast<int>(Activation::GeluTanh); ++number)
        for (const Shape& shape : kShapes)
            expectMatchesOracle(Add{.activation = static_cast<Activation>(number)}, {shape, shape});
}

TEST(CpuVectors, ProductsOfMapsAndByGates) {
    for (const Shape& shape : kShapes) {
        expectMatchesOracle(Mul{}, {shape, shape});
        expectMatchesOracle(Mul{}, {shape, {shape.n, 1, 1, shape.c}});
    }
}

TEST(CpuVectors, EveryActivation) {
    for (int number = 0; number <= static_cast<int>(Activation::GeluTanh); ++number)
        for (const Shape& shape : kShapes)
            expectMatchesOracle(Activate{.activation = static_cast<Activation>(number)}, {shape});
}

TEST(CpuVectors, MeansOfAllPixelsAndOfSome) {
    for (const Shape& shape : kShapes) expectMatchesOracle(GlobalAvgPool{}, {shape});
    expectMatchesOracle(GlobalAvgPool{}, {{1, 56, 56, 96}});
    expectMatchesOracle(GlobalAvgPool{.begin = 1}, {{2, 1, 197, 192}});
    expectMatchesOracle(GlobalAvgPool{.begin = 0, .count = 1}, {{2, 1, 197, 192}});
    expectMatchesOracle(GlobalAvgPool{.begin = 130, .count = 129}, {{1, 20, 20, 19}});
}

TEST(CpuVectors, MeansAndSharesOfChannels) {
    for (const Shape& shape : kShapes) {
        expectMatchesOracle(Softmax{}, {shape});
        if (shape.c == 1) continue;  // a lone number less itself
        expectMatchesOracle(LayerNorm{.parameters = kParameters}, {shape});
        expectMatchesOracle(LayerNorm{.over = LayerNorm::Over::Image, .parameters = kParameters}, {shape});
    }
}

TEST(CpuVectors, MaximaOfWindows) {
    for (const Shape& shape : kShapes) {
        expectMatchesOracle(MaxPool{0, 3, 3, 2, 2, {1, 1, 1, 1}}, {shape});
        expectMatchesOracle(MaxPool{0, 1, 1, 2, 2, {}}, {shape});
    }
    expectMatchesOracle(MaxPool{0, 2, 3, 1, 2, {0, 1, 1, 2}}, {{1, 6, 6, 19}});
}

TEST(CpuVectors, ResizedMaps) {
    for (const Shape& shape : kShapes)
        for (bool alignCorners : {false, true}) {
            expectMatchesOracle(Resize{0, 2 * shape.h, 2 * shape.w, alignCorners}, {shape});
            expectMatchesOracle(Resize{0, 5, 3, alignCorners}, {shape});
            expectMatchesOracle(Resize{0, 1, 1, alignCorners}, {shape});
        }
}

TEST(CpuVectors, MovedPixels) {
    for (const Shape& shape : kShapes) {
        expectMatchesOracle(Concat{}, {shape, shape});
        expectMatchesOracle(SpaceToDepth{0, 2}, {shape});
        expectMatchesOracle(EmbedTokens{0, 3, "cls_token", "pos_embed"}, {shape});
        expectMatchesOracle(EmbedTokens{0, 3, "", "pos_embed"}, {shape});
    }
}

TEST(CpuVectors, SeparableAttention) {
    struct Case {
        Shape output;
        int patchH, patchW;
    };
    for (const Case& c : {Case{{1, 1, 1, 1}, 1, 1}, Case{{2, 4, 6, 5}, 2, 2}, Case{{1, 6, 9, 67}, 2, 3},
                          Case{{2, 16, 16, 128}, 2, 2}, Case{{1, 32, 32, 64}, 2, 2}}) {
        Shape input = c.output;
        input.c = 1 + 2 * c.output.c;
        expectMatchesOracle(dunlin::SeparableAttention{0, c.patchH, c.patchW}, {input});
    }
}

}  // namespace
}  // namespace dunlin
