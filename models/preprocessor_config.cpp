#include "models/preprocessor_config.h"

#include <algorithm>
#include <cmath>

#include "models/json_fields.h"
#include "models/registry.h"

namespace dunlin {
namespace {

constexpr Fields::Range kSides = {kMinInputSide, kMaxInputSide};

// The short side: a number, or {"shortest_edge": number}.
std::optional<int> readResize(Fields& fields, Status& status) {
    const Json* size = fields.find("size");
    if (size == nullptr || !size->is_object()) return fields.integer("size", kSides);
    Fields inner(*size, "size.", status);
    if (inner.find("shortest_edge") != nullptr) return inner.integer("shortest_edge", kSides);
    fields.fail("size", *size, "must be a shortest_edge, because pictures keep their proportions here");
    return std::nullopt;
}

// A square: a number, or {"height": number, "width": the same}.
std::optional<int> readCrop(Fields& fields, Status& status) {
    const Json* size = fields.find("crop_size");
    if (size == nullptr || !size->is_object()) return fields.integer("crop_size", kSides);
    Fields inner(*size, "crop_size.", status);
    const auto height = inner.integer("height", kSides), width = inner.integer("width", kSides);
    if (height && height == width) return height;
    fields.fail("crop_size", *size, "must be the height and width of a square");
    return std::nullopt;
}

std::optional<Interpolation> readInterpolation(Fields& fields) {
    const Json* value = fields.find("resample");  // Pillow's numbers
    if (value == nullptr) return std::nullopt;
    if (*value == 2) return Interpolation::Bilinear;
    if (*value == 3) return Interpolation::Bicubic;
    fields.fail("resample", *value, "must be 2 (bilinear) or 3 (bicubic)");
    return std::nullopt;
}

// Steps that cannot be left out here.
void requireSteps(Fields& fields) {
    for (const char* key : {"do_resize", "do_center_crop", "do_rescale"}) {
        if (fields.boolean(key) == false) fields.fail(key, false, "must be true");
    }
    constexpr double kFactor = 1.0 / 255, kRounding = 1e-6;
    fields.number("rescale_factor", {kFactor - kRounding, kFactor + kRounding});
}

Result<PreprocessorConfig> read(const Json& json) {
    Status status;
    Fields fields(json, "", status);
    PreprocessorConfig config;
    requireSteps(fields);
    config.resize = readResize(fields, status);
    config.crop = readCrop(fields, status);
    config.interpolation = readInterpolation(fields);
    config.swapRedBlue = fields.boolean("do_flip_channel_order");
    if (fields.boolean("do_normalize") == false) {
        config.mean = {0.0f, 0.0f, 0.0f};
        config.deviation = {1.0f, 1.0f, 1.0f};
    } else {
        config.mean = fields.numbers("image_mean", {-1000, 1000});
        config.deviation = fields.numbers("image_std", {1e-6, 1000});
    }
    if (!status.ok()) return status;
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
    const int larger = std::max(spec.inputHeight, spec.inputWidth);
    if (*resize < larger)
        return error(StatusCode::BadFile, "size is %d, but must be at least the crop's %d", *resize, larger);
    spec.cropFraction = cropFraction(larger, *resize);
    return {};
}

Result<PreprocessorConfig> parsePreprocessorConfig(std::string_view json) {
    return readJsonObject(json, read);
}

}  // namespace dunlin
