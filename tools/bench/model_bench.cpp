#include "tools/bench/model_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <thread>
#include <tuple>

#include "runtime/cpu/host_memory.h"
#include "tools/bench/ceilings.h"
#include "tools/bench/host_load.h"
#include "tools/bench/model_document.h"
#include "tools/bench/model_measurement.h"
#include "tools/bench/model_starts.h"
#include "tools/bench/trace.h"
#include "tools/dunlin/internals.h"

namespace dunlin::bench {
namespace {

using cli::Failure;

constexpr double kDefaultSeconds = 2;
// Of the machine's memory, what is left alone: the operating system's and other programs' share. Software drivers and
// the CPU take from it, and say so too late.
constexpr double kReservedShare = 0.25;

class ModelBench {
  public:
    ModelBench(const ModelBenchOptions& options, const std::vector<Target>& targets, std::string executable,
               const ModelBenchHooks& hooks)
        : options_(options), targets_(targets), executable_(std::move(executable)), hooks_(hooks) {}

    ModelBenchResult run() {
        PlannedRuns planned = planRuns(options_, targets_);
        runs_ = std::move(planned.runs);
        results_.resize(runs_.size());
        isMeasured_.resize(runs_.size());
        for (std::string& sentence : planned.notices) notice(std::move(sentence));
        for (size_t i = 0; i < runs_.size(); ++i) {
            if (runs_[i].failure) fail(i, *runs_[i].failure);
        }
        if (options_.measure.validation) {
            notice(kUnderValidation);
        }
        const bool isAnyLeft = std::ranges::any_of(runs_, [](const ModelRun& run) { return !run.failure; });
        auto busy = busyNotice(hostLoad(), std::thread::hardware_concurrency());
        if (isAnyLeft && busy) notice(*std::move(busy));
        measureAllCeilings();
        openBackends();
        measureAll();
        if (options_.starts) measureAllStarts();
        checkValidation();
        for (size_t i = 0; i < runs_.size(); ++i) {
            if (!isMeasured_[i] && !results_[i].failure) {
                fail(i, {ExitStatus::DeviceFailed, "interrupted before it was measured"});
            }
        }
        doubtLimits();
        return finish();
    }

  private:
    bool isInterrupted() const { return hooks_.isInterrupted && hooks_.isInterrupted(); }
    bool isLost(const Target* target) const { return std::ranges::find(lost_, target) != lost_.end(); }
    bool isVulkan(size_t run) const { return !runs_[run].target->isCpu(); }

    void notice(std::string sentence) {
        if (std::ranges::find(notices_, sentence) != notices_.end()) return;
        if (hooks_.notice) hooks_.notice(sentence);
        notices_.push_back(std::move(sentence));
    }

    void fail(size_t run, Failure failure) {
        if (hooks_.failed) hooks_.failed({failure.status, fmt::format("{}: {}", runs_[run].id, failure.message)});
        results_[run].failure = std::move(failure);
    }

    void progress(double share, const std::string& what) {
        if (hooks_.progress) hooks_.progress(share, what);
    }

    void noteLoss(const Target* target) {
        if (!isLost(target)) lost_.push_back(target);
    }

    void measureAllCeilings() {
        if (!options_.measure.ceilings) return;
        for (const Target& target : targets_) {
            const bool isNeeded =
                std::ranges::any_of(runs_, [&](const ModelRun& run) { return run.target == &target && !run.failure; });
            if (!isNeeded || isInterrupted()) continue;
            progress(0, fmt::format("what {} can do at most", target.id));
            Outcome<Ceilings> measured = measureCeilings(target);
            if (measured.ok()) {
                for (const std::string& sentence : measured->notices) notice(sentence);
                ceilings_.emplace(&target, *std::move(measured));
                continue;
            }
            notice(fmt::format("the limits of {} are not known: {}", target.id, measured.failure().message));
            if (!target.isCpu() && measured.failure().status == ExitStatus::DeviceFailed) noteLoss(&target);
        }
    }

    void openBackends() {
        for (const Target& target : targets_) {
            if (target.isCpu() || isLost(&target)) continue;
            const auto hear = [this, &target](vulkan::NoticeSeverity severity, const std::string& text) {
                if (severity == vulkan::NoticeSeverity::Warning) notice(fmt::format("{}: {}", target.id, text));
            };
            auto backend =
                cli::outcomeOf(vulkan::VulkanBackend::create(target.device, options_.measure.cacheDirectory, hear));
            if (backend.ok()) {
                backends_.emplace(&target, *std::move(backend));
            } else {
                failAllOf(target, backend.failure());
            }
            if (target.device->capabilities().timestampValidBits == 0) {
                notice(fmt::format("{}: its queue has no timestamps, so times are the wall's alone", target.id));
            }
        }
    }

    void failAllOf(const Target& target, const Failure& failure) {
        for (size_t i = 0; i < runs_.size(); ++i) {
            if (runs_[i].target == &target && !results_[i].failure) fail(i, failure);
        }
    }

    Result<std::unique_ptr<NetworkSession>> open(ModelRun& run) {
        if (run.target->isCpu()) return openCpuSession(run);
        if (run.tuneSeconds > 0) DUNLIN_TRY(tune(run));
        return openVulkanSession(*backends_.at(run.target), run);
    }

    Status tune(ModelRun& run) {
        progress(0, "tuning " + run.id);
        vulkan::VulkanBackend& backend = *backends_.at(run.target);
        const auto hear = [&](vulkan::NoticeSeverity severity, const std::string& text) {
            if (severity == vulkan::NoticeSeverity::Warning) notice(fmt::format("{}: {}", run.target->id, text));
        };
        tuning::Tuner tuner(backend, {{}, {}, options_.measure.cacheDirectory}, hear);
        vulkan::VulkanSessionOptions options;
        options.session.batch = run.input.n;
        options.session.height = run.input.h;
        options.session.width = run.input.w;
        options.session.precision = *run.precision;
        options.session.fusion = run.fusion;
        options.session.progress = [&](float share) {
            progress(double{share}, "tuning " + run.id);
            return !isInterrupted();
        };
        const std::shared_ptr<const ModelData> model(run.network, &run.network->data);
        DUNLIN_ASSIGN(tuning::Tuned tuned, tuner.tune(model, options, run.tuneSeconds * 1e3));
        run.forms = std::move(tuned.forms);
        run.tuned = tuned.report;
        return {};
    }

    // Of a run whose weights are on the device already; OK where it may be timed.
    Status verify(size_t index) {
        const ModelRun& run = runs_[index];
        if (run.target->isCpu()) return {};
        const std::tuple key(run.network.get(), run.input.n, run.input.h, run.input.w);
        auto expected = cpuLogits_.find(key);
        if (expected == cpuLogits_.end()) expected = cpuLogits_.emplace(key, cpuLogits(run)).first;
        std::shared_ptr<void> lost;
        const Result<NetworkCheck> check = expected->second.ok()
                                               ? checkNetwork(*backends_.at(run.target), run, *expected->second, lost)
                                               : expected->second.status();
        if (lost) held_.push_back(std::move(lost));
        if (check.status().code() == StatusCode::DeviceLost) return check.status();
        if (check.ok()) {
            results_[index].check = *check;
        } else {
            notice(fmt::format("{}: its results are not verified: {}", run.id, check.status().message()));
        }
        return {};
    }

    // Why a run that was verified is not timed.
    static std::optional<Failure> wrongness(const ModelResult& result) {
        if (!result.check || result.check->isRight()) return std::nullopt;
        const NetworkCheck& check = *result.check;
        if (check.maxRelativeError <= check.tolerance) {
            return Failure{ExitStatus::No, "not timed: two runs of the same input gave different bits"};
        }
        return Failure{
            ExitStatus::No,
            fmt::format("not timed: its logits differ from the CPU's by {:.2g} of the largest, and {:.2g} is "
                        "allowed",
                        check.maxRelativeError, check.tolerance)};
    }

    // Whether more may be opened beside what is open already.
    bool isRoomLeft(std::optional<uint64_t> bytesAtFirst) const {
        const std::optional<uint64_t> bytes = availableHostBytes();
        if (!bytes || !bytesAtFirst) return true;
        return static_cast<double>(*bytes) > kReservedShare * static_cast<double>(*bytesAtFirst);
    }

    // The next runs that fit into memory together, from `next` on, which moves behind them.
    std::vector<MeasuredRun> openGroup(size_t& next, std::vector<size_t>& indices) {
        std::vector<MeasuredRun> group;
        const std::optional<uint64_t> bytesAtFirst = availableHostBytes();
        for (; next < runs_.size() && !isInterrupted(); ++next) {
            ModelRun& run = runs_[next];
            if (results_[next].failure) continue;
            if (isLost(run.target)) {
                fail(next, {ExitStatus::DeviceFailed, fmt::format("{} was lost before", run.target->id)});
                continue;
            }
            if (!group.empty() && !isRoomLeft(bytesAtFirst)) return group;
            progress(0, "preparing " + run.id);
            Result<std::unique_ptr<NetworkSession>> session = open(run);
            if (session.ok()) {
                if (Status lost = verify(next); !lost.ok()) {
                    held_.push_back(*std::move(session));
                    session = std::move(lost);
                }
            }
            if (session.ok()) {
                if (std::optional<Failure> wrong = wrongness(results_[next])) {
                    fail(next, *std::move(wrong));
                    continue;
                }
                group.push_back({run.id, run.target, *std::move(session), {}, {}});
                indices.push_back(next);
                continue;
            }
            const StatusCode code = session.status().code();
            const bool isForMemory = code == StatusCode::DoesNotFit || code == StatusCode::OutOfDeviceMemory ||
                                     code == StatusCode::OutOfHostMemory;
            if (isForMemory && !group.empty()) return group;  // by itself it may fit
            if (code == StatusCode::DeviceLost) noteLoss(run.target);
            fail(next, cli::failureOf(session.status()));
        }
        return group;
    }

    void measureAll() {
        size_t next = 0, groups = 0;
        while (next < runs_.size() && !isInterrupted()) {
            std::vector<size_t> indices;
            std::vector<MeasuredRun> group = openGroup(next, indices);
            if (group.empty()) continue;
            if (++groups == 2) {
                notice(
                    "the networks do not fit into memory together and are measured in groups: drift between groups "
                    "counts as a difference");
            }
            measureGroup(group, indices);
        }
    }

    void measureGroup(std::vector<MeasuredRun>& group, const std::vector<size_t>& indices) {
        MeasurementHooks hooks;
        hooks.progress = [this](double share, const std::string& id) { progress(share, id); };
        hooks.isInterrupted = [this] { return isInterrupted(); };
        hooks.checkpoint = [&] {
            if (!isCheckpointDue()) return false;
            collect(group, indices);
            checkpoint();
            return true;
        };
        Pace pace;
        pace.seconds = options_.measure.seconds > 0 ? options_.measure.seconds : kDefaultSeconds;
        measureInTurns(group, pace, hooks);
        collect(group, indices);
        if (!options_.trace.empty()) traceGroup(group, indices);
        close(group, indices);
        if (isCheckpointDue()) checkpoint();
    }

    // What there is of a group's rows.
    void collect(const std::vector<MeasuredRun>& group, const std::vector<size_t>& indices) {
        for (size_t i = 0; i < group.size(); ++i) {
            if (!isWorthKeeping(group[i].samples)) continue;
            ModelResult& result = results_[indices[i]];
            result.samples = group[i].samples;
            result.facts = group[i].session->facts();
            isMeasured_[indices[i]] = true;
        }
    }

    void traceGroup(std::vector<MeasuredRun>& group, const std::vector<size_t>& indices) {
        for (size_t i = 0; i < group.size(); ++i) {
            if (!group[i].failure.ok() || isLost(runs_[indices[i]].target) || !isMeasured_[indices[i]]) continue;
            NetworkSession& session = *group[i].session;
            // Others had the caches: the frame that is drawn is a second one.
            const Status first = session.hasGpuClock() ? session.layerTimesNs().status() : session.runMs().status();
            Result<TracedFrame> frame = first.ok() ? session.traceFrame() : first;
            if (frame.ok()) {
                results_[indices[i]].frame = *std::move(frame);
                continue;
            }
            group[i].failure = frame.status();
            if (frame.status().code() == StatusCode::DeviceLost) noteLoss(runs_[indices[i]].target);
        }
    }

    // Says what went wrong, and lets go of the sessions: those of a lost device are left alone.
    void close(std::vector<MeasuredRun>& group, const std::vector<size_t>& indices) {
        std::string unsteady;
        for (size_t i = 0; i < group.size(); ++i) {
            MeasuredRun& run = group[i];
            const size_t index = indices[i];
            if (run.failure.code() == StatusCode::DeviceLost) noteLoss(runs_[index].target);
            if (run.samples.isGpuClockStill) {
                notice(fmt::format("{}: the GPU's clock stands still, so times are the wall's alone", run.id));
            }
            for (const std::string& sentence : run.session->facts().notices) {
                notice(fmt::format("{}: {}", run.id, sentence));
            }
            if (!run.failure.ok() && isMeasured_[index]) {
                const Failure failure = cli::failureOf(run.failure);
                notice(fmt::format("{}: the measurement ended early: {}", run.id, failure.message));
                early_.push_back(failure);
            } else if (!run.failure.ok()) {
                fail(index, cli::failureOf(run.failure));
            } else if (isMeasured_[index] && !run.samples.isSteady) {
                unsteady += fmt::format("{}{} ({} runs)", unsteady.empty() ? "" : ", ", run.id, run.samples.warmUps);
            }
        }
        if (!unsteady.empty()) {
            notice(
                fmt::format("times still changed when the warm-up of these was cut short (a longer --seconds warms up "
                            "for longer): {}",
                            unsteady));
        }
        for (size_t i = 0; i < group.size(); ++i) {
            if (isLost(runs_[indices[i]].target)) held_.push_back(std::move(group[i].session));
        }
        group.clear();
    }

    void measureAllStarts() {
        if (executable_.empty()) return notice("starts are not measured: the program's own file is not known");
        StartPlan plan;
        plan.executable = executable_;
        plan.validation = options_.measure.validation;
        plan.isInterrupted = [this] { return isInterrupted(); };
        for (size_t i = 0; i < runs_.size() && !isInterrupted(); ++i) {
            if (!isMeasured_[i] || isLost(runs_[i].target) || runs_[i].tuneSeconds > 0) continue;
            progress(static_cast<double>(i) / static_cast<double>(runs_.size()), "starts of " + runs_[i].id);
            const Outcome<StartTimes> times = measureStarts(runs_[i], plan);
            if (times.ok()) {
                results_[i].starts = *times;
            } else if (!isInterrupted()) {  // which ends those processes, too
                notice(fmt::format("{}: starts are not measured: {}", runs_[i].id, times.failure().message));
            }
            if (isCheckpointDue()) checkpoint();
        }
    }

    void checkValidation() {
        for (const Target& target : targets_) {
            cli::Check said = bench::checkValidation(target);
            if (!said) continue;
            notice(said->message);
            early_.push_back(*std::move(said));
        }
    }

    void doubtLimits() {
        std::string doubtful;
        for (size_t i = 0; i < runs_.size(); ++i) {
            if (!isMeasured_[i] || results_[i].failure) continue;
            const Json row = rowOf(runs_[i], results_[i], ceilingsOf(runs_[i].target));
            const bool isBeyond = row["limitShare"].is_number() && row["limitShare"].get<double>() > kCredibleShare;
            if (isBeyond) doubtful += (doubtful.empty() ? "" : ", ") + runs_[i].id;
        }
        if (doubtful.empty()) return;
        notice(
            "faster than their limits, so that these are wrong: something else ran while they were measured, or the "
            "networks need less than was reckoned: " +
            doubtful);
    }

    const Ceilings* ceilingsOf(const Target* target) const {
        const auto found = ceilings_.find(target);
        return found == ceilings_.end() ? nullptr : &found->second;
    }

    Json document(bool isComplete) const {
        Json document = document_;
        for (const Target& target : targets_) {
            document["devices"].push_back(identityOf(target));
            if (const Ceilings* ceilings = ceilingsOf(&target)) document["ceilings"][target.id] = jsonOf(*ceilings);
        }
        for (const std::string& sentence : notices_) document["notices"].push_back(sentence);
        document["complete"] = isComplete;
        for (size_t i = 0; i < runs_.size(); ++i) {
            if (!isMeasured_[i] && !results_[i].failure) continue;
            document["results"].push_back(rowOf(runs_[i], results_[i], ceilingsOf(runs_[i].target)));
        }
        return document;
    }

    // Making one takes time and the caches, so it is not made for nothing.
    bool isCheckpointDue() const { return hooks_.checkpoint && (!hooks_.isCheckpointDue || hooks_.isCheckpointDue()); }

    void checkpoint() {
        if (hooks_.checkpoint) hooks_.checkpoint(document(false));
    }

    Json trace() const {
        std::vector<TracedRun> traced;
        for (size_t i = 0; i < runs_.size(); ++i) {
            if (!results_[i].frame) continue;
            const Ceilings* ceilings = ceilingsOf(runs_[i].target);
            TracedRun one = {runs_[i].id, runs_[i].target->name,   *results_[i].frame, results_[i].facts.layers,
                             {},          runs_[i].target->isCpu()};
            if (ceilings && !results_[i].facts.costs.empty()) {
                for (const Layer& layer : one.layers) {
                    one.limitsNs.push_back(ceilings->limitNs(layer.cost, *runs_[i].precision));
                }
            }
            traced.push_back(std::move(one));
        }
        return chromeTrace(traced);
    }

    ModelBenchResult finish() {
        ModelBenchResult result;
        result.interrupted = isInterrupted();
        result.deviceLost = !lost_.empty();
        result.document = document(!result.interrupted && !result.deviceLost);
        if (!options_.trace.empty()) result.trace = trace();
        result.runs = runs_.size();
        for (const ModelResult& one : results_) {
            if (one.failure) result.failures.push_back(*one.failure);
        }
        result.failures.insert(result.failures.end(), early_.begin(), early_.end());
        for (auto& [target, backend] : backends_) {
            if (isLost(target)) held_.push_back(std::move(backend));
        }
        result.lost = std::move(held_);
        return result;
    }

    const ModelBenchOptions& options_;
    const std::vector<Target>& targets_;
    const std::string executable_;
    const ModelBenchHooks& hooks_;
    const Json document_ = newDocument("model");

    std::vector<ModelRun> runs_;
    std::vector<ModelResult> results_;  // by run
    std::vector<bool> isMeasured_;      // by run: there is enough for a row
    std::vector<std::string> notices_;
    // By network and input.
    std::map<std::tuple<const Model*, int, int, int>, Result<std::vector<float>>> cpuLogits_;
    std::vector<Failure> early_;  // of runs that have a row all the same, and of devices
    std::vector<const Target*> lost_;
    std::vector<std::shared_ptr<void>> held_;  // of lost devices
    std::map<const Target*, Ceilings> ceilings_;
    std::map<const Target*, std::unique_ptr<vulkan::VulkanBackend>> backends_;
};

}  // namespace

ExitStatus ModelBenchResult::status() const {
    if (interrupted) return ExitStatus::Interrupted;
    ExitStatus worst = deviceLost ? ExitStatus::DeviceFailed : ExitStatus::Done;
    for (const Failure& failure : failures) worst = std::max(worst, failure.status);
    return worst;
}

ModelBenchResult benchModels(const ModelBenchOptions& options, const std::vector<Target>& targets,
                             const std::string& executable, const ModelBenchHooks& hooks) {
    return ModelBench(options, targets, executable, hooks).run();
}

}  // namespace dunlin::bench
