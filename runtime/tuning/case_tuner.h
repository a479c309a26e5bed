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
    // For all runners that are there at a time (runnerBytes()); two of a form must fit.
    uint64_t memoryBytes = UINT64_MAX;
};

// Device memory of a form's runner, about: inputs once, outputs again for the host.
uint64_t runnerBytes(const FormedCase& form);

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
    // Not ok where the default is wrong and memory is wanting for every form that might take its place: the verdict has
    // no form then.
    Status wantOfMemory;
    // Of this call:
    uint32_t tried = 0;          // forms that were run
    size_t knownRejections = 0;  // the first of verdict->rejected, which were known before
};

// Runs candidate after candidate, compares each with the oracle and with itself over several runs, and times those that
// are right in turn, sample by sample, so that drift hits all alike; one that is far slower than another at once does
// not take part. The default stays unless another beats it by more than kWinningShare and more than the noise. No
// candidate is begun that would probably end after `deadlineMs` by the tools' clock; but where the default is wrong,
// all are looked at, whatever the time.
//
// A form's companions must be right, too; they are not timed.
//
// `forms`: the default first; not empty. `known`, optional: an incomplete verdict, which is gone on with: its form
// comes behind the default, what it says has lost or is wrong is left out, and its form stays where the time does not
// suffice to decide about it again. Once its form or the default turn out to be wrong, it counts for nothing. Errors:
// Cancelled; DeviceLost.
Result<CaseOutcome> tuneCase(const KernelCase& problem, const CaseData& data, const std::vector<FormedCase>& forms,
                             const CaseTools& tools, double deadlineMs, CandidatePace& pace,
                             const Verdict* known = nullptr);

constexpr size_t kMostLanes = 6;   // forms that take part in a race: the default, and those that look fastest
constexpr int kVerifyingRuns = 3;  // whose bits must be equal, before anything is timed, and of the winner again after

}  // namespace dunlin::tuning
