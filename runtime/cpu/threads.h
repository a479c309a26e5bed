// How many threads the CPU backend works with.
#pragma once

#include "runtime/status.h"

namespace dunlin {

constexpr int kMaxThreads = 256;

// What a request of `threads` means: 0 is the default below, and so is every number beyond it, since threads that wait
// for one another in turn on one processor take many times as long; InvalidArgument outside 0 .. kMaxThreads.
Result<int> resolveThreads(int threads);

// usableProcessors(), at most kMaxThreads.
int defaultThreadCount();

}  // namespace dunlin
