#include "tools/bench/crash_guard.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>

namespace dunlin::bench {
namespace {

// A handler may neither allocate nor lock: all is ready before.
std::array<char, 4096> message;
volatile std::sig_atomic_t messageBytes = 0, status = 0;
std::atomic_flag isSaid = ATOMIC_FLAG_INIT;

constexpr int kCrashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

extern "C" void onCrash(int) {
    // Software drivers crash in several threads at once; one says so, and ends the others.
    while (isSaid.test_and_set()) {
    }
    const ssize_t written = write(STDERR_FILENO, message.data(), static_cast<size_t>(messageBytes));
    (void)written;  // there is nobody left to tell
    _exit(static_cast<int>(status));
}

}  // namespace

CrashGuard::CrashGuard(const std::string& sentence, int exitStatus) {
    const std::string line = "dunlin: " + sentence.substr(0, message.size() - 16) + "\n";
    std::copy(line.begin(), line.end(), message.begin());
    messageBytes = static_cast<std::sig_atomic_t>(line.size());
    status = exitStatus;
    isSaid.clear();
    for (const int signal : kCrashes) std::signal(signal, onCrash);
}

CrashGuard::~CrashGuard() {
    for (const int signal : kCrashes) std::signal(signal, SIG_DFL);
}

}  // namespace dunlin::bench
