// What a network's plan makes of the verdicts: which of their forms are worth their pipelines, and blocks that may be
// one dispatch or several.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runtime/tuning/kernel_case.h"
#include "runtime/tuning/verdicts.h"

namespace dunlin::tuning {

// A network with the forms that it was lowered with.
struct TunedPlan {
    std::shared_ptr<const FormTable> forms;
    std::shared_ptr<const SourceNetwork> network;
};
using LowerWithForms =
    std::function<Result<std::shared_ptr<const SourceNetwork>>(const std::shared_ptr<const FormTable>&)>;

// Layers that could share a pipeline may have fastest forms of their own, and each pipeline costs start-up
// (milliseconds to compile without a cache) and room in caches of instructions. So the plan with all the verdicts'
// forms gives up those that are not worth it, and keeps
// - what takes the place of a default that is wrong or of which nothing is known, whatever it costs;
// - what adds no pipeline: the plan has it anyway, or does without another one for it;
// - of the others those that gain most, at most kMorePipelines beyond the plan without them and no more than
//   kManyPipelines in all, as long as each gains kWorthwhileGain of the time of all layers that were timed: frames
//   repay what compiling it takes, as long as some frames, after some hundred.
// Gains are those of all dispatches that a pipeline is for. Blocks that are one dispatch count as parts of the plan.
// `lower` gives the network with a table of forms; errors are its. Pure but for that.
Result<TunedPlan> choosePlan(const Verdicts& verdicts, const DeviceLimits& limits, const LowerWithForms& lower);
constexpr size_t kMorePipelines = 8;
constexpr double kWorthwhileGain = 0.005;

// Two ways to compute one thing. Dispatches by their index.
struct BlockChoice {
    std::string key;               // formKey() of the one dispatch
    size_t joined = 0;             // of the network with joined steps
    std::vector<size_t> separate;  // of the other
};

// `usual` and `joined`: one network, lowered without joined steps and with all of them, on one device. Each block whose
// dispatches take whole maps in both, equal ones once. Pure.
std::vector<BlockChoice> blockChoices(const SourceNetwork& usual, const SourceNetwork& joined);

// What the separate dispatches take in all by the verdicts, whose times have the cost of a dispatch and its barrier in
// them; nothing where one was not timed.
std::optional<double> separateNs(const SourceNetwork& usual, const BlockChoice& choice, const Verdicts& verdicts);

}  // namespace dunlin::tuning
