#include "runtime/tuning/tuner.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <ctime>
#include <set>

#include "runtime/plan/case_id.h"
#include "runtime/tuning/candidate_pipelines.h"
#include "runtime/tuning/case_runner.h"
#include "runtime/tuning/case_tuner.h"
#include "runtime/tuning/plan_choice.h"
#include "runtime/tuning/tuning_order.h"
#include "runtime/weights/synthetic.h"
#include "shaders/include/params.h"

namespace dunlin::tuning {
namespace {

// Long beside a timestamp's resolution and the cost of a submission, short beside a scheduler's time slice.
constexpr double kGpuSampleNs = 0.5e6, kSoftwareSampleNs = 2e6;
// What the oracle takes for a multiply-add, and at most, as long as none was measured.
constexpr double kOracleNs = 1.5, kMostOracleMs = 400;
// How much of a budget goes into finding out what takes long.
constexpr double kMeasuringShare = 0.1;
// How much of the progress of a new session is tuning.
constexpr float kTuningShare = 0.6f;
// How often the progress is told of while another thread tunes.
constexpr std::chrono::milliseconds kWaitingStep(20);

double nowMs() {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double processorMs() {
    return static_cast<double>(std::clock()) * 1e3 / CLOCKS_PER_SEC;
}

// The store, as one call sees it: what was known when it began, and what it finds out itself. Reads are its own; those
// of other threads never wait for long.
class KnownVerdicts {
  public:
    KnownVerdicts(VerdictStore& store, std::mutex& mutex) : store_(store), mutex_(mutex) { refresh(); }

    const Verdicts& verdicts() const { return verdicts_; }
    void refresh() {
        const std::lock_guard lock(mutex_);
        verdicts_ = store_.verdicts();
    }
    template <typename Any>
    void add(const std::string& key, Any verdict) {
        const std::lock_guard lock(mutex_);
        store_.add(key, std::move(verdict));
        verdicts_ = store_.verdicts();
    }
    // By the one who tunes.
    void save() { store_.save(); }

  private:
    VerdictStore& store_;
    std::mutex& mutex_;
    Verdicts verdicts_;
};

// One call of Tuner::tune().
class Tuning {
  public:
    Tuning(vulkan::VulkanBackend& backend, VerdictStore& store, std::mutex& storeMutex,
           const vulkan::NoticeListener& notify, std::shared_ptr<const ModelData> model,
           const vulkan::VulkanSessionOptions& options, double budgetMs)
        : backend_(backend),
          device_(*backend.device()),
          store_(store, storeMutex),
          notify_(notify),
          model_(std::move(model)),
          options_(options),
          budgetMs_(budgetMs),
          beginMs_(nowMs()),
          pipelines_(backend.pipelines()) {}

    // `tuning` is held by the one who tunes.
    Result<Tuned> run(std::timed_mutex& tuning) {
        if (budgetMs_ > 0) DUNLIN_TRY(tuneAlone(tuning));
        return finish();
    }

  private:
    // Another thread's tuning may take long: cancelling is possible meanwhile. Once it has taken the whole budget, what
    // is known has to do.
    Status tuneAlone(std::timed_mutex& tuning) {
        std::unique_lock lock(tuning, std::defer_lock);
        while (!lock.try_lock_for(kWaitingStep)) {
            if (!goOn()) return Status(StatusCode::Cancelled, "cancelled while another session's kernels were tuned");
            if (leftMs() <= 0) break;
        }
        store_.refresh();
        if (!lock.owns_lock()) return {};
        const Status status = tuneAll();
        store_.save();  // what was found before a failure holds as well
        return status;
    }

    // In those of the forms known by now that are worth their pipelines.
    Result<TunedPlan> planOf(FusionLevel fusion) const {
        return choosePlan(store_.verdicts(), device_.limits(),
                          [&](const std::shared_ptr<const FormTable>& forms) { return lowerWith(fusion, forms); });
    }
    Result<std::shared_ptr<const SourceNetwork>> lower(FusionLevel fusion) const {
        DUNLIN_ASSIGN(TunedPlan plan, planOf(fusion));
        return std::move(plan.network);
    }

    // Weights are numbers of a formula: what a kernel computes does not hang on them, and the oracle's bounds are known
    // to hold for these.
    Result<std::shared_ptr<const SourceNetwork>> lowerWith(FusionLevel fusion,
                                                           const std::shared_ptr<const FormTable>& forms) const {
        vulkan::VulkanSessionOptions options = options_;
        options.session.fusion = fusion;
        options.session.forms = forms;
        DUNLIN_ASSIGN(LoweredNetwork lowered, backend_.lower(*model_, options));
        DUNLIN_ASSIGN(Graph graph, model_->buildGraph(lowered.program.input));
        return std::make_shared<const SourceNetwork>(SourceNetwork{
            model_->architecture, std::move(graph), std::move(lowered), model_->preprocess, formulaWeights()});
    }

    // Of an alternative, whether it was compared is what counts.
    bool isKnown(const std::string& key) const {
        if (separateNs_.contains(key) && store_.verdicts().blocks.contains(key)) return true;
        const auto found = store_.verdicts().problems.find(key);
        return attempted_.contains(key) || (found != store_.verdicts().problems.end() && found->second.complete);
    }

    // Software drivers reach three operations for each byte that they move, GPUs more.
    double costOfDispatch(const SourceNetwork& network, size_t dispatch) const {
        const DispatchCost cost = costOf(network.graph, network.lowered, dispatch);
        const double flopsPerByte = device_.capabilities().isSoftware() ? 3 : 16;
        return static_cast<double>(cost.bytes) + static_cast<double>(cost.flops) / flopsPerByte;
    }

    // Problems of the network without a complete verdict, in the order in which they are worth looking into.
    Result<std::vector<Pending>> pendingOf(const std::shared_ptr<const SourceNetwork>& network) {
        std::vector<Pending> pending;
        std::map<std::string, size_t> indexOf;
        for (size_t i = 0; i < network->lowered.origins.size(); ++i) {
            const std::string key =
                formKey(network->graph, network->lowered.origins[i], network->lowered.program.precision);
            if (isKnown(key)) continue;
            const auto [at, isNew] = indexOf.try_emplace(key, pending.size());
            if (isNew) pending.push_back({{caseId(*network, i), network, i, {}}, key});
            Pending& one = pending[at->second];
            const auto begun = store_.verdicts().problems.find(key);
            one.isBegun = begun != store_.verdicts().problems.end();
            if (one.isBegun) one.measuredNs = begun->second.defaultNs;
            ++one.dispatches;
            one.cost += costOfDispatch(*network, i);
            const double multiplyAdds =
                static_cast<double>(costOf(network->graph, network->lowered, one.problem.dispatch).flops) / 2;
            one.oracleMs = std::min(multiplyAdds * kOracleNs / 1e6, kMostOracleMs);
            for (const std::string& former : formersOf(*network, i)) {
                if (!isKnown(former)) one.formers.push_back(former);
            }
        }
        DUNLIN_TRY(measureDefaults(pending));
        putInOrder(pending);
        return pending;
    }

    // The cost of kernels with little to do for each workgroup, or few of those, says little about their time. Those
    // are soon measured: the cheapest first, for a small part of the budget.
    Status measureDefaults(std::vector<Pending>& pending) {
        std::vector<Pending*> cheapestFirst;
        for (Pending& one : pending) cheapestFirst.push_back(&one);
        std::ranges::sort(cheapestFirst, {}, [](const Pending* one) { return std::pair(one->cost, one); });
        for (Pending* one : cheapestFirst) {
            if (const auto measured = measuredNs_.find(one->key); measured != measuredNs_.end())
                one->measuredNs = measured->second;
            else if (one->measuredNs <= 0 && measuringMs_ < kMeasuringShare * budgetMs_)
                DUNLIN_TRY(measure(*one));
        }
        return {};
    }

    Status measure(Pending& one) {
        if (!goOn()) return Status(StatusCode::Cancelled, "cancelled while kernels were timed");
        const double beginMs = nowMs();
        const Result<double> ns = measureDefault(one.problem);
        measuringMs_ += nowMs() - beginMs;
        if (ns.status().code() == StatusCode::DeviceLost) return ns.status();
        measuredNs_[one.key] = one.measuredNs = ns.ok() ? *ns : 0;
        return {};
    }

    // One dispatch, before anything is known to be right.
    Result<double> measureDefault(const KernelCase& problem) {
        const std::vector<FormedCase> forms = candidatesOf(problem);
        const uint64_t memoryBytes = std::min(options_.memoryLimitBytes, device_.availableBytes());
        if (forms.empty() || runnerBytes(forms.front()) > memoryBytes)
            return error(StatusCode::DoesNotFit, "no memory for %s", problem.id.c_str());
        const FormedCase& form = forms.front();
        DUNLIN_ASSIGN(const vulkan::Pipeline* pipeline, pipelines_.get(form.dispatch.variant, true));
        DUNLIN_ASSIGN(const auto runner, createRunnerOfZeros(device_, *pipeline, problem, form));
        constexpr int kSamples = 4;  // the first takes longer, others may be disturbed
        double bestNs = INFINITY;
        for (int sample = 0; sample < kSamples; ++sample) {
            DUNLIN_ASSIGN(const double ns, runner->timeNs(1));
            bestNs = std::min(bestNs, ns);
        }
        return bestNs;
    }

    double leftMs() const { return budgetMs_ - (nowMs() - beginMs_); }

    Status tuneAll() {
        DUNLIN_TRY(tunePlan(options_.session.fusion));
        if (options_.session.fusion != FusionLevel::Default || leftMs() <= 0) return {};
        // The alternatives: the same network in fewer dispatches, where that can be.
        if (!lower(FusionLevel::Max).ok()) return {};
        DUNLIN_TRY(tuneBlocks());
        return tunePlan(FusionLevel::Default);
    }

    // The one dispatch that might take the place of several, in its best form, against those in theirs.
    Status tuneBlocks() {
        DUNLIN_ASSIGN(const std::shared_ptr<const SourceNetwork> usual, lower(FusionLevel::Default));
        DUNLIN_ASSIGN(std::shared_ptr<const SourceNetwork> joined, lower(FusionLevel::Max));
        std::vector<BlockChoice> choices = blockChoices(*usual, *joined);
        std::erase_if(choices, [&](const BlockChoice& one) { return store_.verdicts().blocks.contains(one.key); });
        for (const BlockChoice& choice : choices) {
            if (const auto ns = separateNs(*usual, choice, store_.verdicts())) separateNs_[choice.key] = *ns;
        }
        DUNLIN_ASSIGN(std::vector<Pending> alternatives, pendingOf(joined));
        std::erase_if(alternatives, [&](const Pending& one) { return !separateNs_.contains(one.key); });
        DUNLIN_TRY(tuneEach(alternatives));
        for (const BlockChoice& choice : choices) DUNLIN_TRY(choose(choice, usual, joined));
        return {};
    }

    Status choose(const BlockChoice& choice, const std::shared_ptr<const SourceNetwork>& usual,
                  const std::shared_ptr<const SourceNetwork>& joined) {
        const auto& problems = store_.verdicts().problems;
        const auto separate = separateNs_.find(choice.key);
        const auto fused = problems.find(choice.key);
        if (separate == separateNs_.end() || fused == problems.end() || fused->second.timeNs <= 0) return {};
        // Times that were not taken next to each other say only what is out of the question.
        constexpr double kInQuestion = 1.5;
        BlockVerdict verdict = {false, fused->second.timeNs, separate->second};
        if (verdict.fusedNs < kInQuestion * verdict.separateNs) {
            constexpr double kMostSamples = 25;
            const double raceMs = kMostSamples * sampleNs() * static_cast<double>(choice.separate.size() + 1) / 1e6;
            if (raceMs > leftMs()) return {};
            DUNLIN_ASSIGN(const bool isDecided, compare(choice, usual, joined, verdict));
            if (!isDecided) return {};
        }
        store_.add(choice.key, verdict);
        return {};
    }

    // A problem in the form that its verdict names, ready to be timed.
    struct Entrant {
        KernelCase problem;
        CaseData data;
        std::unique_ptr<DispatchRunner> runner;
    };
    Result<Contender::Part> enter(const std::shared_ptr<const SourceNetwork>& network, size_t dispatch,
                                  std::vector<Entrant>& entrants) {
        Entrant entrant = {{caseId(*network, dispatch), network, dispatch, {}}, {}, nullptr};
        const std::string key = formKey(network->graph, entrant.problem.origin(), network->lowered.program.precision);
        DUNLIN_ASSIGN(entrant.data, makeData(entrant.problem));
        for (const FormedCase& form : candidatesOf(entrant.problem)) {
            if (form.variant != store_.verdicts().problems.at(key).form) continue;
            DUNLIN_ASSIGN(const vulkan::Pipeline* pipeline, pipelines_.get(form.dispatch.variant, true));
            DUNLIN_ASSIGN(entrant.runner, createRunner(device_, *pipeline, entrant.problem, entrant.data, form));
            DUNLIN_ASSIGN(const uint32_t repeats, repeatsFor(*entrant.runner, sampleNs()));
            entrants.push_back(std::move(entrant));
            return Contender::Part{entrants.back().runner.get(), repeats};
        }
        return error(StatusCode::Unsupported, "the form of %s is none of this device", key.c_str());
    }

    // False where there was no memory for it, or no time for enough samples.
    Result<bool> compare(const BlockChoice& choice, const std::shared_ptr<const SourceNetwork>& usual,
                         const std::shared_ptr<const SourceNetwork>& joined, BlockVerdict& verdict) {
        std::vector<Entrant> entrants;
        const auto prepare = [&]() -> Result<std::array<std::vector<Contender::Part>, 2>> {
            std::array<std::vector<Contender::Part>, 2> ways;
            DUNLIN_ASSIGN(const Contender::Part one, enter(joined, choice.joined, entrants));
            ways[1] = {one};
            for (const size_t dispatch : choice.separate) {
                DUNLIN_ASSIGN(const Contender::Part part, enter(usual, dispatch, entrants));
                ways[0].push_back(part);
            }
            return ways;
        };
        const Result<std::array<std::vector<Contender::Part>, 2>> ways = prepare();
        if (ways.status().code() == StatusCode::DeviceLost) return ways.status();
        if (!ways.ok()) return false;
        Contender separate(ways->front()), fused(ways->back());
        DUNLIN_TRY(race({&separate, &fused}, raceTools(), [this] { return leftMs() <= 0; }));
        verdict = {fused.beats(separate), fused.typicalNs(), separate.typicalNs()};
        return !fused.isRacing || fused.samples() >= kFewestRounds;
    }

    // Until nothing is left, or the time is up.
    Status tunePlan(FusionLevel fusion) {
        while (true) {
            DUNLIN_ASSIGN(const std::shared_ptr<const SourceNetwork> network, lower(fusion));
            DUNLIN_ASSIGN(const std::vector<Pending> pending, pendingOf(network));
            if (pending.empty() || leftMs() <= 0) return {};
            DUNLIN_TRY(tuneEach(pending));
        }
    }

    // Up to the first whose formers were among them: by their forms it may be another problem now.
    Status tuneEach(const std::vector<Pending>& pending) {
        allCount_ = doneCount_ + pending.size();
        for (const Pending& one : pending) {
            if (leftMs() <= 0 || !one.formers.empty()) return {};
            attempted_.insert(one.key);
            DUNLIN_TRY(tune(one));
            ++doneCount_;
        }
        return {};
    }

    bool goOn() const {
        if (!options_.session.progress) return true;
        const double ofTime = (nowMs() - beginMs_) / budgetMs_;
        const double ofProblems = allCount_ > 0 ? static_cast<double>(doneCount_) / static_cast<double>(allCount_) : 0;
        progress_ = std::max(progress_, static_cast<float>(std::clamp(std::max(ofTime, ofProblems), 0.0, 0.99)));
        return options_.session.progress(progress_);
    }

    // Of preprocess, what other sources would be is none of its forms. But a session has the chosen workgroup for
    // every kind of source that it takes, and a later one may take others: all come with it.
    std::vector<FormedCase> candidatesOf(const KernelCase& problem) const {
        std::vector<FormedCase> forms = formsOf(problem, device_.limits());
        if (problem.kernel() != Kernel::Preprocess || forms.empty()) return forms;
        const uint8_t source = forms.front().form.tileX;
        std::erase_if(forms, [&](const FormedCase& form) { return form.form.tileX != source; });
        for (FormedCase& form : forms) {
            for (const uint32_t other : {params::kSourceImage, params::kSourcePixels, params::kSourceTensor}) {
                KernelForm companion = form.form;
                companion.tileX = static_cast<uint8_t>(other);
                if (other != source) form.companions.push_back(inForm(problem, companion, device_.limits()));
            }
        }
        return forms;
    }

    double sampleNs() const { return device_.capabilities().isSoftware() ? kSoftwareSampleNs : kGpuSampleNs; }

    RaceTools raceTools() const {
        RaceTools tools;
        tools.nowMs = nowMs;
        if (device_.capabilities().isSoftware()) tools.processorMs = processorMs;
        tools.mayGoOn = [this] { return goOn(); };
        tools.sampleNs = sampleNs();
        return tools;
    }

    Status tune(const Pending& pending) {
        if (!goOn()) return Status(StatusCode::Cancelled, "cancelled while kernels were tuned");
        const std::vector<FormedCase> forms = candidatesOf(pending.problem);
        const double expectedMs = pending.oracleMs * oraclePace_ + pace_.expectedMs(pending.problem.kernel());
        const uint64_t memoryBytes = std::min(options_.memoryLimitBytes, device_.availableBytes());
        constexpr uint64_t kFewestRunners = 2;  // one in the race and one with the session's pipeline
        if (forms.empty() || expectedMs > leftMs() || kFewestRunners * runnerBytes(forms.front()) > memoryBytes)
            return {};
        const double oracleBeginMs = nowMs();
        DUNLIN_ASSIGN(const CaseData data, makeData(pending.problem));
        if (pending.oracleMs > 1) oraclePace_ = std::max(oraclePace_, (nowMs() - oracleBeginMs) / pending.oracleMs);

        CaseTools tools;
        tools.createRunner = [&](const FormedCase& form, bool isFinal) -> Result<std::unique_ptr<DispatchRunner>> {
            const bool isKept = isFinal || form.isDefault;
            DUNLIN_ASSIGN(const vulkan::Pipeline* pipeline, pipelines_.get(form.dispatch.variant, isKept));
            return createRunner(device_, *pipeline, pending.problem, data, form);
        };
        static_cast<RaceTools&>(tools) = raceTools();
        tools.memoryBytes = memoryBytes;
        if (const auto separate = separateNs_.find(pending.key); separate != separateNs_.end())
            tools.otherWayNs = separate->second;
        const auto& problems = store_.verdicts().problems;
        const auto found = problems.find(pending.key);
        const Verdict* known = found == problems.end() ? nullptr : &found->second;
        const double deadlineMs = beginMs_ + budgetMs_;
        DUNLIN_ASSIGN(CaseOutcome outcome, tuneCase(pending.problem, data, forms, tools, deadlineMs, pace_, known));
        if (!outcome.verdict) return {};
        report(pending, outcome);
        if (!outcome.wantOfMemory.ok()) return separateNs_.contains(pending.key) ? Status() : outcome.wantOfMemory;
        if (outcome.verdict->form.empty()) return noneIsRight(pending, *outcome.verdict);
        store_.add(pending.key, *std::move(outcome.verdict));
        return {};
    }

    // Of one dispatch that might take the place of several there need be none.
    Status noneIsRight(const Pending& pending, const Verdict& verdict) {
        if (const auto separate = separateNs_.find(pending.key); separate != separateNs_.end()) {
            store_.add(pending.key, BlockVerdict{false, 0, separate->second});
            return {};
        }
        const Rejection& first = verdict.rejected.front();
        return error(StatusCode::DeviceError, "none of the %zu forms of %s is right on %s; %s: %s",
                     verdict.rejected.size(), pending.key.c_str(), device_.capabilities().name.c_str(),
                     first.form.c_str(), first.why.c_str());
    }

    void report(const Pending& pending, const CaseOutcome& outcome) {
        const Verdict& verdict = *outcome.verdict;
        ++report_.measured;
        report_.formsTried += outcome.tried;
        report_.formsRejected += verdict.rejected.size() - outcome.knownRejections;
        for (size_t i = outcome.knownRejections; i < verdict.rejected.size(); ++i) {
            const Rejection& rejection = verdict.rejected[i];
            const bool isDefault =
                outcome.isDefaultWrong && rejection.form == verdict.defaultForm && !separateNs_.contains(pending.key);
            std::string text = std::string(row(pending.problem.kernel()).name) + " as " + rejection.form +
                               " is wrong on " + device_.capabilities().name + " (" + pending.key +
                               "): " + rejection.why;
            if (isDefault && !verdict.form.empty()) text += "; " + verdict.form + " takes its place";
            if (notify_) notify_(isDefault ? vulkan::NoticeSeverity::Warning : vulkan::NoticeSeverity::Info, text);
        }
    }

    Result<Tuned> finish() {
        Tuned tuned;
        DUNLIN_ASSIGN(TunedPlan plan, planOf(options_.session.fusion));
        const std::shared_ptr<const SourceNetwork> network = std::move(plan.network);
        if (!plan.forms->empty()) tuned.forms = std::move(plan.forms);
        std::set<std::string> keys, known;
        for (const DispatchOrigin& origin : network->lowered.origins) {
            const std::string key = formKey(network->graph, origin, network->lowered.program.precision);
            keys.insert(key);
            if (store_.verdicts().problems.contains(key)) known.insert(key);
        }
        for (const std::string& ignored : network->lowered.ignoredForms) {
            if (notify_) notify_(vulkan::NoticeSeverity::Info, ignored + ": its default is used");
        }
        report_.problems = keys.size();
        report_.tuned = known.size();
        report_.milliseconds = nowMs() - beginMs_;
        tuned.report = report_;
        return tuned;
    }

    vulkan::VulkanBackend& backend_;
    const vulkan::VulkanDevice& device_;
    KnownVerdicts store_;
    const vulkan::NoticeListener& notify_;
    std::shared_ptr<const ModelData> model_;
    const vulkan::VulkanSessionOptions& options_;
    const double budgetMs_, beginMs_;
    CandidatePipelines pipelines_;
    CandidatePace pace_;
    std::map<std::string, double> measuredNs_;  // of one dispatch in its default form, by key; 0: it could not be
    double measuringMs_ = 0;                    // that took
    double oraclePace_ = 1;                     // what it takes, over what was expected
    std::set<std::string> attempted_;           // keys, in this call
    std::map<std::string, double> separateNs_;  // of alternatives, by key
    size_t doneCount_ = 0, allCount_ = 0;
    mutable float progress_ = 0;
    TuningReport report_;
};

}  // namespace

Tuner::Tuner(vulkan::VulkanBackend& backend, const VerdictSources& sources, NoticeListener notify)
    : backend_(backend), notify_(std::move(notify)), store_(backend.device()->capabilities(), sources, notify_) {}

Result<Tuned> Tuner::tune(const std::shared_ptr<const ModelData>& model, const vulkan::VulkanSessionOptions& options,
                          double budgetMs) {
    const bool mayTune = budgetMs > 0;  // which is no number may not
    if (!mayTune) {
        const std::lock_guard lock(storeMutex_);
        if (store_.verdicts() == Verdicts()) return Tuned();
    }
    return Tuning(backend_, store_, storeMutex_, notify_, model, options, mayTune ? budgetMs : 0).run(tuning_);
}

Result<TunedSession> createTunedSession(vulkan::VulkanBackend& backend, Tuner& tuner,
                                        const std::shared_ptr<const ModelData>& model,
                                        const vulkan::VulkanSessionOptions& options, double budgetMs) {
    vulkan::VulkanSessionOptions parted = options;
    const std::function<bool(float)>& progress = options.session.progress;
    const float share = budgetMs > 0 ? kTuningShare : 0;
    if (progress) parted.session.progress = [&](float done) { return progress(done * share); };
    DUNLIN_ASSIGN(Tuned tuned, tuner.tune(model, parted, budgetMs));
    parted.session.forms = std::move(tuned.forms);
    if (progress) parted.session.progress = [&](float done) { return progress(share + done * (1 - share)); };
    DUNLIN_ASSIGN(std::unique_ptr<vulkan::VulkanSession> session, backend.createSession(model, parted));
    return TunedSession{std::move(session), tuned.report};
}

}  // namespace dunlin::tuning
