// One problem: which of its forms are right, and which of those is the fastest.
#pragma once

#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "runtime/tuning/dispatch_runner.h"
#include "runtime/tuning/kernel_case.h"
#include "runtime/tuning/race.h"
#include "runtime/tuning/verdicts.h"

namespace dunlin::tuning {

// What tuning a case needs of the world. Tests put drivers in between that compute wrongly, and clocks of their own.
struct CaseTools : RaceTools {
    // A runner of the form with the case's data. With `isFinal`, with the pipeline that sessions will use: it is asked
    // for again once a form has won.
    std::function<Result<std::unique_ptr<DispatchRunner>>(const FormedCase& form, bool isFinal)> createRunner;
    // What the same result takes in another way: once the default is found to take more than twice that, no other form
    // is looked at.
    double otherWayNs = INFINITY;
};

// How long candidates of a kernel took so far, to be built, checked and looked at: what the next one may take. Kept
// from case to case.
class CandidatePace {
  public:
    double expectedMs(Kernel kernel) const;  // 0: not known yet
    void add(Kernel kernel, double ms);

  private:
    struct Sum {
        double ms = 0;
        int count = 0;
    };
    std::map<Kernel, Sum> sums_;
};

struct CaseOutcome {
    // Nothing where not even the default could be looked at, for want of memory. Without a form where none is right.
    std::optional<Verdict> verdict;
    bool isDefaultWrong = false;
};

// Runs candidate after candidate, compares each with the oracle and with itself over several runs, and times those that
// are right in turn, sample by sample, so that drift hits all alike; one that is far slower than another at once does
// not take part. The default stays unless another beats it by more than kWinningShare and more than the noise. No
// candidate is begun that would probably end after `deadlineMs` by the tools' clock; but where the default is wrong,
// all are looked at, whatever the time.
//
// `forms`: the default first; not empty. Errors: Cancelled; DeviceLost.
Result<CaseOutcome> tuneCase(const KernelCase& problem, const CaseData& data, const std::vector<FormedCase>& forms,
                             const CaseTools& tools, double deadlineMs, CandidatePace& pace);

constexpr int kVerifyingRuns = 3;  // whose bits must be equal, before anything is timed, and of the winner again after

}  // namespace dunlin::tuning
