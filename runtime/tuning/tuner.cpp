#include "runtime/tuning/tuner.h"

#include <algorithm>
#include <chrono>
#include <set>

#include "runtime/plan/case_id.h"
#include "runtime/tuning/candidate_pipelines.h"
#include "runtime/tuning/case_runner.h"
#include "runtime/tuning/case_tuner.h"
#include "runtime/tuning/plan_choice.h"
#include "runtime/weights/synthetic.h"

namespace dunlin::tuning {
namespace {

// Long beside a timestamp's resolution and the cost of a submission, short beside a scheduler's time slice.
constexpr double kGpuSampleNs = 0.5e6, kSoftwareSampleNs = 2e6;
// What the oracle takes for a multiply-add, and at most, as long as none was measured.
constexpr double kOracleNs = 1.5, kMostOracleMs = 400;
// How much of the progress of a new session is tuning.
constexpr float kTuningShare = 0.6f;

double nowMs() {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// A problem without a verdict.
struct Pending {
    KernelCase problem;
    std::string key;
    int dispatches = 0;  // of the network, that it is
    double cost = 0;     // of all of them, in no unit
    double oracleMs = 0;
};

// One call of Tuner::tune().
class Tuning {
  public:
    Tuning(vulkan::VulkanBackend& backend, VerdictStore& store, const vulkan::NoticeListener& notify,
           std::shared_ptr<const ModelData> model, const vulkan::VulkanSessionOptions& options, double budgetMs)
        : backend_(backend),
          device_(*backend.device()),
          store_(store),
          notify_(notify),
          model_(std::move(model)),
          options_(options),
          budgetMs_(budgetMs),
          beginMs_(nowMs()),
          pipelines_(backend.pipelines()) {}

    Result<Tuned> run() {
        Status status = budgetMs_ > 0 ? tuneAll() : Status();
        store_.save();  // what was found before a failure holds as well
        DUNLIN_TRY(status);
        return finish();
    }

  private:
    // The network in the forms that are known by now. Weights are numbers of a formula: what a kernel computes does not
    // hang on them, and the oracle's bounds are known to hold for these.
    Result<std::shared_ptr<const SourceNetwork>> lower(FusionLevel fusion) const {
        vulkan::VulkanSessionOptions options = options_;
        options.session.fusion = fusion;
        options.session.forms = std::make_shared<const FormTable>(store_.verdicts().table());
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

    // Problems of the network without a verdict, dearest first.
    std::vector<Pending> pendingOf(const std::shared_ptr<const SourceNetwork>& network) const {
        std::vector<Pending> pending;
        std::map<std::string, size_t> indexOf;
        for (size_t i = 0; i < network->lowered.origins.size(); ++i) {
            const std::string key =
                formKey(network->graph, network->lowered.origins[i], network->lowered.program.precision);
            if (isKnown(key)) continue;
            const auto [at, isNew] = indexOf.try_emplace(key, pending.size());
            if (isNew) pending.push_back({{caseId(*network, i), network, i, {}}, key});
            Pending& one = pending[at->second];
            ++one.dispatches;
            one.cost += costOfDispatch(*network, i);
            const double multiplyAdds =
                static_cast<double>(costOf(network->graph, network->lowered, one.problem.dispatch).flops) / 2;
            one.oracleMs = std::min(multiplyAdds * kOracleNs / 1e6, kMostOracleMs);
        }
        std::ranges::stable_sort(pending, [](const Pending& a, const Pending& b) { return a.cost > b.cost; });
        return pending;
    }

    double leftMs() const { return budgetMs_ - (nowMs() - beginMs_); }

    Status tuneAll() {
        DUNLIN_TRY(tunePlan(options_.session.fusion));
        if (options_.session.fusion != FusionLevel::Default || leftMs() <= 0) return {};
        // The alternatives: the same network in fewer dispatches, where that can be.
        if (!lower(FusionLevel::Max).ok()) return {};
        DUNLIN_ASSIGN(const auto usual, lower(FusionLevel::Default));
        DUNLIN_ASSIGN(std::shared_ptr<const SourceNetwork> joined, lower(FusionLevel::Max));
        separateNs_ = separateTimesNs(*usual, *joined, store_.verdicts());
        std::vector<Pending> alternatives = pendingOf(joined);
        std::erase_if(alternatives, [&](const Pending& one) { return !separateNs_.contains(one.key); });
        DUNLIN_TRY(tuneEach(alternatives));
        DUNLIN_ASSIGN(joined, lower(FusionLevel::Max));
        for (const auto& [key, verdict] : chooseBlocks(*usual, *joined, store_.verdicts())) store_.add(key, verdict);
        return tunePlan(FusionLevel::Default);
    }

    // Until nothing is left, or the time is up. A new form may make a new problem of the squeeze-excite that adds up
    // its partial sums, so those wait until the others are done.
    Status tunePlan(FusionLevel fusion) {
        constexpr int kMostRounds = 4;
        for (int round = 0; round < kMostRounds; ++round) {
            DUNLIN_ASSIGN(const std::shared_ptr<const SourceNetwork> network, lower(fusion));
            std::vector<Pending> pending = pendingOf(network);
            const auto isLast = [](const Pending& one) { return one.problem.kernel() == Kernel::SqueezeExcite; };
            if (!std::ranges::all_of(pending, isLast)) std::erase_if(pending, isLast);
            if (pending.empty() || leftMs() <= 0) return {};
            DUNLIN_TRY(tuneEach(pending));
        }
        return {};
    }

    Status tuneEach(const std::vector<Pending>& pending) {
        allCount_ = doneCount_ + pending.size();
        for (const Pending& one : pending) {
            if (leftMs() <= 0) return {};
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

    // Of preprocess, what the session's other sources would be is none of its forms.
    std::vector<FormedCase> candidatesOf(const KernelCase& problem) const {
        std::vector<FormedCase> forms = formsOf(problem, device_.limits());
        if (problem.kernel() == Kernel::Preprocess && !forms.empty()) {
            const uint8_t source = forms.front().form.tileX;
            std::erase_if(forms, [&](const FormedCase& form) { return form.form.tileX != source; });
        }
        return forms;
    }

    Status tune(const Pending& pending) {
        if (!goOn()) return Status(StatusCode::Cancelled, "cancelled while kernels were tuned");
        const std::vector<FormedCase> forms = candidatesOf(pending.problem);
        const double expectedMs = pending.oracleMs * oraclePace_ + pace_.expectedMs(pending.problem.kernel());
        if (forms.empty() || expectedMs > leftMs() || !fitsLimit(forms.front())) return {};
        attempted_.insert(pending.key);
        const double oracleBeginMs = nowMs();
        DUNLIN_ASSIGN(const CaseData data, makeData(pending.problem));
        if (pending.oracleMs > 1) oraclePace_ = std::max(oraclePace_, (nowMs() - oracleBeginMs) / pending.oracleMs);

        CaseTools tools;
        tools.createRunner = [&](const FormedCase& form, bool isFinal) -> Result<std::unique_ptr<DispatchRunner>> {
            const bool isKept = isFinal || form.isDefault;
            DUNLIN_ASSIGN(const vulkan::Pipeline* pipeline, pipelines_.get(form.dispatch.variant, isKept));
            return createRunner(device_, *pipeline, pending.problem, data, form);
        };
        tools.nowMs = nowMs;
        tools.mayGoOn = [this] { return goOn(); };
        if (const auto found = separateNs_.find(pending.key); found != separateNs_.end())
            tools.otherWayNs = found->second;
        tools.sampleNs = device_.capabilities().isSoftware() ? kSoftwareSampleNs : kGpuSampleNs;
        DUNLIN_ASSIGN(CaseOutcome outcome, tuneCase(pending.problem, data, forms, tools, beginMs_ + budgetMs_, pace_));
        if (!outcome.verdict) return {};
        report(pending, *outcome.verdict, outcome.isDefaultWrong);
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

    // The runner's copies: inputs once, outputs again for the host.
    bool fitsLimit(const FormedCase& form) const {
        uint64_t bytes = 0;
        for (const auto& [tensor, tensorBytes] : form.tensorBytes) bytes += 2 * tensorBytes;
        return bytes <= options_.memoryLimitBytes;
    }

    void report(const Pending& pending, const Verdict& verdict, bool isDefaultWrong) {
        ++report_.measured;
        report_.formsTried += verdict.tried;
        report_.formsRejected += verdict.rejected.size();
        for (const Rejection& rejection : verdict.rejected) {
            const bool isDefault =
                isDefaultWrong && rejection.form == verdict.defaultForm && !separateNs_.contains(pending.key);
            std::string text = std::string(row(pending.problem.kernel()).name) + " as " + rejection.form +
                               " is wrong on " + device_.capabilities().name + " (" + pending.key +
                               "): " + rejection.why;
            if (isDefault && !verdict.form.empty()) text += "; " + verdict.form + " takes its place";
            if (notify_) notify_(isDefault ? vulkan::NoticeSeverity::Warning : vulkan::NoticeSeverity::Info, text);
        }
    }

    Result<Tuned> finish() {
        Tuned tuned;
        FormTable table = store_.verdicts().table();
        if (!table.empty()) tuned.forms = std::make_shared<const FormTable>(std::move(table));
        DUNLIN_ASSIGN(const auto network, lower(options_.session.fusion));
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
    VerdictStore& store_;
    const vulkan::NoticeListener& notify_;
    std::shared_ptr<const ModelData> model_;
    const vulkan::VulkanSessionOptions& options_;
    const double budgetMs_, beginMs_;
    CandidatePipelines pipelines_;
    CandidatePace pace_;
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
    const std::lock_guard lock(mutex_);
    if (budgetMs <= 0 && store_.verdicts() == Verdicts()) return Tuned();
    return Tuning(backend_, store_, notify_, model, options, budgetMs).run();
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
