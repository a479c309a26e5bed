#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "models/registry.h"
#include "runtime/weights/weights_source.h"
#include "tests/support.h"

namespace dunlin {
namespace {

class ListedWeights : public WeightsSource {
  public:
    explicit ListedWeights(const Graph& graph) {
        for (const ParameterTensor& tensor : graph.parameters())
            tensors_.push_back({tensor.name, tensor.shape, DType::F32});
        tensors_.push_back({"bn1.num_batches_tracked", {}, DType::I64});
    }
    const std::vector<TensorInfo>& tensors() const override { return tensors_; }
    Status read(std::string_view, std::span<const int64_t>, std::span<float>) const override { return {}; }

    std::vector<TensorInfo> tensors_;
};

TEST(Registry, NamesAreUniqueAndFindThemselves) {
    for (const Architecture& architecture : architectures()) {
        const auto found = findArchitecture(architecture.name);
        ASSERT_TRUE(found.ok());
        EXPECT_EQ(found->name, architecture.name);
    }
}

TEST(Registry, WidthSuffixesThatAreNotListedWork) {
    const auto found = findArchitecture("mobilenetv2_060");
    ASSERT_TRUE(found.ok());
    EXPECT_EQ(found->name, "mobilenetv2_060");
    EXPECT_FALSE(findArchitecture("mobilenetv2_000").ok());
    EXPECT_FALSE(findArchitecture("mobilenetv2_9999").ok());
}

TEST(Registry, AnUnknownNameListsTheNearest) {
    const auto found = findArchitecture("mobilenet_v2_100");
    ASSERT_FALSE(found.ok());
    EXPECT_EQ(found.status().code(), StatusCode::UnknownName);
    EXPECT_NE(found.status().message().find("mobilenetv2_100"), std::string::npos);
}

// The tensors and parameter counts of the independent implementation.
TEST(Registry, TensorsEqualTheReferences) {
    DUNLIN_NEEDS_SHARED("reference");
    int compared = 0;
    for (const auto& entry : std::filesystem::directory_iterator(test::sharedFolder() / "reference")) {
        std::ifstream file(entry.path());
        const auto reference = nlohmann::json::parse(file);
        const auto architecture = findArchitecture(reference["model"].get<std::string>());
        if (!architecture.ok()) continue;
        SCOPED_TRACE(entry.path().filename().string());
        const Graph graph = architecture->build({}, {1, 224, 224, 3});
        EXPECT_EQ(parameterCount(graph), reference["parameters"].get<int64_t>());
        std::map<std::string, std::vector<int64_t>> ours;
        for (const ParameterTensor& tensor : graph.parameters()) ours.emplace(tensor.name, tensor.shape);
        const auto theirs = reference["tensors"].get<std::map<std::string, std::vector<int64_t>>>();
        EXPECT_EQ(ours, theirs);
        ++compared;
    }
    EXPECT_GE(compared, 10);
}

TEST(Registry, MultiplyAddsAreThoseOfThePapers) {
    const auto millions = [](const char* name) {
        return static_cast<double>(multiplyAdds(findArchitecture(name)->build({}, {1, 224, 224, 3}))) / 1e6;
    };
    EXPECT_NEAR(millions("mobilenetv3_large_100"), 219, 3);
    EXPECT_NEAR(millions("mobilenetv3_small_100"), 56, 2);
    EXPECT_NEAR(millions("mobilenetv2_100"), 300, 3);
    EXPECT_NEAR(millions("mobilenetv1_100"), 569, 3);
}

TEST(Recognise, FindsANetworkByItsTensors) {
    ArchitectureOptions options;
    options.classes = 17;
    const ListedWeights weights(findArchitecture("mobilenetv3_small_075")->build(options, {1, 64, 64, 3}));
    const auto recognised = recognise(weights);
    ASSERT_TRUE(recognised.ok()) << recognised.status().message();
    EXPECT_EQ(recognised->architecture.name, "mobilenetv3_small_075");
    EXPECT_EQ(recognised->options.classes, 17);
}

TEST(Recognise, DecidesBetweenTwinsByTheBackgroundClass) {
    for (const auto& [classes, taken, other] :
         {std::tuple{1000, "mobilenetv3_large_100", "tf_mobilenetv3_large_100"},
          std::tuple{1001, "tf_mobilenetv3_large_100", "mobilenetv3_large_100"}}) {
        ArchitectureOptions options;
        options.classes = classes;
        const ListedWeights weights(findArchitecture("tf_mobilenetv3_large_100")->build(options, {1, 64, 64, 3}));
        const auto recognised = recognise(weights);
        ASSERT_TRUE(recognised.ok()) << recognised.status().message();
        EXPECT_EQ(recognised->architecture.name, taken);
        EXPECT_EQ(recognised->alsoFits, other);
    }
}

TEST(Recognise, TakesMobileNetsWithABackgroundClassForTensorFlows) {
    for (const char* name : {"mobilenetv1_100", "mobilenetv2_100"}) {
        for (int classes : {1000, 1001}) {
            ArchitectureOptions options;
            options.classes = classes;
            const auto recognised = recognise(ListedWeights(findArchitecture(name)->build(options, {1, 64, 64, 3})));
            ASSERT_TRUE(recognised.ok()) << recognised.status().message();
            EXPECT_EQ(recognised->architecture.name, name);
            EXPECT_EQ(recognised->alsoFits, "");
            EXPECT_EQ(recognised->options.samePadding, classes == 1001);
        }
    }
}

TEST(Recognise, FindsUnlistedWidths) {
    const ListedWeights weights(findArchitecture("mobilenetv2_060")->build({}, {1, 64, 64, 3}));
    const auto recognised = recognise(weights);
    ASSERT_TRUE(recognised.ok()) << recognised.status().message();
    // Rounding makes neighbouring widths equal; the tensors decide.
    const Graph again = recognised->architecture.build(recognised->options, {1, 64, 64, 3});
    EXPECT_EQ(parameterCount(again), parameterCount(findArchitecture("mobilenetv2_060")->build({}, {1, 64, 64, 3})));
}

TEST(Recognise, SaysWhatComesNearest) {
    ListedWeights weights(findArchitecture("mobilenetv2_100")->build({}, {1, 64, 64, 3}));
    weights.tensors_.erase(weights.tensors_.begin());
    const auto recognised = recognise(weights);
    ASSERT_FALSE(recognised.ok());
    EXPECT_EQ(recognised.status().code(), StatusCode::BadFile);
    EXPECT_NE(recognised.status().message().find("mobilenetv2_100 comes nearest with 1 tensors"), std::string::npos)
        << recognised.status().message();
}

}  // namespace
}  // namespace dunlin
