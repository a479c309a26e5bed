#include "runtime/cpu/processor.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "runtime/cpu/kernels/parallel.h"

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace dunlin {
namespace {

const char* architectureName() {
#if defined(__x86_64__) || defined(_M_X64)
    return "x86-64 processor";
#elif defined(__aarch64__) || defined(_M_ARM64)
    return "ARM64 processor";
#elif defined(__riscv)
    return "RISC-V processor";
#else
    return "processor";
#endif
}

}  // namespace

std::string modelNameOf(std::string_view cpuInfo) {
    constexpr std::string_view kKey = "model name";
    size_t line = 0;
    while (line < cpuInfo.size() && !cpuInfo.substr(line).starts_with(kKey)) {
        line = std::min(cpuInfo.find('\n', line), cpuInfo.size() - 1) + 1;
    }
    const std::string_view entry = cpuInfo.substr(line, cpuInfo.find('\n', line) - line);
    const size_t colon = entry.find(':');
    const size_t begin = colon == std::string_view::npos ? colon : entry.find_first_not_of(" \t", colon + 1);
    return begin == std::string_view::npos ? std::string() : std::string(entry.substr(begin));
}

std::string processorName() {
    std::ifstream file("/proc/cpuinfo");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const std::string name = modelNameOf(text);
    return name.empty() ? architectureName() : name;
}

const char* vectorsInUse() {
    return cpu::name(cpu::longestVectors());
}

uint64_t machineMemoryBytes() {
#if defined(_SC_PHYS_PAGES)
    const long pages = sysconf(_SC_PHYS_PAGES), pageBytes = sysconf(_SC_PAGESIZE);
    if (pages > 0 && pageBytes > 0) return static_cast<uint64_t>(pages) * static_cast<uint64_t>(pageBytes);
#endif
    return 0;
}

}  // namespace dunlin
