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

constexpr const char* kNoSamples = "no samples in both: noise is not told from change";

void addNote(RowDifference& row, const std::string& note) {
    row.note += (row.note.empty() ? "" : "; ") + note;
}

// A clock may be too coarse for what it measures; nothing can be compared with its zero.
std::optional<double> timeOf(const Json& row, const char* field) {
    const std::optional<double> time = numberOf(row, field);
    return time && *time > 0 ? time : std::nullopt;
}

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

// Both documents have the same time of a network, by samples where they can be.
struct SampledTime {
    std::vector<double> before, after;
    TimeDifference difference;
    bool isSampled() const { return difference.difference.has_value(); }
    bool isMeasured() const { return difference.before && difference.after; }
};

SampledTime sampledTime(const Json& before, const Json& after, const char* time, const char* samples,
                        const char* median) {
    SampledTime result{networkSamples(before, samples), networkSamples(after, samples), {}};
    result.difference = !result.before.empty() && !result.after.empty()
                            ? compareTimes(time, "ms", result.before, result.after)
                            : compareNumbers(time, "ms", timeOf(before, median), timeOf(after, median));
    return result;
}

// The dispatches of a run cannot take longer than the run: where they do, taking their times slows the driver down.
bool isGpuSlowedDown(const TimeDifference& gpu, const TimeDifference& wall) {
    return (gpu.before && wall.before && *gpu.before > *wall.before) ||
           (gpu.after && wall.after && *gpu.after > *wall.after);
}

void compareNetworks(const Json& before, const Json& after, RowDifference& row) {
    SampledTime gpu = sampledTime(before, after, "gpu", "gpuMs", "gpuMedianMs");
    SampledTime wall = sampledTime(before, after, "wall", "wallMs", "wallMedianMs");
    const bool isSlowedDown = isGpuSlowedDown(gpu.difference, wall.difference);
    const bool byGpu = wall.isSampled() ? gpu.isSampled() && !isSlowedDown : gpu.isSampled() || !wall.isMeasured();
    if (isSlowedDown && !byGpu) addNote(row, "judged by the wall clock: timestamps slow this driver down");
    if (!gpu.isSampled() && !wall.isSampled()) addNote(row, kNoSamples);
    row.decisive = std::move(byGpu ? gpu.difference : wall.difference);
    row.others.push_back(std::move(byGpu ? wall.difference : gpu.difference));
    struct Single {
        const char *time, *unit, *field;
    };
    for (const Single& time : {Single{"cold start", "ms", "coldStartMs"}, Single{"warm start", "ms", "warmStartMs"},
                               Single{"submit", "us", "cpuSubmitUs"}, Single{"frame of 2", "ms", "frameMs2"},
                               Single{"frame of 3", "ms", "frameMs3"}}) {
        row.others.push_back(
            compareNumbers(time.time, time.unit, timeOf(before, time.field), timeOf(after, time.field)));
    }
    std::erase_if(row.others, [](const TimeDifference& time) { return !time.before && !time.after; });
}

void compareKernels(const Json& before, const Json& after, RowDifference& row) {
    const std::string clock = textOf(before, "clock"), other = textOf(after, "clock");
    const std::vector<double> a = samplesOf(before, "samplesUs"), b = samplesOf(after, "samplesUs");
    if (clock != other) {
        row.decisive = {.time = clock, .unit = "us", .before = timeOf(before, "medianUs")};
        addNote(row, fmt::format("one was timed by the {} clock, the other by the {} clock", clock, other));
    } else if (!a.empty() && !b.empty()) {
        row.decisive = compareTimes(clock, "us", a, b);
    } else {
        row.decisive = compareNumbers(clock, "us", timeOf(before, "medianUs"), timeOf(after, "medianUs"));
        addNote(row, kNoSamples);
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

// Rows of one id that were not made alike are compared all the same, but not without a word.
void noteSettings(const Json& before, const Json& after, RowDifference& row) {
    const auto differ = [&](const std::string& note) {
        addNote(row, note);
        row.settingsDiffer = true;
    };
    for (const char* field : {"fusion", "weights"}) {
        const std::string a = textOf(before, field), b = textOf(after, field);
        if (a != b) differ(fmt::format("{} {} -> {}", field, a.empty() ? "unknown" : a, b.empty() ? "unknown" : b));
    }
    const auto a = numberOf(before, "dispatches"), b = numberOf(after, "dispatches");
    if (a && b && *a != *b) differ(fmt::format("dispatches {:g} -> {:g}", *a, *b));
    const auto isChecked = [](const Json& its) {
        return isBool(its, "correct", true) || isBool(its, "correct", false);
    };
    if (isChecked(before) != isChecked(after)) {
        differ(isChecked(before) ? "checked before, not checked now" : "not checked before, checked now");
    }
}

RowDifference compareRows(const Json& before, const Json& after, bool networks) {
    RowDifference row;
    row.id = textOf(before, "id");
    row.spoiled = spoiledIn(before, after);
    const std::string error = textOf(before, "error");
    if (!error.empty() || !textOf(after, "error").empty()) {
        row.decisive.unit = networks ? "ms" : "us";
        if (row.spoiled.empty()) {
            addNote(row, (textOf(after, "error").empty() ? "failed before: " : "failed in both: ") + error);
        }
        return row;
    }
    networks ? compareNetworks(before, after, row) : compareKernels(before, after, row);
    noteSettings(before, after, row);
    const bool isSameClock = networks || textOf(before, "clock") == textOf(after, "clock");
    if (row.spoiled.empty() && isSameClock && row.decisive.before && !row.decisive.after) {
        row.spoiled = "has no time now";
    }
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
        row.judged = !row.spoiled.empty() || row.decisive.difference.has_value();
        const bool isSlower = row.decisive.ratio && *row.decisive.ratio > 1 + threshold;
        row.regressed = !row.spoiled.empty() || (isSlower && (row.decisive.significant || !row.judged));
        comparison.regressions += row.regressed;
    }
    comparison.regressions += comparison.missing;
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
    if (isBool(*after.document, "complete", false)) comparison.missing = comparison.onlyBefore.size();
    judge(comparison, threshold);
    return comparison;
}

Json jsonOf(const Comparison& comparison, double threshold) {
    Json document = {{"threshold", threshold}, {"rows", Json::array()}};
    for (const RowDifference& row : comparison.rows) {
        Json json = {{"id", row.id}};
        json.update(jsonOf(row.decisive));
        json["judged"] = row.judged;
        json["regressed"] = row.regressed;
        json["spoiled"] = row.spoiled.empty() ? Json() : Json(row.spoiled);
        json["note"] = row.note.empty() ? Json() : Json(row.note);
        json["others"] = Json::array();
        for (const TimeDifference& time : row.others) json["others"].push_back(jsonOf(time));
        document["rows"].push_back(std::move(json));
    }
    document["onlyBefore"] = comparison.onlyBefore;
    document["onlyAfter"] = comparison.onlyAfter;
    document["missing"] = comparison.missing;
    document["regressions"] = comparison.regressions;
    return document;
}

}  // namespace dunlin::bench
