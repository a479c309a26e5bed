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
bool hasAvx2() {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

bool hasAvx512() {
    return hasAvx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
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
