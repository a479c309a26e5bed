// dunlin run: a tensor in, the logits and values inside the network out.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tools/dunlin/commands.h"
#include "tools/dunlin/library.h"
#include "tools/dunlin/npy.h"
#include "tools/dunlin/output.h"

namespace dunlin::cli {
namespace {

using Json = nlohmann::ordered_json;

// An output as PyTorch would have it.
struct NamedArray {
    std::string name;
    NpyArray array;
};

constexpr int64_t kColours = 3;
// What DunlinSessionOptions takes. Here the sizes are the file's, so a wrong one is bad input rather than wrong use.
constexpr int64_t kMaxBatch = DUNLIN_MAX_BATCH, kMinSide = DUNLIN_MIN_INPUT_SIDE, kMaxSide = DUNLIN_MAX_INPUT_SIDE;

Check checkInputShape(const std::string& file, const std::vector<int64_t>& shape) {
    const auto isSide = [](int64_t side) { return side >= kMinSide && side <= kMaxSide; };
    const bool good = shape.size() == 4 && shape[0] >= 1 && shape[0] <= kMaxBatch && shape[1] == kColours &&
                      isSide(shape[2]) && isSide(shape[3]);
    if (good) return {};
    return Failure{
        ExitStatus::BadInput,
        fmt::format("{}: the shape is {}, a network takes [N, 3, H, W] with N from 1 to {} and H and W from {} "
                    "to {}",
                    file, describeShape(shape), kMaxBatch, kMinSide, kMaxSide)};
}

// Vectors [n, 1, 1, c] become [n, c] where they are the network's answer; maps [n, h, w, c] become [n, c, h, w].
NamedArray toPytorch(const Outputs& outputs, uint32_t index) {
    const DunlinOutputInfo& info = outputs.info()[index];
    const std::span<const float> values = outputs.values(index);
    const size_t images = info.shape[0], pixels = size_t{info.shape[1]} * info.shape[2], channels = info.shape[3];
    NamedArray result{info.name, {{info.shape[0], info.shape[3]}, std::vector<float>(values.size())}};
    if (index >= DUNLIN_OUTPUT_FIRST_TAP) {
        result.array.shape.push_back(info.shape[1]);
        result.array.shape.push_back(info.shape[2]);
    }
    for (size_t image = 0; image < images; ++image) {
        const float* from = values.data() + image * pixels * channels;
        float* to = result.array.values.data() + image * pixels * channels;
        for (size_t pixel = 0; pixel < pixels; ++pixel) {
            for (size_t channel = 0; channel < channels; ++channel) to[channel * pixels + pixel] = *from++;
        }
    }
    return result;
}

// One result would replace another, or the input. Devices may be named as often as one likes.
Check checkFiles(const RunOptions& options) {
    std::vector<std::string> outputs;
    if (!options.output.empty()) outputs.push_back(options.output);
    for (const RunOptions::Tap& tap : options.taps) outputs.push_back(tap.file);
    for (size_t i = 0; i < outputs.size(); ++i) {
        std::error_code ignored;
        if (std::filesystem::is_other(outputs[i], ignored)) continue;
        if (sameFile(outputs[i], options.input))
            return Failure{ExitStatus::WrongUse, fmt::format("{} is the input and would be replaced", outputs[i])};
        for (size_t j = 0; j < i; ++j) {
            if (sameFile(outputs[i], outputs[j]))
                return Failure{ExitStatus::WrongUse, fmt::format("{} and {} are one file, which would be written twice",
                                                                 outputs[j], outputs[i])};
        }
    }
    return {};
}

Check writeOutputs(const RunOptions& options, const std::vector<NamedArray>& outputs) {
    OutputFiles files;
    if (!options.output.empty()) {
        DUNLIN_CLI_TRY(writeNpy(files, options.output, outputs[0].array.shape, outputs[0].array.values));
    }
    for (size_t i = 0; i < options.taps.size(); ++i) {
        const NpyArray& array = outputs[i + 1].array;
        DUNLIN_CLI_TRY(writeNpy(files, options.taps[i].file, array.shape, array.values));
    }
    return files.commit();
}

void printOutputs(const RunOptions& options, const OpenedDevice& device, const OpenedModel& model,
                  const OpenedSession& session, const std::vector<NamedArray>& outputs) {
    Json document = {{"model", model.info.architecture},
                     {"weights", model.info.weights},
                     {"device", device.info.id},
                     {"precision", precisionName(session.info.precision)},
                     {"outputs", Json::array()}};
    Table table({{"output"}, {"shape"}, {"file"}});
    for (size_t i = 0; i < outputs.size(); ++i) {
        const std::string& file = i == 0 ? options.output : options.taps[i - 1].file;
        Json output = {{"name", outputs[i].name}, {"shape", outputs[i].array.shape}};
        if (!file.empty()) output["file"] = file;
        document["outputs"].push_back(output);
        table.addRow({outputs[i].name, describeShape(outputs[i].array.shape), file.empty() ? "(not written)" : file});
    }
    if (options.common.json) {
        printJson(document);
        return;
    }
    printOut("{} ({}) on {} ({}), {}\n\n{}", model.info.architecture, withoutControls(model.info.weights),
             device.info.id, device.info.name, precisionName(session.info.precision), table.text());
}

}  // namespace

Outcome<ExitStatus> run(const RunOptions& options) {
    DUNLIN_CLI_TRY(checkFiles(options));
    DUNLIN_CLI_ASSIGN(const NpyArray input, readNpy(options.input));
    DUNLIN_CLI_TRY(checkInputShape(options.input, input.shape));
    DUNLIN_CLI_ASSIGN(const OpenedModel model, openModel(options.model, options.common.cacheDirectory));
    DUNLIN_CLI_ASSIGN(const OpenedDevice device, openDevice(options.common));

    SessionOptions sessionOptions;
    sessionOptions.batch = static_cast<uint32_t>(input.shape[0]);
    sessionOptions.height = static_cast<uint32_t>(input.shape[2]);
    sessionOptions.width = static_cast<uint32_t>(input.shape[3]);
    sessionOptions.inputKinds = DUNLIN_INPUT_TENSOR;
    for (const RunOptions::Tap& tap : options.taps) sessionOptions.taps.push_back(tap.name);
    DUNLIN_CLI_ASSIGN(OpenedSession session, openSession(device, model, options.common, sessionOptions));
    DUNLIN_CLI_ASSIGN(const Outputs outputs, outcomeOf(session.session.run(std::span<const float>(input.values))));

    std::vector<NamedArray> arrays = {toPytorch(outputs, DUNLIN_OUTPUT_LOGITS)};
    for (uint32_t i = 0; i < options.taps.size(); ++i)
        arrays.push_back(toPytorch(outputs, DUNLIN_OUTPUT_FIRST_TAP + i));
    DUNLIN_CLI_TRY(device.messages->check());
    DUNLIN_CLI_TRY(writeOutputs(options, arrays));
    printOutputs(options, device, model, session, arrays);
    return ExitStatus::Done;
}

}  // namespace dunlin::cli
