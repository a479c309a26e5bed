#include "runtime/cpu/network.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "runtime/cpu/kernels/activation.h"

namespace dunlin::cpu {
namespace {

AlignedBytes allocate(uint64_t bytes) {
    if (bytes == 0) return nullptr;
    AlignedBytes memory(static_cast<std::byte*>(::operator new[](bytes, std::align_val_t{kArenaAlignment})));
    std::memset(memory.get(), 0, bytes);
    return memory;
}

bool contains(const std::vector<ValueId>& values, ValueId value) {
    return std::ranges::find(values, value) != values.end();
}

}  // namespace

// Makes the steps of a schedule runnable, one after the other.
class Network::Compiler {
  public:
    Compiler(const Graph& graph, const WeightsSource& weights, const std::function<bool(float)>& progress,
             Network& network)
        : graph_(graph), weights_(weights), progress_(progress), network_(network) {}

    Status compile(const Step& step) {
        switch (step.kind) {
            case Step::Kind::Xnnpack:
                return compileSegment(step);
            case Step::Kind::Kernel:
                return compileKernel(step);
            case Step::Kind::Activation:
                return compileActivation(graph_.nodes()[step.firstNode]);
        }
        return {};
    }

    // Before each node, and with the number of nodes in the end.
    bool goOn(size_t node) const {
        const size_t nodes = graph_.nodes().size();
        return !progress_ || progress_(node == nodes ? 1.0f : static_cast<float>(node) / static_cast<float>(nodes + 1));
    }

  private:
    bool isInArena(ValueId value) const { return network_.plan_.offsets[static_cast<size_t>(value)] != kNotInArena; }

    Status compileSegment(const Step& step) {
        Segment segment{std::span(graph_.nodes()).subspan(step.firstNode, step.nodeCount), {}, {}};
        for (const Node& node : segment.nodes)
            if (isInArena(node.output)) segment.outputs.push_back(node.output);
        for (const Node& node : segment.nodes)
            for (ValueId value : inputsOf(node.op))
                if (isInArena(value) && !contains(segment.outputs, value) && !contains(segment.inputs, value))
                    segment.inputs.push_back(value);

        const SegmentOptions options = {network_.xnnpackPool_.get(),
                                        [&](size_t index) { return goOn(step.firstNode + index); }};
        DUNLIN_ASSIGN(CompiledSegment compiled, compileForXnnpack(graph_, segment, weights_, options));
        std::vector<xnn_external_value> externals;
        for (const std::vector<ValueId>& values : {segment.inputs, segment.outputs})
            for (ValueId value : values)
                externals.push_back({static_cast<uint32_t>(externals.size()), network_.data(value)});
        DUNLIN_TRY(
            statusOf(xnn_setup_runtime(compiled.runtime.get(), externals.size(), externals.data()), "the buffers"));
        network_.steps_.emplace_back(std::move(compiled));
        return {};
    }

    Status compileKernel(const Step& compiled) {
        const Node& node = graph_.nodes()[compiled.firstNode];
        if (!goOn(compiled.firstNode))
            return Status(StatusCode::Cancelled, "the caller cancelled the creation of the session");
        Result<std::unique_ptr<Kernel>> kernel = makeKernel(graph_, compiled, weights_);
        if (!kernel.ok()) return kernel.status().withContext(node.name);
        KernelStep step{*std::move(kernel), {}, network_.data(writtenBy(graph_, compiled).front())};
        for (ValueId value : readBy(graph_, compiled)) step.inputs.push_back(network_.data(value));
        network_.steps_.emplace_back(std::move(step));
        return {};
    }

    Status compileActivation(const Node& node) {
        const auto count = static_cast<size_t>(graph_.shape(node.output).elementCount());
        network_.steps_.emplace_back(ActivationStep{activationOf(node.op), network_.data(node.output), count});
        return {};
    }

    const Graph& graph_;
    const WeightsSource& weights_;
    const std::function<bool(float)>& progress_;
    Network& network_;
};

Result<Network> Network::create(const Graph& graph, const WeightsSource& weights, std::span<const ValueId> kept,
                                ThreadPool* pool, size_t threads, const std::function<bool(float)>& progress) {
    const Schedule schedule = scheduleOf(graph, kept);
    Network network;
    network.workers_ = {.pool = pool, .count = threads};
    network.plan_ = planArena(graph, schedule, kept);
    network.arena_ = allocate(network.plan_.bytes);
    uint64_t scratchBytes = 0;
    for (const Step& step : schedule)
        if (step.kind == Step::Kind::Kernel)
            scratchBytes = std::max(scratchBytes, kernelNeed(graph, step, threads).scratchBytes);
    network.scratch_ = allocate(scratchBytes);

    if (threads > 1 && std::ranges::count(schedule, Step::Kind::Xnnpack, &Step::kind) > 0) {
        network.xnnpackPool_.reset(pthreadpool_create(threads));
        if (!network.xnnpackPool_)
            return error(StatusCode::OutOfHostMemory, "a pool of %zu threads could not be started", threads);
    }

    Compiler compiler(graph, weights, progress, network);
    for (const Step& step : schedule) DUNLIN_TRY(compiler.compile(step));
    if (!compiler.goOn(graph.nodes().size()))
        return Status(StatusCode::Cancelled, "the caller cancelled the creation of the session");
    return network;
}

Status Network::run() {
    for (RunnableStep& step : steps_) {
        if (auto* segment = std::get_if<CompiledSegment>(&step))
            DUNLIN_TRY(statusOf(xnn_invoke_runtime(segment->runtime.get()), "the network"));
        else if (const auto* kernel = std::get_if<KernelStep>(&step))
            kernel->kernel->run(workers_, kernel->inputs, kernel->output, scratch_.get());
        else if (const auto* pass = std::get_if<ActivationStep>(&step))
            activate(workers_, pass->activation, pass->map, pass->map, pass->count);
    }
    if (workers_.pool) workers_.pool->rest();
    return {};
}

}  // namespace dunlin::cpu
