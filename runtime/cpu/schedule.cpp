#include "runtime/cpu/schedule.h"

#include <algorithm>

#include "runtime/cpu/kernels/kernel.h"
#include "runtime/cpu/xnnpack_subgraph.h"

namespace dunlin::cpu {
namespace {

// First and last node at which a value must be in its place.
struct Lifetime {
    size_t first = 0, last = 0;
    bool meets(const Lifetime& other) const { return first <= other.last && other.first <= last; }
};

std::vector<Lifetime> lifetimesOf(const Graph& graph, std::span<const ValueId> kept) {
    std::vector<Lifetime> lifetimes(graph.values().size());
    for (size_t index = 0; index < graph.nodes().size(); ++index) {
        const Node& node = graph.nodes()[index];
        lifetimes[static_cast<size_t>(node.output)] = {index, index};
        for (ValueId value : inputsOf(node.op)) lifetimes[static_cast<size_t>(value)].last = index;
    }
    // The input is filled before a run and, like what is kept, may be read after it.
    lifetimes[static_cast<size_t>(graph.input())] = {0, graph.nodes().size()};
    for (ValueId value : kept) lifetimes[static_cast<size_t>(value)].last = graph.nodes().size();
    return lifetimes;
}

struct Placed {
    uint64_t offset, end;
    Lifetime lifetime;
};

// `placed` in the order of offsets.
uint64_t firstFit(const std::vector<Placed>& placed, uint64_t bytes, const Lifetime& lifetime) {
    uint64_t offset = 0;
    for (const Placed& other : placed) {
        if (!other.lifetime.meets(lifetime)) continue;
        if (other.offset >= offset + bytes) break;
        offset = std::max(offset, other.end);
    }
    return offset;
}

}  // namespace

Activation activationOf(const Op& op) {
    if (const auto* conv = std::get_if<Conv2d>(&op)) return conv->activation;
    if (const auto* linear = std::get_if<Linear>(&op)) return linear->activation;
    if (const auto* add = std::get_if<Add>(&op)) return add->activation;
    return Activation::None;
}

Schedule scheduleOf(const Graph& graph) {
    Schedule schedule;
    bool continuesRuntime = false;
    for (size_t index = 0; index < graph.nodes().size(); ++index) {
        const Node& node = graph.nodes()[index];
        const Activation activation = activationOf(node.op);
        const bool isKernel = hasKernel(graph, node);
        if (continuesRuntime && !isKernel)
            ++schedule.back().nodeCount;
        else
            schedule.push_back({isKernel ? Step::Kind::Kernel : Step::Kind::Xnnpack, index, 1});
        const bool hasPass = !isKernel && leavesActivation(activation);
        if (hasPass) schedule.push_back({Step::Kind::Activation, index, 1});
        continuesRuntime = !isKernel && !hasPass;
    }
    return schedule;
}

bool isOneRuntime(const Schedule& schedule) {
    return schedule.size() == 1 && schedule.front().kind == Step::Kind::Xnnpack;
}

ArenaPlan planArena(const Graph& graph, const Schedule& schedule, std::span<const ValueId> kept) {
    std::vector<ValueId> values;
    if (isOneRuntime(schedule)) {
        values.assign(kept.begin(), kept.end());
        if (std::ranges::find(values, graph.input()) == values.end()) values.push_back(graph.input());
    } else {
        for (size_t i = 0; i < graph.values().size(); ++i) values.push_back(static_cast<ValueId>(i));
    }
    const auto bytesOf = [&](ValueId value) {
        const auto bytes = static_cast<uint64_t>(graph.shape(value).elementCount()) * sizeof(float);
        return roundUp(bytes + kXnnpackExtraFloats * sizeof(float), kArenaAlignment);
    };
    std::ranges::stable_sort(values, std::greater(), bytesOf);

    const std::vector<Lifetime> lifetimes = lifetimesOf(graph, kept);
    ArenaPlan plan;
    plan.offsets.assign(graph.values().size(), kNotInArena);
    std::vector<Placed> placed;
    for (ValueId value : values) {
        const Lifetime& lifetime = lifetimes[static_cast<size_t>(value)];
        const uint64_t bytes = bytesOf(value), offset = firstFit(placed, bytes, lifetime);
        plan.offsets[static_cast<size_t>(value)] = offset;
        plan.bytes = std::max(plan.bytes, offset + bytes);
        const auto place = std::ranges::upper_bound(placed, offset, {}, &Placed::offset);
        placed.insert(place, {offset, offset + bytes, lifetime});
    }
    return plan;
}

}  // namespace dunlin::cpu
