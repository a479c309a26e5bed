// How much of the machine's processors this process may use.
#pragma once

#include <string_view>

namespace dunlin {

// The processors that this process may use: its affinity mask, cut to a container's quota of processor time. At
// least 1. Reads a file of the system at each call; thread-safe.
int usableProcessors();

// The quota in a cgroup's cpu.max, "<microseconds> <period>", rounded up to whole processors; 0 where there is none
// ("max 100000") or the text is not of that form.
int processorsOfQuota(std::string_view cpuMax);

// Whether this processor, and the system on it, can run instructions of AVX2 and FMA, and of AVX-512 as of 2017 (F, BW,
// DQ and VL) besides; false on other architectures. Thread-safe.
bool hasAvx2();
bool hasAvx512();

}  // namespace dunlin
