#include "runtime/processors.h"

#include <algorithm>
#include <charconv>
#include <climits>
#include <cstdint>
#include <fstream>
#include <string>
#include <thread>

#ifdef __linux__
#include <sched.h>
#endif

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace dunlin {
namespace {

int processorsOfAffinity() {
#ifdef __linux__
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0) return CPU_COUNT(&allowed);
#endif
    return static_cast<int>(std::thread::hardware_concurrency());
}

}  // namespace

int usableProcessors() {
    int count = processorsOfAffinity();
    // More threads than the quota allows would be paused in the middle of their work while others wait for them.
    std::ifstream file("/sys/fs/cgroup/cpu.max");
    if (std::string line; std::getline(file, line))
        if (const int quota = processorsOfQuota(line); quota > 0) count = std::min(count, quota);
    return std::max(count, 1);
}

int processorsOfQuota(std::string_view cpuMax) {
    const char* const end = cpuMax.data() + cpuMax.size();
    int64_t quota = 0, period = 0;
    const auto first = std::from_chars(cpuMax.data(), end, quota);
    if (first.ec != std::errc() || first.ptr == end || *first.ptr != ' ') return 0;
    const auto second = std::from_chars(first.ptr + 1, end, period);
    if (second.ec != std::errc() || quota <= 0 || period <= 0) return 0;
    return static_cast<int>(std::min<int64_t>((quota - 1) / period + 1, INT_MAX));
}

#if defined(__x86_64__)
namespace {

struct InstructionSets {
    bool avx2 = false, avx512 = false;
};

// Intel's manual, volume 1, 14.3 and 15.2 to 15.4: what the processor has, and whether the system saves its registers.
// Not by __builtin_cpu_supports, which brings 6 KB of what every processor is called.
InstructionSets findInstructionSets() {
    constexpr uint32_t kFma = 1u << 12, kSavesVectors = 1u << 27, kRegisters8 = 0x06, kRegisters16 = 0xe6;
    constexpr uint32_t kAvx2 = 1u << 5, kAvx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;  // F, DQ, BW, VL
    uint32_t a = 0, b = 0, c = 0, d = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & kFma) == 0 || (c & kSavesVectors) == 0) return {};
    uint32_t saved = 0;
    asm volatile("xgetbv" : "=a"(saved), "=d"(d) : "c"(0));
    if ((saved & kRegisters8) != kRegisters8 || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return {};
    const bool avx2 = (b & kAvx2) != 0;
    return {avx2, avx2 && (saved & kRegisters16) == kRegisters16 && (b & kAvx512) == kAvx512};
}

// Once: a virtual machine's host answers, which takes microseconds.
const InstructionSets& instructionSets() {
    static const InstructionSets kSets = findInstructionSets();
    return kSets;
}

}  // namespace

bool hasAvx2() {
    return instructionSets().avx2;
}

bool hasAvx512() {
    return instructionSets().avx512;
}
#else
bool hasAvx2() {
    return false;
}

bool hasAvx512() {
    return false;
}
#endif

}  // namespace dunlin
