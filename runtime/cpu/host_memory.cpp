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

}  // namespace

HostMemoryNeed hostMemoryNeed(const Graph& graph, std::span<const ValueId> kept, size_t threads) {
    const cpu::Schedule schedule = cpu::scheduleOf(graph, kept);
    HostMemoryNeed need;
    uint64_t scratchBytes = 0;
    for (const cpu::Step& step : schedule) {
        const Node& node = graph.nodes()[step.node];
        const cpu::KernelNeed kernel = cpu::kernelNeed(graph, node, threads, step.fusion);
        need.weightBytes += kernel.constantBytes;
        need.foldedBytes = std::max(need.foldedBytes, foldedBytes(graph, node));
        scratchBytes = std::max(scratchBytes, kernel.scratchBytes);
    }
    need.activationBytes = cpu::planArena(graph, schedule, kept).bytes + scratchBytes;
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
