// dunlin verify: reference networks, rebuilt, run and compared.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tools/dunlin/commands.h"
#include "tools/dunlin/library.h"
#include "tools/dunlin/output.h"
#include "tools/dunlin/reference_run.h"

namespace dunlin::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Row {
    std::string file;
    Outcome<ReferenceVerdict> verdict;
};

Json jsonOf(const Row& row, const DunlinDeviceInfo& device) {
    if (!row.verdict.ok()) {
        return {{"file", row.file},
                {"model", nullptr},
                {"device", device.id},
                {"precision", nullptr},
                {"maxRelativeError", nullptr},
                {"top1Equal", false},
                {"pass", false},
                {"error", row.verdict.failure().message}};
    }
    const ReferenceVerdict& verdict = *row.verdict;
    return {{"file", row.file},
            {"model", verdict.model},
            {"device", device.id},
            {"precision", precisionName(verdict.precision)},
            {"maxRelativeError", verdict.finite ? Json(verdict.maxRelativeError) : Json()},
            {"bound", verdict.bound},
            {"top1Equal", verdict.top1Equal},
            {"top1Counts", verdict.top1Counts},
            {"pass", verdict.pass}};
}

void addRow(Table& table, const Row& row) {
    const std::string file = std::filesystem::path(row.file).filename().string();
    if (!row.verdict.ok()) {
        table.addRow({file, "", "", "", "", "not run"});
        return;
    }
    const ReferenceVerdict& verdict = *row.verdict;
    const char* top1 = verdict.top1Equal ? "same" : verdict.top1Counts ? "differs" : "differs (too close to count)";
    table.addRow({file, precisionName(verdict.precision),
                  verdict.finite ? fmt::format("{:.1e}", verdict.maxRelativeError) : "not finite",
                  fmt::format("{:.0e}", verdict.bound), top1, verdict.pass ? "ok" : "FAILED"});
}

// Failures to run come before failed comparisons: they say that there is no answer.
ExitStatus statusOf(const std::vector<Row>& rows) {
    ExitStatus status = ExitStatus::Done;
    for (const Row& row : rows) {
        const ExitStatus its = !row.verdict.ok()   ? row.verdict.failure().status
                               : row.verdict->pass ? ExitStatus::Done
                                                   : ExitStatus::No;
        status = std::max(status, its);
    }
    return status;
}

void print(const std::vector<Row>& rows, const DunlinDeviceInfo& device, bool json) {
    if (json) {
        Json document = {{"results", Json::array()}};
        for (const Row& row : rows) document["results"].push_back(jsonOf(row, device));
        printJson(document);
        return;
    }
    using Align = Table::Align;
    Table table({{"reference"}, {"precision"}, {"error", Align::Right}, {"bound", Align::Right}, {"top-1"}, {""}});
    for (const Row& row : rows) addRow(table, row);
    printOut("on {} ({})\n\n{}", device.id, device.name, table.text());
}

}  // namespace

Outcome<ExitStatus> verify(const VerifyOptions& options) {
    DUNLIN_CLI_ASSIGN(const OpenedDevice device, openDevice(options.common));
    ProgressBar progress("verifying", !options.common.quiet);
    const ReferenceRunOptions wanted = {options.common.precision, options.fusion, tuningBudgetMs(options.common)};
    std::vector<Row> rows;
    for (const std::string& file : options.references) {
        const auto done = static_cast<float>(rows.size()), all = static_cast<float>(options.references.size());
        rows.push_back({file, runReference(file, device.device.handle(), wanted,
                                           [&](float share) { progress.update((done + share) / all); })});
        if (rows.back().verdict.ok()) continue;
        progress.clear();
        printError(rows.back().verdict.failure().message);
    }
    progress.clear();
    const bool anyAnswer = std::any_of(rows.begin(), rows.end(), [](const Row& row) { return row.verdict.ok(); });
    if (anyAnswer || options.common.json) print(rows, device.info, options.common.json);
    DUNLIN_CLI_TRY(device.messages->check());
    return statusOf(rows);
}

}  // namespace dunlin::cli
