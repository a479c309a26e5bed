// Verifying and timing the forms of one kernel case, in turn: what `bench kernels` and `bench shader` have in common.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/tuning/dispatch_runner.h"
#include "runtime/tuning/kernel_case.h"
#include "tools/bench/ceilings.h"
#include "tools/bench/document.h"
#include "tools/bench/target.h"

namespace dunlin::bench {

// A form of a case, by the library's own shader or by the user's.
struct Contender {
    tuning::FormedCase form;
    const vulkan::Pipeline* pipeline = nullptr;  // the user's; null: the library's
    std::string userVariant;                     // of the user's: the file's name
};

// Where measurements are taken.
struct Bench {
    const Target& target;
    vulkan::Pipelines& pipelines;
    const Ceilings* ceilings = nullptr;  // null: not measured
    double seconds = 0;                  // of timing for each contender
    // The document has several devices: ids end in this one's, so that they stay unique.
    bool namesDevice = false;
};

struct CaseResult {
    std::vector<Json> rows;  // document.h's rows of kernels, in the order of the contenders
    // The device was lost or did not answer: what cannot go on. Names the contender. The process should end without
    // destructors.
    std::optional<cli::Failure> fatal;
};

// Every contender is run kRuns times, compared with the oracle and with itself, and only then timed, a sample each in
// turn, so that drift hits all alike. What is wrong or not repeatable is not timed.
CaseResult measureCase(const Bench& bench, const tuning::KernelCase& problem, const tuning::CaseData& data,
                       std::vector<Contender> contenders);

// What --precision means for kernels: auto is every precision that the device has. Each once; WrongUse where the device
// does not have it.
Outcome<std::vector<Precision>> precisionsOf(const MeasureOptions& options, const Target& target);

// The error of a row that an interruption, or the loss of the device before it, left without measurements.
constexpr const char* kNotMeasured = "not measured";
constexpr int kRuns = 3;
constexpr double kDefaultKernelSeconds = 0.05;
constexpr double kDefaultTimeoutSeconds = 10;  // of a shader that nobody has run before
// Of the library's own, for which software drivers compile for seconds at the first submission.
constexpr double kDefaultKernelTimeoutSeconds = 60;

}  // namespace dunlin::bench
