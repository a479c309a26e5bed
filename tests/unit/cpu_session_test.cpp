// The CPU backend against the oracle, op by op and in random networks; and what its sessions promise.
#include "runtime/cpu/cpu_session.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "runtime/cpu/reference.h"
#include "runtime/cpu/threads.h"
#include "runtime/weights/synthetic.h"
#include "tests/unit/cpu_networks.h"

namespace dunlin {
namespace {

using test::BuildGraph, test::endWith, test::modelOf, test::noise;

std::vector<float> slice(const Session& session, std::span<const std::byte> output, size_t index) {
    const OutputSlice& where = session.outputs()[index];
    std::vector<float> values(where.sizeBytes / sizeof(float));
    std::memcpy(values.data(), output.data() + where.offsetBytes, where.sizeBytes);
    return values;
}

std::vector<std::byte> runTensor(Session& session, std::span<const float> nchw) {
    std::vector<std::byte> output(session.outputBytes());
    const Status status = session.run({.tensor = nchw}, output);
    EXPECT_TRUE(status.ok()) << status.message();
    return output;
}

// Largest error over largest value, the latter at least 1: noise around a cancelled sum is no error.
double relativeError(std::span<const float> values, const reference::Tensor& expected) {
    EXPECT_EQ(values.size(), expected.values.size());
    double largestError = 0, largest = 1;
    for (size_t i = 0; i < values.size(); ++i) {
        if (!std::isfinite(values[i])) return HUGE_VAL;
        largestError = std::max(largestError, std::abs(values[i] - expected.values[i]));
        largest = std::max(largest, std::abs(expected.values[i]));
    }
    return largestError / largest;
}

// Every tap of the network and its logits against the oracle.
void expectMatchesOracle(const BuildGraph& build, const Shape& input, int threads = 1) {
    const ModelData model = modelOf(build, input.c);
    const Graph graph = build(input);
    SessionOptions options{.batch = input.n, .height = input.h, .width = input.w};
    std::vector<ValueId> wanted = {graph.output()};
    for (const auto& [name, value] : graph.taps()) {
        options.taps.push_back(name);
        wanted.push_back(value);
    }
    auto session = createCpuSession(model, options, threads);
    ASSERT_TRUE(session.ok()) << session.status().message();
    const std::vector<float> nchw = noise(static_cast<size_t>(input.elementCount()));
    const auto expected = reference::evaluate(graph, *model.weights, reference::fromNchw(input, nchw), wanted);
    ASSERT_TRUE(expected.ok()) << expected.status().message();

    const std::vector<std::byte> output = runTensor(**session, nchw);
    EXPECT_LE(relativeError(slice(**session, output, 0), expected->front()), 1e-5) << "logits";
    for (size_t i = 0; i < options.taps.size(); ++i)
        EXPECT_LE(relativeError(slice(**session, output, 4 + i), (*expected)[1 + i]), 1e-5) << options.taps[i];
}

// A network of one op, which is made for the graph's input.
template <typename MakeOp>
BuildGraph networkOf(MakeOp makeOp) {
    return [makeOp](const Shape& input) {
        Graph graph(input);
        const ValueId value = graph.add("op", makeOp(graph));
        return endWith(std::move(graph), value);
    };
}

constexpr Activation kActivations[] = {Activation::None,      Activation::Relu,        Activation::Relu6,
                                       Activation::HardSwish, Activation::HardSigmoid, Activation::Silu,
                                       Activation::Sigmoid,   Activation::Gelu,        Activation::GeluTanh};

struct ConvCase {
    const char* what;
    Shape input;
    Conv2d conv;
};

std::vector<ConvCase> convCases() {
    return {
        {"pointwise", {1, 5, 7, 13}, {.outChannels = 11}},
        {"pointwise of one pixel", {1, 1, 1, 19}, {.outChannels = 37}},
        {"pointwise, stride 2", {1, 7, 5, 6}, {.outChannels = 8, .strideH = 2, .strideW = 2}},
        {"3x3 same", {2, 6, 5, 3}, {.outChannels = 7, .kernelH = 3, .kernelW = 3, .padding = {1, 1, 1, 1}}},
        {"3x3 stem, zeros only below and right",
         {1, 8, 10, 3},
         {.outChannels = 16, .kernelH = 3, .kernelW = 3, .strideH = 2, .strideW = 2, .padding = {0, 0, 1, 1}}},
        {"patchify", {1, 8, 8, 3}, {.outChannels = 5, .kernelH = 4, .kernelW = 4, .strideH = 4, .strideW = 4}},
        {"2x3 kernel, stride 1x2", {1, 6, 9, 4}, {.outChannels = 5, .kernelH = 2, .kernelW = 3, .strideW = 2}},
        {"grouped",
         {1, 5, 5, 12},
         {.outChannels = 8, .kernelH = 3, .kernelW = 3, .padding = {1, 1, 1, 1}, .groups = 4}},
        {"one input channel", {1, 6, 6, 1}, {.outChannels = 4, .kernelH = 3, .kernelW = 3}},
        {"depthwise 3x3",
         {2, 7, 6, 17},
         {.outChannels = 17, .kernelH = 3, .kernelW = 3, .padding = {1, 1, 1, 1}, .groups = 17}},
        {"depthwise 3x3, stride 2, asymmetric",
         {1, 8, 8, 5},
         {.outChannels = 5,
          .kernelH = 3,
          .kernelW = 3,
          .strideH = 2,
          .strideW = 2,
          .padding = {0, 0, 1, 1},
          .groups = 5}},
        {"depthwise 5x5, stride 2, asymmetric",
         {1, 9, 12, 8},
         {.outChannels = 8,
          .kernelH = 5,
          .kernelW = 5,
          .strideH = 2,
          .strideW = 2,
          .padding = {1, 2, 2, 1},
          .groups = 8}},
        {"depthwise 7x7",
         {1, 9, 9, 4},
         {.outChannels = 4, .kernelH = 7, .kernelW = 7, .padding = {3, 3, 3, 3}, .groups = 4}},
        {"depthwise 5x5 on two pixels",
         {1, 1, 2, 33},
         {.outChannels = 33, .kernelH = 5, .kernelW = 5, .padding = {2, 2, 2, 2}, .groups = 33}},
        {"depthwise with two outputs a channel",
         {1, 5, 5, 6},
         {.outChannels = 12, .kernelH = 3, .kernelW = 3, .padding = {1, 1, 1, 1}, .groups = 6}},
    };
}

TEST(CpuMatchesOracle, Convolutions) {
    for (const ConvCase& c : convCases()) {
        SCOPED_TRACE(c.what);
        expectMatchesOracle(networkOf([conv = c.conv](const Graph& graph) {
                                Conv2d op = conv;
                                op.input = graph.input();
                                op.parameters = {.weight = "op.weight", .bias = "op.bias"};
                                return op;
                            }),
                            c.input);
    }
}

TEST(CpuMatchesOracle, ConvolutionsWithEveryActivationAndFoldedNorm) {
    for (Activation activation : kActivations) {
        SCOPED_TRACE(name(activation));
        expectMatchesOracle(networkOf([activation](const Graph& graph) {
                                return Conv2d{.input = graph.input(),
                                              .outChannels = 9,
                                              .kernelH = 3,
                                              .kernelW = 3,
                                              .padding = {1, 1, 1, 1},
                                              .activation = activation,
                                              .parameters = {.weight = "op.weight", .norm = BatchNorm{"bn", 1e-3}}};
                            }),
                            {1, 6, 7, 5});
    }
}

TEST(CpuMatchesOracle, LinearOnVectorsAndMaps) {
    for (Activation activation : kActivations)
        for (const Shape& input : {Shape{3, 1, 1, 29}, Shape{1, 4, 3, 16}}) {
            SCOPED_TRACE(std::string(name(activation)) + " " + describe(input));
            expectMatchesOracle(networkOf([activation](const Graph& graph) {
                                    return Linear{graph.input(), 21, activation, {"op.weight", "op.bias", {}}};
                                }),
                                input);
        }
}

TEST(CpuMatchesOracle, ActivationsOfTheirOwn) {
    for (Activation activation : kActivations) {
        SCOPED_TRACE(name(activation));
        expectMatchesOracle(networkOf([activation](const Graph& graph) {
                                return Activate{graph.input(), activation};
                            }),
                            {1, 17, 9, 7});
    }
}

TEST(CpuMatchesOracle, AdditionsWithEveryActivation) {
    for (Activation activation : kActivations) {
        SCOPED_TRACE(name(activation));
        expectMatchesOracle(networkOf([activation](const Graph& graph) {
                                return Add{graph.input(), graph.input(), activation};
                            }),
                            {2, 5, 3, 7});
    }
}

TEST(CpuMatchesOracle, ProductsOfMapsAndOfGates) {
    expectMatchesOracle(networkOf([](const Graph& graph) { return Mul{graph.input(), graph.input()}; }), {2, 5, 3, 7});
    const auto gated = [](const Shape& input) {
        Graph graph(input);
        const ValueId gate = graph.add("pool", GlobalAvgPool{graph.input()});
        const ValueId gated = graph.add("gate", Mul{graph.input(), gate});
        return endWith(std::move(graph), gated);
    };
    expectMatchesOracle(gated, {2, 5, 3, 7});
    expectMatchesOracle(gated, {1, 1, 1, 16});
}

TEST(CpuMatchesOracle, PoolingOfAnySize) {
    for (const Shape& input : {Shape{1, 1, 1, 5}, Shape{2, 2, 3, 16}, Shape{1, 7, 7, 33}, Shape{1, 32, 31, 4}}) {
        SCOPED_TRACE(describe(input));
        expectMatchesOracle(networkOf([](const Graph& graph) { return GlobalAvgPool{graph.input()}; }), input);
    }
}

TEST(CpuMatchesOracle, SoftmaxOfEveryPixel) {
    for (const Shape& input : {Shape{2, 1, 1, 1000}, Shape{1, 3, 4, 7}}) {
        SCOPED_TRACE(describe(input));
        expectMatchesOracle(networkOf([](const Graph& graph) { return Softmax{graph.input()}; }), input);
    }
}

// Networks of five to ten random ops, each value tapped: what follows what, and who shares whose input, is by chance.
class RandomNetwork {
  public:
    RandomNetwork(uint32_t seed, const Shape& input) : random_(seed), graph_(input) {}

    Graph build() {
        ValueId value = graph_.input();
        const int ops = pick(5, 10);
        for (int i = 0; i < ops; ++i) {
            const std::string name = "op" + std::to_string(i);
            value = graph_.add(name, randomOp(name, value));
            graph_.tap(name, value);
        }
        return endWith(std::move(graph_), value);
    }

  private:
    int pick(int low, int high) { return std::uniform_int_distribution(low, high)(random_); }
    Activation activation() { return kActivations[pick(0, std::size(kActivations) - 1)]; }

    ValueId another(const Shape& shape) {
        std::vector<ValueId> fitting;
        for (size_t i = 0; i < graph_.values().size(); ++i)
            if (graph_.values()[i].shape == shape) fitting.push_back(static_cast<ValueId>(i));
        return fitting[static_cast<size_t>(pick(0, static_cast<int>(fitting.size()) - 1))];
    }

    Op randomOp(const std::string& name, ValueId input) {
        const Shape& shape = graph_.shape(input);
        Parameters parameters{.weight = name + ".weight", .bias = name + ".bias"};
        switch (pick(0, 7)) {
            case 0:
                return Linear{input, pick(1, 40), activation(), parameters};
            case 1:
                return Add{input, another(shape), activation()};
            case 2:
                return Mul{input, another(pick(0, 1) == 0 || !hasGate(shape) ? shape : gateShape(shape))};
            case 3:
                return shape.h * shape.w > 1 ? Op(GlobalAvgPool{input}) : Op(Softmax{input});
            case 4:
                return Activate{input, activation()};
            default:
                return convolution(input, parameters);
        }
    }

    static Shape gateShape(const Shape& shape) { return {shape.n, 1, 1, shape.c}; }
    bool hasGate(const Shape& shape) const {
        return std::ranges::any_of(graph_.values(), [&](const Value& v) { return v.shape == gateShape(shape); });
    }

    Conv2d convolution(ValueId input, const Parameters& parameters) {
        const Shape& shape = graph_.shape(input);
        Conv2d conv{.input = input,
                    .kernelH = pick(1, 5),
                    .kernelW = pick(1, 5),
                    .strideH = pick(1, 2),
                    .strideW = pick(1, 2),
                    .activation = activation(),
                    .parameters = parameters};
        const int group = pick(0, 3);
        conv.groups = group == 0 ? shape.c : group == 1 && shape.c % 2 == 0 ? 2 : 1;
        conv.outChannels = conv.groups * pick(1, conv.groups > 2 ? 2 : 20);
        // At least one whole window.
        conv.padding = {pick(0, conv.kernelH - 1), pick(0, conv.kernelW - 1), 0, 0};
        conv.padding.bottom = std::max(pick(0, conv.kernelH - 1), conv.kernelH - shape.h - conv.padding.top);
        conv.padding.right = std::max(pick(0, conv.kernelW - 1), conv.kernelW - shape.w - conv.padding.left);
        return conv;
    }

    std::mt19937 random_;
    Graph graph_;
};

TEST(CpuMatchesOracle, RandomNetworks) {
    for (uint32_t seed = 0; seed < 150; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        const int side = 1 + static_cast<int>(seed % 13);
        expectMatchesOracle([seed](const Shape& input) { return RandomNetwork(seed, input).build(); },
                            {1 + static_cast<int>(seed % 2), side, 14 - side, 1 + static_cast<int>(seed % 5)},
                            1 + static_cast<int>(seed % 3));
        if (HasFailure()) break;
    }
}

// Stem, depthwise, squeeze-excite, projection, residual, pool and classifier, with 10 classes.
Graph smallNetwork(const Shape& input) {
    Graph graph(input);
    const auto norm = [](const char* name) {
        return Parameters{.weight = std::string(name) + ".weight", .norm = BatchNorm{std::string(name) + "_bn", 1e-5}};
    };
    const auto bias = [](const char* name) {
        return Parameters{.weight = std::string(name) + ".weight", .bias = std::string(name) + ".bias"};
    };
    const ValueId stem = graph.add("stem", Conv2d{.input = graph.input(),
                                                  .outChannels = 16,
                                                  .kernelH = 3,
                                                  .kernelW = 3,
                                                  .strideH = 2,
                                                  .strideW = 2,
                                                  .padding = {1, 1, 1, 1},
                                                  .activation = Activation::HardSwish,
                                                  .parameters = norm("stem")});
    const ValueId dw = graph.add("dw", Conv2d{.input = stem,
                                              .outChannels = 16,
                                              .kernelH = 5,
                                              .kernelW = 5,
                                              .padding = {2, 2, 2, 2},
                                              .groups = 16,
                                              .activation = Activation::Relu,
                                              .parameters = norm("dw")});
    const ValueId squeezed = graph.add("squeeze", GlobalAvgPool{dw});
    const ValueId reduced = graph.add(
        "reduce",
        Conv2d{.input = squeezed, .outChannels = 8, .activation = Activation::Relu, .parameters = bias("reduce")});
    const ValueId gate = graph.add(
        "expand",
        Conv2d{
            .input = reduced, .outChannels = 16, .activation = Activation::HardSigmoid, .parameters = bias("expand")});
    const ValueId gated = graph.add("gate", Mul{dw, gate});
    const ValueId projected =
        graph.add("project", Conv2d{.input = gated, .outChannels = 16, .parameters = norm("project")});
    const ValueId block = graph.add("add", Add{projected, stem, Activation::None});
    const ValueId pooled = graph.add("pool", GlobalAvgPool{block});
    graph.setOutput(graph.add("classifier", Linear{pooled, 10, Activation::None, bias("classifier")}));
    graph.tap("stem", stem);
    graph.tap("block", block);
    graph.tap("features", block);
    graph.tap("pooled", pooled);
    return graph;
}

TEST(CpuMatchesOracle, ANetworkWithEveryKindOfBlock) {
    expectMatchesOracle(smallNetwork, {1, 32, 32, 3});
    expectMatchesOracle(smallNetwork, {3, 17, 40, 3}, 2);
}

std::unique_ptr<Session> smallSession(const SessionOptions& options, int threads = 1) {
    auto session = createCpuSession(modelOf(smallNetwork), options, threads);
    EXPECT_TRUE(session.ok()) << session.status().message();
    return session.ok() ? *std::move(session) : nullptr;
}

TEST(CpuSession, TakesTheModelsInputSizeWhereNoneIsGiven) {
    EXPECT_EQ(smallSession({})->inputShape(), (Shape{1, 24, 32, 3}));
    EXPECT_EQ(smallSession({.batch = 2, .height = 40, .width = 48})->inputShape(), (Shape{2, 40, 48, 3}));
}

TEST(CpuSession, GivesProbabilitiesAndTopKOfItsLogits) {
    auto session = smallSession({.batch = 2, .topK = 3});
    const std::vector<std::byte> output = runTensor(*session, noise(2 * 3 * 24 * 32));
    const std::vector<float> logits = slice(*session, output, 0), probabilities = slice(*session, output, 1);
    const std::vector<float> values = slice(*session, output, 3);
    for (size_t image = 0; image < 2; ++image) {
        std::vector<float> expected(10), expectedValues(3);
        std::vector<uint32_t> expectedClasses(3), classes(3);
        softmax({logits.data() + image * 10, 10}, expected);
        topK(expected, expectedClasses, expectedValues);
        std::memcpy(classes.data(), output.data() + session->outputs()[2].offsetBytes + image * 12, 12);
        EXPECT_EQ(std::vector<float>(probabilities.begin() + image * 10, probabilities.begin() + image * 10 + 10),
                  expected);
        EXPECT_EQ(std::vector<float>(values.begin() + image * 3, values.begin() + image * 3 + 3), expectedValues);
        EXPECT_EQ(classes, expectedClasses);
    }
}

TEST(CpuSession, GivesTheSameBitsEveryTimeOnAnyNumberOfThreads) {
    const std::vector<float> input = noise(3 * 24 * 32);
    auto session = smallSession({.taps = {"block"}});
    const std::vector<std::byte> first = runTensor(*session, input);
    for (int threads = 1; threads <= 3; ++threads) {
        auto again = smallSession({.taps = {"block"}}, threads);
        for (int run = 0; run < 20; ++run) ASSERT_EQ(runTensor(*again, input), first) << threads << " threads";
    }
}

TEST(CpuSession, AnImagesAnswerDoesNotDependOnItsBatch) {
    const size_t imageElements = 3 * 24 * 32;
    const std::vector<float> input = noise(3 * imageElements);
    auto batched = smallSession({.batch = 3, .taps = {"stem"}}), single = smallSession({.taps = {"stem"}});
    const std::vector<std::byte> all = runTensor(*batched, input);
    for (size_t index : {size_t{0}, size_t{4}}) {
        const std::vector<float> together = slice(*batched, all, index);
        const size_t elements = together.size() / 3;
        for (size_t image = 0; image < 3; ++image) {
            const auto alone =
                slice(*single, runTensor(*single, {input.data() + image * imageElements, imageElements}), index);
            EXPECT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + image * elements));
        }
    }
}

TEST(CpuSession, TwoTapsMayMeanOneValueAndBeAskedForTwice) {
    auto session = smallSession({.taps = {"features", "block", "features"}});
    const std::vector<std::byte> output = runTensor(*session, noise(3 * 24 * 32));
    const std::vector<float> features = slice(*session, output, 4);
    EXPECT_GT(*std::ranges::max_element(features), 0);
    EXPECT_EQ(slice(*session, output, 5), features);
    EXPECT_EQ(slice(*session, output, 6), features);
}

TEST(CpuSession, TheInputAndTheLogitsCanBeTapped) {
    const BuildGraph build = [](const Shape& input) {
        Graph graph = smallNetwork(input);
        graph.tap("input", graph.input());
        graph.tap("output", graph.output());
        return graph;
    };
    expectMatchesOracle(build, {2, 16, 24, 3});
}

// A picture of random pixels with some bytes between its rows.
struct Picture {
    std::vector<uint8_t> bytes;
    PixelView view;
    Picture(int width, int height, uint32_t seed) {
        const size_t rowBytes = static_cast<size_t>(width) * 4 + 12;
        bytes.resize(rowBytes * static_cast<size_t>(height));
        std::mt19937 random(seed);
        for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
        view = {bytes.data(), width, height, rowBytes};
    }
};

TEST(CpuSession, PicturesGiveWhatTheirPreprocessedTensorGives) {
    const ModelData model = modelOf(smallNetwork);
    const Picture a(50, 41, 1), b(33, 80, 2);
    const PixelView views[] = {a.view, b.view};
    std::vector<float> nchw;
    for (const PixelView& view : views) {
        std::vector<float> nhwc(24 * 32 * 3);
        preprocess(model.preprocess, view, 32, 24, 3, nhwc);
        for (size_t c = 0; c < 3; ++c)
            for (size_t pixel = 0; pixel < 24 * 32; ++pixel) nchw.push_back(nhwc[pixel * 3 + c]);
    }
    auto session = smallSession({.batch = 2});
    std::vector<std::byte> fromPictures(session->outputBytes());
    const Status status = session->run({.pictures = views}, fromPictures);
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(fromPictures, runTensor(*session, nchw));
}

TEST(CpuSession, KeepsNothingOfTheModel) {
    auto model = std::make_unique<ModelData>(modelOf(smallNetwork));
    const std::weak_ptr<const WeightsSource> weights = model->weights;
    auto session = createCpuSession(*model, {}, 1);
    ASSERT_TRUE(session.ok());
    const std::vector<float> input = noise(3 * 24 * 32);
    const std::vector<std::byte> before = runTensor(**session, input);
    model.reset();
    EXPECT_TRUE(weights.expired());
    EXPECT_EQ(runTensor(**session, input), before);
}

TEST(CpuSession, SeveralAreCreatedAndRunAtOnce) {
    const ModelData model = modelOf(smallNetwork);
    const std::vector<float> input = noise(3 * 24 * 32);
    auto alone = createCpuSession(model, {}, 1);
    ASSERT_TRUE(alone.ok());
    const std::vector<std::byte> expected = runTensor(**alone, input);
    std::vector<std::vector<std::byte>> answers(4);
    std::vector<std::thread> threads;
    for (size_t i = 0; i < answers.size(); ++i)
        threads.emplace_back([&, i] {
            auto session = createCpuSession(model, {}, static_cast<int>(1 + i % 2));
            if (!session.ok()) return;
            for (int run = 0; run < 10; ++run) answers[i] = runTensor(**session, input);
        });
    for (std::thread& thread : threads) thread.join();
    for (const auto& answer : answers) EXPECT_EQ(answer, expected);
}

Status creationStatus(const SessionOptions& options, int threads = 1) {
    auto session = createCpuSession(modelOf(smallNetwork), options, threads);
    return session.ok() ? Status() : session.status();
}

TEST(CpuSession, RefusesWhatItCannotDo) {
    EXPECT_EQ(creationStatus({.precision = Precision::Fp16}).code(), StatusCode::Unsupported);
    EXPECT_EQ(creationStatus({.batch = 0}).code(), StatusCode::InvalidArgument);
    EXPECT_EQ(creationStatus({.topK = 0}).code(), StatusCode::InvalidArgument);
    EXPECT_EQ(creationStatus({}, -1).code(), StatusCode::InvalidArgument);
    EXPECT_EQ(creationStatus({}, kMaxThreads + 1).code(), StatusCode::InvalidArgument);
    EXPECT_EQ(creationStatus({.taps = {"no such"}}).code(), StatusCode::UnknownName);
}

TEST(CpuSession, RefusesANetworkWhoseOutputIsAMap) {
    const BuildGraph build = [](const Shape& input) {
        Graph graph(input);
        graph.setOutput(graph.add("op", Activate{graph.input(), Activation::Relu}));
        return graph;
    };
    auto session = createCpuSession(modelOf(build), {}, 1);
    ASSERT_FALSE(session.ok());
    EXPECT_EQ(session.status().code(), StatusCode::InvalidArgument);
}

TEST(CpuSession, RefusesANetworkThatExceedsTheMemoryBeforeReadingWeights) {
    // 2^20 x 2^20 pixels of 16 channels: 64 TiB.
    class Unreadable final : public WeightsSource {
        const std::vector<TensorInfo>& tensors() const override { return none_; }
        Status read(std::string_view, std::span<const int64_t>, std::span<float>) const override {
            ADD_FAILURE() << "weights were read";
            return Status(StatusCode::BadFile, "unreadable");
        }
        std::vector<TensorInfo> none_;
    };
    ModelData model = modelOf(smallNetwork);
    model.weights = std::make_shared<Unreadable>();
    auto session = createCpuSession(model, {.height = 1 << 20, .width = 1 << 20}, 1);
    ASSERT_FALSE(session.ok());
    EXPECT_EQ(session.status().code(), StatusCode::DoesNotFit);
}

TEST(CpuSession, NamesTheLayerWhoseWeightsAreUnreadable) {
    class Cut final : public WeightsSource {
        const std::vector<TensorInfo>& tensors() const override { return none_; }
        Status read(std::string_view name, std::span<const int64_t>, std::span<float>) const override {
            return name == "dw.weight" ? Status(StatusCode::BadFile, "the file ends") : Status();
        }
        std::vector<TensorInfo> none_;
    };
    ModelData model = modelOf(smallNetwork);
    model.weights = std::make_shared<Cut>();
    auto session = createCpuSession(model, {}, 1);
    ASSERT_FALSE(session.ok());
    EXPECT_EQ(session.status().code(), StatusCode::BadFile);
    EXPECT_EQ(session.status().message().rfind("dw: ", 0), 0u) << session.status().message();
}

TEST(CpuSession, ReportsProgressUpwardsToOneAndCanBeCancelled) {
    std::vector<float> shares;
    EXPECT_TRUE(creationStatus({.progress = [&](float share) { return shares.push_back(share), true; }}).ok());
    EXPECT_TRUE(std::ranges::is_sorted(shares));
    EXPECT_EQ(shares.front(), 0);
    EXPECT_EQ(shares.back(), 1);
    for (size_t allowed = 0; allowed < shares.size(); ++allowed) {
        size_t calls = 0;
        const Status status = creationStatus({.progress = [&](float) { return calls++ < allowed; }});
        EXPECT_EQ(status.code(), StatusCode::Cancelled) << "after " << allowed;
    }
}

TEST(CpuSession, RefusesInputsAndOutputsOfOtherSizes) {
    auto session = smallSession({.batch = 2});
    std::vector<std::byte> output(session->outputBytes());
    const std::vector<float> tensor = noise(2 * 3 * 24 * 32);
    const Picture picture(40, 40, 3);
    const PixelView two[] = {picture.view, picture.view};
    const PixelView empty[] = {picture.view, PixelView{}};
    PixelView shortRows[] = {picture.view, picture.view};
    shortRows[1].rowBytes = 40 * 4 - 1;

    const auto code = [&](const HostInput& input) { return session->run(input, output).code(); };
    EXPECT_EQ(code({.tensor = tensor}), StatusCode::Ok);
    EXPECT_EQ(code({.pictures = two}), StatusCode::Ok);
    EXPECT_EQ(code({}), StatusCode::InvalidArgument);
    EXPECT_EQ(code({.pictures = two, .tensor = tensor}), StatusCode::InvalidArgument);
    EXPECT_EQ(code({.tensor = std::span(tensor).first(tensor.size() - 1)}), StatusCode::InvalidArgument);
    EXPECT_EQ(code({.pictures = std::span(two).first(1)}), StatusCode::InvalidArgument);
    EXPECT_EQ(code({.pictures = empty}), StatusCode::InvalidArgument);
    EXPECT_EQ(code({.pictures = shortRows}), StatusCode::InvalidArgument);
    EXPECT_EQ(session->run({.tensor = tensor}, std::span(output).first(output.size() - 1)).code(),
              StatusCode::InvalidArgument);
}

}  // namespace
}  // namespace dunlin
