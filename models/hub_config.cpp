#include "models/hub_config.h"

#include <algorithm>
#include <span>

#include "models/json_fields.h"
#include "runtime/weights/tensor_data.h"

namespace dunlin {
namespace {

std::optional<GlobalPool> readGlobalPool(Fields& fields) {
    const auto index = fields.oneOf("global_pool", {"avg", "token"});
    if (!index) return std::nullopt;
    return *index == 0 ? GlobalPool::Average : GlobalPool::ClassToken;
}

// [3, height, width]
std::optional<std::array<int, 2>> readInputSize(Fields& fields) {
    constexpr Fields::Range kChannels = {3, 3}, kSides = {kMinInputSide, kMaxInputSide};
    const auto size = fields.integers("input_size", {kChannels, kSides, kSides});
    if (!size) return std::nullopt;
    return std::array<int, 2>{(*size)[1], (*size)[2]};
}

// Arguments of timm's that change nothing at inference.
constexpr std::string_view kTrainingArguments[] = {"drop_rate",  "drop_path_rate",  "drop_block_rate", "bn_momentum",
                                                   "pretrained", "head_init_scale", "zero_init_last"};
// Those that mean the same to every network here, and those that only some heed (Architecture::arguments).
constexpr std::string_view kGeneralArguments[] = {"num_classes", "in_chans", "global_pool"};
constexpr std::string_view kNetworkArguments[] = {"channel_multiplier", "depth_multiplier", "pad_type",  "bn_eps",
                                                  "norm_eps",           "conv_mlp",         "patch_size"};

bool contains(std::span<const std::string_view> words, std::string_view word) {
    return std::ranges::find(words, word) != words.end();
}

std::string listed(std::span<const std::string_view> words) {
    std::string list;
    for (const std::string_view word : words) list.append(list.empty() ? "" : ", ").append(word);
    return list;
}

ModelArguments readModelArguments(const Json& object, const std::string& path, Status& status) {
    Fields fields(object, path, status);
    ModelArguments arguments;
    for (const auto& [key, value] : object.items()) {
        if (value.is_null() || contains(kTrainingArguments, key) || contains(kGeneralArguments, key)) continue;
        if (contains(kNetworkArguments, key)) {
            arguments.networkArguments.push_back(key);
        } else {
            fields.fail(printable(key), value,
                        "this argument is not supported (num_classes, " + listed(kNetworkArguments) + " are)");
        }
    }
    arguments.classes = fields.integer("num_classes", {1, kMaxClasses});
    arguments.channelMultiplier = fields.number("channel_multiplier", {0.05, 8});
    arguments.depthMultiplier = fields.number("depth_multiplier", {0.05, 8});
    arguments.batchNormEpsilon = fields.number("bn_eps", {1e-12, 1});
    arguments.layerNormEpsilon = fields.number("norm_eps", {1e-12, 1});
    if (const auto padding = fields.oneOf("pad_type", {"", "same"})) arguments.samePadding = *padding == 1;
    arguments.convolutionalMlp = fields.boolean("conv_mlp");
    fields.integer("in_chans", {3, 3});
    constexpr int kMaxPatch = 64;
    arguments.patchSizes = fields.oneOrThreeIntegers("patch_size", {1, kMaxPatch});
    arguments.globalPool = readGlobalPool(fields);
    return arguments;
}

PreprocessChanges readPreprocess(Fields& fields) {
    PreprocessChanges changes;
    changes.mean = fields.numbers("mean", {-1000, 1000});
    changes.deviation = fields.numbers("std", {1e-6, 1000});
    if (const auto index = fields.oneOf("interpolation", {"bilinear", "bicubic"})) {
        changes.interpolation = *index == 0 ? Interpolation::Bilinear : Interpolation::Bicubic;
    }
    changes.cropFraction = fields.number("crop_pct", {0.05, 1});
    changes.inputSize = readInputSize(fields);
    if (const auto index = fields.oneOf("crop_mode", {"center", "squash"})) changes.squash = *index == 1;
    return changes;
}

std::string withoutControls(std::string text) {
    std::ranges::replace_if(
        text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
    return text;
}

// A list of texts, or an object with the classes' numbers as keys.
std::optional<std::vector<std::string>> readLabelList(const Json& value) {
    std::vector<std::string> labels;
    if (value.size() > static_cast<size_t>(kMaxClasses)) return std::nullopt;
    for (size_t i = 0; i < value.size(); ++i) {
        const Json* label = nullptr;
        if (value.is_array()) {
            label = &value[i];
        } else if (value.is_object()) {
            const auto found = value.find(std::to_string(i));
            if (found != value.end()) label = &*found;
        }
        if (label == nullptr || !label->is_string()) return std::nullopt;
        labels.push_back(label->get<std::string>());
    }
    return labels;
}

std::vector<std::string> readLabels(const Json& config, Fields& fields) {
    for (const char* key : {"label_names", "labels", "id2label"}) {
        const Json* value = fields.find(key);
        if (value == nullptr) continue;
        std::optional<std::vector<std::string>> labels = readLabelList(*value);
        if (!labels) {
            fields.fail(key, *value, "must be a list of texts, one a class");
            return {};
        }
        // label_names may be identifiers (WordNet's), described elsewhere
        const auto descriptions = config.find("label_descriptions");
        for (std::string& label : *labels) {
            if (descriptions != config.end() && descriptions->is_object()) {
                const auto described = descriptions->find(label);
                if (described != descriptions->end() && described->is_string()) label = described->get<std::string>();
            }
            label = withoutControls(std::move(label));
        }
        return *std::move(labels);
    }
    return {};
}

Result<HubConfig> readConfig(const Json& json) {
    Status status;
    Fields top(json, "", status);
    HubConfig config;
    config.architecture = top.text("architecture").value_or("");
    config.classes = top.integer("num_classes", {1, kMaxClasses});
    const std::optional<GlobalPool> globalPool = readGlobalPool(top);

    const Json nothing = Json::object();
    const auto object = [&](const char* key, const Json& otherwise) -> const Json& {
        const Json* value = top.find(key);
        if (value == nullptr) return otherwise;
        if (value->is_object()) return *value;
        top.fail(key, *value, "must be an object");
        return nothing;
    };
    config.modelArguments = readModelArguments(object("model_args", nothing), "model_args.", status);
    if (!config.modelArguments.globalPool) config.modelArguments.globalPool = globalPool;
    const Json& pretrained = object("pretrained_cfg", json);  // older folders have its fields at the top
    Fields fields(pretrained, &pretrained == &json ? "" : "pretrained_cfg.", status);
    config.preprocess = readPreprocess(fields);
    config.labelOffset = fields.integer("label_offset", {0, 1}).value_or(0);
    config.labels = readLabels(json, top);
    if (!status.ok()) return status;
    return config;
}

}  // namespace

Status ModelArguments::check(const Architecture& architecture) const {
    for (const std::string& argument : networkArguments) {
        if (std::ranges::find(architecture.arguments, argument) != architecture.arguments.end()) continue;
        const std::vector<std::string_view> known(architecture.arguments.begin(), architecture.arguments.end());
        return error(StatusCode::BadFile, "%s does not know the argument %s, only %s", architecture.name.c_str(),
                     argument.c_str(), known.empty() ? "num_classes" : listed(known).c_str());
    }
    if (globalPool == GlobalPool::ClassToken && !architecture.hasClassToken)
        return error(StatusCode::BadFile, "global_pool is \"token\", but %s has no class token; it must be \"avg\"",
                     architecture.name.c_str());
    return {};
}

void ModelArguments::applyTo(ArchitectureOptions& options) const {
    if (classes) options.classes = *classes;
    if (channelMultiplier) options.channelMultiplier = *channelMultiplier;
    if (depthMultiplier) options.depthMultiplier = *depthMultiplier;
    if (batchNormEpsilon) options.batchNormEpsilon = *batchNormEpsilon;
    if (layerNormEpsilon) options.layerNormEpsilon = *layerNormEpsilon;
    if (samePadding) options.samePadding = *samePadding;
    if (patchSizes) options.patchSizes = *patchSizes;
    if (globalPool) options.globalPool = *globalPool;
    if (convolutionalMlp) options.convolutionalMlp = *convolutionalMlp;
}

void PreprocessChanges::applyTo(PreprocessSpec& spec) const {
    if (mean) spec.mean = *mean;
    if (deviation) spec.deviation = *deviation;
    if (interpolation) spec.interpolation = *interpolation;
    if (cropFraction) spec.cropFraction = *cropFraction;
    if (squash) spec.squash = *squash;
    if (inputSize) {
        spec.inputHeight = (*inputSize)[0];
        spec.inputWidth = (*inputSize)[1];
    }
}

Result<HubConfig> parseHubConfig(std::string_view json) {
    return readJsonObject(json, readConfig);
}

Result<ModelArguments> parseModelArguments(std::string_view json) {
    return readJsonObject(json, [](const Json& object) -> Result<ModelArguments> {
        Status status;
        ModelArguments arguments = readModelArguments(object, "", status);
        if (!status.ok()) return status;
        return arguments;
    });
}

}  // namespace dunlin
