#include "tools/bench/kernel_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "runtime/plan/kernels.h"
#include "runtime/tuning/case_runner.h"
#include "shaders/include/params.h"
#include "tools/bench/interruption.h"
#include "tools/bench/pipeline_statistics.h"
#include "tools/bench/statistics.h"
#include "tools/dunlin/internals.h"

namespace dunlin::bench {
namespace {

using Clock = std::chrono::steady_clock;
using cli::Failure;
using tuning::DispatchRunner;

constexpr size_t kMinSamples = 5, kMaxSamples = 200;
// Long beside a timestamp's resolution and the cost of a submission, short beside a scheduler's time slice.
constexpr double kGpuSampleNs = 0.5e6, kSoftwareSampleNs = 2e6;

double secondsSince(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

// A contender that is being measured.
struct Lane {
    Contender contender;
    std::unique_ptr<DispatchRunner> runner;
    Json row;
    uint32_t repeats = 1;
    std::vector<double> samplesUs;
    double spentSeconds = 0;
    bool isTimed = false;  // correct, repeatable, and not failed
};

bool isFatal(const Status& status) {
    return status.code() == StatusCode::DeviceLost;
}

class CaseMeasurement {
  public:
    CaseMeasurement(const Bench& bench, const tuning::KernelCase& problem, const tuning::CaseData& data)
        : bench_(bench), problem_(problem), data_(data) {}

    CaseResult measure(std::vector<Contender> contenders) {
        for (Contender& contender : contenders) {
            Lane lane;
            lane.row = newRow(contender);
            lane.contender = std::move(contender);
            lanes_.push_back(std::move(lane));
        }
        for (Lane& lane : lanes_) note(lane, verify(lane));
        time();
        for (Lane& lane : lanes_) addTimes(lane);
        markBest();
        if (fatal_) keepAlive();
        CaseResult result;
        for (Lane& lane : lanes_) result.rows.push_back(std::move(lane.row));
        result.fatal = fatal_;
        return result;
    }

  private:
    Json newRow(const Contender& contender) const {
        const bool isUser = contender.pipeline != nullptr;
        const tuning::FormedCase& form = contender.form;
        const std::string variant = isUser ? contender.userVariant : form.variant;
        std::string id = isUser ? form.id.substr(0, form.id.rfind('/') + 1) + variant : form.id;
        if (bench_.namesDevice) id += "/" + bench_.target.id;
        return {{"id", id},
                {"case", problem_.id},
                {"kernel", row(problem_.kernel()).name},
                {"variant", variant},
                {"device", bench_.target.id},
                {"precision", problem_.precision() == Precision::Fp16 ? "fp16" : "fp32"},
                {"networks", problem_.networks},
                {"correct", nullptr},
                {"maxRelativeError", nullptr},
                {"mismatch", nullptr},
                {"tolerance", data_.tolerance},
                {"deterministic", nullptr},
                {"clock", nullptr},
                {"medianUs", nullptr},
                {"minUs", nullptr},
                {"p95Us", nullptr},
                {"samplesUs", Json::array()},
                {"bytes", nullptr},
                {"flops", nullptr},
                {"gflops", nullptr},
                {"gbps", nullptr},
                {"limitUs", nullptr},
                {"rooflineShare", nullptr},
                {"isDefault", form.isDefault && !isUser},
                {"isBest", false},
                {"isUser", isUser},
                {"statistics", Json::object()},
                {"error", nullptr}};
    }

    // What went wrong with one contender does not stop the others, but for the loss of the device.
    void note(Lane& lane, const Status& status) {
        if (status.ok()) return;
        lane.isTimed = false;
        lane.row["error"] = status.message();
        if (isFatal(status) && !fatal_) {
            fatal_ = Failure{ExitStatus::DeviceFailed,
                             fmt::format("{}: {}", lane.row["id"].get<std::string>(), status.message())};
        }
    }

    Status verify(Lane& lane) {
        if (fatal_ || InterruptionGuard::requested()) return Status(StatusCode::Cancelled, kNotMeasured);
        const Contender& contender = lane.contender;
        const vulkan::Pipeline* pipeline = contender.pipeline;
        if (!pipeline) {
            DUNLIN_ASSIGN(pipeline, bench_.pipelines.get(contender.form.dispatch.variant));
        }
        DUNLIN_ASSIGN(lane.row["statistics"], pipelineStatistics(*bench_.target.device, pipeline->handle));
        DUNLIN_ASSIGN(lane.runner,
                      tuning::createRunner(*bench_.target.device, *pipeline, problem_, data_, contender.form));
        DUNLIN_ASSIGN(const auto first, lane.runner->run());
        const double error = tuning::maxRelativeError(problem_, data_, contender.form, first);
        bool repeats = true;
        for (int i = 1; i < kRuns; ++i) {
            DUNLIN_ASSIGN(const auto again, lane.runner->run());
            repeats = repeats && again == first;
        }
        const bool correct = error <= data_.tolerance;
        lane.row["correct"] = correct;
        lane.row["maxRelativeError"] = std::isfinite(error) ? Json(error) : Json();
        if (!correct) lane.row["mismatch"] = tuning::describeMismatch(problem_, data_, contender.form, first);
        lane.row["deterministic"] = repeats;
        lane.isTimed = correct && repeats;
        if (!lane.isTimed) return {};
        const double sampleNs = bench_.target.software ? kSoftwareSampleNs : kGpuSampleNs;
        DUNLIN_ASSIGN(lane.repeats, repeatsFor(*lane.runner, sampleNs));
        return {};
    }

    bool isDone(const Lane& lane) const {
        if (!lane.isTimed || lane.samplesUs.size() >= kMaxSamples) return true;
        return lane.spentSeconds >= bench_.seconds && lane.samplesUs.size() >= kMinSamples;
    }

    void time() {
        bool isAnyLeft = true;
        for (size_t round = 0; isAnyLeft; ++round) {
            isAnyLeft = false;
            // Begins with another one each time: what comes after a rest is no better off.
            for (size_t i = 0; i < lanes_.size(); ++i) {
                Lane& lane = lanes_[(i + round) % lanes_.size()];
                if (fatal_ || InterruptionGuard::requested()) return;
                if (isDone(lane)) continue;
                isAnyLeft = true;
                const Clock::time_point start = Clock::now();
                const Result<double> sample = lane.runner->timeNs(lane.repeats);
                note(lane, sample.status());
                if (sample.ok()) lane.samplesUs.push_back(*sample / 1e3);
                lane.spentSeconds += secondsSince(start);
            }
        }
    }

    void addTimes(Lane& lane) const {
        if (lane.samplesUs.empty()) return;
        const Summary summary = summarize(lane.samplesUs);
        DispatchCost cost = costOf(problem_.network->graph, problem_.network->lowered, problem_.dispatch);
        if (problem_.kernel() == Kernel::Preprocess) {
            const bool readsPlanes = lane.contender.form.form.tileX == params::kSourceTensor;
            cost.bytes += readsPlanes ? data_.planes.size() : data_.picture.size();
        }
        const double seconds = summary.median / 1e6;
        lane.row["clock"] = lane.runner->usesGpuClock() ? "gpu" : "wall";
        lane.row["medianUs"] = summary.median;
        lane.row["minUs"] = summary.min;
        lane.row["p95Us"] = summary.p95;
        lane.row["samplesUs"] = lane.samplesUs;
        lane.row["bytes"] = cost.bytes;
        lane.row["flops"] = cost.flops;
        if (seconds <= 0) return;  // shorter than the clock's tick
        lane.row["gflops"] = static_cast<double>(cost.flops) / seconds / 1e9;
        lane.row["gbps"] = static_cast<double>(cost.bytes) / seconds / 1e9;
        if (!bench_.ceilings) return;
        const double limitUs = bench_.ceilings->limitNs(cost, problem_.precision()) / 1e3;
        lane.row["limitUs"] = limitUs;
        lane.row["rooflineShare"] = limitUs / summary.median;
    }

    // What tuning would take: the fastest of the library's that is right.
    void markBest() {
        Lane* best = nullptr;
        for (Lane& lane : lanes_) {
            if (lane.contender.pipeline || lane.row["medianUs"].is_null() || !lane.isTimed) continue;
            if (!best || lane.row["medianUs"] < best->row["medianUs"]) best = &lane;
        }
        if (best) best->row["isBest"] = true;
    }

    // Buffers that the device may still write to must not be freed: the process ends soon.
    void keepAlive() {
        for (Lane& lane : lanes_) lane.runner.release();
    }

    const Bench& bench_;
    const tuning::KernelCase& problem_;
    const tuning::CaseData& data_;
    std::vector<Lane> lanes_;
    std::optional<Failure> fatal_;
};

}  // namespace

Outcome<std::vector<Precision>> precisionsOf(const MeasureOptions& options, const Target& target) {
    std::vector<Precision> precisions;
    const auto add = [&](Precision precision) {
        if (std::find(precisions.begin(), precisions.end(), precision) == precisions.end()) {
            precisions.push_back(precision);
        }
    };
    for (const DunlinPrecision wanted : options.precisions) {
        if (wanted == DUNLIN_PRECISION_AUTO) {
            add(Precision::Fp32);
            if (target.device->limits().fp16) add(Precision::Fp16);
            continue;
        }
        DUNLIN_CLI_ASSIGN(const Precision precision, target.precision(wanted));
        add(precision);
    }
    return precisions;
}

CaseResult measureCase(const Bench& bench, const tuning::KernelCase& problem, const tuning::CaseData& data,
                       std::vector<Contender> contenders) {
    return CaseMeasurement(bench, problem, data).measure(std::move(contenders));
}

}  // namespace dunlin::bench
