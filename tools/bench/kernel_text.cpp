#include "tools/bench/kernel_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "tools/bench/kernel_bench.h"
#include "tools/dunlin/output.h"

namespace dunlin::bench {
namespace {

using cli::Table;

std::string rateText(const std::optional<double>& rate, const char* unit) {
    if (!rate) return "none";
    constexpr double kGiga = 1e9, kTera = 1e12;
    return *rate >= kTera ? fmt::format("{:.1f} T{}", *rate / kTera, unit)
                          : fmt::format("{:.3g} G{}", *rate / kGiga, unit);
}

std::string microseconds(double us) {
    constexpr double kRoundsUp = 999.5;  // to 1000, which three digits do not hold
    if (us < kRoundsUp) return cli::threeDigits(us) + " us";
    return us < 1e3 * kRoundsUp ? cli::threeDigits(us / 1e3) + " ms" : cli::threeDigits(us / 1e6) + " s";
}

std::string numberText(const Json& row, const char* field, const char* format) {
    const Json& value = row.at(field);
    return value.is_number() ? fmt::format(fmt::runtime(format), value.get<double>()) : "";
}

std::string verdictOf(const Json& row) {
    if (row["error"] == kNotMeasured) return kNotMeasured;
    if (row["error"].is_string()) return "FAILED: " + row["error"].get<std::string>();
    if (row["correct"] == false) return "WRONG: " + row["mismatch"].get<std::string>();
    if (row["deterministic"] == false) return "NOT REPEATABLE";
    return row["maxRelativeError"] == 0.0 ? "none" : numberText(row, "maxRelativeError", "{:.0e}");
}

std::string marksOf(const Json& row) {
    std::string marks;
    if (row["isUser"] == true) marks += "yours ";
    if (row["isBest"] == true) marks += "best ";
    if (row["isDefault"] == true) marks += "default ";
    return marks;
}

double medianOf(const Json& row) {
    return row["medianUs"].is_number() ? row["medianUs"].get<double>() : HUGE_VAL;
}

}  // namespace

std::string headingOf(const Target& target, const Ceilings* ceilings) {
    std::string text = fmt::format("{} ({})\n", target.id, target.name);
    if (!ceilings) return text;
    double cached = 0;
    for (const BandwidthPoint& point : ceilings->bandwidth) cached = std::max(cached, point.bytesPerSecond);
    const double memory = ceilings->bandwidth.empty() ? 0 : ceilings->bandwidth.back().bytesPerSecond;
    return text + fmt::format(
                      "ceilings: fp32 {}, fp16 {}, int8 {}, matrix {}; {} from caches, {} from memory; dispatch {}, "
                      "with barrier {}; submit {}\n",
                      rateText(ceilings->fp32, "FLOP/s"), rateText(ceilings->fp16, "FLOP/s"),
                      rateText(ceilings->int8, "OP/s"), rateText(ceilings->matrix, "FLOP/s"), rateText(cached, "B/s"),
                      rateText(memory, "B/s"), microseconds(ceilings->dispatchNs / 1e3),
                      microseconds(ceilings->barrierNs / 1e3), microseconds(ceilings->submitNs / 1e3));
}

std::string textOf(const std::vector<Json>& rows) {
    if (rows.empty()) return {};
    std::vector<const Json*> sorted;
    for (const Json& row : rows) sorted.push_back(&row);
    const auto rank = [](const Json* row) { return std::pair((*row)["isUser"] != true, medianOf(*row)); };
    std::stable_sort(sorted.begin(), sorted.end(), [&](const Json* a, const Json* b) { return rank(a) < rank(b); });
    using Align = Table::Align;
    Table table({{"variant"},
                 {"median", Align::Right},
                 {"p95", Align::Right},
                 {"GFLOP/s", Align::Right},
                 {"GB/s", Align::Right},
                 {"of roofline", Align::Right},
                 {"error"},
                 {""}});
    for (const Json* row : sorted) {
        const bool hasTime = (*row)["medianUs"].is_number();
        table.addRow(
            {(*row)["variant"].get<std::string>(), hasTime ? microseconds((*row)["medianUs"].get<double>()) : "",
             hasTime ? microseconds((*row)["p95Us"].get<double>()) : "",
             (*row)["flops"] == 0 ? "" : numberText(*row, "gflops", "{:.3g}"), numberText(*row, "gbps", "{:.3g}"),
             (*row)["rooflineShare"].is_number() ? fmt::format("{:.0f} %", 100 * (*row)["rooflineShare"].get<double>())
                                                 : "",
             verdictOf(*row), marksOf(*row)});
    }
    const Json& first = rows.front();
    const Json& networks = first["networks"];
    const std::string more = networks.size() > 1 ? fmt::format(" and {} more", networks.size() - 1) : "";
    return fmt::format("\n{}/{}  ({}{})\n{}", first["case"].get<std::string>(), first["precision"].get<std::string>(),
                       networks.empty() ? "" : networks[0].get<std::string>(), more, table.text(2));
}

std::string summaryOf(const Json& rows) {
    std::map<std::string, std::pair<const Json*, const Json*>> defaultAndBest;  // by case, precision and device
    size_t right = 0;
    for (const Json& row : rows) {
        right += row["correct"] == true && row["deterministic"] == true ? 1 : 0;
        const std::string key = row["case"].get<std::string>() + "/" + row["precision"].get<std::string>() + "/" +
                                row["device"].get<std::string>();
        auto& [byDefault, best] = defaultAndBest[key];
        if (row["isDefault"] == true && row["medianUs"].is_number()) byDefault = &row;
        if (row["isBest"] == true) best = &row;
    }
    size_t pairs = 0, defaultIsBest = 0;
    double logGain = 0;
    for (const auto& [key, pair] : defaultAndBest) {
        const auto [byDefault, best] = pair;
        if (!byDefault || !best || medianOf(*best) <= 0) continue;
        ++pairs;
        defaultIsBest += byDefault == best ? 1 : 0;
        logGain += std::log(medianOf(*byDefault) / medianOf(*best));
    }
    std::string text = fmt::format("{} of {} variants of {} cases are correct and repeatable", right, rows.size(),
                                   defaultAndBest.size());
    if (pairs == 0) return text;
    return text + fmt::format(
                      "; the default is the fastest in {} of {}, and tuning would make a case {:.2f} times as "
                      "fast (geometric mean)",
                      defaultIsBest, pairs, std::exp(logGain / static_cast<double>(pairs)));
}

bool isAllRight(const Json& rows) {
    return std::all_of(rows.begin(), rows.end(), [](const Json& row) {
        return row["error"].is_null() && row["correct"] == true && row["deterministic"] == true;
    });
}

}  // namespace dunlin::bench
