// A shader of the user's own may bring the driver down, and the process with it: it is said which, at least.
#pragma once

#include <string>

namespace dunlin::bench {

// While it lives, a crash (SIGSEGV, SIGBUS, SIGILL, SIGFPE or SIGABRT, on whatever thread) writes the sentence to
// stderr and ends the process with the exit status. What the process printed may be lost. One at a time.
class CrashGuard {
  public:
    CrashGuard(const std::string& sentence, int exitStatus);
    ~CrashGuard();
    CrashGuard(const CrashGuard&) = delete;
    CrashGuard& operator=(const CrashGuard&) = delete;
};

}  // namespace dunlin::bench
