// Files as torchvision and transformers publish them, opened as they are: the network, its options, its pictures.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "models/model.h"
#include "tests/published_names.h"
#include "tests/weights_files.h"

namespace dunlin {
namespace {

namespace fs = std::filesystem;

fs::path freshFolder(const std::string& name) {
    const fs::path folder = fs::path(testing::TempDir()) / ("dunlin_published_model_test_" + name);
    fs::remove_all(folder);
    fs::create_directories(folder);
    return folder;
}

void write(const fs::path& path, const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
}

// A file with the published names and the shapes of this network; every number is 0 and none takes room on the disk.
void writeSafetensors(const fs::path& path, const test::PublishedNames& names, const Graph& graph) {
    std::map<std::string, std::vector<int64_t>> shapes;
    for (const ParameterTensor& tensor : graph.parameters()) shapes[tensor.name] = tensor.shape;
    std::string header;
    uint64_t offset = 0;
    for (const test::PublishedTensor& tensor : names.tensors()) {
        std::vector<int64_t> shape = shapes.at(tensor.canonical);
        shape[0] /= tensor.pieces;
        shape.insert(shape.end(), static_cast<size_t>(tensor.trailingOnes), 1);
        uint64_t sizeBytes = 2;
        for (const int64_t dimension : shape) sizeBytes *= static_cast<uint64_t>(dimension);
        header.append(header.empty() ? "{\"" : ",\"").append(tensor.file).append(R"(":{"dtype":"F16","shape":)");
        header.append(describeShape(shape)).append(R"(,"data_offsets":[)").append(std::to_string(offset)).append(",");
        offset += sizeBytes;
        header.append(std::to_string(offset)).append("]}");
    }
    const std::string file = test::safetensorsFile(header + "}");
    write(path, file);
    fs::resize_file(path, file.size() + offset);
}

Graph networkOf(const std::string& architecture, int classes) {
    const auto found = findArchitecture(architecture);
    EXPECT_TRUE(found.ok()) << found.status().message();
    const PreprocessSpec& spec = found->preprocess;
    return found->build({.classes = classes}, {1, spec.inputHeight, spec.inputWidth, 3});
}

// Of a picture of twice the width.
int resizedShortSide(const PreprocessSpec& spec) {
    return resizeGeometry(spec, 2000, 1000, spec.inputWidth, spec.inputHeight).resizedHeight;
}

// --- torchvision: a file alone

struct Published {
    std::string architecture;
    test::PublishedNames names;
    int resize, crop;
    Interpolation interpolation;
};

void expectOpens(const Published& published) {
    SCOPED_TRACE(published.architecture);
    constexpr int kClasses = 7;
    const fs::path file = freshFolder("torchvision") / "weights.safetensors";
    writeSafetensors(file, published.names, networkOf(published.architecture, kClasses));
    const auto model = openModel(file.string(), {});
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_EQ((*model)->data.architecture, published.architecture);
    EXPECT_EQ((*model)->alsoFits, "");
    EXPECT_EQ((*model)->data.classes, kClasses);
    const PreprocessSpec& spec = (*model)->data.preprocess;
    EXPECT_EQ(resizedShortSide(spec), published.resize);
    EXPECT_EQ(spec.inputHeight, published.crop);
    EXPECT_EQ(spec.inputWidth, published.crop);
    EXPECT_EQ(spec.interpolation, published.interpolation);
    EXPECT_FALSE(spec.swapRedBlue);
}

// TensorFlow's network has the same tensors and another padding.
TEST(PublishedModel, TorchvisionsEfficientNetsAreNotTensorFlows) {
    const auto bicubic = Interpolation::Bicubic, bilinear = Interpolation::Bilinear;
    expectOpens({"efficientnet_b1", test::torchvisionEfficientNetB(1.1), 256, 240, bicubic});
    expectOpens({"efficientnet_b4", test::torchvisionEfficientNetB(1.8), 384, 380, bicubic});
    expectOpens({"efficientnet_b7", test::torchvisionEfficientNetB(3.1), 600, 600, bicubic});
    expectOpens({"efficientnetv2_s", test::torchvisionEfficientNetV2({2, 4, 4, 6, 9, 15}), 384, 384, bilinear});
    expectOpens({"efficientnetv2_m", test::torchvisionEfficientNetV2({3, 5, 5, 7, 14, 18, 5}), 480, 480, bilinear});
}

TEST(PublishedModel, TorchvisionsEfficientNetB7HasTensorFlowsEpsilon) {
    const fs::path file = freshFolder("epsilon") / "weights.safetensors";
    writeSafetensors(file, test::torchvisionEfficientNetB(3.1), networkOf("efficientnet_b7", 10));
    const auto model = openModel(file.string(), {});
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_EQ((*model)->options.batchNormEpsilon, 1e-3);
    EXPECT_FALSE((*model)->options.samePadding);
}

TEST(PublishedModel, TorchvisionsConvNeXtViTAndSwin) {
    const auto bicubic = Interpolation::Bicubic, bilinear = Interpolation::Bilinear;
    expectOpens({"convnext_tiny", test::torchvisionConvNeXt({3, 3, 9, 3}), 236, 224, bilinear});
    expectOpens({"vit_base_patch16_224", test::torchvisionViT(12, /* olderNames = */ true), 256, 224, bilinear});
    expectOpens({"swin_tiny_patch4_window7_224", test::torchvisionSwin({2, 2, 6, 2}), 232, 224, bicubic});
}

// --- transformers: a folder

class MobileViTFolder : public testing::Test {
  protected:
    void SetUp() override {
        writeSafetensors(folder_ / "model.safetensors", test::huggingFaceMobileViT(), networkOf("mobilevit_xxs", 3));
        write(folder_ / "config.json", R"({
            "architectures": ["MobileViTForImageClassification"], "model_type": "mobilevit", "hidden_act": "silu",
            "image_size": 256, "hidden_sizes": [64, 80, 96], "neck_hidden_sizes": [16, 16, 24, 48, 64, 80, 320],
            "id2label": {"0": "ant", "1": "bee", "2": "cat"}, "label2id": {"ant": 0, "bee": 1, "cat": 2}})");
    }
    void preprocessor(const std::string& json) const { write(folder_ / "preprocessor_config.json", json); }

    fs::path folder_ = freshFolder("mobilevit");
};

TEST_F(MobileViTFolder, OpensAsItIs) {
    preprocessor(R"({
        "image_processor_type": "MobileViTImageProcessor", "do_resize": true, "size": {"shortest_edge": 288},
        "resample": 2, "do_rescale": true, "rescale_factor": 0.00392156862745098, "do_center_crop": true,
        "crop_size": {"height": 256, "width": 256}, "do_flip_channel_order": true})");
    const auto model = openModel(folder_.string(), {});
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_EQ((*model)->data.architecture, "mobilevit_xxs");
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

    preprocessor(R"({"do_flip_channel_order": false, "size": 320})");
    model = openModel(folder_.string(), {});
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_FALSE((*model)->data.preprocess.swapRedBlue);
    EXPECT_EQ(resizedShortSide((*model)->data.preprocess), 320);
}

TEST_F(MobileViTFolder, RefusesAPreprocessorConfigThatItCannotFollow) {
    preprocessor(R"({"resample": 0})");
    const auto model = openModel(folder_.string(), {});
    ASSERT_FALSE(model.ok());
    EXPECT_EQ(model.status().code(), StatusCode::BadFile);
    EXPECT_NE(model.status().message().find("preprocessor_config.json: resample is 0"), std::string::npos)
        << model.status().message();
}

TEST(PublishedModel, HuggingFacesMobileViTv2) {
    const fs::path folder = freshFolder("mobilevitv2");
    writeSafetensors(folder / "model.safetensors", test::huggingFaceMobileViTv2(), networkOf("mobilevitv2_100", 5));
    write(folder / "config.json", R"({"model_type": "mobilevitv2", "width_multiplier": 1.0})");
    const auto model = openModel(folder.string(), {});
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_EQ((*model)->data.architecture, "mobilevitv2_100");
    EXPECT_TRUE((*model)->data.preprocess.swapRedBlue);
}

}  // namespace
}  // namespace dunlin
