// How long it takes an application to get from nothing to the first result: measured in processes of their own.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tools/bench/model_runs.h"

namespace dunlin::bench {

struct StartTimes {
    // Medians. Cold: no pipeline cache of dunlin's, and the driver's own on disk turned off, where there is a
    // documented variable for it. Warm: with a pipeline cache that another start has filled, and the driver's caches as
    // they are. Files may lie in the system's cache either way. Formula weights are computed in that time.
    std::optional<double> coldMs, warmMs;
    // The most memory that was resident, less what was before the device was opened: the largest of all starts.
    std::optional<uint64_t> hostBytes;
};

struct StartPlan {
    std::string executable;  // this program
    bool validation = false;
    double timeoutSeconds = 300;          // of one start
    std::function<bool()> isInterrupted;  // optional: then the one that runs is killed, and it fails
};

// Fails with what the first start that failed has said.
Outcome<StartTimes> measureStarts(const ModelRun& run, const StartPlan& plan);

// Variables that turn drivers' own caches of compiled shaders off.
const std::vector<std::pair<std::string, std::string>>& coldEnvironment();

// The words of `dunlin bench start` for a run. `cacheDirectory` empty: none.
std::vector<std::string> startWords(const ModelRun& run, const std::string& cacheDirectory, bool validation);

struct StartReport {
    double firstResultMs = 0;
    std::optional<uint64_t> hostBytes;
};
// From what such a process has written: its report is the last line.
std::optional<StartReport> parseStartReport(const std::string& text);

}  // namespace dunlin::bench
