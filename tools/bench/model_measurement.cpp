#include "tools/bench/model_measurement.h"

#include <algorithm>
#include <numeric>

#include "tools/bench/statistics.h"

namespace dunlin::bench {
namespace {

// A turn is long enough to reach its own steady state, and short against what makes devices drift: heat and other
// programs.
constexpr double kTurnMs = 20;
// Runs from this length on fill the caches by themselves: a hundred megabytes take ten milliseconds.
constexpr double kLongRunMs = 50;
// Warm-up: so many runs at least, unless they take this long, and not for ever.
constexpr size_t kMinWarmUps = 8, kMaxWarmUps = 500, kLeastWarmUps = 2;
constexpr double kLongWarmUpMs = 2000;
// Frames in flight: rounds, and the fewest frames of one sample, which begin when the pipeline is full.
constexpr int kFlightRounds = 5, kMinFrames = 4, kMaxFrames = 1000;
constexpr size_t kSubmitsEachRound = 20;
constexpr size_t kLeastForARow = 3;

double sumOf(const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0);
}

class Turns {
  public:
    Turns(std::vector<MeasuredRun>& runs, const Pace& pace, const MeasurementHooks& hooks)
        : runs_(runs), pace_(pace), hooks_(hooks) {}

    void warmUp() {
        for (MeasuredRun& run : runs_) {
            if (isOver()) return;
            report(run);
            settle(run, warmUp(run));
        }
    }

    void measureBlocking() {
        const auto isDone = [&](const MeasuredRun& run) {
            return isEnough(run.samples.wallMs, wallBudgetMs(run)) &&
                   (!run.session->hasGpuClock() || isEnough(run.samples.gpuMs, gpuBudgetMs()));
        };
        rotate(isDone, [&](MeasuredRun& run) { return blockingTurn(run); });
    }

    void measureInFlight() {
        std::vector<int> rounds(runs_.size(), 0);
        const auto indexOf = [&](const MeasuredRun& run) { return static_cast<size_t>(&run - runs_.data()); };
        const auto isDone = [&](const MeasuredRun& run) {
            const bool isLong = !run.samples.wallMs.empty() && summarize(run.samples.wallMs).median > kLongRunMs * 5;
            return run.session->facts().maxInFlight == 0 || rounds[indexOf(run)] >= (isLong ? 1 : kFlightRounds);
        };
        rotate(isDone, [&](MeasuredRun& run) {
            ++rounds[indexOf(run)];
            return flightTurn(run);
        });
    }

  private:
    // The CPU has no GPU clock, and all the time is the wall's.
    double wallBudgetMs(const MeasuredRun& run) const {
        return pace_.seconds * 1e3 / (run.session->hasGpuClock() ? 2 : 1);
    }
    double gpuBudgetMs() const { return pace_.seconds * 1e3 / 2; }
    bool isEnough(const std::vector<double>& samples, double budgetMs) const {
        if (samples.size() < pace_.minSamples) return false;
        return samples.size() >= pace_.maxSamples || sumOf(samples) >= budgetMs;
    }
    bool isOver() const { return hooks_.isInterrupted && hooks_.isInterrupted(); }
    bool isShared() const { return runs_.size() > 1; }

    void report(const MeasuredRun& run) {
        if (!hooks_.progress) return;
        double done = 0;
        for (const MeasuredRun& one : runs_) {
            const double share = (sumOf(one.samples.wallMs) + sumOf(one.samples.gpuMs)) / (pace_.seconds * 1e3);
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
            if (hooks_.checkpoint) hooks_.checkpoint();
        }
    }

    Status warmUp(MeasuredRun& run) {
        std::vector<double> times;
        double spentMs = 0;
        run.samples.isSteady = false;
        const auto isOverdue = [&] {
            if (times.size() < kMinWarmUps) return times.size() >= kLeastWarmUps && spentMs >= kLongWarmUpMs;
            return spentMs >= std::max(pace_.seconds * 1e3, kLongWarmUpMs / 4) || times.size() >= kMaxWarmUps;
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
        return run.session->layerTimesNs().status();
    }

    // One sample at least; more where they are short.
    Status blockingTurn(MeasuredRun& run) {
        ModelSamples& samples = run.samples;
        const bool refills = isShared() && (samples.wallMs.empty() || samples.wallMs.back() < kLongRunMs);
        if (refills) DUNLIN_TRY(run.session->runMs().status());
        for (double spentMs = 0; spentMs < kTurnMs && !isEnough(samples.wallMs, wallBudgetMs(run));) {
            DUNLIN_ASSIGN(const double ms, run.session->runMs());
            samples.wallMs.push_back(ms);
            spentMs += ms;
        }
        if (!run.session->hasGpuClock()) return {};
        if (refills) DUNLIN_TRY(run.session->layerTimesNs().status());
        for (double spentMs = 0; spentMs < kTurnMs && !isEnough(samples.gpuMs, gpuBudgetMs());) {
            DUNLIN_ASSIGN(std::vector<double> layersNs, run.session->layerTimesNs());
            const double ms = sumOf(layersNs) / 1e6;
            samples.gpuMs.push_back(ms);
            samples.layerNs.push_back(std::move(layersNs));
            spentMs += std::max(ms, samples.wallMs.back());
        }
        return {};
    }

    Status flightTurn(MeasuredRun& run) {
        ModelSamples& samples = run.samples;
        const double runMs = std::max(1e-3, summarize(samples.wallMs).median);
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
