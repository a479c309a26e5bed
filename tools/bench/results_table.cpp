#include "tools/bench/results_table.h"

#include <fmt/format.h>

#include <compare>
#include <map>
#include <optional>
#include <set>

#include "tools/bench/fields.h"
#include "tools/dunlin/output.h"

namespace dunlin::bench {
namespace {

// A device in one precision, in one run.
struct Column {
    std::string device, precision, date, commit;
    auto operator<=>(const Column&) const = default;
};

struct Network {
    std::string name;
    double batch = 1;
    auto operator<=>(const Network&) const = default;
};

using Table = std::map<Network, std::map<Column, std::string>>;

// As Markdown shows it: no markup, no end of the cell.
std::string escaped(const std::string& text) {
    std::string result;
    for (char c : cli::withoutControls(text)) {
        if (std::string_view("\\`*[]<>|&").find(c) != std::string_view::npos) result += '\\';
        result += c;
    }
    return result;
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

// The GPU's time, or the wall's where there is none, or where timestamps slow the driver down; then what share of it
// the limit is. Nothing where the network was not timed.
std::optional<std::string> cellOf(const Json& row) {
    const auto gpu = numberOf(row, "gpuMedianMs"), wall = numberOf(row, "wallMedianMs"),
               limit = numberOf(row, "limitMs");
    if (!gpu && !wall) return std::nullopt;
    const double ms = gpu && (!wall || *gpu <= *wall) ? *gpu : *wall;
    const std::string time = ms < 1 ? fmt::format("{:#.3g}", ms) : cli::threeDigits(ms);  // GPUs take microseconds
    return limit && ms > 0 ? fmt::format("{} ({:.0f} %)", time, 100 * *limit / ms) : time;
}

Table tableOf(std::span<const Json> documents) {
    Table table;
    for (const Json& document : documents) {
        if (textOf(document, "kind") != "model") continue;
        for (const Json& row : document["results"]) {
            const std::optional<std::string> cell = cellOf(row);
            if (!cell) continue;
            const Column column = {deviceName(document, textOf(row, "device")), textOf(row, "precision"),
                                   textOf(document, "date").substr(0, 10), textOf(document, "commit")};
            table[{modelName(row), numberOf(row, "batch").value_or(1)}][column] = *cell;
        }
    }
    return table;
}

}  // namespace

std::string resultsTable(std::span<const Json> documents) {
    const Table table = tableOf(documents);
    if (table.empty()) return "";
    std::set<Column> columns;
    bool hasBatches = false;
    for (const auto& [network, cells] : table) {
        hasBatches |= network.batch != 1;
        for (const auto& [column, cell] : cells) columns.insert(column);
    }

    std::string heads = "| ms (share of the limit) |", rule = "|---|", dates = "| measured |", commits = "| commit |";
    for (const Column& column : columns) {
        heads += fmt::format(" {}{}{} |", escaped(column.device), column.precision.empty() ? "" : ", ",
                             escaped(column.precision));
        rule += "---|";
        dates += fmt::format(" {} |", escaped(column.date));
        commits += fmt::format(" {} |", escaped(column.commit));
    }
    std::string text = fmt::format("{}\n{}\n", heads, rule);
    for (const auto& [network, cells] : table) {
        text += fmt::format("| {}{} |", escaped(network.name),
                            hasBatches ? fmt::format(", batch {:.0f}", network.batch) : "");
        for (const Column& column : columns) {
            const auto cell = cells.find(column);
            text += fmt::format(" {} |", cell == cells.end() ? "" : cell->second);
        }
        text += '\n';
    }
    return text + fmt::format("{}\n{}\n", dates, commits);
}

}  // namespace dunlin::bench
