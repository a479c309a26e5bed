// The CPU backend's own kernels against the oracle: each op over odd, prime, tiny and real shapes, on one and two
// threads, and in networks of many of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "runtime/cpu/cpu_session.h"
#include "runtime/cpu/kernels/activation.h"
#include "runtime/cpu/kernels/kernel.h"
#include "runtime/cpu/kernels/math.h"
#include "runtime/cpu/network.h"
#include "runtime/cpu/reference.h"
#include "runtime/cpu/schedule.h"
#include "runtime/weights/synthetic.h"
#include "tests/unit/cpu_networks.h"

namespace dunlin {
namespace {

using test::BuildGraph, test::endWith, test::modelOf, test::noise, test::runNetwork;

// Every tap of the network against the oracle; the same bits on one and two threads and when run again.
void expectMatchesOracle(const BuildGraph& build, const Shape& input) {
    const ModelData model = modelOf(build, input.c);
    const Graph graph = build(input);
    SessionOptions options{.batch = input.n, .height = input.h, .width = input.w};
    std::vector<ValueId> wanted;
    for (const auto& [name, value] : graph.taps()) {
        options.taps.push_back(name);
        wanted.push_back(value);
    }
    const std::vector<float> nchw = noise(static_cast<size_t>(input.elementCount()));
    const auto expected = reference::evaluate(graph, *model.weights, reference::fromNchw(input, nchw), wanted);
    ASSERT_TRUE(expected.ok()) << expected.status().message();

    std::vector<std::byte> first;
    for (int threads = 1; threads <= 2; ++threads) {
        auto session = createCpuSession(model, options, threads);
        ASSERT_TRUE(session.ok()) << session.status().message();
        for (int run = 0; run < 2; ++run) {
            std::vector<std::byte> output((*session)->outputBytes());
            const Status status = (*session)->run({.tensor = nchw}, output);
            ASSERT_TRUE(status.ok()) << status.message();
            if (first.empty()) first = output;
            ASSERT_EQ(output, first) << threads << " threads, run " << run;
        }
        for (size_t i = 0; i < wanted.size() && threads == 1; ++i) {
            const OutputSlice& where = (*session)->outputs()[4 + i];
            const reference::Tensor& right = (*expected)[i];
            ASSERT_EQ(where.sizeBytes, right.values.size() * sizeof(float));
            double largestError = 0, largest = 1;
            for (size_t e = 0; e < right.values.size(); ++e) {
                float value = 0;
                std::memcpy(&value, first.data() + where.offsetBytes + e * sizeof(float), sizeof(float));
                ASSERT_TRUE(std::isfinite(value)) << options.taps[i] << " element " << e;
                largestError = std::max(largestError, std::abs(value - right.values[e]));
                largest = std::max(largest, std::abs(right.values[e]));
            }
            EXPECT_LE(largestError / largest, 1e-5) << options.taps[i];
        }
    }
}

// A network of one op, made for the graph's input.
template <typename MakeOp>
BuildGraph networkOf(MakeOp makeOp) {
    return [makeOp](const Shape& input) {
        Graph graph(input);
        const ValueId value = graph.add("op", makeOp(graph.input()));
        return endWith(std::move(graph), value);
    };
}

const Parameters kParameters = {.weight = "op.weight", .bias = "op.bias"};

// --- functions ---------------------------------------------------------------------------------------------------

TEST(CpuFunctions, TheExponentialIsRightToTwoBits) {
    double worst = 0;
    for (float x = -87; x < 88; x += 0.0037f)
        worst = std::max(worst, std::abs(double{cpu::exponential(x)} / std::exp(double{x}) - 1));
    EXPECT_LE(worst, 2e-7);
    EXPECT_EQ(cpu::exponential(0.0f), 1);
}

TEST(CpuFunctions, TheExponentialOfExtremesIsTinyHugeOrNoNumber) {
    EXPECT_LE(cpu::exponential(-cpu::kInfinity), 2e-38f);
    EXPECT_GE(cpu::exponential(cpu::kInfinity), 1e38f);
    EXPECT_TRUE(std::isnan(cpu::exponential(NAN)));
}

TEST(CpuFunctions, EveryActivationIsTheOraclesInPlaceAndNot) {
    std::vector<float> input;
    for (float x = -30; x < 30; x += 0.0019f) input.push_back(x);
    for (float x : {0.0f, -0.0f, 1e-30f, -1e-30f, 90.0f, -90.0f, 1e4f, -1e4f, 1e18f, -1e18f}) input.push_back(x);
    for (int number = 0; number <= static_cast<int>(Activation::GeluTanh); ++number) {
        const auto activation = static_cast<Activation>(number);
        std::vector<float> output(input.size()), inPlace = input;
        cpu::activate({}, activation, input.data(), output.data(), input.size());
        cpu::activate({}, activation, inPlace.data(), inPlace.data(), input.size());
        EXPECT_EQ(output, inPlace) << name(activation);
        for (size_t i = 0; i < input.size(); ++i) {
            const double expected = reference::activate(activation, double{input[i]});
            ASSERT_NEAR(output[i], expected, 3e-7 * std::max(1.0, std::abs(expected))) << name(activation) << input[i];
        }
    }
}

TEST(CpuFunctions, ActivationsOfNoNumberAreNone) {
    for (Activation activation : {Activation::Silu, Activation::Sigmoid, Activation::Gelu, Activation::GeluTanh}) {
        float value = NAN;
        cpu::activate({}, activation, &value, &value, 1);
        EXPECT_TRUE(std::isnan(value)) << name(activation);
    }
}

TEST(CpuFunctions, ActivationsOfInfinitiesAreTheirLimits) {
    for (Activation activation : {Activation::Silu, Activation::Gelu, Activation::GeluTanh}) {
        float values[] = {cpu::kInfinity, -cpu::kInfinity, 3e38f, -3e38f};
        cpu::activate({}, activation, values, values, std::size(values));
        EXPECT_EQ(values[0], cpu::kInfinity) << name(activation);
        EXPECT_NEAR(values[1], 0, 1e-35) << name(activation);
        EXPECT_EQ(values[2], 3e38f) << name(activation);
        EXPECT_NEAR(values[3], 0, 1e-35) << name(activation);
    }
    float gates[] = {cpu::kInfinity, -cpu::kInfinity};
    cpu::activate({}, Activation::Sigmoid, gates, gates, std::size(gates));
    EXPECT_EQ(gates[0], 1);
    EXPECT_NEAR(gates[1], 0, 1e-35);
}

// --- ops ---------------------------------------------------------------------------------------------------------

TEST(CpuKernels, LayerNormOfPixels) {
    for (const Shape& input : {Shape{1, 1, 1, 1}, Shape{2, 3, 5, 7}, Shape{1, 1, 197, 192}, Shape{1, 7, 9, 64},
                               Shape{2, 1, 2, 33}, Shape{1, 4, 4, 768}})
        for (double epsilon : {1e-5, 1e-6}) {
            SCOPED_TRACE(describe(input));
            expectMatchesOracle(networkOf([=](ValueId x) {
                                    return LayerNorm{x, LayerNorm::Over::Pixel, epsilon, kParameters};
                                }),
                                input);
        }
}

TEST(CpuKernels, LayerNormOfImages) {
    for (const Shape& input : {Shape{1, 1, 1, 2}, Shape{2, 3, 5, 7}, Shape{1, 32, 32, 64}, Shape{3, 13, 11, 29}}) {
        SCOPED_TRACE(describe(input));
        expectMatchesOracle(networkOf([](ValueId x) {
                                return LayerNorm{x, LayerNorm::Over::Image, 1e-5, kParameters};
                            }),
                            input);
    }
}

// Runs the kernel of a one-node graph and gives the largest difference from the oracle.
double kernelError(const Graph& graph, const std::vector<float>& input, const cpu::Workers& workers) {
    const Node& node = graph.nodes()[0];
    const auto weights = formulaWeights();
    const auto kernel = cpu::makeKernel(graph, node, *weights);
    EXPECT_TRUE(kernel.ok());
    if (!kernel.ok()) return HUGE_VAL;
    std::vector<double> scratch(cpu::kernelNeed(graph, node, workers.count).scratchBytes / sizeof(double) + 1);
    std::vector<float> output(static_cast<size_t>(graph.shape(node.output).elementCount()));
    const float* const inputs[] = {input.data()};
    (*kernel)->run(workers, inputs, output.data(), reinterpret_cast<std::byte*>(scratch.data()));

    const reference::Tensor map = reference::fromFloats(graph.shape(graph.input()), input);
    const reference::Tensor* const maps[] = {&map};
    const reference::Tensor expected = reference::evaluate(node.op, maps, *foldWeights(graph, node, *weights));
    double largest = 0;
    for (size_t i = 0; i < output.size(); ++i)
        largest = std::max(largest, std::abs(double{output[i]} - expected.values[i]));
    return largest;
}

TEST(CpuKernels, ALargeMeanDoesNotDrownTheVarianceOfALayerNorm) {
    // Given pixels of 1000 + noise of deviation 1, the result is right to 2e-3: the inputs' own rounding.
    for (auto over : {LayerNorm::Over::Pixel, LayerNorm::Over::Image}) {
        Graph graph({1, 5, 5, 96});
        graph.setOutput(graph.add("op", LayerNorm{graph.input(), over, 1e-5, kParameters}));
        std::vector<float> input = noise(5 * 5 * 96);
        for (float& x : input) x += 1000;
        EXPECT_LE(kernelError(graph, input, {}), 2e-3);
    }
}

TEST(CpuKernels, AreRightWithVectorsOfEveryLength) {
    const Shape shape = {2, 9, 12, 45};
    const Op ops[] = {
        LayerNorm{0, LayerNorm::Over::Pixel, 1e-5, kParameters},
        LayerNorm{0, LayerNorm::Over::Image, 1e-5, kParameters},
        SeparableAttention{0, 3, 2},
        Activate{0, Activation::Gelu},
        GlobalAvgPool{0, 1, 0},
        Conv2d{.input = 0,
               .outChannels = 45,
               .kernelH = 7,
               .kernelW = 7,
               .padding = {3, 3, 3, 3},
               .groups = 45,
               .parameters = kParameters},
    };
    for (const Op& op : ops)
        for (cpu::Vectors vectors : cpu::kAllVectors) {
            if (!cpu::hasVectors(vectors)) continue;
            Graph graph(shape);
            graph.setOutput(graph.add("op", op));
            EXPECT_LE(kernelError(graph, noise(2 * 9 * 12 * 45), {.vectors = vectors}), 2e-5)
                << name(op) << ", vectors of kind " << static_cast<int>(vectors);
        }
}

TEST(CpuKernels, DepthwiseOfManyTaps) {
    struct Case {
        Shape input;
        int kernelH, kernelW, strideH, strideW;
        Padding padding;
    };
    for (const Case& c :
         {Case{{1, 9, 9, 4}, 7, 7, 1, 1, {3, 3, 3, 3}}, Case{{2, 5, 3, 17}, 7, 7, 1, 1, {3, 3, 3, 3}},
          Case{{1, 1, 1, 33}, 7, 7, 1, 1, {3, 3, 3, 3}}, Case{{1, 14, 14, 96}, 7, 7, 1, 1, {3, 3, 3, 3}},
          Case{{1, 13, 11, 40}, 7, 5, 2, 3, {3, 2, 1, 2}}, Case{{1, 9, 30, 8}, 2, 15, 1, 2, {0, 7, 0, 7}},
          Case{{1, 8, 8, 16}, 8, 8, 1, 1, {}}, Case{{1, 12, 10, 5}, 6, 6, 3, 1, {5, 5, 5, 5}}})
        for (Activation activation : {Activation::None, Activation::Relu, Activation::Gelu, Activation::Silu}) {
            SCOPED_TRACE(describe(c.input) + " " + name(activation));
            expectMatchesOracle(networkOf([=](ValueId x) {
                                    return Conv2d{.input = x,
                                                  .outChannels = c.input.c,
                                                  .kernelH = c.kernelH,
                                                  .kernelW = c.kernelW,
                                                  .strideH = c.strideH,
                                                  .strideW = c.strideW,
                                                  .padding = c.padding,
                                                  .groups = c.input.c,
                                                  .activation = activation,
                                                  .parameters = kParameters};
                                }),
                                c.input);
        }
}

TEST(CpuKernels, SeparableAttention) {
    struct Case {
        Shape input;
        int patchH, patchW;
    };
    for (const Case& c : {Case{{1, 1, 1, 3}, 1, 1}, Case{{2, 4, 6, 1 + 2 * 5}, 2, 2}, Case{{1, 6, 9, 1 + 2 * 67}, 2, 3},
                          Case{{1, 16, 16, 1 + 2 * 128}, 2, 2}}) {
        SCOPED_TRACE(describe(c.input));
        expectMatchesOracle(networkOf([=](ValueId x) { return SeparableAttention{x, c.patchH, c.patchW}; }), c.input);
    }
}

TEST(CpuKernels, ConcatenationOfOddChannels) {
    for (const Shape& input : {Shape{1, 1, 1, 1}, Shape{2, 5, 7, 3}, Shape{1, 8, 8, 64}})
        expectMatchesOracle(
            [](const Shape& shape) {
                Graph graph(shape);
                const ValueId other = graph.add("linear", Linear{graph.input(), 11, Activation::Relu, kParameters});
                const ValueId both = graph.add("concat", Concat{graph.input(), other});
                const ValueId twice = graph.add("twice", Concat{both, both});
                graph.tap("both", both);
                return endWith(std::move(graph), twice);
            },
            input);
}

TEST(CpuKernels, SpaceToDepthOfMapsThatTheBlockDividesAndNot) {
    for (const Shape& input : {Shape{1, 1, 1, 5}, Shape{2, 4, 6, 3}, Shape{1, 7, 5, 8}, Shape{1, 9, 10, 2}})
        for (int block : {2, 3}) {
            SCOPED_TRACE(describe(input));
            expectMatchesOracle(networkOf([=](ValueId x) { return SpaceToDepth{x, block}; }), input);
        }
}

TEST(CpuKernels, TokensWithAndWithoutAClassTokenAndTheirPooling) {
    for (const Shape& input : {Shape{1, 3, 3, 5}, Shape{2, 4, 3, 32}, Shape{1, 14, 14, 192}})
        for (const char* classToken : {"", "cls_token"}) {
            SCOPED_TRACE(describe(input) + classToken);
            expectMatchesOracle(
                [classToken](const Shape& shape) {
                    Graph graph(shape);
                    const EmbedTokens embed{graph.input(), 3, classToken, "pos_embed"};
                    const ValueId tokens = graph.add("embed", embed);
                    const int prefix = embed.prefix();
                    graph.tap("tokens", tokens);
                    graph.tap("first", graph.add("first", GlobalAvgPool{tokens, 0, 1}));
                    graph.tap("some", graph.add("some", GlobalAvgPool{tokens, 2, 3}));
                    const ValueId mean = graph.add("mean", GlobalAvgPool{tokens, prefix, 0});
                    return endWith(std::move(graph), mean);
                },
                input);
        }
}

TEST(CpuKernels, MeansOfManyPixelsFromOneInTheMiddleOn) {
    for (const Shape& input : {Shape{1, 1, 300, 33}, Shape{2, 15, 13, 20}})
        for (const auto& [begin, count] : {std::pair(1, 0), {7, 150}, {40, 129}}) {
            SCOPED_TRACE(describe(input) + " from " + std::to_string(begin));
            expectMatchesOracle(networkOf([=, first = begin, pixels = count](ValueId x) {
                                    return GlobalAvgPool{x, first, pixels};
                                }),
                                input);
        }
}

TEST(CpuKernels, MaximaOfWindows) {
    struct Case {
        Shape input;
        MaxPool pool;
    };
    for (const Case& c :
         {Case{{2, 9, 7, 5}, {0, 3, 3, 2, 2, {1, 1, 1, 1}}}, Case{{1, 5, 6, 8}, {0, 1, 1, 2, 2, {}}},
          Case{{1, 6, 6, 19}, {0, 2, 3, 1, 2, {0, 1, 1, 2}}}, Case{{1, 1, 1, 3}, {0, 3, 3, 1, 1, {1, 1, 1, 1}}},
          Case{{1, 112, 4, 16}, {0, 3, 3, 2, 2, {1, 1, 1, 1}}}}) {
        SCOPED_TRACE(describe(c.input));
        expectMatchesOracle(networkOf([=](ValueId x) {
                                MaxPool pool = c.pool;
                                pool.input = x;
                                return pool;
                            }),
                            c.input);
    }
}

TEST(CpuKernels, ResizesUpDownAndToAndFromOnePixel) {
    for (const Shape& input : {Shape{1, 1, 1, 5}, Shape{2, 7, 9, 3}, Shape{1, 8, 8, 16}})
        for (const auto& [height, width] : {std::pair(1, 1), {2, 3}, {7, 9}, {8, 10}, {16, 16}, {23, 4}}) {
            SCOPED_TRACE(describe(input) + " to " + std::to_string(height) + "x" + std::to_string(width));
            for (const bool aligned : {false, true})
                expectMatchesOracle(networkOf([=, h = height, w = width](ValueId x) {
                                        return Resize{x, h, w, aligned};
                                    }),
                                    input);
        }
}

// --- networks ----------------------------------------------------------------------------------------------------

// A ConvNeXt block, MobileViT's concatenation and a transformer block, with values that several steps read. `width`:
// the channels of both blocks.
Graph mixedNetworkOf(const Shape& input, int width) {
    Graph graph(input);
    const auto named = [](const std::string& name) {
        return Parameters{.weight = name + ".weight", .bias = name + ".bias"};
    };
    const auto linear = [&](const std::string& name, ValueId x, int features, Activation activation) {
        return graph.add(name, Linear{x, features, activation, named(name)});
    };
    const auto norm = [&](const std::string& name, ValueId x) {
        return graph.add(name, LayerNorm{x, LayerNorm::Over::Pixel, 1e-6, named(name)});
    };
    const ValueId stem = graph.add("stem", Conv2d{.input = graph.input(),
                                                  .outChannels = width,
                                                  .kernelH = 2,
                                                  .kernelW = 2,
                                                  .strideH = 2,
                                                  .strideW = 2,
                                                  .activation = Activation::Silu,
                                                  .parameters = named("stem")});
    const ValueId dw = graph.add("dw", Conv2d{.input = stem,
                                              .outChannels = width,
                                              .kernelH = 7,
                                              .kernelW = 7,
                                              .padding = {3, 3, 3, 3},
                                              .groups = width,
                                              .parameters = named("dw")});
    const ValueId fc1 = linear("fc1", norm("norm", dw), 4 * width, Activation::Gelu);
    const ValueId fc2 = linear("fc2", fc1, width, Activation::None);
    const ValueId block = graph.add("add", Add{fc2, stem, Activation::None});
    const ValueId qkv = linear("qkv", norm("norm1", block), 3 * width, Activation::None);
    const ValueId attended = graph.add("attention", Attention{.input = qkv, .heads = 4, .patchH = 2, .patchW = 2});
    const ValueId projected = linear("proj", attended, width, Activation::None);
    const ValueId second = graph.add("add1", Add{projected, block, Activation::GeluTanh});
    const ValueId both = graph.add("concat", Concat{stem, second});
    const ValueId pooled = graph.add("pool", GlobalAvgPool{both});
    for (const auto& [name, value] : {std::pair("stem", stem),
                                      {"dw", dw},
                                      {"fc1", fc1},
                                      {"fc2", fc2},
                                      {"qkv", qkv},
                                      {"attended", attended},
                                      {"second", second},
                                      {"pooled", pooled}})
        graph.tap(name, value);
    graph.setOutput(linear("classifier", pooled, 10, Activation::None));
    graph.tap("logits", graph.output());
    return graph;
}

Graph mixedNetwork(const Shape& input) {
    return mixedNetworkOf(input, 24);
}

TEST(CpuNetworks, OfManyOpsWithValuesThatSeveralRead) {
    expectMatchesOracle(mixedNetwork, {1, 16, 24, 3});
    expectMatchesOracle(mixedNetwork, {3, 12, 20, 3});
}

bool haveTheSameBits(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

TEST(CpuNetworks, AreTheSameBitsWhicheverValuesAreKept) {
    // What is kept is not fused. 24 channels end in part of a panel, 32 are a whole one and 64 two, for all vectors.
    for (int width : {24, 32, 64})
        for (cpu::Vectors vectors : cpu::kAllVectors) {
            if (!cpu::hasVectors(vectors)) continue;
            const Shape shape = {1, 16, 24, 3};
            const Graph graph = mixedNetworkOf(shape, width);
            const std::vector<float> input = noise(static_cast<size_t>(shape.elementCount()));
            std::vector<std::string> names;
            std::vector<ValueId> all;
            for (const auto& [name, value] : graph.taps()) names.push_back(name), all.push_back(value);
            const auto expected = runNetwork(graph, input, all, nullptr, vectors);
            ASSERT_EQ(expected.size(), all.size());
            for (size_t i = 0; i < all.size(); ++i) {
                const auto alone = runNetwork(graph, input, {all[i]}, nullptr, vectors);
                ASSERT_EQ(alone.size(), 1u);
                EXPECT_TRUE(haveTheSameBits(alone[0], expected[i]))
                    << names[i] << " of width " << width << " with " << cpu::name(vectors);
            }
        }
}

TEST(CpuNetworks, ReportProgressAndCanBeCancelledAtEveryStep) {
    std::vector<float> shares;
    SessionOptions options{.height = 16, .width = 24};
    options.progress = [&](float share) { return shares.push_back(share), true; };
    ASSERT_TRUE(createCpuSession(modelOf(mixedNetwork, 3), options, 1).ok());
    EXPECT_TRUE(std::ranges::is_sorted(shares));
    constexpr size_t kFusedAdditions = 2;
    EXPECT_EQ(shares.size(), mixedNetwork({1, 16, 24, 3}).nodes().size() - kFusedAdditions + 1);
    EXPECT_EQ(shares.back(), 1);
    for (size_t allowed = 0; allowed < shares.size(); ++allowed) {
        size_t calls = 0;
        options.progress = [&](float) { return calls++ < allowed; };
        auto session = createCpuSession(modelOf(mixedNetwork, 3), options, 1);
        ASSERT_FALSE(session.ok());
        EXPECT_EQ(session.status().code(), StatusCode::Cancelled) << "after " << allowed;
    }
}

// Zeros, but for one tensor that cannot be read.
class CutWeights final : public WeightsSource {
  public:
    explicit CutWeights(std::string cut) : cut_(std::move(cut)) {}
    const std::vector<TensorInfo>& tensors() const override { return none_; }
    Status read(std::string_view name, std::span<const int64_t>, std::span<float> values) const override {
        std::ranges::fill(values, 0.0f);
        return name == cut_ ? Status(StatusCode::BadFile, "the file ends") : Status();
    }

  private:
    std::string cut_;
    std::vector<TensorInfo> none_;
};

// A block that one kernel computes where the maps between are large.
Graph invertedResidual(const Shape& input, int between, int channels) {
    Graph graph(input);
    const auto named = [](const std::string& name) {
        return Parameters{.weight = name + ".weight", .bias = name + ".bias"};
    };
    const ValueId expanded =
        graph.add("expand", Conv2d{.input = graph.input(), .outChannels = between, .parameters = named("expand")});
    const ValueId depthwise = graph.add("depthwise", Conv2d{.input = expanded,
                                                            .outChannels = between,
                                                            .kernelH = 3,
                                                            .kernelW = 3,
                                                            .padding = {1, 1, 1, 1},
                                                            .groups = between,
                                                            .parameters = named("depthwise")});
    graph.setOutput(
        graph.add("project", Conv2d{.input = depthwise, .outChannels = channels, .parameters = named("project")}));
    return graph;
}

TEST(CpuNetworks, NameTheLayerWhoseWeightsAreUnreadable) {
    ModelData model = modelOf(mixedNetwork, 3);
    model.weights = std::make_shared<CutWeights>("norm1.weight");
    auto session = createCpuSession(model, {.height = 16, .width = 24}, 1);
    ASSERT_FALSE(session.ok());
    EXPECT_EQ(session.status().message(), "norm1: the file ends");
}

TEST(CpuNetworks, NameTheLayerOfABlockWhoseWeightsAreUnreadable) {
    const Graph graph = invertedResidual({1, 56, 56, 24}, 144, 24);
    ASSERT_EQ(cpu::scheduleOf(graph, {}).front().nodeCount, 3u);  // one kernel for all
    for (const std::string name : {"expand", "depthwise", "project"}) {
        const CutWeights weights(name + ".weight");
        const ValueId kept[] = {graph.output()};
        const auto network = cpu::Network::create(graph, weights, kept, nullptr, 1, {});
        ASSERT_FALSE(network.ok()) << name;
        EXPECT_EQ(network.status().message(), name + ": the file ends");
    }
}

}  // namespace
}  // namespace dunlin
