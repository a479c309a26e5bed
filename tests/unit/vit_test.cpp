#include "models/vit.h"

#include "models/hub_config.h"
#include "models/model.h"
#include "runtime/weights/weights_source.h"
#include "tests/unit/network_support.h"

namespace dunlin {
namespace {

using test::billionMultiplyAdds;
using test::buildNetwork;

bool hasParameter(const Graph& graph, std::string_view name) {
    return std::ranges::find(graph.parameters(), name, &ParameterTensor::name) != graph.parameters().end();
}

TEST(Vit, HasTheReferencesTensorsAndStages) {
    DUNLIN_NEEDS_SHARED("reference");
    const auto references = test::referencesOf("vit_");
    EXPECT_GE(references.size(), 3u);
    for (const auto& path : references) test::expectStructure(path, /* isNhwc = */ false);
}

TEST(Vit, ComputesTheReferencesNumbers) {
    test::expectNumbers("vit_tiny_patch16_224", test::kOracleBound);
}

TEST(Vit, MultiplyAddsAreThoseOfThePapers) {
    const auto near = [](const char* name, double billions) {
        EXPECT_NEAR(billionMultiplyAdds(name), billions, 0.05 * billions) << name;
    };
    near("deit_tiny_patch16_224", 1.3);
    near("deit_small_patch16_224", 4.6);
    near("vit_base_patch16_224", 17.6);
    near("vit_base_patch16_384", 55.5);
    near("vit_base_patch32_224", 4.4);
}

TEST(Vit, BuildsAtEveryMultipleOfThePatch) {
    for (const Architecture& architecture : vitArchitectures()) {
        SCOPED_TRACE(architecture.name);
        EXPECT_EQ(architecture.sizeMultiple, architecture.name.find("patch32") != std::string::npos ? 32 : 16);
        for (int side = 32; side <= 1024; side += architecture.sizeMultiple)
            test::expectConsistent(architecture.build({}, {1, side, 1056 - side, 3}));
    }
}

TEST(Vit, DeitDiffersInThePicturesAlone) {
    const auto vit = findArchitecture("vit_small_patch16_224"), deit = findArchitecture("deit_small_patch16_224");
    ASSERT_TRUE(vit.ok() && deit.ok());
    EXPECT_EQ(vit->preprocess.mean, (std::array{0.5f, 0.5f, 0.5f}));
    EXPECT_EQ(deit->preprocess.mean, (std::array{0.485f, 0.456f, 0.406f}));
    EXPECT_EQ(parameterCount(buildNetwork(vit->name, 224, 224)), parameterCount(buildNetwork(deit->name, 224, 224)));
}

// Positions belong to the map that they were learnt for, whatever the input is.
TEST(Vit, PositionsAreLearntForOneMap) {
    const auto positionsOf = [](const Graph& graph) {
        return std::ranges::find(graph.parameters(), "pos_embed", &ParameterTensor::name)->shape;
    };
    EXPECT_EQ(positionsOf(buildNetwork("vit_tiny_patch16_224", 160, 320)), (std::vector<int64_t>{1, 197, 192}));
    EXPECT_EQ(positionsOf(buildNetwork("vit_tiny_patch16_384", 224, 224)), (std::vector<int64_t>{1, 577, 192}));
    EXPECT_EQ(positionsOf(buildNetwork("vit_base_patch32_384", 224, 224)), (std::vector<int64_t>{1, 145, 768}));
}

TEST(Vit, MayPoolItsTokensInsteadOfReadingTheClassToken) {
    ArchitectureOptions options;
    options.globalPool = GlobalPool::Average;
    const Graph graph = buildNetwork("vit_tiny_patch16_224", 224, 224, options);
    EXPECT_TRUE(hasParameter(graph, "fc_norm.weight"));
    EXPECT_FALSE(hasParameter(graph, "norm.weight"));
    for (const Node& node : graph.nodes()) {
        if (const auto* pool = std::get_if<GlobalAvgPool>(&node.op)) {
            EXPECT_EQ(pool->begin, 1) << "the class token is left out";
            EXPECT_EQ(pool->count, 0);
        }
    }
    EXPECT_EQ(parameterCount(graph), parameterCount(buildNetwork("vit_tiny_patch16_224", 224, 224)));
}

TEST(Vit, PoolingIsAnArgumentOfTheModel) {
    const auto open = [](const char* name, const char* arguments) {
        ModelOptions options;
        options.weights = "synthetic";
        options.modelArguments = arguments;
        return openModel(name, options);
    };
    const auto average = open("vit_tiny_patch16_224", R"({"global_pool": "avg"})");
    ASSERT_TRUE(average.ok()) << average.status().message();
    EXPECT_TRUE(hasParameter(*(*average)->data.buildGraph({1, 224, 224, 3}), "fc_norm.weight"));
    EXPECT_TRUE(open("vit_tiny_patch16_224", R"({"global_pool": "token"})").ok());

    const auto refused = open("mobilenetv2_100", R"({"global_pool": "token"})");
    ASSERT_FALSE(refused.ok());
    EXPECT_NE(refused.status().message().find("mobilenetv2_100 has no class token"), std::string::npos)
        << refused.status().message();
}

class ListedWeights : public WeightsSource {
  public:
    explicit ListedWeights(const Graph& graph) {
        for (const ParameterTensor& tensor : graph.parameters())
            tensors_.push_back({tensor.name, tensor.shape, DType::F32});
    }
    const std::vector<TensorInfo>& tensors() const override { return tensors_; }
    Status read(std::string_view, std::span<const int64_t>, std::span<float>) const override { return {}; }

  private:
    std::vector<TensorInfo> tensors_;
};

TEST(Vit, IsRecognisedByItsTensorsWhicheverItPools) {
    for (const GlobalPool pool : {GlobalPool::Own, GlobalPool::Average}) {
        ArchitectureOptions options;
        options.classes = 10;
        options.globalPool = pool;
        const auto recognised = recognise(ListedWeights(buildNetwork("vit_small_patch32_384", 384, 384, options)));
        ASSERT_TRUE(recognised.ok()) << recognised.status().message();
        EXPECT_EQ(recognised->architecture.name, "vit_small_patch32_384");
        EXPECT_EQ(recognised->options.classes, 10);
        EXPECT_EQ(recognised->options.globalPool, pool);
        EXPECT_EQ(recognised->alsoFits, "");
    }
}

// The tensors are the same, the pictures are not.
TEST(Vit, MayBeDeit) {
    const auto recognised = recognise(ListedWeights(buildNetwork("deit_base_patch16_384", 384, 384)));
    ASSERT_TRUE(recognised.ok()) << recognised.status().message();
    EXPECT_EQ(recognised->architecture.name, "vit_base_patch16_384");
    EXPECT_EQ(recognised->alsoFits, "deit_base_patch16_384");
}

// As the hub's folders have it: beside model_args, which go before it.
TEST(Vit, PoolingIsReadFromTheConfiguration) {
    const auto poolingOf = [](const char* json) {
        const auto config = parseHubConfig(json);
        EXPECT_TRUE(config.ok()) << config.status().message();
        return config->modelArguments.globalPool;
    };
    EXPECT_EQ(poolingOf(R"({"global_pool": "token"})"), GlobalPool::ClassToken);
    EXPECT_EQ(poolingOf(R"({"global_pool": "avg"})"), GlobalPool::Average);
    EXPECT_EQ(poolingOf(R"({"global_pool": "token", "model_args": {"global_pool": "avg"}})"), GlobalPool::Average);
    EXPECT_EQ(poolingOf("{}"), std::nullopt);
}

TEST(Vit, RefusesSidesThatThePatchDoesNotDivide) {
    ModelOptions options;
    options.weights = "synthetic";
    const auto model = openModel("vit_tiny_patch16_224", options);
    ASSERT_TRUE(model.ok()) << model.status().message();
    const auto graph = (*model)->data.buildGraph({1, 224, 230, 3});
    ASSERT_FALSE(graph.ok());
    EXPECT_NE(graph.status().message().find("multiples of 16"), std::string::npos) << graph.status().message();
}

}  // namespace
}  // namespace dunlin
