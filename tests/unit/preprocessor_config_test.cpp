#include "models/preprocessor_config.h"

#include <gtest/gtest.h>

#include "runtime/weights/name_schemes/layouts.h"

namespace dunlin {
namespace {

PreprocessSpec changed(const std::string& json, PreprocessSpec spec = {}) {
    const auto config = parsePreprocessorConfig(json);
    EXPECT_TRUE(config.ok()) << config.status().message();
    EXPECT_TRUE(config.ok() && config->applyTo(spec).ok());
    return spec;
}

// Of a picture of twice the width.
int resizedShortSide(const PreprocessSpec& spec) {
    return resizeGeometry(spec, 2000, 1000, spec.inputWidth, spec.inputHeight).resizedHeight;
}

const char* const kMobileViT = R"({
    "image_processor_type": "MobileViTImageProcessor", "do_resize": true, "size": {"shortest_edge": 288},
    "resample": 2, "do_rescale": true, "rescale_factor": 0.00392156862745098, "do_center_crop": true,
    "crop_size": {"height": 256, "width": 256}, "do_flip_channel_order": true})";

TEST(PreprocessorConfig, ReadsMobileViTs) {
    PreprocessSpec before;
    before.interpolation = Interpolation::Bicubic;
    const PreprocessSpec spec = changed(kMobileViT, before);
    EXPECT_EQ(spec.inputHeight, 256);
    EXPECT_EQ(spec.inputWidth, 256);
    EXPECT_EQ(resizedShortSide(spec), 288);
    EXPECT_EQ(spec.interpolation, Interpolation::Bilinear);
    EXPECT_TRUE(spec.swapRedBlue);
    EXPECT_EQ(spec.mean, before.mean);  // not said
}

TEST(PreprocessorConfig, ReadsOlderFiles) {
    const PreprocessSpec spec =
        changed(R"({"feature_extractor_type": "MobileViTFeatureExtractor", "size": 544, "crop_size": 512,
                    "do_flip_channel_order": true, "resample": 3})");
    EXPECT_EQ(spec.inputWidth, 512);
    EXPECT_EQ(resizedShortSide(spec), 544);
    EXPECT_EQ(spec.interpolation, Interpolation::Bicubic);
}

TEST(PreprocessorConfig, ReadsColours) {
    PreprocessSpec spec = changed(R"({"do_normalize": true, "image_mean": [0.5, 0.25, 0], "image_std": [1, 2, 3]})");
    EXPECT_EQ(spec.mean, (std::array<float, 3>{0.5f, 0.25f, 0.0f}));
    EXPECT_EQ(spec.deviation, (std::array<float, 3>{1, 2, 3}));
    spec = changed(R"({"do_normalize": false, "image_mean": [0.5, 0.25, 0]})");
    EXPECT_EQ(spec.mean, (std::array<float, 3>{0, 0, 0}));
    EXPECT_EQ(spec.deviation, (std::array<float, 3>{1, 1, 1}));
}

TEST(PreprocessorConfig, LeavesWhatIsAbsentOrNull) {
    PreprocessSpec before;
    before.mean = {1, 2, 3};
    before.swapRedBlue = true;
    before.inputWidth = 320;
    const PreprocessSpec spec = changed(
        R"({"size": null, "crop_size": null, "resample": null, "image_mean": null, "unknown": {"a": 1}})", before);
    EXPECT_EQ(spec.mean, before.mean);
    EXPECT_TRUE(spec.swapRedBlue);
    EXPECT_EQ(spec.inputWidth, 320);
    EXPECT_EQ(spec.cropFraction, before.cropFraction);
    EXPECT_FALSE(changed(R"({"do_flip_channel_order": false})", before).swapRedBlue);
}

TEST(PreprocessorConfig, RefusesWhatIsNotSupported) {
    struct Refusal {
        std::string json, reason;
    };
    const std::string deep = R"({"size": )" + std::string(100000, '[') + std::string(100000, ']') + "}";
    for (const Refusal& refusal : {
             Refusal{"", "it is not JSON at byte"},
             Refusal{"[1]", "it is no JSON object"},
             Refusal{std::string((16 << 20) + 1, ' '), "it has 16777217 bytes, the limit is 16777216"},
             Refusal{deep, "it nests more than 16 deep"},
             Refusal{R"({"size": 256, "size": 288})", "it has size twice"},
             Refusal{R"({"size": [[256]]})", "size is [[256]], but must be a number from 32 to 1024"},
             Refusal{R"({"do_resize": false})", "do_resize is false, but must be true"},
             Refusal{R"({"do_rescale": 1})", "do_rescale is 1, but must be true or false"},
             Refusal{R"({"do_center_crop": false})", "do_center_crop is false, but must be true"},
             Refusal{R"({"rescale_factor": 1})", "rescale_factor is 1, but must be a number from 0.0039"},
             Refusal{R"({"resample": 1})", "resample is 1, but must be 2 (bilinear) or 3 (bicubic)"},
             Refusal{R"({"resample": "bilinear"})", "resample is \"bilinear\", but must be 2"},
             Refusal{R"({"size": {"height": 224, "width": 224}})",
                     "but must be a shortest_edge, because pictures keep"},
             Refusal{R"({"size": {"shortest_edge": 8}})",
                     "size.shortest_edge is 8, but must be a number from 32 to 1024"},
             Refusal{R"({"size": 256.5})", "size is 256.5, but must be a whole number"},
             Refusal{R"({"crop_size": {"height": 224, "width": 256}})", "must be the height and width of a square"},
             Refusal{R"({"crop_size": {"height": 224}})", "must be the height and width of a square"},
             Refusal{R"({"crop_size": 1e9})", "crop_size is 1000000000.0, but must be a number from 32 to 1024"},
             Refusal{R"({"image_mean": [1, 2]})", "image_mean is [1,2], but must be a list of three numbers"},
             Refusal{R"({"image_std": [1, 0, 1]})", "image_std[1] is 0, but must be a number from 1e-06"},
         }) {
        const auto config = parsePreprocessorConfig(refusal.json);
        ASSERT_FALSE(config.ok()) << refusal.reason;
        EXPECT_EQ(config.status().code(), StatusCode::BadFile);
        EXPECT_NE(config.status().message().find(refusal.reason), std::string::npos) << config.status().message();
    }
}

TEST(PreprocessorConfig, RefusesToResizeToLessThanTheCrop) {
    for (const char* json : {R"({"size": 224, "crop_size": 256})", R"({"size": 200})"}) {
        const auto config = parsePreprocessorConfig(json);
        ASSERT_TRUE(config.ok()) << config.status().message();
        PreprocessSpec spec;
        const Status status = config->applyTo(spec);
        EXPECT_EQ(status.code(), StatusCode::BadFile);
        EXPECT_NE(status.message().find("but must be at least the crop's"), std::string::npos) << status.message();
    }
}

TEST(PreprocessorConfig, TheLargerSideOfACropMustFitIntoTheResize) {
    const auto config = parsePreprocessorConfig(R"({"size": 224})");
    ASSERT_TRUE(config.ok()) << config.status().message();
    PreprocessSpec wide;  // as a config.json may say
    wide.inputHeight = 192;
    wide.inputWidth = 256;
    EXPECT_EQ(config->applyTo(wide).message(), "size is 224, but must be at least the crop's 256");
    std::swap(wide.inputHeight, wide.inputWidth);
    EXPECT_EQ(config->applyTo(wide).message(), "size is 224, but must be at least the crop's 256");
    wide.inputHeight = 224;
    EXPECT_TRUE(config->applyTo(wide).ok());
    EXPECT_EQ(wide.cropFraction, 1);
}

// --- what name schemes tell

TEST(PublishedPreprocess, ResizesToThePublishedPixels) {
    size_t checked = 0;
    for (const auto layouts : {torchvisionMobileNets(), torchvisionEfficientNets(), torchvisionConvNeXts(),
                               torchvisionTransformers(), huggingFaceMobileViTs()}) {
        for (const Layout& layout : layouts) {
            if (!layout.preprocess) continue;
            const PreprocessSpec spec = specOf(*layout.preprocess);
            EXPECT_EQ(resizedShortSide(spec), layout.preprocess->resize) << layout.name;
            EXPECT_EQ(spec.inputHeight, layout.preprocess->crop) << layout.name;
            ++checked;
        }
    }
    EXPECT_EQ(checked, 3u + 11u + 4u + 8u + 2u);
}

TEST(PublishedPreprocess, IsTheDefaultForMobileNets) {
    const PreprocessSpec spec = specOf({}), standard;
    EXPECT_EQ(spec.cropFraction, standard.cropFraction);
    EXPECT_EQ(spec.mean, standard.mean);
    EXPECT_EQ(spec.deviation, standard.deviation);
    EXPECT_EQ(spec.interpolation, standard.interpolation);
    EXPECT_EQ(spec.inputWidth, standard.inputWidth);
    EXPECT_FALSE(spec.swapRedBlue);
}

}  // namespace
}  // namespace dunlin
