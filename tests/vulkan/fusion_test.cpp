// Small graphs through lowering, packing and kernels, against the oracle: what fusion makes of ops that meet.
#include <functional>
#include <map>

#include "runtime/plan/fusion.h"
#include "runtime/vulkan/backend.h"
#include "tests/vulkan/backend_fixture.h"
#include "tests/vulkan/small_network.h"

namespace dunlin::vulkan {
namespace {

constexpr double kFp32Bound = 2e-5, kFp16Bound = 1e-2;

// Writes a network from a map of 3 channels; returns the map or tokens that end it.
using Body = std::function<ValueId(Graph& graph, ValueId x)>;

Conv2d convolution(ValueId input, const std::string& name, int channels, int kernel = 1, int stride = 1) {
    Conv2d conv;
    conv.input = input;
    conv.outChannels = channels;
    conv.kernelH = conv.kernelW = kernel;
    conv.strideH = conv.strideW = stride;
    if (stride < kernel) conv.padding = {kernel / 2, kernel / 2, kernel / 2, kernel / 2};
    conv.parameters = {name + ".weight", name + ".bias", std::nullopt, ""};
    return conv;
}
ValueId convolve(Graph& graph, ValueId input, const std::string& name, int channels, int kernel = 1, int stride = 1) {
    return graph.add(name, convolution(input, name, channels, kernel, stride));
}
ValueId linear(Graph& graph, ValueId input, const std::string& name, int features,
               Activation activation = Activation::None) {
    return graph.add(name, Linear{input, features, activation, {name + ".weight", name + ".bias", std::nullopt, ""}});
}
ValueId layerNorm(Graph& graph, ValueId input, const std::string& name, LayerNorm::Over over = LayerNorm::Over::Pixel) {
    return graph.add(name, LayerNorm{input, over, 1e-5, {name + ".weight", name + ".bias", std::nullopt, ""}});
}

// The body, tapped as "map", with a classifier behind it.
std::shared_ptr<const ModelData> modelOf(const Body& body) {
    auto model = std::make_shared<ModelData>();
    model->architecture = "fusion";
    model->weights = formulaWeights();
    model->classes = 7;
    model->preprocess.inputHeight = model->preprocess.inputWidth = test::kSmallSide;
    model->buildGraph = [body](const Shape& input) -> Result<Graph> {
        Graph graph(input);
        const ValueId x = body(graph, graph.input());
        graph.tap("map", x);
        graph.setOutput(linear(graph, graph.add("pool", GlobalAvgPool{x}), "classifier", 7));
        return graph;
    };
    return model;
}

class FusionTest : public test::BackendTest {
  protected:
    // Runs the body on the device and by the oracle; compares the map where it is kept, else the logits.
    void expectAgrees(const Body& body, Shape input, bool keepsMap = true) {
        expectAgrees(modelOf(body), input, keepsMap);
    }
    void expectAgrees(const std::shared_ptr<const ModelData>& model, Shape input, bool keepsMap) {
        for (const Precision precision : {Precision::Fp32, Precision::Fp16}) {
            if (precision == Precision::Fp16 && !device_->enabled().fp16()) continue;
            SCOPED_TRACE(precision == Precision::Fp32 ? "fp32" : "fp16");
            const double bound = precision == Precision::Fp32 ? kFp32Bound : kFp16Bound;
            EXPECT_LT(errorOf(model, input, precision, keepsMap ? "map" : ""), bound);
        }
    }

    // Of a tap, or of the logits where it is empty.
    double errorOf(const std::shared_ptr<const ModelData>& model, const Shape& input, Precision precision,
                   const std::string& tap) {
        VulkanSessionOptions options;
        options.session.batch = input.n;
        options.session.height = input.h;
        options.session.width = input.w;
        options.session.precision = precision;
        if (!tap.empty()) options.session.taps = {tap};
        auto session = backend_->createSession(model, options);
        EXPECT_TRUE(session.ok()) << session.status().message();
        if (!session.ok()) return INFINITY;

        const std::vector<float> nchw = formulaInput(input.n, input.h, input.w);
        std::vector<std::byte> output((*session)->outputBytes());
        HostInput given;
        given.tensor = nchw;
        const Status status = (*session)->run(given, output);
        EXPECT_TRUE(status.ok()) << status.message();

        const Result<Graph> graph = model->buildGraph(input);
        const ValueId wanted[] = {tap.empty() ? graph->output() : *graph->findTap(tap)};
        const auto expected = reference::evaluate(*graph, *model->weights, reference::fromNchw(input, nchw), wanted);
        EXPECT_TRUE(expected.ok()) << expected.status().message();
        const OutputSlice& slice = !tap.empty() ? (*session)->outputs().back() : (*session)->outputs().front();
        return test::relativeError(test::floatsOf(output, slice), reference::toFloats(expected->front()));
    }
};

TEST_F(FusionTest, aLayerNormIsComputedInsideTheLayersThatReadIt) {
    const Body body = [](Graph& graph, ValueId x) {
        x = convolve(graph, x, "stem", 21, 3, 2);
        const ValueId norm = layerNorm(graph, x, "norm");
        const ValueId a = linear(graph, norm, "a", 30, Activation::Gelu);
        const ValueId b = convolve(graph, norm, "b", 30);
        return graph.add("sum", Add{b, a});
    };
    expectAgrees(body, {2, 32, 32, 3});
    const Result<Graph> graph = modelOf(body)->buildGraph({1, 32, 32, 3});
    const auto steps = fuse(*graph, {});
    ASSERT_TRUE(steps.ok()) << steps.status().message();
    EXPECT_EQ(steps->size(), 5u) << "stem, a, b with the sum, pool and classifier";
}

struct Change {
    float factor = 1, distance = 0;
};
using Changes = std::map<std::string, Change, std::less<>>;  // by the tensor's name

// Formula weights, but for some tensors that are scaled and moved.
class ChangedWeights final : public WeightsSource {
  public:
    explicit ChangedWeights(Changes changes) : changes_(std::move(changes)) {}
    const std::vector<TensorInfo>& tensors() const override { return formula_->tensors(); }
    bool isFormula() const override { return true; }
    Status read(std::string_view name, std::span<const int64_t> shape, std::span<float> values) const override {
        const Status status = formula_->read(name, shape, values);
        if (const auto found = changes_.find(name); found != changes_.end()) {
            for (float& value : values) value = value * found->second.factor + found->second.distance;
        }
        return status;
    }

  private:
    std::shared_ptr<const WeightsSource> formula_ = formulaWeights();
    Changes changes_;
};

ValueId normedLayer(Graph& graph, ValueId x) {
    x = convolve(graph, x, "stem", 18, 3, 2);
    return linear(graph, layerNorm(graph, x, "norm"), "layer", 24);
}
ValueId normedPatches(Graph& graph, ValueId x) {
    x = convolve(graph, x, "stem", 18, 4, 4);
    const ValueId merged = graph.add("merge", SpaceToDepth{x, 2});
    return linear(graph, layerNorm(graph, merged, "norm"), "layer", 24);
}

TEST_F(FusionTest, aLayerNormOfAFarMeanKeepsItsDigits) {
    // given pixels whose channels lie hundreds of deviations from zero
    for (const Body& body : {Body(normedLayer), Body(normedPatches)}) {
        auto model = std::make_shared<ModelData>(*modelOf(body));
        model->weights = std::make_shared<ChangedWeights>(Changes{{"stem.bias", {.distance = 300.0f}}});
        // then the layer sees the deviations; float16 cannot hold them
        EXPECT_LT(errorOf(model, {1, 32, 32, 3}, Precision::Fp32, "map"), 1e-4);
        EXPECT_LT(errorOf(model, {1, 36, 44, 3}, Precision::Fp32, "map"), 1e-4) << "patches hang over the edge";
    }
}

TEST_F(FusionTest, aLayerNormOfNearlyTheLargestFloat16DoesNotOverflow) {
    // given pixels whose products with the weights of the layer would exceed 65504
    for (const Body& body : {Body(normedLayer), Body(normedPatches)}) {
        auto model = std::make_shared<ModelData>(*modelOf(body));
        model->weights = std::make_shared<ChangedWeights>(
            Changes{{"stem.weight", {.factor = 7000.0f}}, {"layer.weight", {.factor = 8.0f}}});
        // then only their deviations count
        expectAgrees(model, {2, 36, 44, 3}, true);
    }
}

TEST_F(FusionTest, aLayerNormThatIsKeptIsWrittenAndFoldedAsWell) {
    const Body body = [](Graph& graph, ValueId x) {
        x = convolve(graph, x, "stem", 10, 3, 2);
        const ValueId norm = layerNorm(graph, x, "norm");
        graph.tap("norm", norm);
        return graph.add("sum", Add{linear(graph, norm, "layer", 10), norm});
    };
    expectAgrees(body, {2, 32, 32, 3});
    const auto model = modelOf(body);
    EXPECT_LT(errorOf(model, {2, 32, 40, 3}, Precision::Fp32, "norm"), kFp32Bound);
}

TEST_F(FusionTest, aLayerNormOverImagesTakesTheirMoments) {
    expectAgrees(
        [](Graph& graph, ValueId x) {
            x = convolve(graph, x, "stem", 10, 3, 2);
            const ValueId norm = layerNorm(graph, x, "norm", LayerNorm::Over::Image);
            const ValueId wide = convolve(graph, norm, "fc1", 22);
            return layerNorm(graph, convolve(graph, wide, "fc2", 10), "last", LayerNorm::Over::Image);
        },
        {3, 32, 40, 3});
}

TEST_F(FusionTest, headsOfAnyWidthArePaddedBetweenTheirLayers) {
    for (const int heads : {1, 3}) {
        SCOPED_TRACE(heads);
        expectAgrees(
            [heads](Graph& graph, ValueId x) {
                const int channels = 5 * heads;
                x = convolve(graph, x, "stem", channels, 4, 4);
                const ValueId qkv = linear(graph, layerNorm(graph, x, "norm"), "qkv", 3 * channels);
                const ValueId seen = graph.add("attn", Attention{qkv, heads, 2, 2, {}});
                return graph.add("add", Add{linear(graph, seen, "proj", channels), x});
            },
            {2, 32, 40, 3});
    }
}

TEST_F(FusionTest, windowsAreShiftedAndPaddedWithTheirLayersBias) {
    expectAgrees(
        [](Graph& graph, ValueId x) {
            x = convolve(graph, x, "stem", 12, 4, 4);
            for (const int shift : {0, 2}) {
                const std::string name = "blocks." + std::to_string(shift);
                const ValueId qkv = linear(graph, layerNorm(graph, x, name + ".norm"), name + ".qkv", 36);
                const AttentionWindows windows = {
                    5, 5, shift, shift, name + ".relative_position_bias_table", name + ".qkv.bias"};
                const ValueId seen = graph.add(name, Attention{qkv, 2, 1, 1, windows});
                x = graph.add(name + ".add", Add{linear(graph, seen, name + ".proj", 12), x});
            }
            return x;
        },
        {2, 36, 44, 3});  // a map of 9x11
}

TEST_F(FusionTest, separableAttentionReadsItsScoreKeysAndValues) {
    expectAgrees(
        [](Graph& graph, ValueId x) {
            x = convolve(graph, x, "stem", 10, 4, 4);
            const ValueId qkv = convolve(graph, layerNorm(graph, x, "norm", LayerNorm::Over::Image), "qkv", 21);
            const ValueId seen = graph.add("attn", SeparableAttention{qkv, 2, 2});
            return graph.add("add", Add{convolve(graph, seen, "proj", 10), x});
        },
        {2, 32, 40, 3});
}

TEST_F(FusionTest, mapsAreResizedAndPooled) {
    expectAgrees(
        [](Graph& graph, ValueId x) {
            x = convolve(graph, x, "stem", 6, 3, 2);
            x = graph.add("pool", MaxPool{x, 3, 3, 2, 2, {1, 1, 1, 1}});
            x = graph.add("up", Resize{x, 11, 14});
            return graph.add("down", Resize{x, 7, 9, true});
        },
        {2, 37, 41, 3});
}

// A class token and positions for a map of 3x3.
ValueId tokens(Graph& graph, ValueId x) {
    x = convolve(graph, x, "patches", 14, 16, 16);
    x = graph.add("embed", EmbedTokens{x, 3, "cls_token", "pos_embed"});
    const ValueId qkv = linear(graph, layerNorm(graph, x, "norm1"), "qkv", 42);
    x = graph.add("add", Add{linear(graph, graph.add("attn", Attention{qkv, 2}), "proj", 14), x});
    return graph.add("class", GlobalAvgPool{layerNorm(graph, x, "norm"), 0, 1});
}

TEST_F(FusionTest, sessionsOfSeveralSizesHaveTheirOwnPositionsAndShareTheRest) {
    if (!device_) return;
    const auto model = modelOf(tokens);
    // given a living session of one size
    VulkanSessionOptions options;
    options.session.height = options.session.width = 48;
    const auto first = backend_->createSession(model, options);
    ASSERT_TRUE(first.ok()) << first.status().message();
    // when others are made, wider and higher ones of as many tokens included
    // then each has the positions of its own map
    for (const Shape& input : {Shape{2, 48, 48, 3}, Shape{1, 32, 64, 3}, Shape{1, 64, 32, 3}, Shape{1, 80, 48, 3}})
        expectAgrees(model, input, true);
}

TEST_F(FusionTest, sessionsOfSeveralSizesShareOnlyWhatIsPackedAlike) {
    if (!device_) return;
    // given a MobileViT whose patches divide every map, so that its last LayerNorm is folded into the layer behind it
    const auto model = test::registryModel("mobilevit_xxs");
    VulkanSessionOptions options;
    options.session.height = options.session.width = 64;
    const auto first = backend_->createSession(model, options);
    ASSERT_TRUE(first.ok()) << first.status().message();
    // when another size needs a Resize between the two
    // then that layer's weights are its own
    EXPECT_LT(errorOf(model, {1, 72, 72, 3}, Precision::Fp32, ""), 1e-5);
    EXPECT_LT(errorOf(model, {1, 64, 64, 3}, Precision::Fp32, ""), 1e-5);
}

TEST_F(FusionTest, headsThatArePaddedAreRefusedWhereNothingKnowsOfTheirPadding) {
    if (!device_) return;
    const Body body = [](Graph& graph, ValueId x) {
        x = convolve(graph, x, "stem", 15, 4, 4);
        return graph.add("attn", Attention{linear(graph, x, "qkv", 45), 3});
    };
    // tapped, and pooled
    for (const bool tapped : {true, false}) {
        VulkanSessionOptions options;
        if (tapped) options.session.taps = {"map"};
        const auto session = backend_->createSession(modelOf(body), options);
        ASSERT_FALSE(session.ok());
        EXPECT_EQ(session.status().code(), StatusCode::Unsupported);
        EXPECT_NE(session.status().message().find("padded"), std::string::npos) << session.status().message();
    }
}

TEST_F(FusionTest, anActivationMayFollowTheShortcut) {
    expectAgrees(
        [](Graph& graph, ValueId x) {
            x = convolve(graph, x, "stem", 12, 3, 2);
            const ValueId shortcut = convolve(graph, x, "downsample", 20, 1, 2);
            x = convolve(graph, x, "conv1", 20, 3, 2);
            x = graph.add("add1", Add{x, shortcut, Activation::Relu});
            const ValueId y = convolve(graph, x, "conv2", 20);
            return graph.add("add2", Add{x, y, Activation::Relu});
        },
        {2, 32, 36, 3});
}

TEST_F(FusionTest, aConvolutionReadsBothHalvesOfAConcatenation) {
    expectAgrees(
        [](Graph& graph, ValueId x) {
            x = convolve(graph, x, "stem", 10, 3, 2);
            const ValueId side = convolve(graph, x, "side", 7);
            const ValueId both = convolve(graph, graph.add("cat", Concat{x, side}), "both", 14, 3);
            return convolve(graph, graph.add("cat2", Concat{both, x}), "last", 9);
        },
        {2, 32, 44, 3});
}

TEST_F(FusionTest, mergedPatchesAreOneConvolutionEvenWhereTheyHangOverTheEdge) {
    expectAgrees(
        [](Graph& graph, ValueId x) {
            x = convolve(graph, x, "stem", 6, 4, 4);
            const ValueId merged = graph.add("merge", SpaceToDepth{x, 2});
            return linear(graph, layerNorm(graph, merged, "norm"), "reduction", 12);
        },
        {2, 36, 44, 3});  // a map of 9x11
}

}  // namespace
}  // namespace dunlin::vulkan
