#include "models/model.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "models/hub_config.h"
#include "runtime/weights/fold.h"
#include "tests/support.h"
#include "tests/torchvision_names.h"
#include "tests/weights_files.h"

namespace dunlin {
namespace {

namespace fs = std::filesystem;

// --- config.json

TEST(HubConfig, ReadsAPublishedFolder) {
    const auto config = parseHubConfig(R"({
        "architecture": "mobilenetv2_100", "num_classes": 3, "num_features": 1280, "global_pool": "avg",
        "model_args": {"pad_type": "same", "channel_multiplier": 0.5, "bn_eps": 0.001, "drop_rate": 0.2},
        "label_names": ["n1", "n2", "a\u001bb"], "label_descriptions": {"n1": "first", "n3": "unused"},
        "pretrained_cfg": {"input_size": [3, 192, 256], "interpolation": "bicubic", "crop_pct": 0.9,
                           "crop_mode": "center", "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6],
                           "label_offset": 1, "num_classes": 1000}})");
    ASSERT_TRUE(config.ok()) << config.status().message();
    EXPECT_EQ(config->architecture, "mobilenetv2_100");
    EXPECT_EQ(config->classes, 3);
    EXPECT_EQ(config->modelArguments.samePadding, true);
    EXPECT_EQ(config->modelArguments.channelMultiplier, 0.5);
    EXPECT_EQ(config->modelArguments.batchNormEpsilon, 0.001);
    EXPECT_EQ(config->labelOffset, 1);
    EXPECT_EQ(config->labels, (std::vector<std::string>{"first", "n2", "a?b"}));

    PreprocessSpec spec;
    config->preprocess.applyTo(spec);
    EXPECT_EQ(spec.mean, (std::array<float, 3>{0.1f, 0.2f, 0.3f}));
    EXPECT_EQ(spec.deviation, (std::array<float, 3>{0.4f, 0.5f, 0.6f}));
    EXPECT_EQ(spec.interpolation, Interpolation::Bicubic);
    EXPECT_EQ(spec.cropFraction, 0.9);
    EXPECT_EQ(spec.inputHeight, 192);
    EXPECT_EQ(spec.inputWidth, 256);
}

TEST(HubConfig, LeavesWhatIsAbsentOrNull) {
    const auto config =
        parseHubConfig(R"({"architecture": null, "pretrained_cfg": {"mean": null}, "num_classes": null})");
    ASSERT_TRUE(config.ok()) << config.status().message();
    EXPECT_EQ(config->architecture, "");
    EXPECT_EQ(config->classes, std::nullopt);
    PreprocessSpec spec;
    spec.mean = {1, 2, 3};
    config->preprocess.applyTo(spec);
    EXPECT_EQ(spec.mean, (std::array<float, 3>{1, 2, 3}));
}

TEST(HubConfig, ReadsOlderLayouts) {
    const auto flat = parseHubConfig(R"({"architecture": "a", "mean": [0, 0, 0], "input_size": [3, 32, 1024]})");
    ASSERT_TRUE(flat.ok()) << flat.status().message();
    EXPECT_EQ(flat->preprocess.mean, (std::array<float, 3>{0, 0, 0}));
    EXPECT_EQ(flat->preprocess.inputSize, (std::array<int, 2>{32, 1024}));
    const auto labels = parseHubConfig(R"({"id2label": {"1": "b", "0": "a"}})");
    ASSERT_TRUE(labels.ok()) << labels.status().message();
    EXPECT_EQ(labels->labels, (std::vector<std::string>{"a", "b"}));
}

struct Refusal {
    std::string json;
    std::string reason;  // part of the message
};

void expectRefused(const std::vector<Refusal>& refusals) {
    for (const Refusal& refusal : refusals) {
        const auto config = parseHubConfig(refusal.json);
        ASSERT_FALSE(config.ok()) << refusal.json;
        EXPECT_EQ(config.status().code(), StatusCode::BadFile) << refusal.json;
        EXPECT_NE(config.status().message().find(refusal.reason), std::string::npos)
            << refusal.json << ": " << config.status().message();
    }
}

TEST(HubConfig, RefusesWhatIsNoObject) {
    expectRefused({
        {"", "not JSON at byte"},
        {"{", "not JSON at byte"},
        {"[]", "no JSON object"},
        {"{} x", "not JSON at byte"},
        {R"({"num_classes": NaN})", "not JSON at byte"},
        {R"({"num_classes": 1e999})", "not JSON at byte"},
        {"{\"a\": \"\xff\"}", "not JSON at byte"},
        {std::string(100000, '['), "nests more than 16 deep"},
        {R"({"a": {"b": 1, "b": 2}})", "has b twice"},
        {std::string((16 << 20) + 1, ' '), "the limit is 16777216"},
        {R"({"model_args": [1]})", "model_args is [1], but must be an object"},
        {R"({"pretrained_cfg": "x"})", "pretrained_cfg is \"x\", but must be an object"},
    });
}

TEST(HubConfig, RefusesValuesOutOfRange) {
    expectRefused({
        {R"({"architecture": 7})", "architecture is 7, but must be a text"},
        {R"({"num_classes": 0})", "num_classes is 0, but must be a number from 1 to"},
        {R"({"num_classes": -5})", "num_classes is -5"},
        {R"({"num_classes": 1e18})", "num_classes is 1e+18"},
        {R"({"num_classes": 18446744073709551615})", "num_classes is 18446744073709551615"},
        {R"({"num_classes": 10.5})", "num_classes is 10.5, but must be a whole number"},
        {R"({"num_classes": "10"})", "num_classes is \"10\", but must be a number"},
        {R"({"num_classes": true})", "num_classes is true, but must be a number"},
        {R"({"global_pool": "max"})", "global_pool is \"max\", but must be \"avg\""},
        {R"({"model_args": {"channel_multiplier": 0}})",
         "model_args.channel_multiplier is 0, but must be a number from 0.05"},
        {R"({"model_args": {"channel_multiplier": 1e9}})", "to 8"},
        {R"({"model_args": {"pad_type": "reflect"}})",
         "model_args.pad_type is \"reflect\", but must be \"\" or \"same\""},
        {R"({"model_args": {"bn_eps": -1}})", "model_args.bn_eps is -1"},
        {R"({"model_args": {"in_chans": 1}})", "model_args.in_chans is 1"},
        {R"({"model_args": {"depth_multiplier": 0}})",
         "model_args.depth_multiplier is 0, but must be a number from 0.05"},
        {R"({"model_args": {"norm_eps": 2}})", "model_args.norm_eps is 2"},
        {R"({"model_args": {"conv_mlp": 1}})", "model_args.conv_mlp is 1, but must be true or false"},
        {R"({"model_args": {"act_layer": "gelu"}})",
         "model_args.act_layer is \"gelu\", but this argument is not supported"},
        {R"({"pretrained_cfg": {"mean": [0.5, 0.5]}})",
         "pretrained_cfg.mean is [0.5,0.5], but must be a list of three"},
        {R"({"pretrained_cfg": {"mean": [0.5, null, 0.5]}})", "pretrained_cfg.mean[1] is null"},
        {R"({"pretrained_cfg": {"std": [0.5, 0.5, 0]}})",
         "pretrained_cfg.std[2] is 0, but must be a number from 1e-06"},
        {R"({"pretrained_cfg": {"std": 0.5}})", "pretrained_cfg.std is 0.5"},
        {R"({"pretrained_cfg": {"interpolation": "lanczos"}})",
         "is \"lanczos\", but must be \"bilinear\" or \"bicubic\""},
        {R"({"pretrained_cfg": {"crop_pct": 0}})", "pretrained_cfg.crop_pct is 0"},
        {R"({"pretrained_cfg": {"crop_mode": "border"}})",
         "crop_mode is \"border\", but must be \"center\" or \"squash\""},
        {R"({"pretrained_cfg": {"input_size": [1, 224, 224]}})", "input_size[0] is 1, but must be 3"},
        {R"({"pretrained_cfg": {"input_size": [3, 224, 100000]}})",
         "input_size[2] is 100000, but must be a number from 32 to 1024"},
        {R"({"pretrained_cfg": {"label_offset": 7}})", "label_offset is 7"},
        {R"({"label_names": ["a", 1]})", "label_names is [\"a\",1], but must be a list of texts"},
        {R"({"label_names": {"0": "a", "2": "b"}})", "must be a list of texts"},
    });
}

// --- opening

fs::path freshFolder(const std::string& name) {
    const fs::path folder = fs::path(testing::TempDir()) / ("dunlin_model_test_" + name);
    fs::remove_all(folder);
    fs::create_directories(folder);
    return folder;
}

void write(const fs::path& path, const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
}

// The file that training code would have saved of these tensors: here every number is 1.
std::string safetensorsOf(const std::vector<ParameterTensor>& tensors) {
    std::string header = "{";
    uint64_t offset = 0;
    for (const ParameterTensor& tensor : tensors) {
        uint64_t sizeBytes = 2;
        for (const int64_t dimension : tensor.shape) sizeBytes *= static_cast<uint64_t>(dimension);
        header.append(offset == 0 ? "\"" : ",\"").append(tensor.name).append(R"(":{"dtype":"F16","shape":)");
        header.append(describeShape(tensor.shape))
            .append(R"(,"data_offsets":[)")
            .append(std::to_string(offset))
            .append(",");
        offset += sizeBytes;
        header.append(std::to_string(offset)).append("]}");
    }
    std::string data(offset, '\0');
    for (size_t i = 1; i < data.size(); i += 2) data[i] = 0x3c;
    return test::safetensorsFile(header + "}", data);
}

std::string safetensorsOf(const Graph& graph) {
    return safetensorsOf(graph.parameters());
}

Graph smallNetwork(int classes) {
    return findArchitecture("mobilenetv3_small_050")->build({.classes = classes}, {1, 224, 224, 3});
}

ModelOptions withWeights(const std::string& weights) {
    ModelOptions options;
    options.weights = weights;
    return options;
}

void expectFails(const std::string& name, const ModelOptions& options, StatusCode code, const std::string& reason) {
    const auto model = openModel(name, options);
    ASSERT_FALSE(model.ok()) << name;
    EXPECT_EQ(model.status().code(), code) << model.status().message();
    EXPECT_NE(model.status().message().find(reason), std::string::npos) << model.status().message();
}

TEST(OpenModel, MakesUpWeightsForAnArchitecture) {
    const auto model = openModel("mobilenetv2_100", withWeights("synthetic"));
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_EQ((*model)->data.architecture, "mobilenetv2_100");
    EXPECT_EQ((*model)->data.classes, 1000);
    EXPECT_EQ((*model)->weightsDescription, "synthetic");
    // 3,504,872 trainable numbers and 2 x 17,056 running statistics
    EXPECT_EQ((*model)->weightsBytes, 4u * (3504872 + 2 * 17056));
    EXPECT_TRUE((*model)->labels.empty());
}

ModelOptions inMemoryModel(std::string config) {
    ModelOptions options;
    const std::string file = safetensorsOf(smallNetwork(3));
    const auto bytes = std::as_bytes(std::span(file));
    options.bytes = inMemory("unused", {bytes.begin(), bytes.end()});
    options.config = std::move(config);
    return options;
}

TEST(OpenModel, ReadsWeightsAndConfigurationFromMemory) {
    const auto model = openModel("pets", inMemoryModel(R"({"architecture": "mobilenetv3_small_050",
        "label_names": ["cat", "dog", "fish"], "pretrained_cfg": {"input_size": [3, 96, 64]}})"));
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_EQ((*model)->data.architecture, "mobilenetv3_small_050");
    EXPECT_EQ((*model)->weightsDescription, "pets");
    EXPECT_EQ((*model)->labels, (std::vector<std::string>{"cat", "dog", "fish"}));
    EXPECT_EQ((*model)->data.preprocess.inputHeight, 96);
    EXPECT_EQ((*model)->data.preprocess.inputWidth, 64);
}

TEST(OpenModel, LooksAtNoFileWhereTheWeightsAreInMemory) {
    // The name is one of an architecture, then of a path that does not exist.
    for (const char* name : {"resnet18", "no/such/folder"}) {
        const auto model = openModel(name, inMemoryModel({}));
        ASSERT_TRUE(model.ok()) << model.status().message();
        EXPECT_EQ((*model)->data.architecture, "mobilenetv3_small_050");
    }
}

TEST(OpenModel, NamesWhatIsWrongWithAModelInMemory) {
    ModelOptions twice = inMemoryModel({});
    twice.weights = "synthetic";
    expectFails("pets", twice, StatusCode::InvalidArgument,
                "pets has weights of its own; it cannot be opened with the weights synthetic");
    expectFails("pets", inMemoryModel("{"), StatusCode::BadFile, "config.json of pets");
    ModelOptions cut = inMemoryModel({});
    cut.bytes->bytes = cut.bytes->bytes.first(100);
    expectFails("pets", cut, StatusCode::BadFile, "pets");
    ModelOptions configOnly = withWeights("synthetic");
    configOnly.config = "{}";
    expectFails("resnet18", configOnly, StatusCode::InvalidArgument,
                "a config.json as text belongs to weights in memory; resnet18 has none");
}

TEST(OpenModel, AppliesModelArguments) {
    ModelOptions options = withWeights("synthetic");
    options.modelArguments = R"({"channel_multiplier": 0.5, "num_classes": 7, "pad_type": "same"})";
    const auto model = openModel("mobilenetv2_100", options);
    ASSERT_TRUE(model.ok()) << model.status().message();
    const auto graph = (*model)->data.buildGraph({2, 64, 96, 3});
    ASSERT_TRUE(graph.ok()) << graph.status().message();
    EXPECT_EQ(graph->shape(graph->output()), (Shape{2, 1, 1, 7}));
    EXPECT_EQ(graph->parameters()[0].shape[0], 16);  // the stem's 32 channels, halved
    EXPECT_EQ(std::get<Conv2d>(graph->nodes()[0].op).padding, (Padding{0, 0, 1, 1}));

    options.modelArguments = R"({"channel_multiplier": "wide"})";
    expectFails("mobilenetv2_100", options, StatusCode::InvalidArgument,
                "the model arguments: channel_multiplier is \"wide\"");
}

TEST(OpenModel, RefusesArgumentsThatTheNetworkDoesNotHeed) {
    ModelOptions options = withWeights("synthetic");
    options.modelArguments = R"({"num_classes": 7, "channel_multiplier": 0.5})";
    expectFails("convnext_atto", options, StatusCode::InvalidArgument,
                "the model arguments: convnext_atto does not know the argument channel_multiplier, only norm_eps, "
                "conv_mlp");
    expectFails("resnet18", options, StatusCode::InvalidArgument,
                "resnet18 does not know the argument channel_multiplier, only num_classes");
    options.modelArguments = R"({"num_classes": 7, "norm_eps": 1e-5, "drop_path_rate": 0.1})";
    EXPECT_TRUE(openModel("convnext_atto", options).ok());
}

TEST(OpenModel, ArgumentsOfAFolderAreRefusedAlike) {
    const fs::path folder = freshFolder("heeds");
    write(folder / "config.json", R"({"architecture": "resnet18", "model_args": {"pad_type": "same"}})");
    write(folder / "model.safetensors", safetensorsOf(smallNetwork(11)));
    expectFails(folder.string(), {}, StatusCode::BadFile,
                "config.json: resnet18 does not know the argument pad_type, only num_classes");
}

TEST(OpenModel, ChecksTheInputSizeOfAFolder) {
    const fs::path folder = freshFolder("multiple");
    write(folder / "config.json",
          R"({"architecture": "vit_tiny_patch16_224", "pretrained_cfg": {"input_size": [3, 100, 224]}})");
    const std::string reason =
        ": an input of 100x224 pixels is not possible, vit_tiny_patch16_224 takes multiples of 16";
    expectFails(folder.string(), withWeights("synthetic"), StatusCode::BadFile,
                (folder / "config.json").string() + reason);
    // A preprocessor_config.json that says nothing of the size is not to blame; one that does has the last word.
    write(folder / "preprocessor_config.json", R"({"resample": 3})");
    expectFails(folder.string(), withWeights("synthetic"), StatusCode::BadFile,
                (folder / "config.json").string() + reason);
    write(folder / "preprocessor_config.json", R"({"size": 100, "crop_size": 100})");
    expectFails(folder.string(), withWeights("synthetic"), StatusCode::BadFile,
                (folder / "preprocessor_config.json").string() + ": an input of 100x100 pixels is not possible");
}

TEST(OpenModel, AFolderCannotAskForAClassTokenThatIsNotThere) {
    const fs::path folder = freshFolder("class_token");
    write(folder / "config.json", R"({"architecture": "resnet18", "global_pool": "token"})");
    expectFails(folder.string(), withWeights("synthetic"), StatusCode::BadFile,
                (folder / "config.json").string() +
                    ": global_pool is \"token\", but resnet18 has no class token; it must be \"avg\"");
}

TEST(OpenModel, RefusesInputsOutOfRange) {
    const auto model = openModel("mobilenetv1_100", withWeights("synthetic"));
    ASSERT_TRUE(model.ok()) << model.status().message();
    for (const Shape& shape : {Shape{0, 224, 224, 3}, Shape{65, 224, 224, 3}, Shape{1, 31, 224, 3},
                               Shape{1, 224, 1025, 3}, Shape{1, -1, 7, 3}, Shape{1, 224, 224, 4}}) {
        const auto graph = (*model)->data.buildGraph(shape);
        ASSERT_FALSE(graph.ok());
        EXPECT_EQ(graph.status().code(), StatusCode::InvalidArgument) << graph.status().message();
    }
}

TEST(OpenModel, TellsNamesFromPaths) {
    expectFails("", {}, StatusCode::InvalidArgument, "name is empty");
    expectFails("no_such_network", {}, StatusCode::UnknownName, "no_such_network");
    expectFails("mobilenetv2_100", {}, StatusCode::InvalidArgument, "--weights FILE, or --weights synthetic");
    expectFails("./no_such_folder", {}, StatusCode::BadFile, "./no_such_folder: there is no such file or folder");
    expectFails("absent.safetensors", {}, StatusCode::BadFile, "absent.safetensors: there is no such file");
    expectFails("absent.pth", {}, StatusCode::BadFile, "absent.pth: there is no such file");
    expectFails("mobilenetv2_100", withWeights("absent.pth"), StatusCode::BadFile, "absent.pth: No such file");
    ModelOptions another = withWeights("synthetic");
    another.architecture = "mobilenetv1_100";
    expectFails("mobilenetv2_100", another, StatusCode::InvalidArgument,
                "it cannot be the architecture mobilenetv1_100");
}

TEST(OpenModel, OpensAFolderWithLabels) {
    const fs::path folder = freshFolder("labels");
    write(folder / "model.safetensors", safetensorsOf(smallNetwork(3)));
    write(folder / "config.json",
          R"({"architecture": "mobilenetv3_small_050", "num_classes": 1000, "label_names": ["x", "y"],
                                      "pretrained_cfg": {"label_offset": 1, "input_size": [3, 160, 160]}})");
    const auto model = openModel(folder.string(), {});
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_EQ((*model)->data.classes, 3);  // the classifier knows better
    EXPECT_EQ((*model)->labels, (std::vector<std::string>{"background", "x", "y"}));
    EXPECT_EQ((*model)->labelOffset, 1);
    EXPECT_EQ((*model)->data.preprocess.inputHeight, 160);
    EXPECT_EQ((*model)->weightsBytes, fs::file_size(folder / "model.safetensors"));

    // the weights alone mean the same, as their config.json lies beside them
    const auto file = openModel((folder / "model.safetensors").string(), {});
    ASSERT_TRUE(file.ok()) << file.status().message();
    EXPECT_EQ((*file)->data.preprocess.inputHeight, 160);

    write(folder / "config.json", R"({"label_names": ["x"]})");
    expectFails(folder.string(), {}, StatusCode::BadFile, "it names 1 classes, but the network has 3");
}

TEST(OpenModel, RecognisesALoneFile) {
    const fs::path folder = freshFolder("lone");
    write(folder / "weights.safetensors", safetensorsOf(smallNetwork(11)));
    const auto model = openModel((folder / "weights.safetensors").string(), {});
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_EQ((*model)->data.architecture, "mobilenetv3_small_050");
    EXPECT_EQ((*model)->data.classes, 11);
    const auto named = openModel("mobilenetv3_small_050", withWeights((folder / "weights.safetensors").string()));
    ASSERT_TRUE(named.ok()) << named.status().message();
    EXPECT_EQ((*named)->data.classes, 11);
}

// torchvision's ResNets have timm's names, and another preprocessing.
TEST(OpenModel, NamesWhoElsePublishesABareFile) {
    const fs::path folder = freshFolder("publisher");
    const fs::path file = folder / "weights.safetensors";
    write(file, safetensorsOf(findArchitecture("resnet18")->build({.classes = 7}, {1, 64, 64, 3})));
    const auto bare = openModel(file.string(), {});
    ASSERT_TRUE(bare.ok()) << bare.status().message();
    EXPECT_EQ((*bare)->otherPublisher, "torchvision");
    EXPECT_EQ((*bare)->data.preprocess.interpolation, Interpolation::Bicubic);

    write(folder / "config.json", R"({"architecture": "resnet18", "interpolation": "bilinear", "crop_pct": 0.875})");
    const auto told = openModel(file.string(), {});
    ASSERT_TRUE(told.ok()) << told.status().message();
    EXPECT_EQ((*told)->otherPublisher, "");
    EXPECT_EQ((*told)->data.preprocess.interpolation, Interpolation::Bilinear);
    EXPECT_EQ((*told)->data.preprocess.cropFraction, 0.875);
    EXPECT_EQ((*openModel("resnet18", withWeights("synthetic")))->otherPublisher, "");
}

TEST(OpenModel, KnowsHowTorchvisionTrainedItsNetworks) {
    // Given a file with torchvision's names and shapes, which lists its tensors in the order of the network
    const Architecture large = *findArchitecture("mobilenetv3_large_100");
    std::vector<ParameterTensor> tensors = large.build({}, {1, 224, 224, 3}).parameters();
    const test::Names names = test::torchvisionV3(test::kLargeBlocks);
    ASSERT_EQ(names.size(), tensors.size());
    for (size_t i = 0; i < names.size(); ++i) {
        tensors[i].name = names[i];
        if (names[i] == "classifier.0.weight") tensors[i].shape.resize(2);
    }
    const fs::path path = freshFolder("torchvision") / "mobilenet_v3_large.safetensors";
    write(path, safetensorsOf(tensors));
    // Then the network is recognised, with torchvision's epsilon and preprocessing
    const auto model = openModel(path.string(), {});
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_EQ((*model)->data.architecture, "mobilenetv3_large_100");
    EXPECT_EQ((*model)->options.batchNormEpsilon, 1e-3);
    ASSERT_EQ(large.preprocess.interpolation, Interpolation::Bicubic);
    EXPECT_EQ((*model)->data.preprocess.interpolation, Interpolation::Bilinear);
    const auto graph = (*model)->data.buildGraph({1, 224, 224, 3});
    ASSERT_TRUE(graph.ok());
    EXPECT_EQ(std::get<Conv2d>(graph->nodes()[0].op).parameters.norm->epsilon, 1e-3);
}

TEST(OpenModel, NamesTensorsThatDoNotFit) {
    const fs::path folder = freshFolder("misfit");
    const std::string path = (folder / "weights.safetensors").string();
    write(path, safetensorsOf(smallNetwork(11)));
    ModelOptions options;
    options.architecture = "mobilenetv3_small_075";
    expectFails(path, options, StatusCode::BadFile, "of another shape (blocks.");
    expectFails(path, withWeights("synthetic"), StatusCode::InvalidArgument, "is a weights file already");
    options.architecture = "no_such_network";
    expectFails(path, options, StatusCode::UnknownName, "no_such_network");
}

TEST(OpenModel, ReportsAFolderThatIsIncomplete) {
    const fs::path folder = freshFolder("incomplete");
    expectFails(folder.string(), {}, StatusCode::BadFile, "the folder has no model.safetensors");
    expectFails(folder.string(), withWeights("synthetic"), StatusCode::InvalidArgument,
                "need the name of an architecture");
    write(folder / "config.json", R"({"architecture": "resnet9000"})");
    expectFails(folder.string(), withWeights("synthetic"), StatusCode::BadFile,
                "config.json: there is no network 'resnet9000'");
    write(folder / "config.json", R"({"architecture": "mobilenetv1_100")");
    expectFails(folder.string(), withWeights("synthetic"), StatusCode::BadFile, "config.json: it is not JSON at byte");
    write(folder / "config.json", R"({"architecture": "mobilenetv1_100", "num_classes": 12})");
    const auto model = openModel(folder.string(), withWeights("synthetic"));
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_EQ((*model)->data.classes, 12);
}

struct Published {
    const char* path;
    const char* architecture;
    int classes, labelOffset;
    float mean;
};

TEST(OpenModel, OpensWhatIsPublished) {
    DUNLIN_NEEDS_SHARED("weights");
    const Published models[] = {
        {"mobilenetv1_100.tf", "mobilenetv1_100", 1001, 1, 0.5f},
        {"mobilenetv2_100.tf", "mobilenetv2_100", 1001, 1, 0.5f},
        {"tf_mobilenetv3_small_100.tf", "tf_mobilenetv3_small_100", 1001, 1, 0.5f},
        {"tf_mobilenetv3_large_minimal_100.tf/model.safetensors", "tf_mobilenetv3_large_minimal_100", 1001, 1, 0.5f},
        {"torchvision_mobilenet_v2.pth", "mobilenetv2_100", 1000, 0, 0.485f},
    };
    for (const Published& published : models) {
        const auto model = openModel((test::sharedFolder() / "weights" / published.path).string(), {});
        ASSERT_TRUE(model.ok()) << model.status().message();
        const ModelData& data = (*model)->data;
        EXPECT_EQ(data.architecture, published.architecture);
        EXPECT_EQ(data.classes, published.classes);
        EXPECT_EQ((*model)->labelOffset, published.labelOffset);
        EXPECT_EQ(data.preprocess.mean[0], published.mean);
        EXPECT_EQ(data.preprocess.interpolation, Interpolation::Bilinear);
        // every weight can be read and folded
        const auto graph = data.buildGraph({1, 224, 224, 3});
        ASSERT_TRUE(graph.ok()) << graph.status().message();
        for (const Node& node : graph->nodes()) {
            const auto folded = foldWeights(*graph, node, *data.weights);
            ASSERT_TRUE(folded.ok()) << folded.status().message();
        }
    }
}

}  // namespace
}  // namespace dunlin
