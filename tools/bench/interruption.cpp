#include "tools/bench/interruption.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace dunlin::bench {
namespace {

volatile std::sig_atomic_t interrupted = 0;

extern "C" void onInterruption(int signal) {
    interrupted = 1;
    std::signal(signal, SIG_DFL);
}

}  // namespace

InterruptionGuard::InterruptionGuard() {
    interrupted = 0;
    std::signal(SIGINT, onInterruption);
    std::signal(SIGTERM, onInterruption);
}

InterruptionGuard::~InterruptionGuard() {
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGTERM, SIG_DFL);
}

bool InterruptionGuard::requested() {
    return interrupted != 0;
}

void endProcess(int exitStatus) {
    std::fflush(nullptr);
    std::_Exit(exitStatus);
}

}  // namespace dunlin::bench
