// Every tensor of the published weights of torchvision and transformers against the references: names, shapes, values.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "runtime/weights/fold.h"
#include "runtime/weights/name_scheme.h"
#include "runtime/weights/synthetic.h"
#include "runtime/weights/tensor_data.h"
#include "tests/published_names.h"
#include "tests/support.h"

namespace dunlin {
namespace {

using test::PublishedNames;
using test::PublishedTensor;

using Shape64 = std::vector<int64_t>;
using Shapes = std::map<std::string, Shape64>;

Shapes shapesOfReference(const std::string& name) {
    std::ifstream stream(test::sharedFolder() / "reference" / (name + ".json"));
    const auto json = nlohmann::json::parse(stream);
    Shapes shapes;
    for (const auto& [tensor, shape] : json["tensors"].items()) shapes[tensor] = shape.get<Shape64>();
    return shapes;
}

size_t countOf(const Shape64& shape) {
    return static_cast<size_t>(elementCount(shape).value());
}

// The formula's numbers of a canonical tensor.
std::vector<float> formulaOf(const std::string& name, const Shape64& shape) {
    std::vector<float> values(countOf(shape));
    EXPECT_TRUE(formulaWeights()->read(name, shape, values).ok());
    return values;
}

// A file as published that holds the formula's numbers. Its tensors come by the alphabet, as in a safetensors file.
class PublishedFile final : public WeightsSource {
  public:
    PublishedFile(const PublishedNames& names, const Shapes& canonical) : canonical_(canonical) {
        for (const PublishedTensor& tensor : names.tensors()) {
            byName_[tensor.file] = tensor;
            if (tensor.file.ends_with(".running_var"))
                addBuffer(tensor.file, ".running_var", ".num_batches_tracked", {});
            if (tensor.file.ends_with(".attn.qkv.weight")) {
                addBuffer(tensor.file, ".qkv.weight", ".relative_position_index", {49 * 49});
            }
        }
        for (const auto& [name, tensor] : byName_) tensors_.push_back({name, shapeOf(tensor), DType::F32});
        std::ranges::sort(tensors_, {}, &TensorInfo::name);
    }

    const std::vector<TensorInfo>& tensors() const override { return tensors_; }

    Status read(std::string_view name, std::span<const int64_t> shape, std::span<float> values) const override {
        const auto found = std::ranges::find(tensors_, name, &TensorInfo::name);
        if (found == tensors_.end()) return error(StatusCode::BadFile, "none");
        DUNLIN_TRY(checkRead(*found, shape, values.size()));
        const PublishedTensor& tensor = byName_.at(std::string(name));
        const std::vector<float> whole = formulaOf(tensor.canonical, canonical_.at(tensor.canonical));
        const auto begin = whole.begin() + static_cast<ptrdiff_t>(values.size()) * tensor.piece;
        std::copy_n(begin, values.size(), values.begin());
        return {};
    }

  private:
    void addBuffer(const std::string& file, const std::string& ending, const char* own, const Shape64& shape) {
        tensors_.push_back({file.substr(0, file.size() - ending.size()) + own, shape, DType::I64});
    }
    Shape64 shapeOf(const PublishedTensor& tensor) const {
        const auto found = canonical_.find(tensor.canonical);
        if (found == canonical_.end()) return {};  // expectMaps reports it
        Shape64 shape = found->second;
        if (tensor.pieces > 1) shape[0] /= tensor.pieces;
        shape.insert(shape.end(), static_cast<size_t>(tensor.trailingOnes), 1);
        return shape;
    }

    Shapes canonical_;
    std::map<std::string, PublishedTensor> byName_;
    std::vector<TensorInfo> tensors_;
};

std::shared_ptr<const CanonicalWeights> canonical(const PublishedNames& names, const Shapes& shapes) {
    auto weights = withCanonicalNames(std::make_shared<PublishedFile>(names, shapes));
    EXPECT_TRUE(weights.ok()) << weights.status().message();
    return *weights;
}

Shapes shapesOf(const WeightsSource& weights) {
    Shapes shapes;
    for (const TensorInfo& tensor : weights.tensors()) {
        if (!tensor.name.ends_with(".num_batches_tracked")) shapes[tensor.name] = tensor.shape;
    }
    return shapes;
}

void expectCounters(const CanonicalWeights& weights) {
    const Shapes shapes = shapesOf(weights);
    for (const TensorInfo& tensor : weights.tensors()) {
        const std::string ending = ".num_batches_tracked";
        if (!tensor.name.ends_with(ending)) continue;
        const std::string module = tensor.name.substr(0, tensor.name.size() - ending.size());
        EXPECT_TRUE(shapes.contains(module + ".running_var")) << tensor.name << " counts for no BatchNorm";
    }
}

// Names and shapes of all tensors; the numbers of those that are not too large to be quick.
void expectMaps(const PublishedNames& names, const Shapes& reference, const std::string& scheme) {
    std::map<std::string, std::string> originals;
    for (const PublishedTensor& tensor : names.tensors()) {
        ASSERT_TRUE(reference.contains(tensor.canonical)) << tensor.file << " should be " << tensor.canonical;
        std::string& original = originals[tensor.canonical];
        original += (original.empty() ? "" : " + ") + tensor.file;
    }
    ASSERT_EQ(originals.size(), reference.size());

    const auto weights = canonical(names, reference);
    EXPECT_EQ(weights->scheme().name, scheme);
    EXPECT_EQ(shapesOf(*weights), reference);
    expectCounters(*weights);
    constexpr size_t kQuick = 1 << 18;
    for (const auto& [name, shape] : reference) {
        EXPECT_EQ(weights->originalName(name), originals[name]);
        if (countOf(shape) > kQuick) continue;
        std::vector<float> values(countOf(shape));
        const Status status = weights->read(name, shape, values);
        ASSERT_TRUE(status.ok()) << status.message();
        ASSERT_EQ(values, formulaOf(name, shape)) << name;
    }
}

struct Case {
    std::string reference;
    PublishedNames names;
    std::string scheme;
};

void expectAllMap(const std::vector<Case>& cases) {
    for (const Case& c : cases) {
        SCOPED_TRACE(c.reference);
        expectMaps(c.names, shapesOfReference(c.reference), c.scheme);
    }
}

TEST(PublishedNames, TorchvisionEfficientNet) {
    DUNLIN_NEEDS_SHARED("reference/efficientnet_b0.json");
    expectAllMap({
        {"efficientnet_b0", test::torchvisionEfficientNetB(1.0), "torchvision EfficientNet-B0"},
        {"efficientnet_b1", test::torchvisionEfficientNetB(1.1), "torchvision EfficientNet-B1"},
        {"efficientnet_b2", test::torchvisionEfficientNetB(1.2), "torchvision EfficientNet-B2"},
        {"efficientnet_b3", test::torchvisionEfficientNetB(1.4), "torchvision EfficientNet-B3"},
        {"efficientnet_b4", test::torchvisionEfficientNetB(1.8), "torchvision EfficientNet-B4"},
        {"tf_efficientnet_b5", test::torchvisionEfficientNetB(2.2), "torchvision EfficientNet-B5"},
        {"tf_efficientnet_b6-224x224", test::torchvisionEfficientNetB(2.6), "torchvision EfficientNet-B6"},
        {"tf_efficientnet_b7-224x224", test::torchvisionEfficientNetB(3.1), "torchvision EfficientNet-B7"},
    });
}

TEST(PublishedNames, TorchvisionEfficientNetV2) {
    DUNLIN_NEEDS_SHARED("reference/tf_efficientnetv2_s.json");
    expectAllMap({
        {"tf_efficientnetv2_s", test::torchvisionEfficientNetV2({2, 4, 4, 6, 9, 15}), "torchvision EfficientNetV2-S"},
        {"tf_efficientnetv2_m-224x224", test::torchvisionEfficientNetV2({3, 5, 5, 7, 14, 18, 5}),
         "torchvision EfficientNetV2-M"},
        {"tf_efficientnetv2_l-224x224", test::torchvisionEfficientNetV2({4, 7, 7, 10, 19, 25, 7}),
         "torchvision EfficientNetV2-L"},
    });
}

TEST(PublishedNames, TorchvisionConvNeXt) {
    DUNLIN_NEEDS_SHARED("reference/convnext_tiny.json");
    expectAllMap({
        {"convnext_tiny", test::torchvisionConvNeXt({3, 3, 9, 3}), "torchvision ConvNeXt-Tiny"},
        {"convnext_small", test::torchvisionConvNeXt({3, 3, 27, 3}), "torchvision ConvNeXt-Small"},
        {"convnext_base", test::torchvisionConvNeXt({3, 3, 27, 3}), "torchvision ConvNeXt-Base"},
        {"convnext_large", test::torchvisionConvNeXt({3, 3, 27, 3}), "torchvision ConvNeXt-Large"},
    });
}

// What a ViT of this width, patch, depth and number of tokens has.
Shapes shapesOfViT(int64_t width, int64_t patch, int depth, int64_t tokens) {
    Shapes shapes = {{"cls_token", {1, 1, width}},
                     {"pos_embed", {1, tokens, width}},
                     {"patch_embed.proj.weight", {width, 3, patch, patch}},
                     {"patch_embed.proj.bias", {width}}};
    const auto linear = [&](const std::string& name, int64_t out, int64_t in) {
        shapes[name + ".weight"] = {out, in};
        shapes[name + ".bias"] = {out};
    };
    const auto norm = [&](const std::string& name) { shapes[name + ".weight"] = shapes[name + ".bias"] = {width}; };
    for (int i = 0; i < depth; ++i) {
        const std::string block = test::joined("blocks", i);
        norm(block + ".norm1");
        linear(block + ".attn.qkv", 3 * width, width);
        linear(block + ".attn.proj", width, width);
        norm(block + ".norm2");
        linear(block + ".mlp.fc1", 4 * width, width);
        linear(block + ".mlp.fc2", width, 4 * width);
    }
    norm("norm");
    linear("head", 1000, width);
    return shapes;
}

TEST(PublishedNames, TorchvisionViT) {
    DUNLIN_NEEDS_SHARED("reference/vit_base_patch16_224.json");
    const Shapes reference = shapesOfReference("vit_base_patch16_224");
    EXPECT_EQ(shapesOfViT(768, 16, 12, 197), reference);
    expectMaps(test::torchvisionViT(12, /* olderNames = */ true), reference, "torchvision ViT-B/16");
    expectMaps(test::torchvisionViT(12, /* olderNames = */ false), reference, "torchvision ViT-B/16");
}

TEST(PublishedNames, TorchvisionViTOfOtherSizes) {
    const auto expect = [](int64_t width, int64_t patch, int depth, int64_t tokens, const std::string& scheme) {
        const Shapes shapes = shapesOfViT(width, patch, depth, tokens);
        const auto weights = canonical(test::torchvisionViT(depth, true), shapes);
        EXPECT_EQ(weights->scheme().name, scheme);
        EXPECT_EQ(shapesOf(*weights), shapes) << scheme;
    };
    expect(768, 32, 12, 50, "torchvision ViT-B/32");
    expect(768, 16, 12, 577, "torchvision ViT-B/16, SWAG");
    expect(1024, 16, 24, 197, "torchvision ViT-L/16");
    expect(1024, 32, 24, 50, "torchvision ViT-L/32");
    expect(192, 16, 3, 65, "torchvision ViT");
}

TEST(PublishedNames, TorchvisionSwin) {
    DUNLIN_NEEDS_SHARED("reference/swin_tiny_patch4_window7_224.json");
    expectAllMap({
        {"swin_tiny_patch4_window7_224", test::torchvisionSwin({2, 2, 6, 2}), "torchvision Swin-T"},
        {"swin_small_patch4_window7_224", test::torchvisionSwin({2, 2, 18, 2}), "torchvision Swin-S"},
        {"swin_base_patch4_window7_224", test::torchvisionSwin({2, 2, 18, 2}), "torchvision Swin-B"},
    });
}

// torchvision's ResNets have timm's names already.
TEST(PublishedNames, TorchvisionResNet) {
    DUNLIN_NEEDS_SHARED("reference/resnet50.json");
    const Shapes reference = shapesOfReference("resnet50");
    PublishedNames names;
    for (const auto& [name, shape] : reference) names.tensor(name, name);
    expectMaps(names, reference, "timm");
}

TEST(PublishedNames, HuggingFaceMobileViT) {
    DUNLIN_NEEDS_SHARED("reference/mobilevit_s.json");
    expectAllMap({
        {"mobilevit_xxs", test::huggingFaceMobileViT(), "Hugging Face MobileViT"},
        {"mobilevit_xs", test::huggingFaceMobileViT(), "Hugging Face MobileViT"},
        {"mobilevit_s", test::huggingFaceMobileViT(), "Hugging Face MobileViT"},
        {"mobilevit_s", test::huggingFaceMobileViT(""), "Hugging Face MobileViT"},
    });
}

TEST(PublishedNames, HuggingFaceMobileViTv2) {
    DUNLIN_NEEDS_SHARED("reference/mobilevitv2_100.json");
    expectAllMap({
        {"mobilevitv2_100", test::huggingFaceMobileViTv2(), "Hugging Face MobileViTv2"},
        {"mobilevitv2_100", test::huggingFaceMobileViTv2(""), "Hugging Face MobileViTv2"},
    });
}

// --- what a scheme tells besides names

NameScheme schemeOf(const std::string& reference, const PublishedNames& names) {
    return canonical(names, shapesOfReference(reference))->scheme();
}

TEST(PublishedNames, TellWhatTheNetworksWereTrainedWith) {
    DUNLIN_NEEDS_SHARED("reference/efficientnet_b4.json");
    const NameScheme b4 = schemeOf("efficientnet_b4", test::torchvisionEfficientNetB(1.8));
    EXPECT_EQ(b4.batchNormEpsilon, 1e-5);
    EXPECT_TRUE(b4.padsSymmetrically);
    ASSERT_TRUE(b4.preprocess.has_value());
    EXPECT_EQ(b4.preprocess->resize, 384);
    EXPECT_EQ(b4.preprocess->crop, 380);
    EXPECT_TRUE(b4.preprocess->bicubic);
    EXPECT_FALSE(b4.preprocess->swapRedBlue);

    const NameScheme b5 = schemeOf("tf_efficientnet_b5", test::torchvisionEfficientNetB(2.2));
    EXPECT_EQ(b5.batchNormEpsilon, 1e-3);
    EXPECT_TRUE(b5.padsSymmetrically);  // although ported from TensorFlow's, which does not
    const NameScheme v2 =
        schemeOf("tf_efficientnetv2_l-224x224", test::torchvisionEfficientNetV2({4, 7, 7, 10, 19, 25, 7}));
    EXPECT_EQ(v2.batchNormEpsilon, 1e-3);
    EXPECT_EQ(v2.preprocess->mean, (std::array<float, 3>{0.5f, 0.5f, 0.5f}));
}

TEST(PublishedNames, TellThatMobileViTWantsBlueFirst) {
    DUNLIN_NEEDS_SHARED("reference/mobilevit_xs.json");
    const NameScheme scheme = schemeOf("mobilevit_xs", test::huggingFaceMobileViT());
    ASSERT_TRUE(scheme.preprocess.has_value());
    EXPECT_TRUE(scheme.preprocess->swapRedBlue);
    EXPECT_EQ(scheme.preprocess->mean, (std::array<float, 3>{0, 0, 0}));
    EXPECT_EQ(scheme.preprocess->deviation, (std::array<float, 3>{1, 1, 1}));
    EXPECT_EQ(scheme.preprocess->crop, 256);
}

// --- files that are not as published

// Tensors without a file or numbers.
class ListedTensors final : public WeightsSource {
  public:
    explicit ListedTensors(std::vector<TensorInfo> tensors) : tensors_(std::move(tensors)) {}
    const std::vector<TensorInfo>& tensors() const override { return tensors_; }
    Status read(std::string_view, std::span<const int64_t>, std::span<float>) const override {
        return error(StatusCode::BadFile, "none");
    }

  private:
    std::vector<TensorInfo> tensors_;
};

const std::string kAttention = "encoder.layer.2.transformer.layer.0.attention.attention.";

TEST(PublishedNames, RefusesAQueryWithoutItsKey) {
    const auto weights = withCanonicalNames(std::make_shared<ListedTensors>(
        std::vector<TensorInfo>{{kAttention + "value.weight", {4, 4}}, {kAttention + "query.weight", {4, 4}}}));
    ASSERT_FALSE(weights.ok());
    EXPECT_EQ(weights.status().code(), StatusCode::BadFile);
    EXPECT_EQ(weights.status().message(),
              "the file has no " + kAttention +
                  "key.weight, which is a part of stages.2.1.transformer.0.attn.qkv.weight as " + kAttention +
                  "query.weight is");
}

TEST(PublishedNames, ErrorsNameTheTensorsOfTheFile) {
    const std::string qkv = "stages.2.1.transformer.0.attn.qkv.weight",
                      names =
                          kAttention + "query.weight + " + kAttention + "key.weight + " + kAttention + "value.weight";
    const auto weights = withCanonicalNames(
        std::make_shared<ListedTensors>(std::vector<TensorInfo>{{kAttention + "query.weight", {4, 4}},
                                                                {kAttention + "key.weight", {4, 4}, DType::I64},
                                                                {kAttention + "value.weight", {4, 4}}}));
    ASSERT_TRUE(weights.ok()) << weights.status().message();
    EXPECT_EQ((*weights)->placeOf(qkv), names);  // a file puts its own name before it
    EXPECT_EQ((*weights)->placeOf("fc.weight"), "fc.weight");

    const auto network = [&](int outFeatures) {
        Graph graph({1, 1, 1, 4});
        graph.setOutput(graph.add("qkv", Linear{graph.input(), outFeatures, Activation::None, {.weight = qkv}}));
        return graph;
    };
    // Any piece of integers makes the whole unusable, and it is found when a file is opened.
    EXPECT_EQ(checkWeights(network(12), **weights).message(),
              "its tensors do not fit the network: 1 of integers (" + names + ")");
    EXPECT_EQ(checkWeights(network(8), **weights).message(),
              "its tensors do not fit the network: 1 of another shape (" + qkv + ", " + names +
                  " in the file, is [12, 4] instead of [8, 4])");
}

TEST(PublishedNames, RefusesPiecesThatDoNotFitTogether) {
    for (const Shape64& shape : {Shape64{4, 5}, Shape64{4}, Shape64{}, Shape64{INT64_MAX, 4}}) {
        const auto weights = withCanonicalNames(
            std::make_shared<ListedTensors>(std::vector<TensorInfo>{{kAttention + "query.weight", {4, 4}},
                                                                    {kAttention + "key.weight", shape},
                                                                    {kAttention + "value.weight", {4, 4}}}));
        ASSERT_FALSE(weights.ok()) << describeShape(shape);
        EXPECT_EQ(weights.status().code(), StatusCode::BadFile);
        EXPECT_EQ(weights.status().message(), kAttention + "query.weight [4, 4] and " + kAttention + "key.weight " +
                                                  describeShape(shape) +
                                                  " of the file cannot be joined to "
                                                  "stages.2.1.transformer.0.attn.qkv.weight");
    }
}

TEST(PublishedNames, RefusesTheWholeBesideItsPieces) {
    const std::string whole = "stages.2.1.transformer.0.attn.qkv.weight";
    const TensorInfo query = {kAttention + "query.weight", {4, 4}}, key = {kAttention + "key.weight", {4, 4}};
    for (const auto& tensors :
         {std::vector<TensorInfo>{{whole, {12, 4}}, key, query}, std::vector<TensorInfo>{key, {whole, {12, 4}}, query},
          std::vector<TensorInfo>{query, {"mobilevit." + query.name, {4, 4}}, key}}) {
        const auto weights = withCanonicalNames(std::make_shared<ListedTensors>(tensors));
        ASSERT_FALSE(weights.ok());
        EXPECT_NE(weights.status().message().find("of the file would both be " + whole), std::string::npos)
            << weights.status().message();
    }
}

TEST(PublishedNames, LeavesOutTablesOfTimmsSwin) {
    const auto weights = withCanonicalNames(std::make_shared<ListedTensors>(
        std::vector<TensorInfo>{{"layers.0.blocks.1.attn_mask", {64, 49, 49}},
                                {"layers.0.blocks.1.attn.relative_position_index", {49, 49}},
                                {"layers.0.blocks.1.attn.relative_position_bias_table", {169, 3}}}));
    ASSERT_TRUE(weights.ok()) << weights.status().message();
    EXPECT_EQ(shapesOf(**weights), (Shapes{{"layers.0.blocks.1.attn.relative_position_bias_table", {169, 3}}}));
}

}  // namespace
}  // namespace dunlin
