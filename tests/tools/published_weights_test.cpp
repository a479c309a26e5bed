// The table of published weights: every row is of use, and says what it must.
#include "tools/dunlin/published_weights.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "models/hub_config.h"
#include "models/registry.h"
#include "tools/dunlin/pulled_models.h"

namespace dunlin::cli {
namespace {

TEST(PublishedWeights, AreOfNetworksThatCanBeBuilt) {
    std::set<std::string_view> names;
    for (const PublishedWeights& weights : publishedWeights()) {
        SCOPED_TRACE(weights.name);
        EXPECT_TRUE(names.insert(weights.name).second) << "twice";
        EXPECT_TRUE(isModelName(weights.name));
        EXPECT_TRUE(findArchitecture(weights.architecture).ok());
        EXPECT_EQ(findPublishedWeights(weights.name), &weights);
        EXPECT_TRUE(weights.name == weights.architecture ||
                    weights.name == std::string(weights.architecture) + "@" + std::string(weights.publisher));
    }
    EXPECT_GE(names.size(), 25u);
}

TEST(PublishedWeights, ComeEncryptedWithAHashALicenceAndAPublisher) {
    for (const PublishedWeights& weights : publishedWeights()) {
        SCOPED_TRACE(weights.name);
        EXPECT_TRUE(weights.url.starts_with("https://"));
        EXPECT_TRUE(weights.url.ends_with(".safetensors") || weights.url.ends_with(".pth"));
        EXPECT_TRUE(weights.sha256.size() == 8 || weights.sha256.size() == 64) << weights.sha256;
        EXPECT_EQ(weights.sha256.find_first_not_of("0123456789abcdef"), std::string_view::npos);
        EXPECT_FALSE(weights.licence.empty());
        EXPECT_FALSE(weights.publisher.empty());
        // Checkpoints carry the first digits in their names.
        if (!weights.url.ends_with(".pth")) continue;
        const std::string_view name = weights.url.substr(0, weights.url.size() - 4);
        EXPECT_EQ(name.substr(name.size() - 8), weights.sha256.substr(0, 8)) << weights.url;
    }
}

TEST(PublishedWeights, HaveAConfigThatTheLibraryReads) {
    for (const PublishedWeights& weights : publishedWeights()) {
        SCOPED_TRACE(weights.name);
        const Result<HubConfig> config = parseHubConfig(configOf(weights));
        ASSERT_TRUE(config.ok()) << config.status().message();
        EXPECT_EQ(config->architecture, weights.architecture);
        EXPECT_EQ(config->classes, 1000);
        PreprocessSpec spec;
        config->preprocess.applyTo(spec);
        EXPECT_EQ(spec.inputHeight, weights.preprocessing.side);
        EXPECT_EQ(spec.inputWidth, weights.preprocessing.side);
        EXPECT_FLOAT_EQ(spec.mean[1], static_cast<float>(weights.preprocessing.mean[1]));
    }
}

// torchvision says how long the short side becomes, not which part of it is cut out.
TEST(PublishedWeights, ResizeAsTorchvisionDoes) {
    const auto shortSide = [](const char* name) {
        const PublishedPreprocessing& pictures = findPublishedWeights(name)->preprocessing;
        return std::floor(pictures.side / pictures.cropFraction);
    };
    EXPECT_EQ(shortSide("resnet18@torchvision"), 256);
    EXPECT_EQ(shortSide("resnet50@torchvision"), 232);
    EXPECT_EQ(shortSide("convnext_small"), 230);
    EXPECT_EQ(shortSide("convnext_tiny@torchvision"), 236);
    EXPECT_EQ(shortSide("swin_small_patch4_window7_224"), 246);
    EXPECT_EQ(shortSide("swin_base_patch4_window7_224"), 238);
    EXPECT_EQ(shortSide("vit_large_patch16_224"), 242);
    EXPECT_EQ(shortSide("efficientnet_b1"), 255);
    EXPECT_EQ(shortSide("efficientnet_b3"), 320);
    EXPECT_EQ(shortSide("efficientnet_b4@torchvision"), 384);
    EXPECT_EQ(shortSide("efficientnetv2_s"), 384);
}

TEST(PublishedWeights, SuggestsNamesForATypo) {
    EXPECT_EQ(findPublishedWeights("mobilenetv3_smal_100"), nullptr);
    EXPECT_TRUE(nearestPublishedNames("mobilenetv3_smal_100").starts_with("mobilenetv3_small_100, "));
}

}  // namespace
}  // namespace dunlin::cli
