#include "runtime/cpu/host_memory.h"

#include <algorithm>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/cpu/kernels/kernel.h"
#include "runtime/cpu/schedule.h"

namespace dunlin {
namespace {

uint64_t mapBytes(const Graph& graph, ValueId value) {
    return static_cast<uint64_t>(graph.shape(value).elementCount()) * sizeof(float);
}

// The first number in a file of one number; nothing for "max" and absent files.
std::optional<uint64_t> readNumber(const std::filesystem::path& path) {
    std::ifstream file(path);
    uint64_t number = 0;
    if (file >> number) return number;
    return std::nullopt;
}

// From lines of a word and a number.
std::optional<uint64_t> readEntry(const std::filesystem::path& path, std::string_view wanted) {
    std::ifstream file(path);
    std::string key;
    for (uint64_t number = 0; file >> key >> number; file.ignore(1024, '\n'))
        if (key == wanted) return number;
    return std::nullopt;
}

std::optional<uint64_t> machineAvailableBytes() {
    const std::optional<uint64_t> kilobytes = readEntry("/proc/meminfo", "MemAvailable:");
    return kilobytes ? std::optional(*kilobytes * 1024) : std::nullopt;
}

// Weight and bias of a convolution or a linear layer.
uint64_t foldedBytes(const Graph& graph, const Node& node) {
    uint64_t elements = 0;
    if (const auto* conv = std::get_if<Conv2d>(&node.op)) {
        const auto inputs = static_cast<uint64_t>(graph.shape(conv->input).c / conv->groups);
        const auto taps = static_cast<uint64_t>(conv->kernelH) * static_cast<uint64_t>(conv->kernelW);
        elements = static_cast<uint64_t>(conv->outChannels) * (inputs * taps + 1);
    } else if (const auto* linear = std::get_if<Linear>(&node.op)) {
        const auto inputs = static_cast<uint64_t>(graph.shape(linear->input).c);
        elements = static_cast<uint64_t>(linear->outFeatures) * (inputs + 1);
    }
    return elements * sizeof(float);
}

// Maps that XNNPACK keeps between the nodes that it makes of one of ours: its activation, where that is no cut.
uint64_t betweenBytes(const Graph& graph, const Node& node) {
    const auto* op = std::get_if<Activate>(&node.op);
    switch (op ? op->activation : cpu::activationOf(node.op)) {
        case Activation::Silu:
            return 2 * mapBytes(graph, node.output);
        case Activation::HardSwish:
        case Activation::HardSigmoid:
        case Activation::Sigmoid:
            return mapBytes(graph, node.output);
        default:
            return 0;
    }
}

// XNNPACK looks up where the inputs of a window lie: a pointer for each output pixel and tap; in a depthwise
// convolution, neighbours share those of the columns that they share. A 1x1 convolution of stride 1 needs none.
uint64_t pointerBytes(const Graph& graph, const Node& node) {
    const Shape& output = graph.shape(node.output);
    const auto pixels = static_cast<uint64_t>(output.pixelCount());
    uint64_t perPixel = 0;
    if (const auto* conv = std::get_if<Conv2d>(&node.op)) {
        const bool isDepthwise = conv->groups > 1 && conv->groups == graph.shape(conv->input).c;
        const bool isProduct = conv->kernelH * conv->kernelW * conv->strideH * conv->strideW == 1;
        const int columns = isDepthwise ? std::min(conv->strideW, conv->kernelW) : conv->kernelW;
        if (!isProduct) perPixel = static_cast<uint64_t>(conv->kernelH) * static_cast<uint64_t>(columns);
    } else if (const auto* pool = std::get_if<MaxPool>(&node.op)) {
        perPixel = static_cast<uint64_t>(pool->kernelH) * static_cast<uint64_t>(pool->kernelW);
    } else if (std::holds_alternative<Resize>(node.op)) {
        perPixel = 4;
    }
    return pixels * perPixel * sizeof(void*);
}

// XNNPACK has all the maps.
uint64_t activationBytesOfOneRuntime(const Graph& graph, std::span<const ValueId> kept) {
    const size_t nodeCount = graph.nodes().size();
    std::vector<size_t> lastUse(graph.values().size(), 0);
    for (size_t index = 0; index < nodeCount; ++index)
        for (ValueId value : inputsOf(graph.nodes()[index].op)) lastUse[static_cast<size_t>(value)] = index;
    for (ValueId value : kept) lastUse[static_cast<size_t>(value)] = nodeCount;
    // The input has a buffer of its own, which is filled before a run and never reused within it.
    lastUse[static_cast<size_t>(graph.input())] = nodeCount;

    uint64_t live = mapBytes(graph, graph.input()), largest = live;
    for (size_t index = 0; index < nodeCount; ++index) {
        const Node& node = graph.nodes()[index];
        const uint64_t outputBytes = mapBytes(graph, node.output);
        live += outputBytes;
        // An activation that is an op of its own has a second map, of the output's size, before it.
        largest = std::max(largest, live + outputBytes);
        for (ValueId value : inputsOf(node.op)) {
            size_t& last = lastUse[static_cast<size_t>(value)];
            if (last != index) continue;
            live -= mapBytes(graph, value);
            last = nodeCount;  // an op may read one value twice: it is freed once
        }
    }
    return largest;
}

// The maps are in our arena; each XNNPACK runtime and the kernels have some of their own besides.
void addNeedOfSteps(const Graph& graph, const cpu::Schedule& schedule, size_t threads, HostMemoryNeed& need) {
    uint64_t scratchBytes = 0;
    for (const cpu::Step& step : schedule) {
        const auto nodes = std::span(graph.nodes()).subspan(step.firstNode, step.nodeCount);
        if (step.kind == cpu::Step::Kind::Kernel) {
            const cpu::KernelNeed kernel = cpu::kernelNeed(graph, step, threads);
            for (const Node& node : nodes) need.foldedBytes = std::max(need.foldedBytes, foldedBytes(graph, node));
            need.weightBytes += kernel.constantBytes;
            scratchBytes = std::max(scratchBytes, kernel.scratchBytes);
        } else if (step.kind == cpu::Step::Kind::Xnnpack) {
            uint64_t folded = 0, between = 0;
            for (const Node& node : nodes) {
                folded += foldedBytes(graph, node);
                need.activationBytes += pointerBytes(graph, node);
                between = std::max(between, betweenBytes(graph, node));
            }
            need.weightBytes += folded;
            // Twice: the heap cannot always fill the holes that the step before has left.
            need.foldedBytes = std::max(need.foldedBytes, 2 * folded);
            need.activationBytes += between;
        }
    }
    need.activationBytes += scratchBytes;
}

}  // namespace

HostMemoryNeed hostMemoryNeed(const Graph& graph, std::span<const ValueId> kept, size_t threads) {
    const cpu::Schedule schedule = cpu::scheduleOf(graph, kept);
    HostMemoryNeed need;
    if (cpu::isOneRuntime(schedule)) {
        need.weightBytes = need.foldedBytes = parameterBytes(graph);
        need.activationBytes = activationBytesOfOneRuntime(graph, kept);
        for (const Node& node : graph.nodes()) need.activationBytes += pointerBytes(graph, node);
    } else {
        need.activationBytes = cpu::planArena(graph, schedule, kept).bytes;
        addNeedOfSteps(graph, schedule, threads, need);
    }
    return need;
}

std::optional<uint64_t> containerAvailableBytes(const std::filesystem::path& controlGroup) {
    const auto limit = readNumber(controlGroup / "memory.max"), used = readNumber(controlGroup / "memory.current");
    if (!limit || !used) return std::nullopt;
    const uint64_t cached = std::min(*used, readEntry(controlGroup / "memory.stat", "inactive_file").value_or(0));
    const uint64_t kept = *used - cached;
    return *limit > kept ? *limit - kept : 0;
}

std::optional<uint64_t> availableHostBytes() {
    const auto machine = machineAvailableBytes(), container = containerAvailableBytes("/sys/fs/cgroup");
    if (machine && container) return std::min(*machine, *container);
    return machine ? machine : container;
}

Status checkFits(const std::string& what, uint64_t needBytes, std::optional<uint64_t> availableBytes) {
    if (!availableBytes || needBytes <= *availableBytes) return {};
    constexpr double kMebibyte = 1024.0 * 1024.0;
    return error(StatusCode::DoesNotFit, "%s needs %.1f MiB of memory, and %.1f MiB are available", what.c_str(),
                 static_cast<double>(needBytes) / kMebibyte, static_cast<double>(*availableBytes) / kMebibyte);
}

}  // namespace dunlin
