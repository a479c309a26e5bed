#include "runtime/tuning/case_tuner.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace dunlin::tuning {
namespace {

using Written = std::map<TensorId, std::vector<std::byte>>;

// Samples of each form in the race; more where the machine does other things meanwhile, which the default's show.
constexpr size_t kFewestRounds = 5, kRounds = 9, kNoisyRounds = 25;
constexpr double kNoise = 0.1;  // interquartile range over the median
// Of all rounds, in which a winner must be faster than the default was in the same one.
constexpr double kWonRounds = 0.6;
// A form that takes so much longer than the fastest so far, at first sight or by its samples, will not
// win.
constexpr double kHopelessAtOnce = 1.6, kHopeless = 1.25;

// A clock may say that nothing passed.
constexpr double kShortestNs = 1;

// A form that is being looked at.
struct Lane {
    const FormedCase* form = nullptr;
    std::unique_ptr<DispatchRunner> runner;
    Written first;  // what it wrote when it was right
    uint32_t repeats = 1;
    double quickNs = 0;
    std::vector<double> samplesNs;
    bool isRacing = true;
};

double quantile(std::vector<double> values, double share) {
    std::ranges::sort(values);
    return values[static_cast<size_t>(std::lround(share * static_cast<double>(values.size() - 1)))];
}

// What disturbs a measurement only adds to it: on a quiet machine this is the median but for nothing, on a busy one it
// is nearer to the truth.
double typicalNs(const std::vector<double>& samplesNs) {
    return quantile(samplesNs, 0.25);
}

bool isNoisy(const std::vector<double>& samplesNs) {
    return quantile(samplesNs, 0.75) - quantile(samplesNs, 0.25) > kNoise * quantile(samplesNs, 0.5);
}

// What has nothing to do with the form.
bool isWantOfMemory(const Status& status) {
    return status.code() == StatusCode::DoesNotFit || status.code() == StatusCode::OutOfDeviceMemory ||
           status.code() == StatusCode::OutOfHostMemory;
}
bool isFatal(const Status& status) {
    return status.code() == StatusCode::DeviceLost || status.code() == StatusCode::Cancelled;
}

class CaseTuning {
  public:
    CaseTuning(const KernelCase& problem, const CaseData& data, const CaseTools& tools, double deadlineMs,
               CandidatePace& pace)
        : problem_(problem), data_(data), tools_(tools), deadlineMs_(deadlineMs), pace_(pace) {}

    Result<CaseOutcome> run(const std::vector<FormedCase>& forms) {
        verdict_.defaultForm = forms.front().variant;
        bool isOver = false;
        while (!isOver) {
            const size_t rejectedBefore = rejected_.size();
            DUNLIN_TRY(decideAmong(forms));
            // A winner that varies is found late: then what lost against it gets another chance.
            const bool isAnotherTry = wasRejectedLate_ && rejected_.size() > rejectedBefore && !isOutOfMemory_;
            isOver = !isAnotherTry || (!isDefaultWrong_ && tools_.nowMs() > deadlineMs_);
        }
        if (verdict_.form.empty() && isOutOfMemory_) return CaseOutcome{};
        verdict_.rejected = std::move(rejected_);
        return CaseOutcome{std::move(verdict_), isDefaultWrong_};
    }

  private:
    Status goOn() const {
        return tools_.mayGoOn() ? Status() : Status(StatusCode::Cancelled, "cancelled while kernels were tuned");
    }

    bool isDefault(const Lane& lane) const { return lane.form->variant == verdict_.defaultForm; }

    // Leaves the verdict as it is where none of them is right.
    Status decideAmong(const std::vector<FormedCase>& forms) {
        lanes_.clear();
        wasRejectedLate_ = false;
        verdict_.complete = true;
        for (const FormedCase& form : forms) {
            if (std::ranges::count(rejected_, form.variant, &Rejection::form) > 0) continue;
            if (!mayBegin() || isAtALoss()) {
                verdict_.complete = false;
                break;
            }
            DUNLIN_TRY(goOn());
            DUNLIN_TRY(lookAt(form));
            if (isOutOfMemory_ && lanes_.empty()) return {};
        }
        DUNLIN_TRY(race());
        return decide();
    }

    // With the time that deciding between those that are there takes. The default is the caller's to begin.
    bool mayBegin() const {
        if (verdict_.tried == 0 || isDefaultWrong_) return true;
        double raceNs = 0;
        for (const Lane& lane : lanes_) raceNs += kFewestRounds * std::max(tools_.sampleNs, lane.quickNs);
        return tools_.nowMs() + pace_.expectedMs(problem_.kernel()) + raceNs / 1e6 <= deadlineMs_;
    }

    bool isAtALoss() const {
        constexpr double kMostGain = 2;  // of the fastest form, beside the default
        return lanes_.size() == 1 && isDefault(lanes_[0]) && lanes_[0].quickNs > kMostGain * tools_.otherWayNs;
    }

    // Adds a lane where the form is right and not far too slow.
    Status lookAt(const FormedCase& form) {
        const double beginMs = tools_.nowMs();
        ++verdict_.tried;
        Lane lane;
        lane.form = &form;
        const Result<std::string> wrong = verify(lane);
        Status failed = wrong.status();
        if (failed.ok() && wrong->empty()) failed = glance(lane);
        pace_.add(problem_.kernel(), tools_.nowMs() - beginMs);
        if (isFatal(failed)) return failed;
        if (isWantOfMemory(failed)) {
            isOutOfMemory_ = true;
            verdict_.complete = false;
        } else if (!failed.ok() || !wrong->empty()) {
            reject(form, failed.ok() ? *wrong : failed.message());
        } else {
            keep(std::move(lane));
        }
        return {};
    }

    void reject(const FormedCase& form, const std::string& why) {
        if (form.variant == verdict_.defaultForm) isDefaultWrong_ = true;
        rejected_.push_back({form.variant, why});
    }

    void keep(Lane lane) {
        fastestNs_ = lanes_.empty() ? lane.quickNs : std::min(fastestNs_, lane.quickNs);
        lanes_.push_back(std::move(lane));
        // With the buffers of the others.
        std::erase_if(lanes_,
                      [&](const Lane& one) { return !isDefault(one) && one.quickNs > kHopelessAtOnce * fastestNs_; });
    }

    // What is wrong with the form; empty: nothing.
    Result<std::string> verify(Lane& lane) const {
        DUNLIN_ASSIGN(lane.runner, tools_.createRunner(*lane.form, false));
        DUNLIN_ASSIGN(lane.first, lane.runner->run());
        const double error = maxRelativeError(problem_, data_, *lane.form, lane.first);
        if (!(error <= data_.tolerance)) return describeMismatch(problem_, data_, *lane.form, lane.first);
        for (int i = 1; i < kVerifyingRuns; ++i) {
            DUNLIN_ASSIGN(const Written again, lane.runner->run());
            if (again != lane.first) return std::string(kVaries);
        }
        return std::string();
    }

    // A first idea of its time.
    Status glance(Lane& lane) const {
        DUNLIN_ASSIGN(lane.repeats, repeatsFor(*lane.runner, tools_.sampleNs));
        lane.quickNs = INFINITY;
        for (int i = 0; i < 3; ++i) {
            DUNLIN_ASSIGN(const double ns, lane.runner->timeNs(lane.repeats));
            lane.quickNs = std::min(lane.quickNs, std::max(ns, kShortestNs));
        }
        return {};
    }

    // Samples of each in turn, begun with another one each time: what comes after a rest is no better off.
    Status race() {
        if (lanes_.size() < 2) return {};
        for (size_t round = 0; round < kNoisyRounds; ++round) {
            const bool isLate = tools_.nowMs() > deadlineMs_ && !isDefaultWrong_;
            if ((isLate && round > 0) || isDecided(round)) break;
            for (size_t i = 0; i < lanes_.size(); ++i) {
                Lane& lane = lanes_[(i + round) % lanes_.size()];
                if (!lane.isRacing) continue;
                DUNLIN_TRY(goOn());
                DUNLIN_ASSIGN(const double ns, lane.runner->timeNs(lane.repeats));
                lane.samplesNs.push_back(std::max(ns, kShortestNs));
            }
            if (round + 1 >= 3) dropHopeless();
        }
        return {};
    }

    // Whether so many rounds suffice. The first lane always takes part: the default, where that is right.
    bool isDecided(size_t rounds) const {
        if (rounds < kRounds) return false;
        const bool isAlone = std::ranges::count_if(lanes_, &Lane::isRacing) < 2;
        return isAlone || !isNoisy(lanes_.front().samplesNs);
    }

    void dropHopeless() {
        double fastest = INFINITY;
        for (const Lane& lane : lanes_) {
            if (lane.isRacing) fastest = std::min(fastest, typicalNs(lane.samplesNs));
        }
        for (Lane& lane : lanes_) {
            if (!isDefault(lane) && typicalNs(lane.samplesNs) > kHopeless * fastest) lane.isRacing = false;
        }
    }

    static double timeOf(const Lane& lane) { return lane.samplesNs.empty() ? lane.quickNs : typicalNs(lane.samplesNs); }

    // By more than its share, and in most rounds, whose samples were taken next to each other.
    bool beats(const Lane& lane, const Lane& usual) const {
        if (lane.samplesNs.size() < kFewestRounds || usual.samplesNs.size() < lane.samplesNs.size()) return false;
        std::vector<double> ratios;
        for (size_t i = 0; i < lane.samplesNs.size(); ++i) ratios.push_back(lane.samplesNs[i] / usual.samplesNs[i]);
        const bool isFaster = typicalNs(lane.samplesNs) <= (1 - kWinningShare) * typicalNs(usual.samplesNs);
        return isFaster && quantile(ratios, kWonRounds) < 1;
    }

    // The fastest of those that win against the default and are right once more; the default where there is none.
    Status decide() {
        std::vector<Lane*> order;
        const auto usual = std::ranges::find_if(lanes_, [&](const Lane& lane) { return isDefault(lane); });
        for (Lane& lane : lanes_) {
            if (isDefault(lane)) continue;
            if (usual == lanes_.end() || (lane.isRacing && beats(lane, *usual))) order.push_back(&lane);
        }
        std::ranges::sort(order, [](const Lane* a, const Lane* b) { return timeOf(*a) < timeOf(*b); });
        if (usual != lanes_.end()) order.push_back(&*usual);
        for (Lane* lane : order) {
            DUNLIN_ASSIGN(const bool isRight, isStillRight(*lane));
            if (!isRight) continue;
            verdict_.form = lane->form->variant;
            verdict_.timeNs = timeOf(*lane);
            if (usual != lanes_.end() && !isDefaultWrong_) verdict_.defaultNs = timeOf(*usual);
            return {};
        }
        return {};
    }

    // After thousands of runs, and with the pipeline that a session will have.
    Result<bool> isStillRight(Lane& lane) {
        const auto check = [&]() -> Result<bool> {
            DUNLIN_ASSIGN(const std::unique_ptr<DispatchRunner> last, tools_.createRunner(*lane.form, true));
            for (int i = 0; i < kVerifyingRuns; ++i) {
                DUNLIN_ASSIGN(const Written again, lane.runner->run());
                DUNLIN_ASSIGN(const Written written, last->run());
                if (again != lane.first || written != lane.first) return false;
            }
            return true;
        };
        const Result<bool> isRight = check();
        if (!isRight.ok() && isFatal(isRight.status())) return isRight.status();
        if (!isRight.ok() && isWantOfMemory(isRight.status())) {
            isOutOfMemory_ = true;
            return false;
        }
        if (isRight.ok() && *isRight) return true;
        wasRejectedLate_ = true;
        reject(*lane.form, isRight.ok() ? kVaries : isRight.status().message());
        return false;
    }

    static constexpr const char* kVaries = "its bits differ when it is repeated";

    const KernelCase& problem_;
    const CaseData& data_;
    const CaseTools& tools_;
    const double deadlineMs_;
    CandidatePace& pace_;
    Verdict verdict_;
    std::vector<Rejection> rejected_;
    std::vector<Lane> lanes_;  // of forms that are right, so far
    double fastestNs_ = 0;     // of any that is right
    bool isDefaultWrong_ = false, isOutOfMemory_ = false, wasRejectedLate_ = false;
};

}  // namespace

double CandidatePace::expectedMs(Kernel kernel) const {
    const auto found = sums_.find(kernel);
    return found == sums_.end() ? 0 : found->second.ms / found->second.count;
}

void CandidatePace::add(Kernel kernel, double ms) {
    Sum& sum = sums_[kernel];
    sum.ms += ms;
    ++sum.count;
}

Result<CaseOutcome> tuneCase(const KernelCase& problem, const CaseData& data, const std::vector<FormedCase>& forms,
                             const CaseTools& tools, double deadlineMs, CandidatePace& pace) {
    return CaseTuning(problem, data, tools, deadlineMs, pace).run(forms);
}

}  // namespace dunlin::tuning
