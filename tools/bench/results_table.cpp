#include "tools/bench/results_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <vector>

#include "tools/bench/fields.h"
#include "tools/dunlin/output.h"

namespace dunlin::bench {
namespace {

struct ResultRow {
    std::string device, model, precision;
    double batch = 1;
    std::string date;
    std::vector<std::string> cells;
};

// As Markdown shows it: no markup, no end of the cell.
std::string escaped(const std::string& text) {
    std::string result;
    for (char c : cli::withoutControls(text)) {
        if (std::string_view("\\`*[]<>|&").find(c) != std::string_view::npos) result += '\\';
        result += c;
    }
    return result;
}

std::string timeCell(const std::optional<double>& ms) {
    return ms ? cli::threeDigits(*ms) : "";
}

std::string deviceName(const Json& document, const std::string& id) {
    for (const Json& device : document["devices"]) {
        if (textOf(device, "id") != id) continue;
        const auto threads = numberOf(device, "threads");
        return textOf(device, "name") +
               (threads ? fmt::format(", {:.0f} thread{}", *threads, *threads == 1 ? "" : "s") : "");
    }
    return id;
}

std::string modelName(const Json& row) {
    const auto size = row.find("size");
    const bool known = size != row.end() && size->is_array() && size->size() == 2 && (*size)[0].is_number_unsigned() &&
                       (*size)[1].is_number_unsigned();
    std::string name = textOf(row, "model");
    if (known) name += fmt::format(" {}x{}", (*size)[0].get<uint64_t>(), (*size)[1].get<uint64_t>());
    if (textOf(row, "fusion") == "max") name += ", fusion max";
    return name;
}

// Of the smaller time: GPU times beyond the wall's come of timestamps that slow the driver down.
std::optional<double> limitShare(const Json& row) {
    const auto gpu = numberOf(row, "gpuMedianMs"), wall = numberOf(row, "wallMedianMs"),
               limit = numberOf(row, "limitMs");
    if (gpu && wall && limit && *wall > 0 && *gpu > *wall) return *limit / *wall;
    return numberOf(row, "limitShare");
}

ResultRow rowOf(const Json& document, const Json& row) {
    ResultRow result;
    result.device = deviceName(document, textOf(row, "device"));
    result.model = modelName(row);
    result.precision = textOf(row, "precision");
    result.batch = numberOf(row, "batch").value_or(1);
    result.date = textOf(document, "date").substr(0, 10);
    const std::optional<double> share = limitShare(row);
    result.cells = {escaped(result.device),
                    escaped(result.model),
                    escaped(result.precision),
                    fmt::format("{:.0f}", result.batch),
                    timeCell(numberOf(row, "gpuMedianMs")),
                    timeCell(numberOf(row, "wallMedianMs")),
                    share ? fmt::format("{:.0f} %", 100 * *share) : "",
                    escaped(result.date),
                    escaped(textOf(document, "commit"))};
    return result;
}

}  // namespace

std::string resultsTable(std::span<const Json> documents) {
    std::vector<ResultRow> rows;
    for (const Json& document : documents) {
        if (textOf(document, "kind") != "model") continue;
        for (const Json& row : document["results"]) {
            if (numberOf(row, "gpuMedianMs") || numberOf(row, "wallMedianMs")) rows.push_back(rowOf(document, row));
        }
    }
    if (rows.empty()) return "";
    std::stable_sort(rows.begin(), rows.end(), [](const ResultRow& a, const ResultRow& b) {
        return std::tie(a.device, a.model, a.precision, a.batch, a.date) <
               std::tie(b.device, b.model, b.precision, b.batch, b.date);
    });
    std::string text =
        "| device | network | precision | batch | GPU, ms | wall, ms | of the limit | date | commit |\n"
        "|---|---|---|---|---|---|---|---|---|\n";
    for (const ResultRow& row : rows) text += fmt::format("| {} |\n", fmt::join(row.cells, " | "));
    return text;
}

}  // namespace dunlin::bench
