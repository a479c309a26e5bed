#include "tools/bench/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "tools/bench/fields.h"

namespace dunlin::bench {
namespace {

using cli::Check;
using cli::ExitStatus;
using cli::Failure;

const Json& resultsOf(const NamedDocument& named) {
    return named.document->at("results");
}

std::map<std::string, const Json*> rowsById(const NamedDocument& named) {
    std::map<std::string, const Json*> rows;
    for (const Json& row : resultsOf(named)) rows.emplace(textOf(row, "id"), &row);
    return rows;
}

// ---- whether two documents can be compared ----

// The device, with what a software driver runs on.
struct Identity {
    std::string name, driver, threads;
    bool operator==(const Identity&) const = default;
};

Identity identityOf(const NamedDocument& named, const std::string& deviceId) {
    for (const Json& device : named.document->at("devices")) {
        if (textOf(device, "id") != deviceId) continue;
        Identity identity{textOf(device, "name"), textOf(device, "driver") + " " + textOf(device, "driverVersion"), ""};
        if (const auto threads = numberOf(device, "threads"))
            identity.threads = fmt::format("{:.0f} threads", *threads);
        if (textOf(device, "type") == "software") {
            identity.name += " on " + textOf(named.document->at("host"), "processor");
        }
        return identity;
    }
    return {};
}

Check checkSameDevice(const NamedDocument& before, const NamedDocument& after, const std::string& deviceBefore,
                      const std::string& deviceAfter) {
    const Identity a = identityOf(before, deviceBefore), b = identityOf(after, deviceAfter);
    const auto refuse = [&](const char* what, const std::string& its, const std::string& other) {
        return Failure{ExitStatus::WrongUse, fmt::format("{} and {} are not compared: {} {} in one is {} in the other",
                                                         before.name, after.name, what, its, other)};
    };
    if (a.name != b.name) return refuse("the device", a.name, b.name);
    if (a.driver != b.driver) return refuse("the driver", a.driver, b.driver);
    if (a.threads != b.threads) return refuse("the CPU with", a.threads, b.threads);
    return {};
}

Check checkComparable(const NamedDocument& before, const NamedDocument& after) {
    const std::string kind = textOf(*before.document, "kind"), other = textOf(*after.document, "kind");
    if (kind != other) {
        return Failure{ExitStatus::WrongUse,
                       fmt::format("{} and {} are not compared: one is of `bench {}`, the other of "
                                   "`bench {}`",
                                   before.name, after.name, kind, other)};
    }
    const auto rowsAfter = rowsById(after);
    size_t common = 0;
    std::map<std::string, std::string> checked;  // devices of the one by those of the other
    for (const Json& row : resultsOf(before)) {
        const auto found = rowsAfter.find(textOf(row, "id"));
        if (found == rowsAfter.end()) continue;
        ++common;
        const std::string device = textOf(row, "device"), deviceAfter = textOf(*found->second, "device");
        if (!checked.emplace(device, deviceAfter).second && checked[device] == deviceAfter) continue;
        DUNLIN_CLI_TRY(checkSameDevice(before, after, device, deviceAfter));
    }
    if (common == 0) {
        return Failure{
            ExitStatus::WrongUse,
            fmt::format("{} and {} have no result in common: there is nothing to compare", before.name, after.name)};
    }
    return {};
}

// ---- a row ----

TimeDifference compareTimes(std::string time, std::string unit, const std::vector<double>& before,
                            const std::vector<double>& after) {
    TimeDifference result{.time = std::move(time), .unit = std::move(unit)};
    const Summary summaryBefore = summarize(before), summaryAfter = summarize(after);
    result.before = summaryBefore.median;
    result.after = summaryAfter.median;
    result.noise = std::max(summaryBefore.spread, summaryAfter.spread) / 2;
    result.difference = compareSamples(before, after);
    result.ratio = result.difference->ratio;
    return result;
}

TimeDifference compareNumbers(std::string time, std::string unit, std::optional<double> before,
                              std::optional<double> after) {
    TimeDifference result{.time = std::move(time), .unit = std::move(unit), .before = before, .after = after};
    if (before && after && *before > 0) result.ratio = *after / *before;
    return result;
}

std::vector<double> networkSamples(const Json& row, const char* field) {
    const auto samples = row.find("samples");
    return samples != row.end() && samples->is_object() ? samplesOf(*samples, field) : std::vector<double>();
}

void compareNetworks(const Json& before, const Json& after, RowDifference& row) {
    struct Sampled {
        const char *time, *samples, *median;
    };
    bool decided = false;
    for (const Sampled& time : {Sampled{"gpu", "gpuMs", "gpuMedianMs"}, Sampled{"wall", "wallMs", "wallMedianMs"}}) {
        const std::vector<double> a = networkSamples(before, time.samples), b = networkSamples(after, time.samples);
        const bool sampled = !a.empty() && !b.empty();
        TimeDifference difference =
            sampled ? compareTimes(time.time, "ms", a, b)
                    : compareNumbers(time.time, "ms", numberOf(before, time.median), numberOf(after, time.median));
        if (sampled && !decided) {
            row.decisive = std::move(difference);
            decided = true;
        } else {
            row.others.push_back(std::move(difference));
        }
    }
    if (!decided) {
        row.decisive = row.others.back();  // the wall's medians
        row.others.pop_back();
        row.note = "no samples in both";
    }
    struct Single {
        const char *time, *unit, *field;
    };
    for (const Single& time : {Single{"cold start", "ms", "coldStartMs"}, Single{"warm start", "ms", "warmStartMs"},
                               Single{"submit", "us", "cpuSubmitUs"}, Single{"frame of 2", "ms", "frameMs2"},
                               Single{"frame of 3", "ms", "frameMs3"}}) {
        row.others.push_back(
            compareNumbers(time.time, time.unit, numberOf(before, time.field), numberOf(after, time.field)));
    }
    std::erase_if(row.others, [](const TimeDifference& time) { return !time.before && !time.after; });
}

void compareKernels(const Json& before, const Json& after, RowDifference& row) {
    const std::string clock = textOf(before, "clock"), other = textOf(after, "clock");
    const std::vector<double> a = samplesOf(before, "samplesUs"), b = samplesOf(after, "samplesUs");
    if (clock != other) {
        row.decisive = {.time = clock, .unit = "us", .before = numberOf(before, "medianUs")};
        row.note = fmt::format("one was timed by the {} clock, the other by the {} clock", clock, other);
    } else if (!a.empty() && !b.empty()) {
        row.decisive = compareTimes(clock, "us", a, b);
    } else {
        row.decisive = compareNumbers(clock, "us", numberOf(before, "medianUs"), numberOf(after, "medianUs"));
        row.note = "no samples in both";
    }
}

// What was right in `before` and is not in `after`; empty if nothing.
std::string spoiledIn(const Json& before, const Json& after) {
    const std::string error = textOf(after, "error");
    if (!error.empty()) return textOf(before, "error").empty() ? "fails now: " + error : "";
    if (isBool(before, "correct", true) && isBool(after, "correct", false)) {
        const auto size = numberOf(after, "maxRelativeError");
        return "is wrong now (relative error " + (size ? fmt::format("{:.2g}", *size) : "not finite") + ")";
    }
    if (isBool(before, "deterministic", true) && isBool(after, "deterministic", false)) return "varies now";
    return "";
}

RowDifference compareRows(const Json& before, const Json& after, bool networks) {
    RowDifference row;
    row.id = textOf(before, "id");
    row.spoiled = spoiledIn(before, after);
    const std::string error = textOf(before, "error");
    if (!error.empty() || !textOf(after, "error").empty()) {
        row.decisive.unit = networks ? "ms" : "us";
        if (row.spoiled.empty()) {
            row.note = (textOf(after, "error").empty() ? "failed before: " : "failed in both: ") + error;
        }
        return row;
    }
    networks ? compareNetworks(before, after, row) : compareKernels(before, after, row);
    return row;
}

// ---- all rows ----

// Corrects the p values of these times for their number, and decides which differences are significant.
void judge(const std::vector<TimeDifference*>& times) {
    std::vector<double> p;
    for (const TimeDifference* time : times) p.push_back(time->difference->p);
    p = correctForMany(p);
    for (size_t i = 0; i < times.size(); ++i) {
        Difference& difference = *times[i]->difference;
        difference.p = p[i];
        const double change = std::max(difference.ratio, 1 / difference.ratio) - 1;
        times[i]->significant =
            p[i] < kSignificantP && (difference.low > 1 || difference.high < 1) && change > times[i]->noise;
    }
}

void judge(Comparison& comparison, double threshold) {
    std::vector<TimeDifference*> decisive, others;
    for (RowDifference& row : comparison.rows) {
        if (row.decisive.difference) decisive.push_back(&row.decisive);
        for (TimeDifference& time : row.others) {
            if (time.difference) others.push_back(&time);
        }
    }
    judge(decisive);
    judge(others);
    for (RowDifference& row : comparison.rows) {
        row.regressed = !row.spoiled.empty() || (row.decisive.significant && *row.decisive.ratio > 1 + threshold);
        comparison.regressions += row.regressed;
    }
}

Json orNull(const std::optional<double>& value) {
    return value ? Json(*value) : Json();
}

Json jsonOf(const TimeDifference& time) {
    const std::optional<Difference>& difference = time.difference;
    return {{"time", time.time},
            {"before", orNull(time.before)},
            {"after", orNull(time.after)},
            {"unit", time.unit},
            {"ratio", orNull(time.ratio)},
            {"low", difference ? Json(difference->low) : Json()},
            {"high", difference ? Json(difference->high) : Json()},
            {"p", difference ? Json(difference->p) : Json()},
            {"noise", difference ? Json(time.noise) : Json()},
            {"significant", time.significant}};
}

}  // namespace

cli::Outcome<Comparison> compareDocuments(const NamedDocument& before, const NamedDocument& after, double threshold) {
    DUNLIN_CLI_TRY(checkComparable(before, after));
    const bool networks = textOf(*before.document, "kind") == "model";
    const auto rowsBefore = rowsById(before), rowsAfter = rowsById(after);
    Comparison comparison;
    for (const Json& row : resultsOf(before)) {
        const auto found = rowsAfter.find(textOf(row, "id"));
        if (found == rowsAfter.end()) {
            comparison.onlyBefore.push_back(textOf(row, "id"));
        } else {
            comparison.rows.push_back(compareRows(row, *found->second, networks));
        }
    }
    for (const Json& row : resultsOf(after)) {
        if (!rowsBefore.contains(textOf(row, "id"))) comparison.onlyAfter.push_back(textOf(row, "id"));
    }
    judge(comparison, threshold);
    return comparison;
}

Json jsonOf(const Comparison& comparison, double threshold) {
    Json document = {{"threshold", threshold}, {"rows", Json::array()}};
    for (const RowDifference& row : comparison.rows) {
        Json json = {{"id", row.id}};
        json.update(jsonOf(row.decisive));
        json["regressed"] = row.regressed;
        json["spoiled"] = row.spoiled.empty() ? Json() : Json(row.spoiled);
        json["note"] = row.note.empty() ? Json() : Json(row.note);
        json["others"] = Json::array();
        for (const TimeDifference& time : row.others) json["others"].push_back(jsonOf(time));
        document["rows"].push_back(std::move(json));
    }
    document["onlyBefore"] = comparison.onlyBefore;
    document["onlyAfter"] = comparison.onlyAfter;
    document["regressions"] = comparison.regressions;
    return document;
}

}  // namespace dunlin::bench
