#include "runtime/cpu/network.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace dunlin::cpu {
namespace {

AlignedBytes allocate(uint64_t bytes) {
    if (bytes == 0) return nullptr;
    AlignedBytes memory(static_cast<std::byte*>(::operator new[](bytes, std::align_val_t{kCacheLine})));
    std::memset(memory.get(), 0, bytes);
    return memory;
}

}  // namespace

Status Network::add(const Graph& graph, const WeightsSource& weights, const Step& step) {
    DUNLIN_ASSIGN(std::unique_ptr<Kernel> kernel, makeKernel(graph, step, weights));
    const ValueId mean = step.fusion.mean;
    RunnableStep runnable{std::move(kernel), {}, data(writtenBy(graph, step)), mean != kNoValue ? data(mean) : nullptr};
    for (ValueId value : readBy(graph, step)) runnable.inputs.push_back(data(value));
    steps_.push_back(std::move(runnable));
    return {};
}

Result<Network> Network::create(const Graph& graph, const WeightsSource& weights, std::span<const ValueId> kept,
                                ThreadPool* pool, size_t threads, const std::function<bool(float)>& progress,
                                Vectors vectors) {
    const Schedule schedule = scheduleOf(graph, kept);
    Network network;
    network.workers_ = {.pool = pool, .count = threads, .vectors = vectors};
    network.plan_ = planArena(graph, schedule, kept);
    network.arena_ = allocate(network.plan_.bytes);
    uint64_t scratchBytes = 0;
    for (const Step& step : schedule)
        scratchBytes = std::max(scratchBytes, kernelNeed(graph, step, threads).scratchBytes);
    network.scratch_ = allocate(scratchBytes);

    const auto goesOn = [&](float share) { return !progress || progress(share); };
    const Status cancelled(StatusCode::Cancelled, "the caller cancelled the creation of the session");
    for (const Step& step : schedule) {
        const auto nodes = static_cast<float>(graph.nodes().size());
        if (!goesOn(static_cast<float>(step.firstNode) / (nodes + 1))) return cancelled;
        DUNLIN_TRY(network.add(graph, weights, step));
    }
    if (!goesOn(1)) return cancelled;
    return network;
}

void Network::run() {
    for (const RunnableStep& step : steps_) {
        if (step.mean)
            step.kernel->runWithMean(workers_, step.inputs, step.output, step.mean, scratch_.get());
        else
            step.kernel->run(workers_, step.inputs, step.output, scratch_.get());
    }
    if (workers_.pool) workers_.pool->rest();
}

}  // namespace dunlin::cpu
