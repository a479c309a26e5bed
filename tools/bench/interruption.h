// Ctrl-C in the middle of a measurement: what was measured is still printed and written.
#pragma once

#include <array>
#include <csignal>

namespace dunlin::bench {

// While it lives, the first SIGINT or SIGTERM only sets a flag; a second one ends the process as usual. Signals that
// were ignored still are. The handlers that were there before come back with its end. One at a time.
class InterruptionGuard {
  public:
    InterruptionGuard();
    ~InterruptionGuard();
    InterruptionGuard(const InterruptionGuard&) = delete;
    InterruptionGuard& operator=(const InterruptionGuard&) = delete;

    // Whether one came. Thread-safe.
    static bool requested();

  private:
    static constexpr std::array<int, 2> kSignals = {SIGINT, SIGTERM};
    std::array<void (*)(int), 2> previous_;
};

// Ends the process at once, with what was printed flushed, but without destructors: after a hang or the loss of a
// device they might wait for ever.
[[noreturn]] void endProcess(int exitStatus);

}  // namespace dunlin::bench
