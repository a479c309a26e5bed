#include "tools/bench/model_measurement.h"

#include <algorithm>

#include "tools/bench/statistics.h"

namespace dunlin::bench {
namespace {

// A turn is long enough to reach its own steady state, and short against what makes devices drift: heat and other
// programs.
constexpr double kTurnMs = 20;
// Runs from this length on fill the caches by themselves: a hundred megabytes take ten milliseconds.
constexpr double kLongRunMs = 50;
// Warm-up: so many runs at least, unless they take this long, and not for ever. isStable() needs eight.
constexpr size_t kMinWarmUps = 8, kMaxWarmUps = 500, kLeastWarmUps = 2;
constexpr double kLongWarmUpMs = 2000;
// However long the timing takes, or however short.
constexpr double kLeastWarmUpMs = 500, kMostWarmUpMs = 5000;
// Frames in flight: rounds, and the fewest frames of one sample, which begin when the pipeline is full.
constexpr int kFlightRounds = 5, kMinFrames = 4, kMaxFrames = 1000;
constexpr size_t kSubmitsEachRound = 20;
// Layers' times are for looking at, not for comparing: this many runs of each say enough.
constexpr size_t kLayerRuns = 30, kLayerRunsEachTurn = 3;
constexpr size_t kLeastForARow = 3;

class Turns {
  public:
    Turns(std::vector<MeasuredRun>& runs, const Pace& pace, const MeasurementHooks& hooks)
        : runs_(runs), pace_(pace), hooks_(hooks), spent_(runs.size()) {}

    void warmUp() {
        for (MeasuredRun& run : runs_) {
            if (isOver()) return;
            report(run);
            settle(run, warmUp(run));
        }
    }

    void measureBlocking() {
        const auto isDone = [&](const MeasuredRun& run) {
            return isWallEnough(run) && (!hasGpuClock(run) || isGpuEnough(run));
        };
        rotate(isDone, [&](MeasuredRun& run) { return blockingTurn(run); });
    }

    void measureInFlight() {
        std::vector<int> rounds(runs_.size(), 0);
        std::vector<double> medianMs;
        for (const MeasuredRun& run : runs_) {
            medianMs.push_back(run.samples.wallMs.empty() ? 0 : summarize(run.samples.wallMs).median);
        }
        const auto isDone = [&](const MeasuredRun& run) {
            const bool isLong = medianMs[indexOf(run)] > kLongRunMs * 5;
            return run.session->facts().maxInFlight == 0 || rounds[indexOf(run)] >= (isLong ? 1 : kFlightRounds);
        };
        rotate(isDone, [&](MeasuredRun& run) {
            ++rounds[indexOf(run)];
            return flightTurn(run, std::max(1e-3, medianMs[indexOf(run)]));
        });
    }

  private:
    // What a run's samples add up to, which is asked for after each of them.
    struct Spent {
        double wallMs = 0;
        double gpuMs = 0;          // what the runs for the GPU's clock took by the wall
        bool isDisturbed = false;  // something else than runs was done since its last turn
    };

    size_t indexOf(const MeasuredRun& run) const { return static_cast<size_t>(&run - runs_.data()); }
    Spent& spentOf(const MeasuredRun& run) { return spent_[indexOf(run)]; }
    const Spent& spentOf(const MeasuredRun& run) const { return spent_[indexOf(run)]; }

    static bool hasGpuClock(const MeasuredRun& run) {
        return run.session->hasGpuClock() && !run.samples.isGpuClockStill;
    }
    // The CPU has no GPU clock, and all the time is the wall's.
    bool isWallEnough(const MeasuredRun& run) const {
        const double budgetMs = pace_.seconds * 1e3 / (run.session->hasGpuClock() ? 2 : 1);
        return isEnough(run.samples.wallMs.size(), spentOf(run).wallMs, budgetMs);
    }
    bool isGpuEnough(const MeasuredRun& run) const {
        return isEnough(run.samples.gpuMs.size(), spentOf(run).gpuMs, pace_.seconds * 1e3 / 2);
    }
    bool isEnough(size_t samples, double spentMs, double budgetMs) const {
        return samples >= pace_.minSamples && (samples >= pace_.maxSamples || spentMs >= budgetMs);
    }
    bool isOver() const { return hooks_.isInterrupted && hooks_.isInterrupted(); }
    bool isShared() const { return runs_.size() > 1; }

    void report(const MeasuredRun& run) {
        if (!hooks_.progress) return;
        double done = 0;
        for (const MeasuredRun& one : runs_) {
            const double share = (spentOf(one).wallMs + spentOf(one).gpuMs) / (pace_.seconds * 1e3);
            done += one.failure.ok() ? std::min(share, 1.0) : 1.0;
        }
        hooks_.progress(done / static_cast<double>(runs_.size()), run.id);
    }

    // Notes a failure, and that of all others on a device that is lost.
    void settle(MeasuredRun& run, const Status& status) {
        if (status.ok()) return;
        run.failure = status;
        if (status.code() != StatusCode::DeviceLost) return;
        for (MeasuredRun& other : runs_) {
            if (other.device == run.device && other.failure.ok()) other.failure = status.withContext("with " + run.id);
        }
    }

    template <typename IsDone, typename Turn>
    void rotate(const IsDone& isDone, const Turn& turn) {
        bool anyLeft = true;
        for (size_t round = 0; anyLeft; ++round) {
            anyLeft = false;
            for (size_t i = 0; i < runs_.size(); ++i) {
                MeasuredRun& run = runs_[(round + i) % runs_.size()];
                if (!run.failure.ok() || isDone(run)) continue;
                if (isOver()) return;
                anyLeft = true;
                report(run);
                settle(run, turn(run));
            }
            if (!hooks_.checkpoint || !hooks_.checkpoint()) continue;
            for (Spent& spent : spent_) spent.isDisturbed = true;
        }
    }

    Status warmUp(MeasuredRun& run) {
        std::vector<double> times;
        double spentMs = 0;
        run.samples.isSteady = false;
        const auto isOverdue = [&] {
            // Drivers may compile in the first run, which says nothing about the next ones.
            if (times.size() < kMinWarmUps) {
                return times.size() >= kLeastWarmUps && spentMs - times.front() >= kLongWarmUpMs;
            }
            return spentMs >= std::clamp(pace_.seconds * 1e3, kLeastWarmUpMs, kMostWarmUpMs) ||
                   times.size() >= kMaxWarmUps;
        };
        while (!run.samples.isSteady && !isOverdue()) {
            DUNLIN_ASSIGN(const double ms, run.session->runMs());
            times.push_back(ms);
            spentMs += ms;
            run.samples.isSteady = isStable(times);
            run.samples.warmUps = times.size();
            if (isOver()) return {};
        }
        if (!run.session->hasGpuClock()) return {};
        DUNLIN_TRY(run.session->gpuMs().status());
        return run.session->layerTimesNs().status();
    }

    // One sample at least; more where they are short.
    Status blockingTurn(MeasuredRun& run) {
        ModelSamples& samples = run.samples;
        const bool isShort = samples.wallMs.empty() || samples.wallMs.back() < kLongRunMs;
        const bool refills = isShort && (isShared() || spentOf(run).isDisturbed);
        spentOf(run).isDisturbed = false;
        if (refills) DUNLIN_TRY(run.session->runMs().status());
        for (double turnMs = 0; turnMs < kTurnMs && !isWallEnough(run);) {
            DUNLIN_ASSIGN(const double ms, run.session->runMs());
            samples.wallMs.push_back(ms);
            spentOf(run).wallMs += ms;
            turnMs += ms;
        }
        if (!hasGpuClock(run)) return {};
        DUNLIN_TRY(gpuTurn(run, refills));
        return hasGpuClock(run) ? layerTurn(run) : Status();
    }

    Status gpuTurn(MeasuredRun& run, bool refills) {
        ModelSamples& samples = run.samples;
        double turnMs = 0;
        if (refills) DUNLIN_TRY(run.session->gpuMs().status());
        while (turnMs < kTurnMs && !isGpuEnough(run)) {
            DUNLIN_ASSIGN(const double ms, run.session->gpuMs());
            // That clock may be wrong, and the wall goes on.
            const double takenMs = std::max(ms, samples.wallMs.back());
            samples.gpuMs.push_back(ms);
            spentOf(run).gpuMs += takenMs;
            turnMs += takenMs;
        }
        // No whole turn passes within one tick.
        if (std::ranges::any_of(samples.gpuMs, [](double ms) { return ms > 0; })) return {};
        samples.isGpuClockStill = true;
        samples.gpuMs.clear();
        samples.layerNs.clear();
        return {};
    }

    // Timestamps within the frame make it another one.
    Status layerTurn(MeasuredRun& run) {
        std::vector<std::vector<double>>& layerNs = run.samples.layerNs;
        double turnMs = 0;
        for (size_t i = 0; i < kLayerRunsEachTurn && turnMs < kTurnMs && layerNs.size() < kLayerRuns; ++i) {
            DUNLIN_ASSIGN(std::vector<double> layersNs, run.session->layerTimesNs());
            layerNs.push_back(std::move(layersNs));
            turnMs += run.samples.wallMs.back();
        }
        return {};
    }

    Status flightTurn(MeasuredRun& run, double runMs) {
        ModelSamples& samples = run.samples;
        double spentMs = 0;
        for (size_t i = 0; i == 0 || (i < kSubmitsEachRound && spentMs < kTurnMs); ++i, spentMs += runMs) {
            DUNLIN_ASSIGN(const SubmitTime time, run.session->submitTime());
            samples.submitCpuUs.push_back(time.cpuUs);
            samples.submitWallUs.push_back(time.wallUs);
        }
        const double sampleMs = pace_.seconds * 1e3 / 2 / kFlightRounds / 2;
        const int frames = static_cast<int>(std::clamp<double>(sampleMs / runMs, kMinFrames, kMaxFrames));
        for (auto [inFlight, frameMs] : {std::pair{2, &samples.frameMs2}, {3, &samples.frameMs3}}) {
            if (run.session->facts().maxInFlight < inFlight) continue;
            DUNLIN_ASSIGN(const double ms, run.session->frameMs(inFlight, frames));
            frameMs->push_back(ms);
        }
        return {};
    }

    std::vector<MeasuredRun>& runs_;
    const Pace pace_;
    const MeasurementHooks& hooks_;
    std::vector<Spent> spent_;  // by run
};

}  // namespace

bool isWorthKeeping(const ModelSamples& samples) {
    return samples.wallMs.size() >= kLeastForARow;
}

void measureInTurns(std::vector<MeasuredRun>& runs, const Pace& pace, const MeasurementHooks& hooks) {
    Turns turns(runs, pace, hooks);
    turns.warmUp();
    turns.measureBlocking();
    turns.measureInFlight();
}

}  // namespace dunlin::bench
