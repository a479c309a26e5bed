#include "runtime/tuning/tuning_order.h"

#include <algorithm>
#include <utility>

#include "runtime/plan/case_id.h"

namespace dunlin::tuning {
namespace {

// Nanoseconds for a unit of cost; 1 where nothing was measured.
double paceOf(const std::vector<Pending>& pending) {
    double ns = 0, cost = 0;
    for (const Pending& one : pending) {
        if (one.measuredNs <= 0) continue;
        ns += one.measuredNs * one.dispatches;
        cost += one.cost;
    }
    return cost > 0 ? ns / cost : 1;
}

const Operand* writtenSums(const KernelCall& call) {
    if (const auto* depthwise = std::get_if<DepthwiseCall>(&call)) return depthwise->sums ? &*depthwise->sums : nullptr;
    if (const auto* block = std::get_if<InvertedResidualCall>(&call)) return block->sums ? &*block->sums : nullptr;
    return nullptr;
}

// Moves it from `left` to the end of `ordered`, behind its formers.
void moveBehindFormers(std::vector<Pending>& left, const std::string& key, std::vector<Pending>& ordered) {
    const auto found = std::ranges::find(left, key, &Pending::key);
    if (found == left.end()) return;
    Pending one = std::move(*found);
    left.erase(found);
    for (const std::string& former : one.formers) moveBehindFormers(left, former, ordered);
    ordered.push_back(std::move(one));
}

}  // namespace

void putInOrder(std::vector<Pending>& pending) {
    const double pace = paceOf(pending);
    const auto timeOf = [pace](const Pending& one) {
        return one.measuredNs > 0 ? one.measuredNs * one.dispatches : one.cost * pace;
    };
    std::ranges::sort(pending, [&](const Pending& a, const Pending& b) {
        if (a.isBegun != b.isBegun) return b.isBegun;
        const double timeOfA = timeOf(a), timeOfB = timeOf(b);
        return timeOfA != timeOfB ? timeOfA > timeOfB : a.problem.dispatch < b.problem.dispatch;
    });
    std::vector<Pending> ordered;
    while (!pending.empty()) moveBehindFormers(pending, std::string(pending.front().key), ordered);
    pending = std::move(ordered);
}

std::vector<std::string> formersOf(const SourceNetwork& network, size_t dispatch) {
    std::vector<std::string> keys;
    const auto* call = std::get_if<SqueezeExciteCall>(&network.lowered.origins[dispatch].call);
    if (!call) return keys;
    for (const DispatchOrigin& origin : network.lowered.origins) {
        const Operand* sums = writtenSums(origin.call);
        if (!sums || sums->tensor != call->sums.tensor) continue;
        keys.push_back(formKey(network.graph, origin, network.lowered.program.precision));
    }
    return keys;
}

}  // namespace dunlin::tuning
