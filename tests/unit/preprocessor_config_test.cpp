#include "models/preprocessor_config.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "models/model.h"
#include "models/registry.h"
#include "runtime/weights/name_schemes/layouts.h"
#include "tests/published_names.h"
#include "tests/weights_files.h"

namespace dunlin {
namespace {

namespace fs = std::filesystem;

PreprocessSpec changed(const std::string& json, PreprocessSpec spec = {}) {
    const auto config = parsePreprocessorConfig(json);
    EXPECT_TRUE(config.ok()) << config.status().message();
    if (config.ok()) config->applyTo(spec);
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
             Refusal{"", "it is no JSON object"},
             Refusal{"[1]", "it is no JSON object"},
             Refusal{std::string((1 << 20) + 1, ' '), "it has 1048577 bytes, the limit is 1048576"},
             Refusal{deep, "size is a list of lists, but must be a number from 32 to 1024"},
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
             Refusal{R"({"size": 224, "crop_size": 256})",
                     "crop_size is 256, but must be at most the resized side, 224"},
             Refusal{R"({"image_mean": [1, 2]})", "image_mean is [1,2], but must be a list of three numbers"},
             Refusal{R"({"image_std": [1, 0, 1]})", "image_std[1] is 0, but must be a number from 1e-06"},
         }) {
        const auto config = parsePreprocessorConfig(refusal.json);
        ASSERT_FALSE(config.ok()) << refusal.reason;
        EXPECT_EQ(config.status().code(), StatusCode::BadFile);
        EXPECT_NE(config.status().message().find(refusal.reason), std::string::npos) << config.status().message();
    }
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
    EXPECT_EQ(checked, 3u + 11u + 4u + 9u + 2u);
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

// --- opening a folder as transformers publishes it

// Every number is 1.
std::string safetensorsOf(const test::PublishedNames& names, const Graph& graph) {
    std::map<std::string, std::vector<int64_t>> shapes;
    for (const ParameterTensor& tensor : graph.parameters()) shapes[tensor.name] = tensor.shape;
    std::string header;
    uint64_t offset = 0;
    for (const test::PublishedTensor& tensor : names.tensors()) {
        std::vector<int64_t> shape = shapes.at(tensor.canonical);
        shape[0] /= tensor.pieces;
        uint64_t sizeBytes = 2;
        for (const int64_t dimension : shape) sizeBytes *= static_cast<uint64_t>(dimension);
        header.append(header.empty() ? "{\"" : ",\"").append(tensor.file).append(R"(":{"dtype":"F16","shape":)");
        header.append(describeShape(shape)).append(R"(,"data_offsets":[)").append(std::to_string(offset)).append(",");
        offset += sizeBytes;
        header.append(std::to_string(offset)).append("]}");
    }
    std::string data(offset, '\0');
    for (size_t i = 1; i < data.size(); i += 2) data[i] = 0x3c;
    return test::safetensorsFile(header + "}", data);
}

void write(const fs::path& path, const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
}

class MobileViTFolder : public testing::Test {
  protected:
    void SetUp() override {
        const auto network = findArchitecture("mobilevit_xxs");
        if (!network.ok()) GTEST_SKIP() << "this build has no MobileViT";
        fs::remove_all(folder_);
        fs::create_directories(folder_);
        const Graph graph = network->build({.classes = 3}, {1, 256, 256, 3});
        write(folder_ / "model.safetensors", safetensorsOf(test::huggingFaceMobileViT(), graph));
        write(folder_ / "config.json", R"({
            "architectures": ["MobileViTForImageClassification"], "model_type": "mobilevit", "hidden_act": "silu",
            "image_size": 256, "hidden_sizes": [64, 80, 96], "neck_hidden_sizes": [16, 16, 24, 48, 64, 80, 320],
            "id2label": {"0": "ant", "1": "bee", "2": "cat"}, "label2id": {"ant": 0, "bee": 1, "cat": 2}})");
    }

    fs::path folder_ = fs::path(testing::TempDir()) / "dunlin_preprocessor_config_test";
};

TEST_F(MobileViTFolder, OpensAsItIs) {
    write(folder_ / "preprocessor_config.json", kMobileViT);
    const auto model = openModel(folder_.string(), {});
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_EQ((*model)->data.architecture, "mobilevit_xxs");
    EXPECT_EQ((*model)->data.classes, 3);
    EXPECT_EQ((*model)->labels, (std::vector<std::string>{"ant", "bee", "cat"}));
    const PreprocessSpec& spec = (*model)->data.preprocess;
    EXPECT_TRUE(spec.swapRedBlue);
    EXPECT_EQ(spec.inputWidth, 256);
    EXPECT_EQ(resizedShortSide(spec), 288);
    EXPECT_EQ(spec.interpolation, Interpolation::Bilinear);
    EXPECT_EQ(spec.mean, (std::array<float, 3>{0, 0, 0}));
    EXPECT_EQ(spec.deviation, (std::array<float, 3>{1, 1, 1}));
}

TEST_F(MobileViTFolder, WantsBlueFirstUnlessItsConfigSaysOtherwise) {
    auto model = openModel(folder_.string(), {});
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_TRUE((*model)->data.preprocess.swapRedBlue);
    EXPECT_EQ(resizedShortSide((*model)->data.preprocess), 288);

    write(folder_ / "preprocessor_config.json", R"({"do_flip_channel_order": false, "size": 320})");
    model = openModel(folder_.string(), {});
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_FALSE((*model)->data.preprocess.swapRedBlue);
    EXPECT_EQ(resizedShortSide((*model)->data.preprocess), 320);
}

TEST_F(MobileViTFolder, RefusesAPreprocessorConfigThatItCannotFollow) {
    write(folder_ / "preprocessor_config.json", R"({"resample": 0})");
    const auto model = openModel(folder_.string(), {});
    ASSERT_FALSE(model.ok());
    EXPECT_EQ(model.status().code(), StatusCode::BadFile);
    EXPECT_NE(model.status().message().find("preprocessor_config.json: resample is 0"), std::string::npos)
        << model.status().message();
}

}  // namespace
}  // namespace dunlin
