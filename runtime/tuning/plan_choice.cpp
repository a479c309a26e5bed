#include "runtime/tuning/plan_choice.h"

#include <algorithm>

#include "runtime/plan/case_id.h"

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

}  // namespace

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
