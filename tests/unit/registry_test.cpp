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
    explicit ListedWeights(const std::map<std::string, std::vector<int64_t>>& tensors) {
        for (const auto& [name, shape] : tensors) tensors_.push_back({name, shape, DType::F32});
    }
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

// Feature maps for detection and segmentation, by the pixels that one of theirs stands for. ViT has none.
TEST(Registry, EveryMapNetworkHasItsMapsByStride) {
    for (const Architecture& architecture : architectures()) {
        if (architecture.hasClassToken) continue;
        SCOPED_TRACE(architecture.name);
        const Graph graph = architecture.build({}, {2, 256, 320, 3});
        for (const int stride : {4, 8, 16, 32}) {
            const auto tap = graph.findTap("stride" + std::to_string(stride));
            ASSERT_TRUE(tap.ok()) << tap.status().message();
            const Shape& shape = graph.shape(*tap);
            EXPECT_EQ(shape, (Shape{2, 256 / stride, 320 / stride, shape.c}));
        }
    }
}

TEST(Registry, TheMapOfAStrideIsTheLastStageOfIt) {
    const auto sameTap = [](const char* network, const char* stride, const char* stage) {
        const Graph graph = findArchitecture(network)->build({}, {1, 224, 224, 3});
        EXPECT_EQ(*graph.findTap(stride), *graph.findTap(stage)) << network << " " << stride;
    };
    sameTap("mobilenetv2_100", "stride16", "blocks.4");
    sameTap("mobilenetv2_100", "stride32", "blocks.6");  // not what conv_head makes of it
    sameTap("mobilenetv3_small_100", "stride4", "blocks.0");
    sameTap("efficientnet_b0", "stride16", "blocks.4");
    sameTap("convnext_tiny", "stride4", "stages.0");
    sameTap("resnet18", "stride8", "layer2");
}

TEST(Registry, MultiplyAddsAreThoseOfThePapers) {
    const auto millions = [](const char* name) {
        return static_cast<double>(multiplyAdds(findArchitecture(name)->build({}, {1, 224, 224, 3}))) / 1e6;
    };
    EXPECT_NEAR(millions("mobilenetv3_large_100"), 219, 3);
    EXPECT_NEAR(millions("mobilenetv3_small_100"), 56, 2);
    EXPECT_NEAR(millions("mobilenetv2_100"), 300, 3);
    EXPECT_NEAR(millions("mobilenetv1_100"), 569, 3);
    EXPECT_NEAR(millions("efficientnet_b0"), 390, 5);
    EXPECT_NEAR(millions("convnext_tiny"), 4500, 50);
    EXPECT_NEAR(millions("resnet50"), 4100, 50);
}

// The parameter counts that timm publishes, in millions to two decimals (results-imagenet.csv).
TEST(Registry, ParameterCountsAreThosePublished) {
    struct Published {
        const char* name;
        double millions;
    };
    for (const auto& [name, millions] : {
             Published{"efficientnet_lite0", 4.65},
             Published{"tf_efficientnet_lite1", 5.42},
             Published{"tf_efficientnet_lite2", 6.09},
             Published{"tf_efficientnet_lite3", 8.20},
             Published{"tf_efficientnet_lite4", 13.01},
             Published{"efficientnet_b5", 30.39},
             Published{"tf_efficientnet_b8", 87.41},
             Published{"efficientnetv2_rw_s", 23.94},
             Published{"tf_efficientnetv2_b0", 7.14},
             Published{"tf_efficientnetv2_b1", 8.14},
             Published{"tf_efficientnetv2_b2", 10.10},
             Published{"tf_efficientnetv2_b3", 14.36},
             Published{"tf_efficientnetv2_xl", 208.12},
             Published{"mobilenetv1_125", 6.27},
             Published{"tf_mobilenetv3_small_075", 2.04},
             Published{"convnext_atto", 3.70},
             Published{"convnext_femto", 5.22},
             Published{"convnext_pico", 9.05},
             Published{"convnext_nano", 15.59},
             Published{"resnet18", 11.69},
             Published{"resnet34", 21.80},
             Published{"resnet101", 44.55},
             Published{"resnet152", 60.19},
             Published{"mobilevitv2_050", 1.37},
             Published{"mobilevitv2_075", 2.87},
             Published{"mobilevitv2_125", 7.48},
             Published{"mobilevitv2_150", 10.59},
             Published{"mobilevitv2_175", 14.25},
             Published{"mobilevitv2_200", 18.45},
             Published{"vit_small_patch32_224", 22.88},
             Published{"vit_base_patch32_384", 88.30},
             Published{"vit_large_patch16_224", 304.33},
             Published{"vit_large_patch32_384", 306.63},
             Published{"deit_tiny_patch16_224", 5.72},
             Published{"deit_small_patch16_224", 22.05},
             Published{"deit_base_patch16_384", 86.86},
             Published{"swin_base_patch4_window12_384", 87.90},
         }) {
        const auto architecture = findArchitecture(name);
        ASSERT_TRUE(architecture.ok()) << architecture.status().message();
        const int64_t count = parameterCount(architecture->build({}, smallestInput(*architecture)));
        EXPECT_NEAR(static_cast<double>(count) / 1e6, millions, 0.005 + 1e-9) << name;
    }
}

// As the first of timm's published weights of each name were trained.
TEST(Registry, SomePicturesAreSquashedAndSomeCropsAreTheirOwn) {
    std::vector<std::string> squashed;
    for (const Architecture& architecture : architectures()) {
        if (architecture.preprocess.squash) squashed.push_back(architecture.name);
    }
    EXPECT_EQ(squashed, (std::vector<std::string>{"efficientnet_b5", "tf_efficientnetv2_m", "tf_efficientnetv2_l",
                                                  "tf_efficientnetv2_xl", "tf_efficientnetv2_b3"}));
    EXPECT_EQ(findArchitecture("mobilenetv1_125")->preprocess.cropFraction, 0.9);
    EXPECT_EQ(findArchitecture("mobilenetv1_100")->preprocess.cropFraction, 0.875);
    EXPECT_EQ(findArchitecture("mobilenetv2_125")->preprocess.cropFraction, 0.875);
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

TEST(Recognise, FindsEveryReferenceByItsTensors) {
    DUNLIN_NEEDS_SHARED("reference");
    int found = 0;
    for (const auto& entry : std::filesystem::directory_iterator(test::sharedFolder() / "reference")) {
        SCOPED_TRACE(entry.path().filename().string());
        std::ifstream file(entry.path());
        const auto reference = nlohmann::json::parse(file);
        const auto recognised = recognise(ListedWeights(reference["tensors"]));
        ASSERT_TRUE(recognised.ok()) << recognised.status().message();
        const auto name = reference["model"].get<std::string>();
        EXPECT_TRUE(recognised->architecture.name == name || recognised->alsoFits == name)
            << recognised->architecture.name;
        ++found;
    }
    EXPECT_GE(found, 40);
}

// Whatever the classifier is called.
TEST(Recognise, CountsTheClassesOfEveryFamily) {
    for (const char* name : {"efficientnet_b1", "convnext_nano", "resnet18", "mobilevit_xxs", "vit_tiny_patch16_224"}) {
        ArchitectureOptions options;
        options.classes = 23;
        const auto recognised = recognise(ListedWeights(findArchitecture(name)->build(options, {1, 64, 64, 3})));
        ASSERT_TRUE(recognised.ok()) << recognised.status().message();
        EXPECT_EQ(recognised->architecture.name, name);
        EXPECT_EQ(recognised->options.classes, 23);
    }
}

TEST(Recognise, TakesTheTwinThatWasPublished) {
    const ListedWeights weights(findArchitecture("efficientnetv2_s")->build({}, {1, 64, 64, 3}));
    const auto recognised = recognise(weights);
    ASSERT_TRUE(recognised.ok()) << recognised.status().message();
    EXPECT_EQ(recognised->architecture.name, "tf_efficientnetv2_s");
    EXPECT_EQ(recognised->alsoFits, "efficientnetv2_s");
    const auto torch = recognise(weights, TrainedWith::PyTorch);
    ASSERT_TRUE(torch.ok()) << torch.status().message();
    EXPECT_EQ(torch->architecture.name, "efficientnetv2_s");
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
