// dunlin bench model: whole networks.
#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "tools/bench/child_process.h"
#include "tools/bench/commands.h"
#include "tools/bench/interruption.h"
#include "tools/bench/model_bench.h"
#include "tools/bench/model_document.h"
#include "tools/dunlin/files.h"
#include "tools/dunlin/output.h"

namespace dunlin::bench {
namespace {

using cli::Check;
using cli::Failure;

// The slowest network on the slowest device takes some of it for a batch; a GPU that hangs is usually reset within ten.
constexpr double kDefaultModelTimeoutSeconds = 120;

// Two results in one file would leave only one of them, and a file that cannot be written should not be found so at the
// end of a long measurement.
Check checkFiles(const ModelBenchOptions& options) {
    const std::string &document = options.measure.output, &trace = options.trace;
    if (!document.empty() && !trace.empty() && cli::sameFile(document, trace)) {
        return Failure{ExitStatus::WrongUse, fmt::format("{} would be written twice, by -o and by --trace", document)};
    }
    DUNLIN_CLI_TRY(checkWritable(document));
    return checkWritable(trace);
}

// Not so often that writing takes time from what is measured.
class Checkpoints {
  public:
    explicit Checkpoints(const std::string& file) : file_(file) {}
    bool isDue() const {
        using namespace std::chrono_literals;
        return !file_.empty() && std::chrono::steady_clock::now() - last_ >= 2s;
    }
    void write(const Json& document) {
        last_ = std::chrono::steady_clock::now();
        if (const Check failed = writeDocument(document, file_); failed && !saidSo_) {
            cli::printError(failed->message);
            saidSo_ = true;
        }
    }

  private:
    const std::string file_;
    std::chrono::steady_clock::time_point last_;
    bool saidSo_ = false;
};

ModelBenchResult measure(const ModelBenchOptions& options, const std::vector<Target>& targets) {
    const bool quiet = options.measure.quiet;
    cli::ProgressBar progress("measuring", !quiet);
    Checkpoints checkpoints(options.measure.output);
    ModelBenchHooks hooks;
    hooks.progress = [&](double share, const std::string& what) { progress.update(share, what); };
    hooks.isInterrupted = [] { return InterruptionGuard::requested(); };
    hooks.notice = [&](const std::string& sentence) {
        progress.clear();
        if (!quiet) cli::printError(sentence);
    };
    hooks.failed = [&](const Failure& failure) {
        progress.clear();
        cli::printError(failure.message);
    };
    hooks.isCheckpointDue = [&] { return checkpoints.isDue(); };
    hooks.checkpoint = [&](const Json& document) { checkpoints.write(document); };
    const Outcome<std::string> executable = ownExecutable();
    return benchModels(options, targets, executable.ok() ? *executable : std::string(), hooks);
}

Check write(const ModelBenchResult& result, const ModelBenchOptions& options) {
    if (options.measure.json) {
        cli::printJson(result.document);
    } else {
        cli::printOut("{}", modelText(result.document));
    }
    if (!options.measure.output.empty()) DUNLIN_CLI_TRY(writeDocument(result.document, options.measure.output));
    if (!options.trace.empty()) DUNLIN_CLI_TRY(writeDocument(result.trace, options.trace));
    return {};
}

}  // namespace

Outcome<ExitStatus> model(const ModelBenchOptions& options) {
    DUNLIN_CLI_TRY(checkFiles(options));
    MeasureOptions measureOptions = options.measure;
    if (measureOptions.timeoutSeconds == 0) measureOptions.timeoutSeconds = kDefaultModelTimeoutSeconds;
    DUNLIN_CLI_ASSIGN(const std::vector<Target> targets, openTargets(measureOptions, false));
    const InterruptionGuard guard;
    const ModelBenchResult result = measure(options, targets);
    // One thing was asked for, and it cannot be.
    const bool isSoleFailure = result.runs == 1 && result.failures.size() == 1 &&
                               result.document["results"].size() == 1 &&
                               result.document["results"][0].contains("error") && !result.deviceLost;
    if (isSoleFailure && !options.measure.json) return ExitStatus(result.status());
    const Check failed = write(result, options);
    const ExitStatus status = failed ? std::max(failed->status, result.status()) : result.status();
    if (failed) cli::printError(failed->message);
    if (result.deviceLost) endProcess(static_cast<int>(status));
    return status;
}

}  // namespace dunlin::bench
