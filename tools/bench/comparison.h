// What changed between two documents of one kind, measured on the same devices with the same drivers.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/bench/document.h"
#include "tools/bench/statistics.h"

namespace dunlin::bench {

// What is significant has a corrected p value below this, an interval without 1, and a ratio further from 1 than the
// noise: half the interquartile range, over the median, of the noisier set. What varies within a process varies between
// two at least as much, however many samples each took.
constexpr double kSignificantP = 0.01;

// One time of a row in both documents. Nothing where it was not measured.
struct TimeDifference {
    std::string time;                         // "gpu", "wall", "cold start", ...
    std::string unit;                         // "ms" or "us"
    std::optional<double> before{}, after{};  // medians
    std::optional<double> ratio{};            // after / before
    std::optional<Difference> difference{};   // where both documents have samples; p corrected
    double noise = 0;                         // see kSignificantP
    bool significant = false;
};

struct RowDifference {
    std::string id;
    // Of networks the GPU's time where both documents have its samples and it is within the wall's, else the wall's; of
    // kernels and shaders the time by the clock that both were measured with.
    TimeDifference decisive;
    std::vector<TimeDifference> others;  // shown beside it; they decide nothing
    // False where nothing tells noise from change: an error, no samples in one of both, or other clocks.
    bool judged = false;
    // Significantly slower by more than the threshold; or not judged, and slower by its medians alone by more than it;
    // or `spoiled` is not empty.
    bool regressed = false;
    // What was right before and is not any more: a sentence's end, like "is wrong now (relative error 0.3)".
    std::string spoiled;
    std::string note;             // why there is no ratio or no significance, and what else is to be known
    bool settingsDiffer = false;  // the two were not made alike; the note says in what
};

struct Comparison {
    std::vector<RowDifference> rows;  // in the order of `before`
    std::vector<std::string> onlyBefore, onlyAfter;
    // How many of `onlyBefore` are missing because `after` is incomplete: 0 where it is complete.
    size_t missing = 0;
    size_t regressions = 0;  // rows that regressed, and what is missing
};

struct NamedDocument {
    std::string name;  // of the file
    const Json* document = nullptr;
};

// Rows are matched by their ids. p values are corrected over the decisive times of all rows (correctForMany()), and in
// the same way over all others. `threshold` is a share: 0.05 is a twentieth slower.
// WrongUse, naming both files, where the kinds differ, a device of common rows, its driver or its threads differ, or no
// row is in both.
cli::Outcome<Comparison> compareDocuments(const NamedDocument& before, const NamedDocument& after, double threshold);

// {threshold, rows: [{id, time, before, after, unit, ratio, low, high, p, noise, significant, judged, regressed,
// spoiled, note, others[]}], onlyBefore[], onlyAfter[], missing, regressions}; null for what there is none of.
Json jsonOf(const Comparison& comparison, double threshold);

}  // namespace dunlin::bench
