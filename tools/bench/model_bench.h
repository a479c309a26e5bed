// `dunlin bench model` from open devices to a document.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tools/bench/document.h"
#include "tools/bench/model_runs.h"

namespace dunlin::bench {

// What the user sees while it goes on. All may be empty.
struct ModelBenchHooks {
    std::function<void(double share, const std::string& what)> progress;
    std::function<bool()> isInterrupted;
    std::function<void(const std::string& sentence)> notice;  // as it comes; the document has it, too
    std::function<void(const cli::Failure& failure)> failed;  // of one run, as it comes
    std::function<bool()> isCheckpointDue;                    // asked before one is made; empty: always
    std::function<void(const Json& document)> checkpoint;     // "complete" is false
};

struct ModelBenchResult {
    Json document;
    Json trace;                          // of all runs that were measured; null where none was asked for
    std::vector<cli::Failure> failures;  // of runs, in their order
    size_t runs = 0;
    bool deviceLost = false;                  // then the process should end without destroying the targets, nor these:
    std::vector<std::shared_ptr<void>> lost;  // what was made on such devices
    bool interrupted = false;

    // Of the worst run. A device that was lost is worse than a run that cannot be, and an interruption worse than that.
    ExitStatus status() const;
};

// Measures every combination that the options ask for on these devices, which must be those of the options.
// `executable`: this program, for starts in processes of its own; empty: no starts are measured, with a notice.
ModelBenchResult benchModels(const ModelBenchOptions& options, const std::vector<Target>& targets,
                             const std::string& executable, const ModelBenchHooks& hooks);

}  // namespace dunlin::bench
