// dunlin bench compare: two documents, row by row.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tools/bench/checked_fields.h"
#include "tools/bench/commands.h"
#include "tools/bench/comparison.h"
#include "tools/dunlin/output.h"

namespace dunlin::bench {
namespace {

constexpr size_t kWidth = 110;  // columns

// Four digits, in a unit that needs no more of them.
std::string timeText(const std::optional<double>& time, const std::string& unit) {
    if (!time) return "-";
    double shown = *time;
    std::string name = unit;
    for (const auto& [small, large] : {std::pair("us", "ms"), std::pair("ms", "s")}) {
        if (name != small || shown < 1000) continue;
        shown /= 1000;
        name = large;
    }
    return shown < 1000 ? fmt::format("{:#.4g} {}", shown, name) : fmt::format("{:.4g} {}", shown, name);
}

// In percent with one decimal; adding 0.0 makes a zero of what rounds to a negative one.
double percentOf(double ratio) {
    return std::round(1000 * (ratio - 1)) / 10 + 0.0;
}

// Too far from 1 to be read in percent.
bool isFarOff(double ratio) {
    return ratio > 11 || ratio < 0.001;
}

std::string changeText(double ratio) {
    return isFarOff(ratio) ? fmt::format("{:.3g} times", ratio) : fmt::format("{:+.1f} %", percentOf(ratio));
}

std::string pText(double p) {
    return p < 0.0001 ? "< 0.0001" : fmt::format("{:.4f}", p);
}

std::string intervalText(const TimeDifference& time) {
    if (!time.difference) return "";
    const double low = time.difference->low, high = time.difference->high;
    if (isFarOff(low) || isFarOff(high)) return fmt::format("{:.3g} .. {:.3g} times", low, high);
    return fmt::format("{:+.1f} .. {:+.1f} %", percentOf(low), percentOf(high));
}

// A difference that the interval leaves open by more than the threshold is not called "same".
std::string wordFor(const TimeDifference& time, double threshold) {
    if (!time.difference) return "";
    if (time.significant) return *time.ratio > 1 ? "slower" : "faster";
    const bool isWide = time.difference->high > 1 + threshold || time.difference->low < 1 / (1 + threshold);
    return isWide ? "unclear" : "same";
}

std::string verdictFor(const RowDifference& row, double threshold) {
    if (!row.spoiled.empty()) return "a regression";
    return (row.judged ? wordFor(row.decisive, threshold) : "not judged") + (row.regressed ? ", a regression" : "");
}

bool isChanged(const TimeDifference& time) {
    return time.significant;
}

// What is shown without --all: what changed, what could not be judged and what was not made alike.
bool isTelling(const RowDifference& row) {
    return !row.judged || row.settingsDiffer || !row.spoiled.empty() || isChanged(row.decisive) ||
           std::ranges::any_of(row.others, isChanged);
}

// Lines of at most kWidth columns, each indented so far; a word alone may be wider.
std::string wrapped(const std::string& text, size_t indent) {
    std::string result(indent, ' ');
    size_t column = indent;
    for (size_t start = 0; start < text.size();) {
        const size_t end = std::min(text.find(' ', start), text.size());
        const std::string word = text.substr(start, end - start);
        const size_t length = cli::displayWidth(word);
        const bool isFirst = column == indent;
        if (!isFirst && column + 1 + length > kWidth) {
            result += "\n" + std::string(indent, ' ') + word;
            column = indent + length;
        } else {
            result += (isFirst ? "" : " ") + word;
            column += length + !isFirst;
        }
        start = end + 1;
    }
    return result + "\n";
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

std::vector<std::string> cellsOf(const TimeDifference& time, std::string verdict) {
    return {time.time,
            timeText(time.before, time.unit),
            timeText(time.after, time.unit),
            time.ratio ? changeText(*time.ratio) : "",
            intervalText(time),
            time.difference ? pText(time.difference->p) : "",
            std::move(verdict)};
}

// Ids stand on lines of their own, over the times of their rows, so that long ones push no column away.
void printRows(const std::vector<const RowDifference*>& rows, double threshold) {
    using Align = cli::Table::Align;
    cli::Table table({{"time"},
                      {"before", Align::Right},
                      {"after", Align::Right},
                      {"change", Align::Right},
                      {"95 % interval", Align::Right},
                      {"p", Align::Right},
                      {""}});
    for (const RowDifference* row : rows) {
        table.addRow(cellsOf(row->decisive, verdictFor(*row, threshold)));
        for (const TimeDifference& time : row->others) table.addRow(cellsOf(time, ""));
    }
    const std::string text = table.text(2);
    size_t start = 0;
    const auto nextLine = [&] {
        const size_t end = text.find('\n', start) + 1;
        const std::string line = text.substr(start, end - start);
        start = end;
        return line;
    };
    cli::writeOut(nextLine());
    for (const RowDifference* row : rows) {
        cli::printOut("{}\n", cli::withoutControls(row->id));
        for (size_t line = 0; line < 1 + row->others.size(); ++line) cli::writeOut(nextLine());
        for (const std::string& remark : {row->spoiled, row->note}) {
            if (!remark.empty()) cli::writeOut(wrapped(cli::withoutControls(remark), 2));
        }
    }
}

void printMissing(const std::vector<std::string>& ids, const std::string& file, bool all) {
    constexpr size_t kMostShown = 10;
    if (ids.empty()) return;
    cli::printOut("\nonly in {}:\n", cli::withoutControls(file));
    const size_t shown = all ? ids.size() : std::min(ids.size(), kMostShown);
    for (size_t i = 0; i < shown; ++i) cli::printOut("  {}\n", cli::withoutControls(ids[i]));
    if (shown < ids.size()) cli::printOut("  and {} more (--all shows them)\n", ids.size() - shown);
}

std::string summaryOf(const Comparison& comparison, double threshold) {
    size_t slower = 0, faster = 0, spoiled = 0, unjudged = 0, unjudgedSlower = 0, unclear = 0;
    for (const RowDifference& row : comparison.rows) {
        const bool isSpoiled = !row.spoiled.empty();
        spoiled += isSpoiled;
        unjudged += !row.judged;
        unjudgedSlower += !row.judged && row.regressed;
        slower += row.judged && !isSpoiled && row.regressed;
        faster += row.decisive.significant && *row.decisive.ratio < 1;
        unclear += wordFor(row.decisive, threshold) == "unclear";
    }
    std::string text = fmt::format("{} of {} rows slower by more than {:g} %, {} faster (beyond noise)", slower,
                                   comparison.rows.size(), 100 * threshold, faster);
    if (spoiled > 0) text += fmt::format("; {} failing, wrong or without a time now", spoiled);
    if (unjudged > 0) text += fmt::format("; {} could not be judged", unjudged);
    if (unjudgedSlower > 0) text += fmt::format(", {} of them slower by their medians", unjudgedSlower);
    if (comparison.missing > 0) text += fmt::format("; {} missing", comparison.missing);
    const bool isMuch = 4 * unclear >= comparison.rows.size() && unclear > 0;
    if (isMuch) text += fmt::format("; {} unclear: a longer --seconds would tell", unclear);
    return text;
}

void print(const Comparison& comparison, const CompareOptions& options) {
    std::vector<const RowDifference*> rows = byImportance(comparison);
    if (!options.all) std::erase_if(rows, [](const RowDifference* row) { return !isTelling(*row); });
    const size_t others = comparison.rows.size() - rows.size();
    if (!rows.empty()) {
        printRows(rows, options.threshold);
        if (others > 0)
            cli::printOut("and {} {} the same or unclear (--all shows them)\n", others, others == 1 ? "row" : "rows");
    }
    printMissing(comparison.onlyBefore, options.before, options.all);
    printMissing(comparison.onlyAfter, options.after, options.all);
    const bool isAlone = rows.empty() && comparison.onlyBefore.empty() && comparison.onlyAfter.empty();
    cli::writeOut((isAlone ? "" : "\n") + wrapped(summaryOf(comparison, options.threshold), 0));
}

// A gate must not pass in silence because the rows that would have failed are missing.
void warnOfGaps(const Comparison& comparison, const CompareOptions& options) {
    if (comparison.missing == 0) return;
    cli::printError(fmt::format("{} is incomplete: {} of {} results of {} are not in it", options.after,
                                comparison.missing, comparison.rows.size() + comparison.missing, options.before));
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
