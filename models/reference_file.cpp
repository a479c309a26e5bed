#include "models/reference_file.h"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "models/registry.h"
#include "runtime/weights/synthetic.h"

namespace dunlin {
namespace {

// Keeps the order of keys, so that stages come in the network's order.
using Json = nlohmann::ordered_json;

Status badFile(const std::filesystem::path& path, const std::string& reason) {
    return error(StatusCode::BadFile, "%s: %s", path.string().c_str(), reason.c_str());
}

// Finds where a text is no JSON.
class SyntaxReader final : public nlohmann::json_sax<Json> {
  public:
    const std::string& reason() const { return reason_; }

    bool null() override { return true; }
    bool boolean(bool) override { return true; }
    bool number_integer(number_integer_t) override { return true; }
    bool number_unsigned(number_unsigned_t) override { return true; }
    bool number_float(number_float_t, const string_t&) override { return true; }
    bool string(string_t&) override { return true; }
    bool binary(binary_t&) override { return true; }
    bool key(string_t&) override { return true; }
    bool start_object(std::size_t) override { return true; }
    bool end_object() override { return true; }
    bool start_array(std::size_t) override { return true; }
    bool end_array() override { return true; }
    bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
        reason_ = "is no JSON at byte " + std::to_string(position);
        return false;
    }

  private:
    std::string reason_;
};

ReferenceFile parse(const Json& json) {
    ReferenceFile reference;
    reference.model = json.at("model").get<std::string>();
    reference.overrides = json.value("overrides", Json::object()).dump();
    const auto nchw = json.at("input_shape_nchw").get<std::array<int, 4>>();
    reference.input = {nchw[0], nchw[2], nchw[3], nchw[1]};
    reference.parameters = json.value("parameters", int64_t{0});
    const Json scales = json.value("running_var_scale", Json::object());
    for (const auto& [name, scale] : scales.items()) reference.runningVarianceScale[name] = scale.get<double>();
    const Json stages = json.value("stages", Json::object());
    for (const auto& [name, stage] : stages.items())
        reference.stages.push_back({name, stage.at("shape").get<std::vector<int64_t>>(), stage.at("mean").get<double>(),
                                    stage.at("std").get<double>()});
    reference.logits = json.at("logits").get<std::vector<std::vector<double>>>();
    return reference;
}

// Why the numbers of a reference cannot be; empty where they can.
std::string contradiction(const ReferenceFile& reference) {
    const Shape& input = reference.input;
    const auto isSide = [](int side) { return side >= kMinInputSide && side <= kMaxInputSide; };
    if (input.n < 1 || input.n > kMaxBatch || input.c != 3 || !isSide(input.h) || !isSide(input.w))
        return "the input " + describe(input) + " is not of 1 to " + std::to_string(kMaxBatch) +
               " images with 3 channels and sides of " + std::to_string(kMinInputSide) + " to " +
               std::to_string(kMaxInputSide);
    if (reference.logits.size() != static_cast<size_t>(input.n))
        return std::to_string(reference.logits.size()) + " rows of logits for " + std::to_string(input.n) + " images";
    const size_t classes = reference.logits.front().size();
    for (const auto& row : reference.logits) {
        if (row.empty() || row.size() != classes) return "the rows of logits are empty or differ in length";
        if (!std::ranges::all_of(row, [](double logit) { return std::isfinite(logit); }))
            return "a logit is not finite";
    }
    return "";
}

struct Winner {
    size_t index = 0;
    double margin = std::numeric_limits<double>::infinity();  // to the second
};
template <typename Number>
Winner winnerOf(std::span<const Number> row) {
    Winner winner;
    for (size_t i = 1; i < row.size(); ++i)
        if (row[i] > row[winner.index]) winner.index = i;
    for (size_t i = 0; i < row.size(); ++i)
        if (i != winner.index)
            winner.margin =
                std::min(winner.margin, static_cast<double>(row[winner.index]) - static_cast<double>(row[i]));
    return winner;
}

}  // namespace

Result<ReferenceFile> loadReference(const std::filesystem::path& path) {
    std::error_code problem;
    if (std::filesystem::is_directory(path, problem)) return badFile(path, "cannot be read: it is a folder");
    std::ifstream file(path, std::ios::binary);
    if (!file) return badFile(path, "cannot be opened: " + std::generic_category().message(errno));
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    if (file.bad()) return badFile(path, "cannot be read");
    SyntaxReader syntax;
    if (!Json::sax_parse(text, &syntax)) return badFile(path, syntax.reason());
    try {
        ReferenceFile reference = parse(Json::parse(text));
        if (const std::string reason = contradiction(reference); !reason.empty()) return badFile(path, reason);
        return reference;
    } catch (const nlohmann::json::exception&) {  // its sentence is about the library
        return badFile(path, "is no reference: a field is missing or of another type");
    }
}

Result<std::shared_ptr<const Model>> openReferenceModel(const ReferenceFile& reference) {
    ModelOptions options;
    options.weights = "synthetic";
    options.modelArguments = reference.overrides;
    options.runningVarianceScale = reference.runningVarianceScale;
    // The name and the arguments are the file's, not the caller's.
    if (const auto known = findArchitecture(reference.model); !known.ok())
        return Status(StatusCode::BadFile, known.status().message());
    DUNLIN_ASSIGN(std::shared_ptr<const Model> model, openModel(reference.model, options));
    if (const size_t classes = reference.logits.front().size(); static_cast<size_t>(model->data.classes) != classes)
        return error(StatusCode::BadFile, "the reference has %zu logits an image, but %s has %d classes", classes,
                     reference.model.c_str(), model->data.classes);
    return model;
}

std::vector<float> referenceInput(const ReferenceFile& reference) {
    return formulaInput(reference.input.n, reference.input.h, reference.input.w);
}

double referenceBound(Precision precision) {
    return precision == Precision::Fp32 ? 1e-3 : 2e-2;
}

ReferenceComparison compareWithReference(const ReferenceFile& reference, std::span<const float> logits,
                                         Precision precision) {
    const size_t classes = reference.logits.front().size();
    assert(logits.size() == reference.logits.size() * classes);
    ReferenceComparison comparison;
    double largestError = 0, largest = 0, smallestMargin = std::numeric_limits<double>::infinity();
    for (size_t image = 0; image < reference.logits.size(); ++image) {
        const std::span<const double> expected = reference.logits[image];
        const std::span<const float> actual = logits.subspan(image * classes, classes);
        for (size_t i = 0; i < classes; ++i) {
            comparison.isFinite = comparison.isFinite && std::isfinite(actual[i]);
            largestError = std::max(largestError, std::abs(double{actual[i]} - expected[i]));
            largest = std::max(largest, std::abs(expected[i]));
        }
        const Winner winner = winnerOf(expected);
        comparison.top1Equal = comparison.top1Equal && winnerOf(actual).index == winner.index;
        smallestMargin = std::min(smallestMargin, winner.margin);
    }
    const double bound = referenceBound(precision);
    comparison.maxRelativeError = comparison.isFinite
                                      ? largestError / std::max(largest, std::numeric_limits<double>::min())
                                      : std::numeric_limits<double>::infinity();
    comparison.top1Counts = smallestMargin > 2 * bound * largest;
    comparison.pass =
        comparison.isFinite && comparison.maxRelativeError <= bound && (comparison.top1Equal || !comparison.top1Counts);
    return comparison;
}

}  // namespace dunlin
