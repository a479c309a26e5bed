// Which of several ways to compute one thing is faster: samples of each in turn, so that drift hits all alike.
#pragma once

#include <functional>
#include <vector>

#include "runtime/tuning/dispatch_runner.h"

namespace dunlin::tuning {

// How time is measured. Tests have clocks of their own.
struct RaceTools {
    std::function<double()> nowMs;                        // never falls
    std::function<double()> processorMs;                  // of all threads of the process; empty: does not count
    std::function<bool()> mayGoOn = [] { return true; };  // asked often; false cancels
    double sampleNs = 0.5e6;                              // how long one sample of a dispatch should take
};

// One way: a dispatch, or several one after the other.
class Contender {
  public:
    // Borrowed. `repeats` of each for a sample (repeatsFor()).
    struct Part {
        DispatchRunner* runner;
        uint32_t repeats;
    };
    explicit Contender(std::vector<Part> parts) : parts_(std::move(parts)) {}

    Status sample(const RaceTools& tools);
    size_t samples() const { return timesNs_.size(); }
    // What disturbs a measurement only adds to it: the lower quartile is the median but for nothing on a quiet machine,
    // and nearer to the truth on a busy one. 0 without samples.
    double typicalNs() const;
    bool isNoisy() const;
    // Faster by more than kWinningShare, and in most rounds than what `usual` took next to it; and, where processor
    // time counts, at no greater expense of it: drivers that compute on the processor share it with others, whose noise
    // is in the wall's time alone.
    bool beats(const Contender& usual) const;

    bool isRacing = true;

  private:
    std::vector<Part> parts_;
    std::vector<double> timesNs_, processorNs_;  // by sample: the sum over the parts, of one dispatch each
};

constexpr double kWinningShare = 0.05;  // of the other's time

// Rounds of samples, begun with another contender each time: what comes after a rest is no better off. More rounds
// where the first contender's samples show that the machine does other things meanwhile. Contenders other than the
// first that turn out far slower than another leave the race. Ends before its time where `isLate` says so. Errors:
// Cancelled, and those of the runners.
Status race(std::vector<Contender*> contenders, const RaceTools& tools, const std::function<bool()>& isLate);

// The samples that a result needs at least.
constexpr size_t kFewestRounds = 5;

}  // namespace dunlin::tuning
