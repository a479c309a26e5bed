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

std::map<std::string, double> separateTimesNs(const SourceNetwork& usual, const SourceNetwork& joined,
                                              const Verdicts& verdicts) {
    std::map<std::string, double> times;
    for (const DispatchOrigin& origin : joined.lowered.origins) {
        if (!origin.step || origin.step->parts.empty()) continue;
        // Strips have no parts of their own.
        const bool isWhole = origin.extent.images == joined.lowered.program.input.n && computesEveryRow(origin);
        const std::optional<double> ns = separateNs(usual, origin.step->parts, verdicts);
        if (isWhole && ns) times[keyOf(joined, origin)] = *ns;
    }
    return times;
}

std::map<std::string, BlockVerdict> chooseBlocks(const SourceNetwork& usual, const SourceNetwork& joined,
                                                 const Verdicts& verdicts) {
    std::map<std::string, BlockVerdict> blocks;
    for (const auto& [key, separateNs] : separateTimesNs(usual, joined, verdicts)) {
        if (const std::optional<double> ns = timeNs(verdicts, key))
            blocks[key] = {*ns < (1 - kBlockShare) * separateNs, *ns, separateNs};
    }
    return blocks;
}

}  // namespace dunlin::tuning
