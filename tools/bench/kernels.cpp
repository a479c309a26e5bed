// dunlin bench kernels: every variant of every kernel on layers of real networks.
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <set>

#include "runtime/plan/kernels.h"
#include "tools/bench/interruption.h"
#include "tools/bench/kernel_bench.h"
#include "tools/bench/kernel_text.h"
#include "tools/bench/layer_table.h"
#include "tools/dunlin/internals.h"
#include "tools/dunlin/output.h"

namespace dunlin::bench {
namespace {

using cli::Failure;

// A case with those of its forms that are asked for.
struct ChosenCase {
    tuning::KernelCase problem;
    std::vector<tuning::FormedCase> forms;
};

Outcome<std::vector<ChosenCase>> chooseCases(const KernelBenchOptions& options, const Target& target) {
    std::vector<ChosenCase> chosen;
    DUNLIN_CLI_ASSIGN(const std::vector<Precision> precisions, precisionsOf(options.measure, target));
    for (const Precision precision : precisions) {
        DUNLIN_CLI_ASSIGN(std::vector<tuning::KernelCase> cases,
                          layerTable(options.layers, precision, target.device->limits()));
        for (tuning::KernelCase& problem : cases) {
            std::vector<tuning::FormedCase> forms = tuning::formsOf(problem, target.device->limits());
            std::erase_if(forms, [&](const tuning::FormedCase& form) { return !isChosen(options, problem, form); });
            if (!forms.empty()) chosen.push_back({std::move(problem), std::move(forms)});
        }
    }
    if (!chosen.empty()) return chosen;
    return Failure{ExitStatus::WrongUse,
                   fmt::format("no case fits the filters; `dunlin bench kernels --list` lists the "
                               "ids that there are for {}",
                               target.id)};
}

void list(const std::vector<ChosenCase>& cases, Json& ids) {
    for (const ChosenCase& chosen : cases) {
        for (const tuning::FormedCase& form : chosen.forms) ids.push_back(form.id);
    }
}

// One run of the command.
class KernelsRun {
  public:
    explicit KernelsRun(const KernelBenchOptions& options) : options_(options), document_(newDocument("kernels")) {}

    Outcome<ExitStatus> run() {
        DUNLIN_CLI_TRY(checkKernelNames(options_.kernels));
        DUNLIN_CLI_ASSIGN(const std::vector<Target> targets, openTargets(measureOptions(), true));
        if (options_.list) return printList(targets);
        if (!options_.measure.output.empty()) DUNLIN_CLI_TRY(checkWritable(options_.measure.output));
        std::vector<std::vector<ChosenCase>> cases;  // of every target, so that wrong use shows before anything runs
        for (const Target& target : targets) {
            DUNLIN_CLI_ASSIGN(std::vector<ChosenCase> its, chooseCases(options_, target));
            cases.push_back(std::move(its));
        }
        InterruptionGuard guard;
        if (options_.measure.validation) notice(kUnderValidation);
        namesDevice_ = targets.size() > 1;
        for (size_t i = 0; i < targets.size() && !fatal_ && !failure_ && !InterruptionGuard::requested(); ++i) {
            failure_ = measureTarget(targets[i], cases[i]);
            if (!fatal_ && !failure_) failure_ = checkValidation(targets[i]);
        }
        return finish();
    }

  private:
    MeasureOptions measureOptions() const {
        MeasureOptions measure = options_.measure;
        if (measure.timeoutSeconds == 0) measure.timeoutSeconds = kDefaultKernelTimeoutSeconds;
        return measure;
    }

    Outcome<ExitStatus> printList(const std::vector<Target>& targets) const {
        Json ids = Json::array();
        for (const Target& target : targets) {
            DUNLIN_CLI_ASSIGN(const std::vector<ChosenCase> cases, chooseCases(options_, target));
            list(cases, ids);
        }
        if (options_.measure.json) {
            cli::printJson({{"ids", ids}});
            return ExitStatus::Done;
        }
        for (const Json& id : ids) cli::printOut("{}\n", id.get<std::string>());
        return ExitStatus::Done;
    }

    cli::Check measureTarget(const Target& target, const std::vector<ChosenCase>& cases) {
        warnOfLength(target, cases);
        document_["devices"].push_back(identityOf(target));
        std::optional<Ceilings> ceilings;
        if (options_.measure.ceilings) {
            Outcome<Ceilings> measured = measureCeilings(target);
            if (!measured.ok()) {
                const Failure& failure = measured.failure();
                if (failure.status == ExitStatus::DeviceFailed) fatal_ = failure;
                return failure;
            }
            ceilings = *std::move(measured);
            document_["ceilings"][target.id] = jsonOf(*ceilings);
            for (const std::string& text : ceilings->notices) notice(target.id + ": " + text);
        }
        auto pipelines = cli::outcomeOf(vulkan::Pipelines::create(*target.device));
        if (!pipelines.ok()) return pipelines.failure();
        if (!options_.measure.json) cli::printOut("{}", headingOf(target, ceilings ? &*ceilings : nullptr));
        const double seconds = options_.measure.seconds > 0 ? options_.measure.seconds : kDefaultKernelSeconds;
        const Bench bench = {target, **pipelines, ceilings ? &*ceilings : nullptr, seconds, namesDevice_};
        const cli::Check failure = measureCases(bench, cases);
        if (fatal_) (void)pipelines->release();
        return failure;
    }

    void notice(const std::string& text) {
        document_["notices"].push_back(text);
        if (!options_.measure.quiet) cli::printError(text);
    }

    void warnOfLength(const Target& target, const std::vector<ChosenCase>& cases) const {
        constexpr size_t kMany = 1000;
        size_t variants = 0;
        for (const ChosenCase& chosen : cases) variants += chosen.forms.size();
        if (options_.measure.quiet || !target.software || variants < kMany) return;
        cli::printError(
            fmt::format("a software driver compiles for long: {} variants may take an hour; a FILTER, "
                        "--kernel, --family and --models take fewer, and Ctrl-C keeps what is done",
                        variants));
    }

    cli::Check measureCases(const Bench& bench, const std::vector<ChosenCase>& cases) {
        cli::ProgressBar progress("measuring", !options_.measure.quiet);
        for (size_t i = 0; i < cases.size() && !fatal_ && !InterruptionGuard::requested(); ++i) {
            const ChosenCase& chosen = cases[i];
            progress.update(static_cast<double>(i) / static_cast<double>(cases.size()), chosen.problem.id);
            DUNLIN_CLI_ASSIGN(const tuning::CaseData data, cli::outcomeOf(tuning::makeData(chosen.problem)));
            std::vector<Contender> contenders;
            for (const tuning::FormedCase& form : chosen.forms) contenders.push_back({form, nullptr, ""});
            CaseResult result = measureCase(bench, chosen.problem, data, std::move(contenders));
            std::erase_if(result.rows, [](const Json& row) { return row["error"] == kNotMeasured; });
            fatal_ = result.fatal;
            progress.clear();
            if (!options_.measure.json) cli::printOut("{}", textOf(result.rows));
            for (Json& row : result.rows) document_["results"].push_back(std::move(row));
            DUNLIN_CLI_TRY(save(false));
        }
        return {};
    }

    // Now and then, so that a process that is killed has written what it measured; at the end always.
    cli::Check save(bool atEnd) {
        using Clock = std::chrono::steady_clock;
        constexpr auto kInterval = std::chrono::seconds(5);
        if (options_.measure.output.empty()) return {};
        if (!atEnd && Clock::now() - saved_ < kInterval) return {};
        document_["complete"] = atEnd && isComplete();
        saved_ = Clock::now();
        return writeDocument(document_, options_.measure.output);
    }

    bool isComplete() const { return !fatal_ && !failure_ && !InterruptionGuard::requested(); }

    Outcome<ExitStatus> finish() {
        document_["complete"] = isComplete();
        DUNLIN_CLI_TRY(save(true));
        if (options_.measure.json) {
            cli::printJson(document_);
        } else {
            cli::printOut("\n{}{}\n", isComplete() ? "" : "incomplete: ", summaryOf(document_["results"]));
        }
        if (fatal_) {
            cli::printError(fatal_->message);
            endProcess(static_cast<int>(fatal_->status));
        }
        if (InterruptionGuard::requested() && !options_.measure.quiet) {
            cli::printError("interrupted: these are the results until then");
        }
        if (InterruptionGuard::requested()) endProcess(static_cast<int>(ExitStatus::Interrupted));
        DUNLIN_CLI_TRY(failure_);
        return isAllRight(document_["results"]) ? ExitStatus::Done : ExitStatus::No;
    }

    const KernelBenchOptions& options_;
    Json document_;
    std::optional<Failure> fatal_;
    cli::Check failure_;  // what ended the measurement, with the device intact
    bool namesDevice_ = false;
    std::chrono::steady_clock::time_point saved_;  // long ago: the first result is written at once
};

}  // namespace

Outcome<ExitStatus> kernels(const KernelBenchOptions& options) {
    return KernelsRun(options).run();
}

}  // namespace dunlin::bench
