#include "runtime/cpu/host_memory.h"

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

namespace dunlin {
namespace {

uint64_t mapBytes(const Graph& graph, ValueId value) {
    return static_cast<uint64_t>(graph.shape(value).elementCount()) * sizeof(float);
}

// The first number in a file of one number; nothing for "max" and absent files.
std::optional<uint64_t> readNumber(const char* path) {
    std::ifstream file(path);
    uint64_t number = 0;
    if (file >> number) return number;
    return std::nullopt;
}

std::optional<uint64_t> machineAvailableBytes() {
    std::ifstream file("/proc/meminfo");
    std::string key;
    for (uint64_t kilobytes = 0; file >> key >> kilobytes; file.ignore(1024, '\n'))
        if (key == "MemAvailable:") return kilobytes * 1024;
    return std::nullopt;
}

std::optional<uint64_t> containerAvailableBytes() {
    const auto limit = readNumber("/sys/fs/cgroup/memory.max"), used = readNumber("/sys/fs/cgroup/memory.current");
    if (!limit || !used) return std::nullopt;
    return *limit > *used ? *limit - *used : 0;
}

}  // namespace

HostMemoryNeed hostMemoryNeed(const Graph& graph, std::span<const ValueId> kept) {
    HostMemoryNeed need;
    for (const ParameterTensor& tensor : graph.parameters()) {
        uint64_t elements = 1;
        for (int64_t extent : tensor.shape) elements *= static_cast<uint64_t>(extent);
        need.weightBytes += elements * sizeof(float);
    }

    const size_t nodeCount = graph.nodes().size();
    std::vector<size_t> lastUse(graph.values().size(), 0);
    for (size_t index = 0; index < nodeCount; ++index)
        for (ValueId value : inputsOf(graph.nodes()[index].op)) lastUse[static_cast<size_t>(value)] = index;
    for (ValueId value : kept) lastUse[static_cast<size_t>(value)] = nodeCount;
    // The input has a buffer of its own, which is filled before a run and never reused within it.
    lastUse[static_cast<size_t>(graph.input())] = nodeCount;

    uint64_t live = mapBytes(graph, graph.input());
    need.activationBytes = live;
    for (size_t index = 0; index < nodeCount; ++index) {
        const Node& node = graph.nodes()[index];
        const uint64_t outputBytes = mapBytes(graph, node.output);
        live += outputBytes;
        // An activation that is an op of its own has a second map, of the output's size, before it.
        need.activationBytes = std::max(need.activationBytes, live + outputBytes);
        for (ValueId value : inputsOf(node.op)) {
            size_t& last = lastUse[static_cast<size_t>(value)];
            if (last != index) continue;
            live -= mapBytes(graph, value);
            last = nodeCount;  // an op may read one value twice: it is freed once
        }
    }
    return need;
}

std::optional<uint64_t> availableHostBytes() {
    const auto machine = machineAvailableBytes(), container = containerAvailableBytes();
    if (machine && container) return std::min(*machine, *container);
    return machine ? machine : container;
}

Status checkFits(uint64_t needBytes, std::optional<uint64_t> availableBytes) {
    if (!availableBytes || needBytes <= *availableBytes) return {};
    constexpr double kMebibyte = 1024.0 * 1024.0;
    return error(StatusCode::DoesNotFit, "needs %.1f MiB of memory, but %.1f MiB are available",
                 static_cast<double>(needBytes) / kMebibyte, static_cast<double>(*availableBytes) / kMebibyte);
}

}  // namespace dunlin
