#include "models/hub_config.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>
#include <unordered_set>

#include "runtime/weights/tensor_data.h"

namespace dunlin {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxConfigBytes = 16 << 20;
constexpr size_t kMaxDepth = 16;
constexpr size_t kMaxTextBytes = 1000;

// Runs over the text before anything is built from it: how deep it nests, and whether a key comes twice.
class LimitsReader final : public nlohmann::json_sax<Json> {
  public:
    const std::string& reason() const { return reason_; }

    bool key(string_t& key) override {
        return keys_.back().insert(key).second || fail("has " + printable(key) + " twice");
    }
    bool start_object(std::size_t) override { return open(); }
    bool end_object() override { return close(); }
    bool start_array(std::size_t) override { return open(); }
    bool end_array() override { return close(); }
    bool null() override { return true; }
    bool boolean(bool) override { return true; }
    bool number_integer(number_integer_t) override { return true; }
    bool number_unsigned(number_unsigned_t) override { return true; }
    bool number_float(number_float_t, const string_t&) override { return true; }
    bool string(string_t&) override { return true; }
    bool binary(binary_t&) override { return true; }
    bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
        return fail("is not JSON at byte " + std::to_string(position));
    }

  private:
    bool fail(const std::string& reason) {
        reason_ = reason;
        return false;
    }
    bool open() {
        keys_.emplace_back();
        return keys_.size() <= kMaxDepth || fail("nests more than " + std::to_string(kMaxDepth) + " deep");
    }
    bool close() {
        keys_.pop_back();
        return true;
    }

    std::vector<std::unordered_set<std::string>> keys_;
    std::string reason_;
};

Result<Json> parseObject(std::string_view text) {
    if (text.size() > kMaxConfigBytes) {
        return error(StatusCode::BadFile, "it has %zu bytes, the limit is %zu", text.size(), kMaxConfigBytes);
    }
    LimitsReader limits;
    if (!Json::sax_parse(text, &limits)) return Status(StatusCode::BadFile, "it " + limits.reason());
    Json json = Json::parse(text, nullptr, /* allow_exceptions = */ false);
    if (!json.is_object()) return error(StatusCode::BadFile, "it is no JSON object");
    return json;
}

std::string shown(const Json& value) {
    constexpr size_t kShown = 60;
    if (value.is_structured() && value.size() > 8) return value.is_array() ? "a long list" : "an object";
    const std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
    return text.size() <= kShown ? text : text.substr(0, kShown) + "...";
}

std::string shown(double number) {
    char text[32];
    std::snprintf(text, sizeof text, "%.10g", number);
    return text;
}

struct Range {
    double low, high;
};

// Reads the fields of one object. The first complaint stays; absent and null fields are the same.
class Fields {
  public:
    Fields(const Json& object, std::string path, Status& status)
        : object_(object), path_(std::move(path)), status_(status) {}

    const Json* find(const char* key) const {
        const auto found = object_.find(key);
        return found == object_.end() || found->is_null() ? nullptr : &*found;
    }

    std::optional<double> number(const char* key, Range range) {
        const Json* value = find(key);
        return value == nullptr ? std::nullopt : checkedNumber(*value, path_ + key, range);
    }

    std::optional<int> integer(const char* key, Range range) {
        const Json* value = find(key);
        return value == nullptr ? std::nullopt : checkedInteger(*value, path_ + key, range);
    }

    std::optional<bool> boolean(const char* key) {
        const Json* value = find(key);
        if (value == nullptr) return std::nullopt;
        if (value->is_boolean()) return value->get<bool>();
        fail(key, *value, "must be true or false");
        return std::nullopt;
    }

    std::optional<std::string> text(const char* key) {
        const Json* value = find(key);
        if (value == nullptr) return std::nullopt;
        if (value->is_string() && value->get_ref<const std::string&>().size() <= kMaxTextBytes)
            return value->get<std::string>();
        fail(key, *value, "must be a text of up to " + std::to_string(kMaxTextBytes) + " bytes");
        return std::nullopt;
    }

    std::optional<std::array<float, 3>> colours(const char* key, Range range) {
        const Json* value = find(key);
        if (value == nullptr) return std::nullopt;
        if (!isTriple(key, *value)) return std::nullopt;
        std::array<float, 3> numbers = {};
        for (size_t i = 0; i < numbers.size(); ++i) {
            const auto number = checkedNumber((*value)[i], path_ + key + "[" + std::to_string(i) + "]", range);
            if (!number) return std::nullopt;
            numbers[i] = static_cast<float>(*number);
        }
        return numbers;
    }

    // [3, height, width]
    std::optional<std::array<int, 2>> inputSize(const char* key) {
        const Json* value = find(key);
        if (value == nullptr || !isTriple(key, *value)) return std::nullopt;
        const auto item = [&](size_t i, Range range) {
            return checkedInteger((*value)[i], path_ + key + "[" + std::to_string(i) + "]", range);
        };
        const auto channels = item(0, {3, 3});
        const auto height = item(1, {kMinInputSide, kMaxInputSide}), width = item(2, {kMinInputSide, kMaxInputSide});
        if (!channels || !height || !width) return std::nullopt;
        return std::array<int, 2>{*height, *width};
    }

    // A number for all three, or a list of them.
    std::optional<std::array<int, 3>> oneOrThreeIntegers(const char* key, Range range) {
        const Json* value = find(key);
        if (value == nullptr) return std::nullopt;
        std::array<int, 3> integers = {};
        if (!value->is_array()) {
            const auto same = checkedInteger(*value, path_ + key, range);
            if (!same) return std::nullopt;
            integers.fill(*same);
            return integers;
        }
        if (!isTriple(key, *value)) return std::nullopt;
        for (size_t i = 0; i < integers.size(); ++i) {
            const auto integer = checkedInteger((*value)[i], path_ + key + "[" + std::to_string(i) + "]", range);
            if (!integer) return std::nullopt;
            integers[i] = *integer;
        }
        return integers;
    }

    std::optional<GlobalPool> globalPool() {
        const auto index = oneOf("global_pool", {"avg", "token"});
        if (!index) return std::nullopt;
        return *index == 0 ? GlobalPool::Average : GlobalPool::ClassToken;
    }

    // A field that must have one of these values if it is there; the index of the value.
    std::optional<size_t> oneOf(const char* key, std::initializer_list<std::string_view> allowed) {
        const Json* value = find(key);
        if (value == nullptr) return std::nullopt;
        std::string list;
        for (const std::string_view word : allowed) {
            if (value->is_string() && value->get_ref<const std::string&>() == word) {
                return static_cast<size_t>(std::ranges::find(allowed, word) - allowed.begin());
            }
            list.append(list.empty() ? "\"" : " or \"").append(word).append("\"");
        }
        fail(key, *value, "must be " + list);
        return std::nullopt;
    }

    void fail(const std::string& key, const Json& value, const std::string& rule) {
        failAt(path_ + key, shown(value), rule);
    }

  private:
    void failAt(const std::string& place, const std::string& value, const std::string& rule) {
        if (status_.ok()) status_ = Status(StatusCode::BadFile, place + " is " + value + ", but " + rule);
    }

    std::optional<double> checkedNumber(const Json& value, const std::string& place, Range range) {
        if (value.is_number()) {
            const auto number = value.get<double>();
            if (number >= range.low && number <= range.high) return number;  // false for what is not a number
        }
        failAt(place, shown(value),
               range.low == range.high ? "must be " + shown(range.low)
                                       : "must be a number from " + shown(range.low) + " to " + shown(range.high));
        return std::nullopt;
    }

    std::optional<int> checkedInteger(const Json& value, const std::string& place, Range range) {
        const std::optional<double> number = checkedNumber(value, place, range);
        if (!number) return std::nullopt;
        if (*number == std::floor(*number)) return static_cast<int>(*number);
        failAt(place, shown(value), "must be a whole number");
        return std::nullopt;
    }

    bool isTriple(const char* key, const Json& value) {
        if (value.is_array() && value.size() == 3) return true;
        fail(key, value, "must be a list of three numbers");
        return false;
    }

    const Json& object_;
    std::string path_;
    Status& status_;
};

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
    arguments.globalPool = fields.globalPool();
    return arguments;
}

PreprocessChanges readPreprocess(Fields& fields) {
    PreprocessChanges changes;
    changes.mean = fields.colours("mean", {-1000, 1000});
    changes.deviation = fields.colours("std", {1e-6, 1000});
    if (const auto index = fields.oneOf("interpolation", {"bilinear", "bicubic"})) {
        changes.interpolation = *index == 0 ? Interpolation::Bilinear : Interpolation::Bicubic;
    }
    changes.cropFraction = fields.number("crop_pct", {0.05, 1});
    changes.inputSize = fields.inputSize("input_size");
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
    const std::optional<GlobalPool> globalPool = top.globalPool();

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

// What the JSON library may throw ends here.
template <typename Read>
auto readObject(std::string_view text, Read&& read) -> decltype(read(Json())) {
    try {
        DUNLIN_ASSIGN(const Json json, parseObject(text));
        return read(json);
    } catch (const std::bad_alloc&) {
        return error(StatusCode::OutOfHostMemory, "no memory for %zu bytes of JSON", text.size());
    } catch (const std::exception& problem) {
        return error(StatusCode::BadFile, "it cannot be read: %s", problem.what());
    }
}

}  // namespace

Status ModelArguments::check(const Architecture& architecture) const {
    for (const std::string& argument : networkArguments) {
        if (std::ranges::find(architecture.arguments, argument) != architecture.arguments.end()) continue;
        const std::vector<std::string_view> known(architecture.arguments.begin(), architecture.arguments.end());
        return error(StatusCode::BadFile, "%s does not know the argument %s, only %s", architecture.name.c_str(),
                     argument.c_str(), known.empty() ? "num_classes" : listed(known).c_str());
    }
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
    return readObject(json, readConfig);
}

Result<ModelArguments> parseModelArguments(std::string_view json) {
    return readObject(json, [](const Json& object) -> Result<ModelArguments> {
        Status status;
        ModelArguments arguments = readModelArguments(object, "", status);
        if (!status.ok()) return status;
        return arguments;
    });
}

}  // namespace dunlin
