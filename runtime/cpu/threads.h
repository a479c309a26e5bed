// How many threads the CPU backend works with.
#pragma once

#include <cstdint>
#include <string_view>

#include "runtime/status.h"

namespace dunlin {

constexpr int kMaxThreads = 256;

// What a request of `threads` means: 0 is the default below, and so is every number beyond it, since threads that wait
// for one another in turn on one processor take many times as long; InvalidArgument outside 0 .. kMaxThreads.
Result<int> resolveThreads(int threads);

// The processors that this process may use: its affinity mask, cut to a container's quota of processor time. At
// least 1.
int defaultThreadCount();

// The quota in a cgroup's cpu.max, "<microseconds> <period>", rounded up to whole processors; 0 where there is none
// ("max 100000") or the text is not of that form.
int processorsOfQuota(std::string_view cpuMax);

}  // namespace dunlin
