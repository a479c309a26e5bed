// Another process of this program, for what can only be measured in a fresh one.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tools/dunlin/outcome.h"

namespace dunlin::bench {

struct ChildResult {
    int exitStatus = 0;
    std::string text;  // what it wrote to stdout and stderr
};

// The file that this process runs. DeviceFailed where the system does not say.
cli::Outcome<std::string> ownExecutable();

// Asked some times a second while the child runs; true: it is killed, and the failure is Interrupted.
using InterruptionCheck = std::function<bool()>;

// Runs `executable` with these words, and the variables of `environment` set beside this process's own. DeviceFailed
// where it cannot be started, dies of a signal, or takes longer: then it is killed.
cli::Outcome<ChildResult> runChild(const std::string& executable, const std::vector<std::string>& words,
                                   const std::vector<std::pair<std::string, std::string>>& environment,
                                   double timeoutSeconds, const InterruptionCheck& isInterrupted = {});

}  // namespace dunlin::bench
