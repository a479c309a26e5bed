#include "runtime/tuning/case_tuner.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

namespace dunlin::tuning {
namespace {

using Written = std::map<TensorId, std::vector<std::byte>>;

// A form that takes so much longer than the fastest so far, at first sight, takes no part in the race.
constexpr double kHopelessAtOnce = 1.6;

// A form that is being looked at.
struct Lane {
    const FormedCase* form = nullptr;
    std::unique_ptr<DispatchRunner> runner;
    Written first;  // what it wrote when it was right
    uint32_t repeats = 1;
    double quickNs = 0;
    std::optional<Contender> contender;

    double timeNs() const { return contender && contender->samples() > 0 ? contender->typicalNs() : quickNs; }
};

// What has nothing to do with the form.
bool isWantOfMemory(const Status& status) {
    return status.code() == StatusCode::DoesNotFit || status.code() == StatusCode::OutOfDeviceMemory ||
           status.code() == StatusCode::OutOfHostMemory;
}
bool isFatal(const Status& status) {
    return status.code() == StatusCode::DeviceLost || status.code() == StatusCode::Cancelled;
}

std::vector<Rejection> newRejections(const CaseOutcome& outcome) {
    const std::vector<Rejection>& all = outcome.verdict->rejected;
    return {all.begin() + static_cast<std::ptrdiff_t>(outcome.knownRejections), all.end()};
}

class CaseTuning {
  public:
    CaseTuning(const KernelCase& problem, const CaseData& data, const CaseTools& tools, double deadlineMs,
               CandidatePace& pace)
        : problem_(problem), data_(data), tools_(tools), deadlineMs_(deadlineMs), pace_(pace) {}

    Result<CaseOutcome> run(const std::vector<FormedCase>& forms, const Verdict* known) {
        verdict_.defaultForm = forms.front().variant;
        adopt(known, forms);
        const std::vector<const FormedCase*> order = inOrder(forms);
        bool isOver = false;
        while (!isOver) {
            const size_t rejectedBefore = rejected_.size();
            DUNLIN_TRY(decideAmong(order));
            // A winner that varies is found late: then what lost against it gets another chance.
            const bool isAnotherTry = wasRejectedLate_ && rejected_.size() > rejectedBefore && !isOutOfMemory_;
            isOver = !isAnotherTry || (!isDefaultWrong_ && tools_.nowMs() > deadlineMs_);
            if (wasRejectedLate_) lost_.clear();
            if (wasRejectedLate_ && isOver) verdict_.complete = false;
        }
        return conclude(known);
    }

    // The known verdict counts for nothing: what had lost against its form may be the best that is right.
    bool mustBeginAgain(const CaseOutcome& outcome) const {
        const auto isAny = [&](const Rejection& one) {
            return one.form == outcome.verdict->defaultForm || one.form == knownForm_;
        };
        return outcome.verdict && (isNoneRight_ || std::ranges::any_of(newRejections(outcome), isAny));
    }

  private:
    Status goOn() const {
        return tools_.mayGoOn() ? Status() : Status(StatusCode::Cancelled, "cancelled while kernels were tuned");
    }

    bool isDefault(const Lane& lane) const { return lane.form->variant == verdict_.defaultForm; }
    bool isRejected(const std::string& form) const { return std::ranges::count(rejected_, form, &Rejection::form) > 0; }

    void adopt(const Verdict* known, const std::vector<FormedCase>& forms) {
        if (!known || known->defaultForm != verdict_.defaultForm) return;
        if (std::ranges::count(forms, known->form, &FormedCase::variant) > 0) knownForm_ = known->form;
        lost_.insert(known->lost.begin(), known->lost.end());
        rejected_ = known->rejected;
        knownRejections_ = rejected_.size();
        isDefaultWrong_ = isRejected(verdict_.defaultForm);
    }

    // The default, what is known to be good, the others.
    std::vector<const FormedCase*> inOrder(const std::vector<FormedCase>& forms) const {
        std::vector<const FormedCase*> order;
        for (const FormedCase& form : forms) order.push_back(&form);
        std::stable_partition(order.begin() + 1, order.end(),
                              [&](const FormedCase* form) { return form->variant == knownForm_; });
        return order;
    }

    Result<CaseOutcome> conclude(const Verdict* known) {
        CaseOutcome outcome;
        outcome.isDefaultWrong = isDefaultWrong_;
        outcome.tried = looked_;
        outcome.knownRejections = knownRejections_;
        const bool isKnownOpen = !knownForm_.empty() && knownForm_ != verdict_.form && !lost_.contains(knownForm_) &&
                                 !isRejected(knownForm_);
        if (isKnownOpen && (verdict_.form.empty() || !isDefaultWrong_)) {
            verdict_.form = knownForm_;
            verdict_.timeNs = known->timeNs;
            verdict_.defaultNs = isDefaultWrong_ ? 0 : known->defaultNs;
            verdict_.complete = false;
        }
        if (verdict_.form.empty() && isOutOfMemory_) {
            if (!isDefaultWrong_) return outcome;
            outcome.wantOfMemory = wantOfMemory_;
        }
        isNoneRight_ = verdict_.form.empty() && !isOutOfMemory_;
        lost_.erase(verdict_.form);
        lost_.erase(verdict_.defaultForm);
        for (const Rejection& rejection : rejected_) lost_.erase(rejection.form);
        verdict_.lost.assign(lost_.begin(), lost_.end());
        const bool isDefaultCounted = verdict_.form == verdict_.defaultForm || isRejected(verdict_.defaultForm);
        verdict_.tried = static_cast<uint32_t>(lost_.size() + rejected_.size() + (verdict_.form.empty() ? 0 : 1) +
                                               (isDefaultCounted ? 0 : 1));
        verdict_.rejected = std::move(rejected_);
        outcome.verdict = std::move(verdict_);
        return outcome;
    }

    // Leaves the verdict as it is where none of them is right.
    Status decideAmong(const std::vector<const FormedCase*>& forms) {
        lanes_.clear();
        wasRejectedLate_ = false;
        verdict_.complete = true;
        for (const FormedCase* form : forms) {
            const bool isDefaultForm = form->variant == verdict_.defaultForm;
            if (isRejected(form->variant) || (lost_.contains(form->variant) && !isDefaultForm)) continue;
            if (!mayBegin() || isAtALoss()) {
                verdict_.complete = false;
                break;
            }
            DUNLIN_TRY(goOn());
            DUNLIN_TRY(lookAt(*form));
            if (isOutOfMemory_ && lanes_.empty() && !isDefaultWrong_) return {};
        }
        DUNLIN_TRY(race());
        return decide();
    }

    // With the time that deciding between those that are there takes. The default is the caller's to begin.
    bool mayBegin() const {
        if (looked_ == 0 || isDefaultWrong_) return true;
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
        ++looked_;
        makeRoom(runnerBytes(form) * (form.companions.empty() ? 1 : 2), nullptr);
        Lane lane;
        lane.form = &form;
        const Result<std::string> wrong = verify(lane);
        Status failed = wrong.status();
        if (failed.ok() && wrong->empty()) failed = glance(lane);
        pace_.add(problem_.kernel(), tools_.nowMs() - beginMs);
        if (isFatal(failed)) return failed;
        if (isWantOfMemory(failed)) {
            runOutOfMemory(failed);
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

    void runOutOfMemory(const Status& status) {
        isOutOfMemory_ = true;
        verdict_.complete = false;
        wantOfMemory_ = status;
    }

    void keep(Lane lane) {
        fastestNs_ = lanes_.empty() ? lane.quickNs : std::min(fastestNs_, lane.quickNs);
        lanes_.push_back(std::move(lane));
        // With the buffers of the others.
        const auto isHopeless = [&](const Lane& one) {
            return !isDefault(one) && one.quickNs > kHopelessAtOnce * fastestNs_;
        };
        for (const Lane& one : lanes_) {
            if (isHopeless(one)) lost_.insert(one.form->variant);
        }
        std::erase_if(lanes_, isHopeless);
        // A race needs all that take part in it at once. Of two there is always room.
        while (lanes_.size() > 2 && (lanes_.size() > kMostLanes || raceBytes() > tools_.memoryBytes)) {
            const auto slowest =
                std::ranges::max_element(lanes_, {}, [&](const Lane& one) { return isDefault(one) ? 0 : one.quickNs; });
            lost_.insert(slowest->form->variant);
            lanes_.erase(slowest);
        }
    }

    uint64_t raceBytes() const {
        uint64_t bytes = 0;
        for (const Lane& lane : lanes_) bytes += runnerBytes(*lane.form);
        return bytes;
    }

    // Frees runners but this lane's until there is memory for another one; they can be made again.
    void makeRoom(uint64_t bytes, const Lane* lane) {
        uint64_t held = 0;
        for (const Lane& one : lanes_) held += one.runner ? runnerBytes(*one.form) : 0;
        for (Lane& one : lanes_) {
            if (held + bytes <= tools_.memoryBytes) return;
            if (!one.runner || &one == lane) continue;
            one.runner.reset();
            held -= runnerBytes(*one.form);
        }
    }

    // Of lanes whose runners had to go.
    Status regainRunners() {
        for (size_t i = 0; i < lanes_.size();) {
            if (lanes_[i].runner) {
                ++i;
                continue;
            }
            Result<std::unique_ptr<DispatchRunner>> runner = tools_.createRunner(*lanes_[i].form, false);
            if (runner.ok()) {
                lanes_[i++].runner = *std::move(runner);
                continue;
            }
            if (isFatal(runner.status())) return runner.status();
            // Nothing is decided about what cannot take part; without the default, about nothing.
            runOutOfMemory(runner.status());
            if (isDefault(lanes_[i])) {
                lanes_.clear();
                return {};
            }
            lanes_.erase(lanes_.begin() + static_cast<std::ptrdiff_t>(i));
        }
        return {};
    }

    // What is wrong with the form or with one that comes with it; empty: nothing.
    Result<std::string> verify(Lane& lane) const {
        DUNLIN_ASSIGN(const std::string wrong, verifyOne(*lane.form, false, lane.runner, lane.first));
        return wrong.empty() ? verifyCompanions(*lane.form, false) : wrong;
    }

    Result<std::string> verifyCompanions(const FormedCase& form, bool isFinal) const {
        for (const FormedCase& companion : form.companions) {
            std::unique_ptr<DispatchRunner> runner;
            Written first;
            DUNLIN_ASSIGN(const std::string wrong, verifyOne(companion, isFinal, runner, first));
            if (!wrong.empty()) return "with it comes " + companion.variant + ": " + wrong;
        }
        return std::string();
    }

    Result<std::string> verifyOne(const FormedCase& form, bool isFinal, std::unique_ptr<DispatchRunner>& runner,
                                  Written& first) const {
        DUNLIN_ASSIGN(runner, tools_.createRunner(form, isFinal));
        DUNLIN_ASSIGN(first, runner->run());
        const double error = maxRelativeError(problem_, data_, form, first);
        if (!(error <= data_.tolerance)) return describeMismatch(problem_, data_, form, first);
        for (int i = 1; i < kVerifyingRuns; ++i) {
            DUNLIN_ASSIGN(const Written again, runner->run());
            if (again != first) return std::string(kVaries);
        }
        return std::string();
    }

    // A first idea of its time.
    Status glance(Lane& lane) const {
        DUNLIN_ASSIGN(lane.repeats, repeatsFor(*lane.runner, tools_.sampleNs));
        lane.quickNs = INFINITY;
        for (int i = 0; i < 3; ++i) {
            DUNLIN_ASSIGN(const double ns, lane.runner->timeNs(lane.repeats));
            lane.quickNs = std::min(lane.quickNs, std::max(ns, 1.0));
        }
        return {};
    }

    Status race() {
        DUNLIN_TRY(regainRunners());
        std::vector<Contender*> contenders;
        for (Lane& lane : lanes_) {
            lane.contender.emplace(std::vector<Contender::Part>{{lane.runner.get(), lane.repeats}});
            contenders.push_back(&*lane.contender);
        }
        if (contenders.size() < 2) return {};
        return tuning::race(contenders, tools_, [&] { return tools_.nowMs() > deadlineMs_ && !isDefaultWrong_; });
    }

    // The fastest of those that win against the default and are right once more; the default where there is none.
    Status decide() {
        std::vector<Lane*> order;
        const auto usual = std::ranges::find_if(lanes_, [&](const Lane& lane) { return isDefault(lane); });
        for (Lane& lane : lanes_) {
            if (isDefault(lane)) continue;
            if (usual == lanes_.end() || (lane.contender->isRacing && lane.contender->beats(*usual->contender)))
                order.push_back(&lane);
        }
        std::ranges::sort(order, [](const Lane* a, const Lane* b) { return a->timeNs() < b->timeNs(); });
        if (usual != lanes_.end()) order.push_back(&*usual);
        settle();
        for (Lane* lane : order) {
            DUNLIN_ASSIGN(const bool isRight, isStillRight(*lane));
            if (!isRight) continue;
            verdict_.form = lane->form->variant;
            verdict_.timeNs = lane->timeNs();
            if (usual != lanes_.end() && !isDefaultWrong_) verdict_.defaultNs = usual->timeNs();
            return {};
        }
        return {};
    }

    // What the race decided. Where the time was up before there were enough samples, nothing.
    void settle() {
        for (const Lane& lane : lanes_) {
            const bool isDecided =
                lanes_.size() < 2 || !lane.contender->isRacing || lane.contender->samples() >= kFewestRounds;
            if (isDecided) lost_.insert(lane.form->variant);  // but for the winner
            if (!isDecided && &lane != &lanes_.front()) verdict_.complete = false;
        }
    }

    // After thousands of runs, and with the pipeline that a session will have.
    Result<bool> isStillRight(Lane& lane) {
        makeRoom(runnerBytes(*lane.form), &lane);
        const auto check = [&]() -> Result<std::string> {
            if (!lane.runner) {
                DUNLIN_ASSIGN(lane.runner, tools_.createRunner(*lane.form, false));
            }
            DUNLIN_ASSIGN(const std::unique_ptr<DispatchRunner> last, tools_.createRunner(*lane.form, true));
            for (int i = 0; i < kVerifyingRuns; ++i) {
                DUNLIN_ASSIGN(const Written again, lane.runner->run());
                DUNLIN_ASSIGN(const Written written, last->run());
                if (again != lane.first || written != lane.first) return std::string(kVaries);
            }
            return verifyCompanions(*lane.form, true);
        };
        const Result<std::string> wrong = check();
        if (isFatal(wrong.status())) return wrong.status();
        if (isWantOfMemory(wrong.status())) {
            runOutOfMemory(wrong.status());
            lost_.erase(lane.form->variant);
            return false;
        }
        if (wrong.ok() && wrong->empty()) return true;
        wasRejectedLate_ = true;
        reject(*lane.form, wrong.ok() ? *wrong : wrong.status().message());
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
    std::string knownForm_;    // empty: none
    size_t knownRejections_ = 0;
    std::set<std::string> lost_;  // with the default and the winner, until the end
    uint32_t looked_ = 0;
    Status wantOfMemory_;
    bool isDefaultWrong_ = false, isOutOfMemory_ = false, wasRejectedLate_ = false, isNoneRight_ = false;
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

uint64_t runnerBytes(const FormedCase& form) {
    uint64_t bytes = 0;
    for (const auto& [tensor, tensorBytes] : form.tensorBytes) bytes += 2 * tensorBytes;
    return bytes;
}

Result<CaseOutcome> tuneCase(const KernelCase& problem, const CaseData& data, const std::vector<FormedCase>& forms,
                             const CaseTools& tools, double deadlineMs, CandidatePace& pace, const Verdict* known) {
    CaseTuning tuning(problem, data, tools, deadlineMs, pace);
    Result<CaseOutcome> outcome = tuning.run(forms, known);
    if (!known || !outcome.ok() || !tuning.mustBeginAgain(*outcome)) return outcome;
    Verdict found;
    found.defaultForm = forms.front().variant;
    found.rejected = newRejections(*outcome);
    Result<CaseOutcome> again = CaseTuning(problem, data, tools, deadlineMs, pace).run(forms, &found);
    if (again.ok()) {
        again->tried += outcome->tried;
        again->knownRejections = 0;
    }
    return again;
}

}  // namespace dunlin::tuning
