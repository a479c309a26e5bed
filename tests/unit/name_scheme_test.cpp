#include "runtime/weights/name_scheme.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "runtime/weights/open.h"
#include "runtime/weights/synthetic.h"
#include "runtime/weights/tensor_data.h"
#include "tests/support.h"
#include "tests/torchvision_names.h"

namespace dunlin {
namespace {

using test::kLargeBlocks;
using test::kSmallBlocks;
using test::Names;
using test::torchvisionV2;
using test::torchvisionV3;

// Tensors without a file; each holds its own position.
class ListedTensors final : public WeightsSource {
  public:
    explicit ListedTensors(const Names& names, const std::vector<int64_t>& shape = {1}) {
        for (const std::string& name : names) tensors_.push_back({name, shape, DType::F32});
    }
    explicit ListedTensors(std::vector<TensorInfo> tensors) : tensors_(std::move(tensors)) {}

    const std::vector<TensorInfo>& tensors() const override { return tensors_; }
    Status read(std::string_view name, std::span<const int64_t> shape, std::span<float> values) const override {
        const auto found = std::ranges::find(tensors_, name, &TensorInfo::name);
        if (found == tensors_.end()) return error(StatusCode::BadFile, "none");
        DUNLIN_TRY(checkRead(*found, shape, values.size()));
        std::ranges::fill(values, static_cast<float>(found - tensors_.begin()));
        return {};
    }

  private:
    std::vector<TensorInfo> tensors_;
};

std::shared_ptr<const CanonicalWeights> canonical(std::shared_ptr<const WeightsSource> source) {
    auto weights = withCanonicalNames(std::move(source));
    EXPECT_TRUE(weights.ok()) << weights.status().message();
    return *weights;
}

Names namesOf(const WeightsSource& weights) {
    Names names;
    for (const TensorInfo& tensor : weights.tensors()) {
        if (!tensor.name.ends_with("num_batches_tracked")) names.push_back(tensor.name);
    }
    return names;
}

// Both libraries list their tensors in the order of execution, so a list of one is the list of the other.
void expectMapsToReference(const Names& fileNames, const std::string& reference) {
    std::ifstream stream(test::sharedFolder() / "reference" / (reference + ".json"));
    const auto json = nlohmann::ordered_json::parse(stream);
    Names expected;
    for (const auto& [name, shape] : json["tensors"].items()) {
        if (!name.ends_with("num_batches_tracked")) expected.push_back(name);
    }
    const auto weights = canonical(std::make_shared<ListedTensors>(fileNames));
    EXPECT_EQ(namesOf(*weights), expected);
    ASSERT_EQ(fileNames.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(weights->originalName(expected[i]), fileNames[i]);
}

TEST(NameScheme, MapsEveryTensorOfTorchvisionsMobileNetV2) {
    DUNLIN_NEEDS_SHARED("reference/mobilenetv2_100.json");
    expectMapsToReference(torchvisionV2(), "mobilenetv2_100");
}

TEST(NameScheme, MapsEveryTensorOfTorchvisionsMobileNetV3) {
    DUNLIN_NEEDS_SHARED("reference/mobilenetv3_large_100.json");
    expectMapsToReference(torchvisionV3(kLargeBlocks), "mobilenetv3_large_100");
    expectMapsToReference(torchvisionV3(kSmallBlocks), "mobilenetv3_small_100");
}

TEST(NameScheme, TellsWhatTorchvisionTrainedWith) {
    const auto schemeOf = [](const Names& names) {
        return canonical(std::make_shared<ListedTensors>(names))->scheme();
    };
    const NameScheme v2 = schemeOf(torchvisionV2());
    EXPECT_EQ(v2.name, "torchvision MobileNetV2");
    EXPECT_EQ(v2.batchNormEpsilon, 0);
    EXPECT_TRUE(v2.preprocess.has_value());
    const NameScheme large = schemeOf(torchvisionV3(kLargeBlocks));
    EXPECT_EQ(large.name, "torchvision MobileNetV3-Large");
    EXPECT_EQ(large.batchNormEpsilon, 1e-3);
    EXPECT_EQ(schemeOf(torchvisionV3(kSmallBlocks)).name, "torchvision MobileNetV3-Small");
    const NameScheme timm = schemeOf({"conv_stem.weight", "classifier.weight"});
    EXPECT_EQ(timm.name, "timm");
    EXPECT_FALSE(timm.preprocess.has_value());
}

TEST(NameScheme, StripsWhatEveryNameBeginsWith) {
    const auto mapped = [](const Names& names) { return namesOf(*canonical(std::make_shared<ListedTensors>(names))); };
    EXPECT_EQ(mapped({"module.a", "module.b"}), (Names{"a", "b"}));
    EXPECT_EQ(mapped({"module._orig_mod.a", "module._orig_mod.model.b"}), (Names{"a", "model.b"}));
    EXPECT_EQ(mapped({"model.a", "b"}), (Names{"model.a", "b"}));
    EXPECT_EQ(mapped({"module.", "module.a"}), (Names{"module.", "module.a"}));
    Names wrapped;
    for (const std::string& name : torchvisionV2()) wrapped.push_back("module." + name);
    EXPECT_EQ(mapped(wrapped), mapped(torchvisionV2()));
}

TEST(NameScheme, ReadsUnderTheNewNameAndShape) {
    Names names = torchvisionV3(kLargeBlocks);
    std::vector<TensorInfo> tensors;
    for (const std::string& name : names) tensors.push_back({name, {1}, DType::F32});
    const auto head = std::ranges::find(tensors, "classifier.0.weight", &TensorInfo::name);
    head->shape = {2, 3};
    const auto position = static_cast<float>(head - tensors.begin());

    const auto weights = canonical(std::make_shared<ListedTensors>(std::move(tensors)));
    std::vector<float> values(6);
    const Status status = weights->read("conv_head.weight", std::vector<int64_t>{2, 3, 1, 1}, values);
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(values, std::vector<float>(6, position));
    EXPECT_EQ(weights->read("conv_head.weight", std::vector<int64_t>{2, 3}, values).message(),
              "conv_head.weight has shape [2, 3, 1, 1], but [2, 3] is needed");
    EXPECT_EQ(weights->read("classifier.0.weight", std::vector<int64_t>{2, 3}, values).message(),
              "has no tensor classifier.0.weight");
    EXPECT_EQ(weights->originalName("no such tensor"), "");
}

TEST(NameScheme, KeepsNamesThatNoRuleKnows) {
    Names names = torchvisionV2();
    const Names strange = {"features.19.conv.2.weight",
                           "features.2.conv.9.weight",
                           "features.99999999999.conv.2.weight",
                           "features.-1.conv.2.weight",
                           "features..conv.2.weight",
                           "features.2",
                           "head",
                           "features.0.0x.weight",
                           "features.2.conv.2x.weight"};
    names.insert(names.end(), strange.begin(), strange.end());
    const Names mapped = namesOf(*canonical(std::make_shared<ListedTensors>(names)));
    EXPECT_EQ(Names(mapped.end() - static_cast<ptrdiff_t>(strange.size()), mapped.end()), strange);
}

TEST(NameScheme, RefusesTwoTensorsOfOneName) {
    Names names = torchvisionV3(kLargeBlocks);
    names.push_back("features.2.block.3.0.weight");  // where a block with squeeze-excite has its projection
    const auto weights = withCanonicalNames(std::make_shared<ListedTensors>(names));
    EXPECT_EQ(weights.status().code(), StatusCode::BadFile);
    EXPECT_EQ(weights.status().message(),
              "the tensors features.2.block.2.0.weight and features.2.block.3.0.weight of the file would both be "
              "blocks.1.0.conv_pwl.weight");
}

TEST(NameScheme, LeavesAFormulaAlone) {
    const auto weights = canonical(formulaWeights());
    EXPECT_TRUE(weights->isFormula());
    std::vector<float> direct(3), wrapped(3);
    const std::vector<int64_t> shape = {3};
    ASSERT_TRUE(formulaWeights()->read("bn1.weight", shape, direct).ok());
    ASSERT_TRUE(weights->read("bn1.weight", shape, wrapped).ok());
    EXPECT_EQ(wrapped, direct);
}

TEST(NameScheme, MapsAPublishedCheckpointToItsReference) {
    DUNLIN_NEEDS_SHARED("weights/torchvision_mobilenet_v2.pth");
    const auto source = openWeights(test::sharedFolder() / "weights" / "torchvision_mobilenet_v2.pth");
    ASSERT_TRUE(source.ok()) << source.status().message();
    const auto weights = canonical(*source);
    std::ifstream stream(test::sharedFolder() / "reference" / "mobilenetv2_100.json");
    const auto json = nlohmann::ordered_json::parse(stream);
    size_t checked = 0;
    for (const TensorInfo& tensor : weights->tensors()) {
        if (tensor.name.ends_with("num_batches_tracked")) continue;
        ASSERT_TRUE(json["tensors"].contains(tensor.name)) << tensor.name;
        EXPECT_EQ(tensor.shape, json["tensors"][tensor.name].get<std::vector<int64_t>>()) << tensor.name;
        ++checked;
    }
    EXPECT_EQ(checked, 262u);
}

}  // namespace
}  // namespace dunlin
