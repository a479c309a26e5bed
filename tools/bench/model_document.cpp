#include "tools/bench/model_document.h"

#include <fmt/format.h>

#include <cmath>

#include "tools/bench/roofline.h"
#include "tools/bench/statistics.h"
#include "tools/dunlin/output.h"

namespace dunlin::bench {
namespace {

using cli::Table;

Json orNull(const std::optional<double>& value) {
    return value ? Json(*value) : Json();
}

Json medianOrNull(const std::vector<double>& samples) {
    return samples.empty() ? Json() : Json(summarize(samples).median);
}

Json headOf(const ModelRun& run) {
    Json row = {{"id", run.id}, {"model", run.model}, {"family", nullptr}};
    if (!run.family.empty()) row["family"] = run.family;
    row["size"] = run.input.h > 0 ? Json({run.input.h, run.input.w}) : Json();
    row["batch"] = run.input.n;
    row["fusion"] = run.fusion == FusionLevel::Max ? "max" : "default";
    row["tuning"] = nullptr;
    if (run.tuned) {
        row["tuning"] = {{"seconds", run.tuned->milliseconds / 1e3},
                         {"problems", run.tuned->problems},
                         {"tuned", run.tuned->tuned},
                         {"formsTried", run.tuned->formsTried},
                         {"formsRejected", run.tuned->formsRejected}};
    }
    row["device"] = run.target->id;
    row["precision"] = run.precision ? Json(*run.precision == Precision::Fp16 ? "fp16" : "fp32") : Json();
    row["threads"] = run.target->isCpu() ? Json(run.target->threads) : Json();
    row["weights"] = run.network ? Json(run.network->weightsDescription) : Json();
    return row;
}

Json layersOf(const ModelResult& result, Precision precision, const Ceilings* ceilings) {
    Json layers = Json::array();
    if (result.samples.layerNs.empty()) return layers;
    for (size_t i = 0; i < result.facts.layers.size(); ++i) {
        const Layer& layer = result.facts.layers[i];
        std::vector<double> times;
        for (const std::vector<double>& run : result.samples.layerNs) times.push_back(run[i]);
        const double medianNs = summarize(times).median;
        const bool costKnown = !result.facts.costs.empty();
        Json row = {{"name", layer.name},
                    {"kernel", layer.kernel},
                    {"variant", layer.variant},
                    {"shape", describe(layer.shape)},
                    {"medianUs", medianNs / 1e3},
                    {"bytes", costKnown ? Json(layer.cost.bytes) : Json()},
                    {"flops", costKnown ? Json(layer.cost.flops) : Json()},
                    {"limitUs", nullptr},
                    {"rooflineShare", nullptr}};
        if (ceilings && costKnown) {
            const double limitNs = ceilings->limitNs(layer.cost, precision);
            row["limitUs"] = limitNs / 1e3;
            if (medianNs > 0) row["rooflineShare"] = limitNs / medianNs;
        }
        layers.push_back(std::move(row));
    }
    return layers;
}

// Of people's tables: a number of milliseconds, or a dash.
std::string milliseconds(const Json& value) {
    return value.is_number() ? cli::formatMilliseconds(value) : "-";
}
std::string microseconds(const Json& value) {
    return value.is_number() ? fmt::format("{:.1f} us", value.get<double>()) : "-";
}
std::string percent(const Json& value) {
    return value.is_number() ? fmt::format("{:.1f} %", value.get<double>() * 100) : "-";
}
std::string bytes(const Json& value) {
    return value.is_number() ? cli::formatBytes(value) : "-";
}

std::string timesTable(const Json& rows) {
    using Align = Table::Align;
    Table table({{"network"},
                 {"GPU", Align::Right},
                 {"wall: median", Align::Right},
                 {"p95", Align::Right},
                 {"min", Align::Right},
                 {"spread", Align::Right},
                 {"limit", Align::Right},
                 {"reached", Align::Right}});
    for (const Json& row : rows) {
        table.addRow({row["id"], milliseconds(row["gpuMedianMs"]), milliseconds(row["wallMedianMs"]),
                      milliseconds(row["wallP95Ms"]), milliseconds(row["wallMinMs"]), percent(row["wallSpread"]),
                      milliseconds(row["limitMs"]), percent(row["limitShare"])});
    }
    return table.text();
}

std::string otherTable(const Json& rows) {
    using Align = Table::Align;
    Table table({{"network"},
                 {"submit", Align::Right},
                 {"2 in flight", Align::Right},
                 {"3 in flight", Align::Right},
                 {"cold start", Align::Right},
                 {"warm", Align::Right},
                 {"device memory", Align::Right},
                 {"host", Align::Right}});
    for (const Json& row : rows) {
        table.addRow({row["id"], microseconds(row["cpuSubmitUs"]), milliseconds(row["frameMs2"]),
                      milliseconds(row["frameMs3"]), milliseconds(row["coldStartMs"]), milliseconds(row["warmStartMs"]),
                      bytes(row["deviceBytes"]), bytes(row["hostBytes"])});
    }
    return table.text();
}

}  // namespace

Json rowOf(const ModelRun& run, const ModelResult& result, const Ceilings* ceilings) {
    Json row = headOf(run);
    const auto check = [&](const Json& value) { return result.check ? value : Json(); };
    const NetworkCheck verdict = result.check.value_or(NetworkCheck{});
    row["correct"] = check(verdict.maxRelativeError <= verdict.tolerance);
    row["maxRelativeError"] = check(std::isfinite(verdict.maxRelativeError) ? Json(verdict.maxRelativeError) : Json());
    row["deterministic"] = check(verdict.isDeterministic);
    if (result.failure) {
        row["error"] = result.failure->message;
        return row;
    }
    const ModelSamples& samples = result.samples;
    const bool hasGpuClock = !samples.gpuMs.empty(), isCpu = run.target->isCpu();
    const Summary wall = summarize(samples.wallMs);
    row["coldStartMs"] = orNull(result.starts.coldMs);
    row["warmStartMs"] = orNull(result.starts.warmMs);
    row["gpuMedianMs"] = medianOrNull(samples.gpuMs);
    row["wallMedianMs"] = wall.median;
    row["wallP95Ms"] = wall.p95;
    row["wallMinMs"] = wall.min;
    row["wallSpread"] = wall.spread;
    row["cpuSubmitUs"] = medianOrNull(samples.submitCpuUs);
    row["submitUs"] = medianOrNull(samples.submitWallUs);
    row["frameMs2"] = medianOrNull(samples.frameMs2);
    row["frameMs3"] = medianOrNull(samples.frameMs3);
    row["deviceBytes"] = result.facts.deviceBytes;
    row["hostBytes"] = result.starts.hostBytes ? Json(*result.starts.hostBytes) : Json();
    row["runs"] = samples.wallMs.size();
    row["dispatches"] = isCpu ? Json() : Json(result.facts.layers.size());
    row["barriers"] = isCpu ? Json() : Json(result.facts.barriers);
    row["limitMs"] = nullptr;
    row["limitShare"] = nullptr;
    if (ceilings && !result.facts.costs.empty()) {
        const double limitMs = networkLimitNs(*ceilings, result.facts.costs, result.facts.waits, *run.precision) / 1e6;
        row["limitMs"] = limitMs;
        const double takenMs = hasGpuClock ? summarize(samples.gpuMs).median : wall.median;
        if (takenMs > 0) row["limitShare"] = limitMs / takenMs;
    }
    row["samples"] = {{"wallMs", samples.wallMs}, {"gpuMs", samples.gpuMs}};
    row["layers"] = layersOf(result, *run.precision, ceilings);
    return row;
}

std::string modelText(const Json& document) {
    Json rows = Json::array();
    std::string failures;
    for (const Json& row : document["results"]) {
        if (row.contains("error")) {
            failures += fmt::format("{}: {}\n", row["id"].get<std::string>(), row["error"].get<std::string>());
        } else {
            rows.push_back(row);
        }
    }
    std::string text;
    for (const Json& device : document["devices"]) {
        text += fmt::format("{}: {}\n", device["id"].get<std::string>(),
                            cli::withoutControls(device["name"].get<std::string>()));
    }
    if (!rows.empty()) text += "\n" + timesTable(rows) + "\n" + otherTable(rows);
    if (!failures.empty()) text += "\nnot measured:\n" + failures;
    return text;
}

}  // namespace dunlin::bench
