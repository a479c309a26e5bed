// dunlin bench compare: two documents, row by row.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tools/bench/checked_fields.h"
#include "tools/bench/commands.h"
#include "tools/bench/comparison.h"
#include "tools/bench/fields.h"
#include "tools/dunlin/output.h"

namespace dunlin::bench {
namespace {

std::string timeText(const std::optional<double>& time, const std::string& unit) {
    if (!time) return "-";
    const bool isLong = unit == "us" && *time >= 1000;
    return fmt::format("{:#.4g} {}", isLong ? *time / 1000 : *time, isLong ? "ms" : unit);
}

// In percent with one decimal; adding 0.0 makes a zero of what rounds to a negative one.
double percentOf(double ratio) {
    return std::round(1000 * (ratio - 1)) / 10 + 0.0;
}

std::string changeText(double ratio) {
    return fmt::format("{:+.1f} %", percentOf(ratio));
}

std::string pText(double p) {
    return p < 0.0001 ? "< 0.0001" : fmt::format("{:.4f}", p);
}

std::string intervalText(const TimeDifference& time) {
    if (!time.difference) return "";
    return fmt::format("{:+.1f} .. {:+.1f} %", percentOf(time.difference->low), percentOf(time.difference->high));
}

// A difference that the interval leaves open by more than the threshold is not called "same".
std::string wordFor(const TimeDifference& time, double threshold) {
    if (!time.difference) return "";
    if (time.significant) return *time.ratio > 1 ? "slower" : "faster";
    const bool isWide = time.difference->high > 1 + threshold || time.difference->low < 1 / (1 + threshold);
    return isWide ? "unclear" : "same";
}

std::string verdictFor(const RowDifference& row, double threshold) {
    if (!row.spoiled.empty()) return row.spoiled;
    std::string text = wordFor(row.decisive, threshold);
    if (row.regressed) text += ", a regression";
    if (!row.note.empty()) text += (text.empty() ? "" : "; ") + row.note;
    return text;
}

void addTime(cli::Table& table, std::string id, const TimeDifference& time, std::string verdict) {
    const bool hasP = time.difference.has_value();
    table.addRow({std::move(id), time.time, timeText(time.before, time.unit), timeText(time.after, time.unit),
                  time.ratio ? changeText(*time.ratio) : "", intervalText(time), hasP ? pText(time.difference->p) : "",
                  std::move(verdict)});
}

// Spoiled rows first, then from the most slowed down to the most sped up, then what has no ratio.
std::vector<const RowDifference*> byImportance(const Comparison& comparison) {
    std::vector<const RowDifference*> rows;
    for (const RowDifference& row : comparison.rows) rows.push_back(&row);
    const auto weight = [](const RowDifference& row) {
        if (!row.spoiled.empty()) return HUGE_VAL;
        return row.decisive.ratio.value_or(-1);
    };
    std::stable_sort(rows.begin(), rows.end(),
                     [&](const RowDifference* a, const RowDifference* b) { return weight(*a) > weight(*b); });
    return rows;
}

void printMissing(const std::vector<std::string>& ids, const std::string& file) {
    if (!ids.empty()) cli::printOut("\nonly in {}:\n", cli::withoutControls(file));
    for (const std::string& id : ids) cli::printOut("  {}\n", cli::withoutControls(id));
}

std::string summaryOf(const Comparison& comparison, double threshold) {
    const size_t spoiled = static_cast<size_t>(
        std::ranges::count_if(comparison.rows, [](const RowDifference& row) { return !row.spoiled.empty(); }));
    const auto faster = std::ranges::count_if(
        comparison.rows, [](const RowDifference& row) { return row.decisive.significant && *row.decisive.ratio < 1; });
    std::string text = fmt::format("beyond noise, {} of {} are slower by more than {:g} %, {} faster",
                                   comparison.regressions - spoiled, comparison.rows.size(), 100 * threshold, faster);
    if (spoiled > 0) text += fmt::format("; {} fail or are wrong now", spoiled);
    return text;
}

void print(const Comparison& comparison, const CompareOptions& options) {
    using Align = cli::Table::Align;
    cli::Table table({{"result"},
                      {"time"},
                      {"before", Align::Right},
                      {"after", Align::Right},
                      {"change", Align::Right},
                      {"95 % interval", Align::Right},
                      {"p", Align::Right},
                      {""}});
    for (const RowDifference* row : byImportance(comparison)) {
        addTime(table, row->id, row->decisive, verdictFor(*row, options.threshold));
        for (const TimeDifference& time : row->others) addTime(table, "", time, "");
    }
    cli::writeOut(table.text());
    printMissing(comparison.onlyBefore, options.before);
    printMissing(comparison.onlyAfter, options.after);
    cli::printOut("\n{}\n", summaryOf(comparison, options.threshold));
}

// A gate must not pass in silence because the rows that would have failed are missing.
void warnOfGaps(const Comparison& comparison, const CompareOptions& options) {
    if (comparison.missing == 0) return;
    cli::printError(fmt::format("{} is incomplete: {} of {} results of {} are not in it", options.after,
                                comparison.missing, comparison.rows.size() + comparison.onlyBefore.size(),
                                options.before));
}

}  // namespace

Outcome<ExitStatus> compare(const CompareOptions& options) {
    DUNLIN_CLI_ASSIGN(const Json before, readDocument(options.before));
    DUNLIN_CLI_ASSIGN(const Json after, readDocument(options.after));
    DUNLIN_CLI_TRY(checkComparedFields(options.before, before));
    DUNLIN_CLI_TRY(checkComparedFields(options.after, after));
    DUNLIN_CLI_ASSIGN(const Comparison comparison,
                      compareDocuments({options.before, &before}, {options.after, &after}, options.threshold));
    warnOfGaps(comparison, options);
    if (options.json) {
        cli::printJson(jsonOf(comparison, options.threshold));
    } else {
        print(comparison, options);
    }
    return comparison.regressions > 0 ? ExitStatus::No : ExitStatus::Done;
}

}  // namespace dunlin::bench
