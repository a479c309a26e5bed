#include "runtime/tuning/plan_choice.h"

#include <algorithm>
#include <set>
#include <utility>

#include "runtime/plan/case_id.h"
#include "runtime/plan/form_candidates.h"

namespace dunlin::tuning {
namespace {

std::string keyOf(const SourceNetwork& network, size_t dispatch) {
    return formKey(network.graph, network.lowered.origins[dispatch], network.lowered.program.precision);
}

// Strips and parts of a batch have no counterparts in the other lowering.
bool isWhole(const SourceNetwork& network, const DispatchOrigin& origin) {
    return origin.extent.images == network.lowered.program.input.n && computesEveryRow(origin);
}

// The one dispatch that computes this step; nothing where there is none, or where it is split.
std::optional<size_t> dispatchOf(const SourceNetwork& network, const Step& step) {
    const std::vector<DispatchOrigin>& origins = network.lowered.origins;
    const auto computes = [&](const DispatchOrigin& origin) {
        const std::optional<Step>& its = origin.step;
        return its && its->parts.empty() && its->kind == step.kind && its->node == step.node;
    };
    const auto found = std::ranges::find_if(origins, computes);
    if (found == origins.end() || !isWhole(network, *found)) return std::nullopt;
    return static_cast<size_t>(found - origins.begin());
}

// The choice of pipelines for one network, each of whose dispatches has the verdict's form or the default.
class PipelineChoice {
  public:
    PipelineChoice(const SourceNetwork& network, const Verdicts& verdicts, const DeviceLimits& limits) {
        const LoweredNetwork& lowered = network.lowered;
        const DispatchBuilder builder(limits, lowered.program.precision);
        for (size_t i = 0; i < lowered.origins.size(); ++i) {
            const DispatchOrigin& origin = lowered.origins[i];
            const Variant& chosen = lowered.program.dispatches[i].variant;
            Layer layer = {keyOf(network, i), chosen, chosen};
            if (origin.form != origin.defaultForm) {
                const KernelCall call = inFormAlone(origin.call, origin.defaultForm, origin.extent);
                layer.usual = builder.build(call, origin.defaultForm, origin.extent).variant;
            }
            if (const auto found = verdicts.problems.find(layer.key); found != verdicts.problems.end())
                judge(found->second, layer);
            layers_.push_back(std::move(layer));
        }
    }

    // Keys of the layers that had better keep their defaults.
    std::set<std::string> givenUp() {
        size_t pipelines = countPipelines();
        const size_t most = std::max(pipelines, std::min(pipelines + kMorePipelines, kManyPipelines));
        while (const std::optional<Variant> best = bestOf(pipelines, most)) {
            take(*best);
            pipelines = countPipelines();
        }
        std::set<std::string> keys;
        for (const Layer& layer : layers_) {
            if (layer.chosen() != layer.tuned) keys.insert(layer.key);
        }
        return keys;
    }

  private:
    struct Layer {
        std::string key;
        Variant usual, tuned;
        double gainNs = 0;
        bool isTaken = false;  // the tuned one

        const Variant& chosen() const { return isTaken ? tuned : usual; }
    };

    void judge(const Verdict& verdict, Layer& layer) {
        const bool isDefaultWrong = std::ranges::count(verdict.rejected, verdict.defaultForm, &Rejection::form) > 0;
        layer.isTaken = verdict.defaultNs <= 0 || isDefaultWrong;
        if (!layer.isTaken && verdict.timeNs > 0) layer.gainNs = verdict.defaultNs - verdict.timeNs;
        timedNs_ += std::max(verdict.defaultNs, verdict.timeNs);
    }

    size_t countPipelines() const {
        std::set<Variant> variants;
        for (const Layer& layer : layers_) variants.insert(layer.chosen());
        return variants.size();
    }

    // For all layers that would have this pipeline; gives what they gain.
    double take(const Variant& variant) {
        double gainNs = 0;
        for (Layer& layer : layers_) {
            if (layer.tuned != variant || layer.isTaken) continue;
            layer.isTaken = true;
            gainNs += layer.gainNs;
        }
        return gainNs;
    }

    // The next to be taken: what adds nothing, else what gains most; nothing where none is worth it.
    std::optional<Variant> bestOf(size_t pipelines, size_t most) {
        std::set<Variant> candidates;
        for (const Layer& layer : layers_) {
            if (layer.chosen() != layer.tuned) candidates.insert(layer.tuned);
        }
        std::optional<Variant> best;
        double bestNs = 0;
        for (const Variant& candidate : candidates) {
            const std::vector<Layer> before = layers_;
            const double gainNs = take(candidate);
            const size_t count = countPipelines();
            layers_ = before;
            if (count <= pipelines) return candidate;
            if (count > most || gainNs < kWorthwhileGain * timedNs_ || (best && gainNs <= bestNs)) continue;
            best = candidate;
            bestNs = gainNs;
        }
        return best;
    }

    std::vector<Layer> layers_;  // dispatches
    double timedNs_ = 0;         // by default
};

}  // namespace

Result<TunedPlan> choosePlan(const Verdicts& verdicts, const DeviceLimits& limits, const LowerWithForms& lower) {
    FormTable table = verdicts.table();
    // Without one form, a squeeze-excite may add up another number of partial sums, which is another problem.
    for (;;) {
        TunedPlan plan = {std::make_shared<const FormTable>(table), nullptr};
        DUNLIN_ASSIGN(plan.network, lower(plan.forms));
        const std::set<std::string> givenUp = PipelineChoice(*plan.network, verdicts, limits).givenUp();
        size_t erased = 0;
        for (const std::string& key : givenUp) erased += table.forms.erase(key);
        if (erased == 0) return plan;
    }
}

std::vector<BlockChoice> blockChoices(const SourceNetwork& usual, const SourceNetwork& joined) {
    std::vector<BlockChoice> choices;
    for (size_t i = 0; i < joined.lowered.origins.size(); ++i) {
        const DispatchOrigin& origin = joined.lowered.origins[i];
        if (!origin.step || origin.step->parts.empty() || !isWhole(joined, origin)) continue;
        BlockChoice choice = {keyOf(joined, i), i, {}};
        for (const Step& part : origin.step->parts) {
            if (const std::optional<size_t> dispatch = dispatchOf(usual, part)) choice.separate.push_back(*dispatch);
        }
        const bool isNew = std::ranges::count(choices, choice.key, &BlockChoice::key) == 0;
        if (isNew && choice.separate.size() == origin.step->parts.size()) choices.push_back(std::move(choice));
    }
    return choices;
}

std::optional<double> separateNs(const SourceNetwork& usual, const BlockChoice& choice, const Verdicts& verdicts) {
    double sumNs = 0;
    for (const size_t dispatch : choice.separate) {
        const auto found = verdicts.problems.find(keyOf(usual, dispatch));
        if (found == verdicts.problems.end() || found->second.timeNs <= 0) return std::nullopt;
        sumNs += found->second.timeNs;
    }
    return sumNs;
}

}  // namespace dunlin::tuning
