#include "tools/bench/shader_cost/cost_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "runtime/plan/kernels.h"

namespace dunlin::shader_cost {
namespace {

using Json = nlohmann::ordered_json;

enum class Row { Most, Least, Mean };  // what a row shows of its pipelines

struct Figure {
    const char* statistic;  // RADV's name
    const char* key;        // in JSON
    uint32_t Cost::*value;
    Row row = Row::Most;
};
constexpr Figure kFigures[] = {{"VGPRs", "vectorRegisters", &Cost::vectorRegisters},
                               {"SGPRs", "scalarRegisters", &Cost::scalarRegisters},
                               {"Spilled VGPRs", "spilledVectors", &Cost::spilledVectors},
                               {"Spilled SGPRs", "spilledScalars", &Cost::spilledScalars},
                               {"Scratch size", "scratchBytes", &Cost::scratchBytes},
                               {"LDS size", "sharedBytes", &Cost::sharedBytes},
                               {"Subgroups per SIMD", "subgroupsPerSimd", &Cost::subgroupsPerSimd, Row::Least},
                               {"Code size", "codeBytes", &Cost::codeBytes, Row::Mean},
                               {"Latency", "latency", &Cost::latency, Row::Mean},
                               {"Inverse Throughput", "inverseThroughput", &Cost::inverseThroughput, Row::Mean}};

const char* heading(Use use) {
    switch (use) {
        case Use::Default:
            return "Default plans";
        case Use::MaxFusion:
            return "Only in plans of the fewest dispatches (`--fusion max`)";
        case Use::Candidate:
            return "Other forms that tuning may try (MobileNetV3-Large, ViT-Tiny)";
    }
    return "";
}

uint32_t figureOf(const Figure& figure, const std::vector<const Cost*>& costs) {
    uint64_t most = 0, least = UINT64_MAX, sum = 0;
    for (const Cost* cost : costs) {
        const uint64_t value = cost->*figure.value;
        most = std::max(most, value);
        least = std::min(least, value);
        sum += value;
    }
    const uint64_t shown = figure.row == Row::Most ? most : figure.row == Row::Least ? least : sum / costs.size();
    return static_cast<uint32_t>(shown);
}

// Widths are fixed, so that a changed figure changes its own line alone.
std::string lineOf(const CostRow& row) {
    const Cost& cost = row.cost;
    return fmt::format("| {:<33} | {:>4} | {:>5} | {:>5} | {:>7} | {:>7} | {:>6} | {:>9} | {:>6} | {:>7} | {:>7} |\n",
                       row.module, row.pipelines, cost.vectorRegisters, cost.scalarRegisters,
                       cost.spilledVectors + cost.spilledScalars, cost.scratchBytes, cost.sharedBytes,
                       cost.subgroupsPerSimd, cost.codeBytes, cost.latency, cost.inverseThroughput);
}

std::string tableHead() {
    return fmt::format(
        "| {:<33} | {:>4} | {:>5} | {:>5} | {:>7} | {:>7} | {:>6} | {:>9} | {:>6} | {:>7} | {:>7} |\n"
        "|:{:-<33}-|-{:->4}:|-{:->5}:|-{:->5}:|-{:->7}:|-{:->7}:|-{:->6}:|-{:->9}:|-{:->6}:|-{:->7}:|-{:->7}:|\n",
        "module", "n", "VGPRs", "SGPRs", "spilled", "scratch", "shared", "subgroups", "code", "latency", "inv.thr", "",
        "", "", "", "", "", "", "", "", "", "");
}

}  // namespace

cli::Outcome<Cost> costOf(const Json& statistics) {
    Cost cost;
    for (const Figure& figure : kFigures) {
        const auto found = statistics.find(figure.statistic);
        if (found == statistics.end() || !found->is_number()) {
            return cli::Failure{cli::ExitStatus::BadInput,
                                fmt::format("the driver does not count \"{}\": it is not RADV, or of a version that "
                                            "names it otherwise",
                                            figure.statistic)};
        }
        cost.*figure.value = found->get<uint32_t>();
    }
    return cost;
}

std::vector<CostRow> rowsOf(std::span<const CompiledPipeline> pipelines) {
    std::vector<CostRow> rows;
    std::vector<std::vector<const Cost*>> costs;  // of each row
    for (const CompiledPipeline& pipeline : pipelines) {
        const std::string module = moduleName(pipeline.listed.variant);
        const auto same = std::ranges::find_if(
            rows, [&](const CostRow& row) { return row.use == pipeline.listed.use && row.module == module; });
        const auto at = static_cast<size_t>(same - rows.begin());
        if (same == rows.end()) {
            rows.push_back({pipeline.listed.use, module, 0, {}});
            costs.emplace_back();
        }
        costs[at].push_back(&pipeline.cost);
    }
    for (size_t i = 0; i < rows.size(); ++i) {
        rows[i].pipelines = costs[i].size();
        for (const Figure& figure : kFigures) rows[i].cost.*figure.value = figureOf(figure, costs[i]);
    }
    std::ranges::stable_sort(rows, {}, &CostRow::use);
    return rows;
}

std::string markdown(const std::string& gpu, const std::string& driver, std::span<const CompiledPipeline> pipelines) {
    std::string text = fmt::format(
        "# What {} makes of the shaders for {}\n\nWritten by `tools/shader-cost --update`; n is the number of "
        "pipelines.\n",
        driver, gpu);
    const CostRow* before = nullptr;
    const std::vector<CostRow> rows = rowsOf(pipelines);
    for (const CostRow& row : rows) {
        if (!before || before->use != row.use) text += fmt::format("\n## {}\n\n{}", heading(row.use), tableHead());
        text += lineOf(row);
        before = &row;
    }
    return text;
}

Json json(const std::string& gpu, const std::string& driver, std::span<const CompiledPipeline> pipelines) {
    Json list = Json::array();
    for (const CompiledPipeline& pipeline : pipelines) {
        Json one = {{"pipeline", describe(pipeline.listed.variant)},
                    {"module", moduleName(pipeline.listed.variant)},
                    {"use", name(pipeline.listed.use)},
                    {"networks", pipeline.listed.networks}};
        for (const Figure& figure : kFigures) one[figure.key] = pipeline.cost.*figure.value;
        list.push_back(std::move(one));
    }
    return {{"gpu", gpu}, {"driver", driver}, {"pipelines", std::move(list)}};
}

}  // namespace dunlin::shader_cost
