#include "tools/bench/interruption.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace dunlin::bench {
namespace {

// The handler writes it and any thread reads it, so only this will do: a lock-free atomic.
std::atomic<int> interrupted = 0;
static_assert(std::atomic<int>::is_always_lock_free);

extern "C" void onInterruption(int signal) {
    interrupted = 1;
    std::signal(signal, SIG_DFL);
}

}  // namespace

InterruptionGuard::InterruptionGuard() {
    interrupted = 0;
    for (size_t i = 0; i < kSignals.size(); ++i) {
        previous_[i] = std::signal(kSignals[i], onInterruption);
        if (previous_[i] == SIG_IGN) std::signal(kSignals[i], SIG_IGN);  // who started this wants it so
    }
}

InterruptionGuard::~InterruptionGuard() {
    for (size_t i = 0; i < kSignals.size(); ++i) {
        std::signal(kSignals[i], previous_[i] == SIG_ERR ? SIG_DFL : previous_[i]);
    }
}

bool InterruptionGuard::requested() {
    return interrupted != 0;
}

void endProcess(int exitStatus) {
    std::fflush(nullptr);
    std::_Exit(exitStatus);
}

}  // namespace dunlin::bench
