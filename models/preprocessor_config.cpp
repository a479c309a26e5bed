#include "models/preprocessor_config.h"

#include <cmath>
#include <cstdio>
#include <new>
#include <nlohmann/json.hpp>
#include <string>

#include "models/registry.h"

namespace dunlin {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxConfigBytes = 1 << 20;

// A value for messages. What is nested is not written out: how deep it goes is the file's choice.
std::string shown(const Json& value) {
    constexpr size_t kShown = 60;
    for (const Json& item : value) {
        if (value.is_structured() && item.is_structured()) return value.is_array() ? "a list of lists" : "an object";
    }
    const std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
    return text.size() <= kShown ? text : text.substr(0, kShown) + "...";
}

// Reads the fields of the file. The first complaint stays; absent and null fields are the same.
class Fields {
  public:
    explicit Fields(const Json& object) : object_(object) {}

    const Status& status() const { return status_; }

    void fail(const std::string& place, const Json& value, const std::string& rule) {
        if (status_.ok()) status_ = Status(StatusCode::BadFile, place + " is " + shown(value) + ", but " + rule);
    }

    const Json* find(const Json& object, const char* key) const {
        const auto found = object.find(key);
        return found == object.end() || found->is_null() ? nullptr : &*found;
    }
    const Json* find(const char* key) const { return find(object_, key); }

    std::optional<bool> flag(const char* key) {
        const Json* value = find(key);
        if (value == nullptr) return std::nullopt;
        if (value->is_boolean()) return value->get<bool>();
        fail(key, *value, "must be true or false");
        return std::nullopt;
    }

    std::optional<double> number(const std::string& place, const Json& value, double low, double high) {
        if (value.is_number()) {
            const auto number = value.get<double>();
            if (number >= low && number <= high) return number;
        }
        char rule[96];
        std::snprintf(rule, sizeof rule, "must be a number from %.10g to %.10g", low, high);
        fail(place, value, rule);
        return std::nullopt;
    }

    std::optional<int> side(const std::string& place, const Json& value) {
        const std::optional<double> pixels = number(place, value, kMinInputSide, kMaxInputSide);
        if (!pixels) return std::nullopt;
        if (*pixels == std::floor(*pixels)) return static_cast<int>(*pixels);
        fail(place, value, "must be a whole number");
        return std::nullopt;
    }

    // The short side: a number, or {"shortest_edge": number}.
    std::optional<int> resize() {
        const Json* size = find("size");
        if (size == nullptr) return std::nullopt;
        if (!size->is_object()) return side("size", *size);
        if (const Json* edge = find(*size, "shortest_edge")) return side("size.shortest_edge", *edge);
        fail("size", *size, "must be a shortest_edge, because pictures keep their proportions here");
        return std::nullopt;
    }

    // A square: a number, or {"height": number, "width": the same}.
    std::optional<int> crop() {
        const Json* size = find("crop_size");
        if (size == nullptr) return std::nullopt;
        if (!size->is_object()) return side("crop_size", *size);
        const Json *height = find(*size, "height"), *width = find(*size, "width");
        if (height != nullptr && width != nullptr) {
            const auto high = side("crop_size.height", *height), wide = side("crop_size.width", *width);
            if (high == wide) return high;
        }
        fail("crop_size", *size, "must be the height and width of a square");
        return std::nullopt;
    }

    std::optional<Interpolation> interpolation() {
        const Json* value = find("resample");  // Pillow's numbers
        if (value == nullptr) return std::nullopt;
        if (*value == 2) return Interpolation::Bilinear;
        if (*value == 3) return Interpolation::Bicubic;
        fail("resample", *value, "must be 2 (bilinear) or 3 (bicubic)");
        return std::nullopt;
    }

    std::optional<std::array<float, 3>> colours(const std::string& key, double low, double high) {
        const Json* value = find(key.c_str());
        if (value == nullptr) return std::nullopt;
        std::array<float, 3> numbers = {};
        if (!value->is_array() || value->size() != numbers.size()) {
            fail(key, *value, "must be a list of three numbers");
            return std::nullopt;
        }
        for (size_t i = 0; i < numbers.size(); ++i) {
            const auto item = number(key + "[" + std::to_string(i) + "]", (*value)[i], low, high);
            if (!item) return std::nullopt;
            numbers[i] = static_cast<float>(*item);
        }
        return numbers;
    }

  private:
    const Json& object_;
    Status status_;
};

// Steps that cannot be left out here.
void requireSteps(Fields& fields) {
    for (const char* key : {"do_resize", "do_center_crop", "do_rescale"}) {
        if (fields.flag(key) == false) fields.fail(key, false, "must be true");
    }
    constexpr double kFactor = 1.0 / 255, kRounding = 1e-6;
    if (const Json* factor = fields.find("rescale_factor")) {
        fields.number("rescale_factor", *factor, kFactor - kRounding, kFactor + kRounding);
    }
}

Result<PreprocessorConfig> read(const Json& json) {
    Fields fields(json);
    PreprocessorConfig config;
    requireSteps(fields);
    config.resize = fields.resize();
    config.crop = fields.crop();
    config.interpolation = fields.interpolation();
    config.swapRedBlue = fields.flag("do_flip_channel_order");
    const std::optional<bool> normalize = fields.flag("do_normalize");
    if (normalize == false) {
        config.mean = {0.0f, 0.0f, 0.0f};
        config.deviation = {1.0f, 1.0f, 1.0f};
    } else {
        config.mean = fields.colours("image_mean", -1000, 1000);
        config.deviation = fields.colours("image_std", 1e-6, 1000);
    }
    if (!fields.status().ok()) return fields.status();
    return config;
}

// The fraction of which resizeGeometry, which rounds down, makes exactly these pixels.
double cropFraction(int crop, int resize) {
    double fraction = static_cast<double>(crop) / resize;
    while (std::floor(crop / fraction) < resize) fraction = std::nextafter(fraction, 0.0);
    return fraction;
}

}  // namespace

PreprocessSpec specOf(const PublishedPreprocess& published) {
    return {.mean = published.mean,
            .deviation = published.deviation,
            .interpolation = published.bicubic ? Interpolation::Bicubic : Interpolation::Bilinear,
            .cropFraction = cropFraction(published.crop, published.resize),
            .inputHeight = published.crop,
            .inputWidth = published.crop,
            .swapRedBlue = published.swapRedBlue};
}

Status PreprocessorConfig::applyTo(PreprocessSpec& spec) const {
    if (mean) spec.mean = *mean;
    if (deviation) spec.deviation = *deviation;
    if (interpolation) spec.interpolation = *interpolation;
    if (swapRedBlue) spec.swapRedBlue = *swapRedBlue;
    if (crop) spec.inputHeight = spec.inputWidth = *crop;
    if (!resize) return {};
    if (*resize < spec.inputHeight) {
        return error(StatusCode::BadFile, "size is %d, but must be at least the crop's %d", *resize, spec.inputHeight);
    }
    spec.cropFraction = cropFraction(spec.inputHeight, *resize);
    return {};
}

Result<PreprocessorConfig> parsePreprocessorConfig(std::string_view json) {
    if (json.size() > kMaxConfigBytes) {
        return error(StatusCode::BadFile, "it has %zu bytes, the limit is %zu", json.size(), kMaxConfigBytes);
    }
    try {
        const Json parsed = Json::parse(json, nullptr, /* allow_exceptions = */ false);
        if (!parsed.is_object()) return error(StatusCode::BadFile, "it is no JSON object");
        return read(parsed);
    } catch (const std::bad_alloc&) {
        return error(StatusCode::OutOfHostMemory, "no memory for %zu bytes of JSON", json.size());
    } catch (const std::exception& problem) {
        return error(StatusCode::BadFile, "it cannot be read: %s", problem.what());
    }
}

}  // namespace dunlin
