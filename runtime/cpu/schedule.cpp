#include "runtime/cpu/schedule.h"

#include <algorithm>
#include <functional>

#include "runtime/cpu/kernels/kernel.h"

namespace dunlin::cpu {
namespace {

// First and last step at which a value must be in its place.
struct Lifetime {
    size_t first = 0, last = 0;
    bool meets(const Lifetime& other) const { return first <= other.last && other.first <= last; }
};

std::vector<Lifetime> lifetimesOf(const Graph& graph, const Schedule& schedule, std::span<const ValueId> kept) {
    std::vector<Lifetime> lifetimes(graph.values().size());
    for (size_t index = 0; index < schedule.size(); ++index) {
        lifetimes[static_cast<size_t>(writtenBy(graph, schedule[index]))] = {index, index};
        if (const ValueId mean = schedule[index].fusion.mean; mean != kNoValue)
            lifetimes[static_cast<size_t>(mean)] = {index, index};
        for (ValueId value : readBy(graph, schedule[index])) lifetimes[static_cast<size_t>(value)].last = index;
    }
    // The input is filled before a run and, like what is kept, may be read after it.
    lifetimes[static_cast<size_t>(graph.input())] = {0, schedule.size()};
    for (ValueId value : kept) lifetimes[static_cast<size_t>(value)].last = schedule.size();
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

// Goes through the nodes in their order.
class Scheduler {
  public:
    Scheduler(const Graph& graph, std::span<const ValueId> kept)
        : graph_(graph), readers_(graph.values().size()), isFused_(graph.nodes().size()) {
        for (size_t index = 0; index < graph.nodes().size(); ++index)
            for (ValueId value : inputsOf(graph.nodes()[index].op)) readers_[indexOf(value)].push_back(index);
        // Who is not one of the nodes reads these.
        for (ValueId value : kept) readers_[indexOf(value)].push_back(graph.nodes().size());
        readers_[indexOf(graph.output())].push_back(graph.nodes().size());
    }

    Schedule schedule() {
        const size_t nodes = graph_.nodes().size();
        std::vector<Step> steps(nodes);
        for (size_t index = 0; index < nodes; ++index)
            if (!isFused_[index]) steps[index] = stepOf(index);
        Schedule schedule;
        for (size_t index = 0; index < nodes; ++index)
            if (!isFused_[index]) schedule.push_back(steps[index]);
        return schedule;
    }

  private:
    static size_t indexOf(ValueId value) { return static_cast<size_t>(value); }
    bool isOnlyReadBy(ValueId value, size_t node) const {
        return readers_[indexOf(value)] == std::vector<size_t>{node};
    }

    Step stepOf(size_t index) {
        const Node& node = graph_.nodes()[index];
        Step step = {index, blockLength(index)};
        if (step.nodeCount > 1) {
            const size_t last = index + step.nodeCount - 1;
            for (size_t later = index + 1; later <= last; ++later) isFused_[later] = true;
            const Node& end = graph_.nodes()[last];
            if (hasFusion(graph_, end) && activationOf(end.op) == Activation::None)
                fuseResidual(end.output, index, step);
            fuseMean(end, step);
            return step;
        }
        fuseMean(node, step);
        if (!hasFusion(graph_, node)) return step;
        fuseGate(inputsOf(node.op)[0], index, step);
        if (activationOf(node.op) == Activation::None) fuseResidual(node.output, index, step);
        return step;
    }

    // The longest block that begins here: nodes next to one another, each read by the next alone.
    size_t blockLength(size_t index) const {
        const std::span<const Node> nodes = graph_.nodes();
        size_t linked = 1, length = 1;
        constexpr size_t kLongest = 3;
        while (linked < kLongest && index + linked < nodes.size() &&
               isOnlyReadBy(nodes[index + linked - 1].output, index + linked)) {
            ++linked;
            if (hasKernelOfBlock(graph_, nodes.subspan(index, linked))) length = linked;
        }
        return length;
    }

    void fuseGate(ValueId input, size_t index, Step& step) {
        const auto* mul = graph_.producerAs<Mul>(input);
        if (!mul || !isOnlyReadBy(input, index) || !hasGate(graph_.nodes()[index])) return;
        if (graph_.shape(mul->b).h * graph_.shape(mul->b).w != 1) return;
        step.gated = mul->a;
        step.fusion.gate = mul->b;
        isFused_[static_cast<size_t>(graph_.producer(input))] = true;
    }

    // Into the later of the two nodes whose results are added: the other result is there by then.
    void fuseResidual(ValueId result, size_t index, Step& step) {
        const std::vector<size_t>& readers = readers_[indexOf(result)];
        if (readers.size() != 1 || readers[0] == graph_.nodes().size() || isFused_[readers[0]]) return;
        const Node& reader = graph_.nodes()[readers[0]];
        const auto* add = std::get_if<Add>(&reader.op);
        if (!add) return;
        const ValueId other = add->a == result ? add->b : add->a;
        if (graph_.producer(other) > static_cast<int>(index)) return;
        step.fusion.residual = other;
        step.fusion.activation = add->activation;
        step.output = reader.output;
        isFused_[readers[0]] = true;
    }

    // The map itself is written for whoever else reads it.
    void fuseMean(const Node& node, Step& step) {
        if (!hasMean(graph_, node)) return;
        for (size_t reader : readers_[indexOf(node.output)]) {
            if (reader == graph_.nodes().size()) return;
            const auto* pool = std::get_if<GlobalAvgPool>(&graph_.nodes()[reader].op);
            if (!pool || pool->begin != 0 || pool->count != 0) continue;
            step.fusion.mean = graph_.nodes()[reader].output;
            isFused_[reader] = true;
            return;
        }
    }

    const Graph& graph_;
    std::vector<std::vector<size_t>> readers_;  // by ValueId: nodes
    std::vector<bool> isFused_;                 // by node: computed by another one's step
};

}  // namespace

Activation activationOf(const Op& op) {
    if (const auto* conv = std::get_if<Conv2d>(&op)) return conv->activation;
    if (const auto* linear = std::get_if<Linear>(&op)) return linear->activation;
    if (const auto* add = std::get_if<Add>(&op)) return add->activation;
    return Activation::None;
}

Schedule scheduleOf(const Graph& graph, std::span<const ValueId> kept) {
    return Scheduler(graph, kept).schedule();
}

std::vector<ValueId> readBy(const Graph& graph, const Step& step) {
    std::vector<ValueId> values;
    // A block reads what its first node does.
    for (ValueId value : inputsOf(graph.nodes()[step.firstNode].op)) values.push_back(value);
    if (step.gated != kNoValue) values.front() = step.gated;
    if (step.fusion.gate != kNoValue) values.push_back(step.fusion.gate);
    if (step.fusion.residual != kNoValue) values.push_back(step.fusion.residual);
    return values;
}

ValueId writtenBy(const Graph& graph, const Step& step) {
    return step.output != kNoValue ? step.output : graph.nodes()[step.firstNode + step.nodeCount - 1].output;
}

KernelNeed kernelNeed(const Graph& graph, const Step& step, size_t workers) {
    const auto nodes = std::span(graph.nodes()).subspan(step.firstNode, step.nodeCount);
    return nodes.size() > 1 ? kernelNeedOfBlock(graph, nodes, workers, step.fusion)
                            : kernelNeed(graph, nodes[0], workers, step.fusion);
}

Result<std::unique_ptr<Kernel>> makeKernel(const Graph& graph, const Step& step, const WeightsSource& weights) {
    const auto nodes = std::span(graph.nodes()).subspan(step.firstNode, step.nodeCount);
    return nodes.size() > 1 ? makeKernelOfBlock(graph, nodes, weights, step.fusion)
                            : makeKernel(graph, nodes[0], weights, step.fusion);
}

ArenaPlan planArena(const Graph& graph, const Schedule& schedule, std::span<const ValueId> kept) {
    std::vector<ValueId> values = {graph.input()};
    for (const Step& step : schedule) {
        values.push_back(writtenBy(graph, step));
        if (step.fusion.mean != kNoValue) values.push_back(step.fusion.mean);
    }
    const auto bytesOf = [&](ValueId value) {
        return roundUp(static_cast<uint64_t>(graph.shape(value).elementCount()) * sizeof(float), kArenaAlignment);
    };
    std::ranges::sort(values, [&](ValueId a, ValueId b) {
        const uint64_t ofA = bytesOf(a), ofB = bytesOf(b);
        return ofA != ofB ? ofA > ofB : a < b;
    });

    const std::vector<Lifetime> lifetimes = lifetimesOf(graph, schedule, kept);
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
