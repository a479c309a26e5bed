// Which problem is tuned first.
#pragma once

#include <string>
#include <vector>

#include "runtime/tuning/kernel_case.h"

namespace dunlin::tuning {

// A problem without a complete verdict.
struct Pending {
    KernelCase problem;
    std::string key;
    int dispatches = 0;     // of the network, that it is
    double cost = 0;        // of all of them, in no unit
    double measuredNs = 0;  // of one of them in the default form; 0: not known
    double oracleMs = 0;
    bool isBegun = false;  // there is an incomplete verdict
    // Keys of pending problems whose forms say which problem this one is: those whose partial sums it adds up.
    std::vector<std::string> formers = {};
};

// Those without any verdict first, then by the time that they take in the network: as measured, else as those that were
// measured take for their cost. Each behind its formers, which come early for it.
void putInOrder(std::vector<Pending>& pending);

// Keys of the problems that write what a squeeze-excite dispatch adds up; none for other kernels.
std::vector<std::string> formersOf(const SourceNetwork& network, size_t dispatch);

}  // namespace dunlin::tuning
