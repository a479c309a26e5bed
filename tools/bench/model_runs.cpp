#include "tools/bench/model_runs.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "tools/dunlin/inside_model.h"
#include "tools/dunlin/internals.h"
#include "tools/dunlin/model_place.h"

namespace dunlin::bench {
namespace {

using cli::Failure;

// One MODEL of the command line.
struct OpenedModel {
    std::string label, place, weights;
    Outcome<std::shared_ptr<const Model>> network;
};

// An architecture that nothing else was found for has formula weights, as has one without weights elsewhere.
std::string weightsOf(const std::string& word, const cli::ModelPlace& place, const std::string& asked) {
    const bool isArchitecture = place.weights.empty() && place.name == word && findArchitecture(word).ok();
    return asked.empty() && isArchitecture ? "synthetic" : asked;
}

OpenedModel openOne(const std::string& word, const ModelBenchOptions& options) {
    const std::string& cache = options.measure.cacheDirectory;
    const cli::ModelPlace place = cli::placeOf({word, options.weights, {}}, cache);
    const std::string weights = weightsOf(word, place, options.weights);
    OpenedModel opened{word, place.name, weights, cli::openInside({word, weights, {}}, cache)};
    // What a path leads to is called by its network.
    const bool isPath = word.find_first_of("/\\") != std::string::npos || std::filesystem::path(word).has_extension();
    if (isPath && opened.network.ok()) opened.label = (*opened.network)->architecture.name;
    return opened;
}

// Ids must differ where two files hold one architecture. Who is called by its name keeps it.
void distinguish(std::vector<OpenedModel>& models, const std::vector<std::string>& words,
                 std::vector<std::string>& notices) {
    std::map<std::string, int> counts;
    for (size_t i = 0; i < models.size(); ++i) counts[models[i].label] += models[i].label == words[i];
    for (size_t i = 0; i < models.size(); ++i) {
        if (models[i].label == words[i]) continue;
        const int count = ++counts[models[i].label];
        if (count == 1) continue;
        models[i].label += fmt::format("#{}", count);
        notices.push_back(fmt::format("{} is {}", models[i].label, words[i]));
    }
}

std::string sizeText(const Shape& input) {
    return input.h > 0 ? fmt::format("{}x{}", input.h, input.w) : "own";
}

const char* nameOf(DunlinPrecision precision) {
    return precision == DUNLIN_PRECISION_FP16 ? "fp16" : precision == DUNLIN_PRECISION_FP32 ? "fp32" : "auto";
}

ModelRun planRun(const OpenedModel& model, const cli::InputSize& size, uint32_t batch, DunlinPrecision wanted,
                 const Target& target, const ModelBenchOptions& options) {
    ModelRun run;
    run.model = model.label;
    run.target = &target;
    run.place = model.place;
    run.weights = model.weights;
    run.fusion = options.fusion == DUNLIN_FUSION_MAX ? FusionLevel::Max : FusionLevel::Default;
    run.input = {static_cast<int>(batch), static_cast<int>(size.height), static_cast<int>(size.width), 3};
    if (model.network.ok()) {
        run.network = *model.network;
        run.family = run.network->architecture.family;
        const PreprocessSpec& own = run.network->data.preprocess;
        if (run.input.h == 0) run.input.h = own.inputHeight;
        if (run.input.w == 0) run.input.w = own.inputWidth;
    } else {
        run.failure = model.network.failure();
    }
    const Outcome<Precision> precision = target.precision(wanted);
    if (precision.ok()) {
        run.precision = *precision;
    } else if (!run.failure) {
        run.failure = precision.failure();
    }
    const char* const shown = precision.ok() ? (*precision == Precision::Fp16 ? "fp16" : "fp32") : nameOf(wanted);
    run.id = fmt::format("{}/{}/b{}/{}/{}", run.model, sizeText(run.input), batch, shown, target.id);
    if (run.failure) return run;
    auto graph = cli::outcomeOf(run.network->data.buildGraph(run.input));
    if (graph.ok()) {
        run.graph = std::make_shared<const Graph>(*std::move(graph));
    } else {
        run.failure = graph.failure();
    }
    return run;
}

std::optional<ModelRun> tunedOf(const ModelRun& run, const ModelBenchOptions& options) {
    if (options.tuneSeconds <= 0 || run.target->isCpu()) return std::nullopt;
    ModelRun tuned = run;
    tuned.id += "/tuned";
    tuned.tuneSeconds = options.tuneSeconds;
    return tuned;
}

}  // namespace

PlannedRuns planRuns(const ModelBenchOptions& options, std::span<const Target> targets) {
    PlannedRuns planned;
    std::vector<OpenedModel> models;
    for (const std::string& word : options.models) models.push_back(openOne(word, options));
    distinguish(models, options.models, planned.notices);
    const auto add = [&](ModelRun run) {
        const bool isKnown = std::ranges::find(planned.runs, run.id, &ModelRun::id) != planned.runs.end();
        if (!isKnown) planned.runs.push_back(std::move(run));
    };
    for (const OpenedModel& model : models) {
        for (const cli::InputSize& size : options.sizes) {
            for (uint32_t batch : options.batches) {
                for (DunlinPrecision precision : options.measure.precisions) {
                    for (const Target& target : targets) {
                        ModelRun run = planRun(model, size, batch, precision, target, options);
                        std::optional<ModelRun> tuned = tunedOf(run, options);
                        add(std::move(run));
                        if (tuned) add(*std::move(tuned));
                    }
                }
            }
        }
    }
    return planned;
}

}  // namespace dunlin::bench
