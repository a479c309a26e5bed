#include "runtime/tuning/plan_choice.h"

#include <algorithm>
#include <optional>

#include "runtime/plan/case_id.h"

namespace dunlin::tuning {
namespace {

// Of the separate dispatches' time, by which one must be faster.
constexpr double kBlockShare = 0.1;

std::string keyOf(const SourceNetwork& network, const DispatchOrigin& origin) {
    return formKey(network.graph, origin, network.lowered.program.precision);
}

// Nothing where it was not timed.
std::optional<double> timeNs(const Verdicts& verdicts, const std::string& key) {
    const auto found = verdicts.problems.find(key);
    if (found == verdicts.problems.end() || found->second.timeNs <= 0) return std::nullopt;
    return found->second.timeNs;
}

// Whether a dispatch computes this step: alike in both lowerings, but for images and rows.
bool computes(const DispatchOrigin& origin, const Step& step) {
    return origin.step && origin.step->parts.empty() && origin.step->kind == step.kind &&
           origin.step->node == step.node;
}

// The sum over a step's dispatches.
std::optional<double> separateNs(const SourceNetwork& network, const std::vector<Step>& parts,
                                 const Verdicts& verdicts) {
    double sumNs = 0;
    for (const Step& part : parts) {
        bool isThere = false;
        for (const DispatchOrigin& origin : network.lowered.origins) {
            if (!computes(origin, part)) continue;
            const std::optional<double> ns = timeNs(verdicts, keyOf(network, origin));
            if (!ns) return std::nullopt;
            isThere = true;
            sumNs += *ns;
        }
        if (!isThere) return std::nullopt;
    }
    return sumNs;
}

}  // namespace

std::map<std::string, BlockVerdict> chooseBlocks(const SourceNetwork& usual, const SourceNetwork& joined,
                                                 const Verdicts& verdicts) {
    // By step: several dispatches where it is split.
    std::map<std::string, BlockVerdict> blocks;
    for (const DispatchOrigin& origin : joined.lowered.origins) {
        if (!origin.step || origin.step->parts.empty()) continue;
        const std::string key = keyOf(joined, origin);
        const std::optional<double> ns = timeNs(verdicts, key);
        const std::optional<double> parts = separateNs(usual, origin.step->parts, verdicts);
        const bool isWhole = origin.extent.images == joined.lowered.program.input.n && computesEveryRow(origin);
        if (!ns || !parts || !isWhole) continue;
        blocks[key] = {*ns < (1 - kBlockShare) * *parts, *ns, *parts};
    }
    return blocks;
}

}  // namespace dunlin::tuning
