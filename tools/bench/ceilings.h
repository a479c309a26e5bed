// What a device can do at most, measured on it: arithmetic, bandwidth, and the cost of a dispatch.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "runtime/graph/tensor.h"
#include "runtime/plan/dispatch_cost.h"
#include "tools/bench/target.h"

namespace dunlin::bench {

struct BandwidthPoint {
    uint64_t workingSetBytes = 0;
    double bytesPerSecond = 0;  // read and written
};

struct Ceilings {
    // Operations a second, a multiply-add counts as two; nothing where the device has no such arithmetic.
    std::optional<double> fp32, fp16, int8, matrix;  // matrix: cooperative matrices of fp16 that add up in fp32
    std::vector<BandwidthPoint> bandwidth;           // ascending working sets; where it falls, a cache ends
    double dispatchNs = 0;                           // of one more small dispatch without a barrier
    double barrierNs = 0;                            // of one more small dispatch that waits for the one before it
    double submitNs = 0;                             // of an empty submission, from the call to its end
    std::vector<std::string> notices;

    // At this working set, interpolated; 0 without points.
    double bytesPerSecond(uint64_t workingSetBytes) const;
    // The physical limit of a dispatch: the longer of moving its bytes, at the speed of a working set of that size, and
    // its arithmetic at the fastest rate that the device has for it (fp16: float32's where that is faster). Without the
    // cost of dispatching: a limit of work that is spread over any number of dispatches.
    double limitNs(const DispatchCost& cost, Precision precision) const;
    // The limit of a dispatch that waits for the one before it: limitNs and barrierNs.
    double dispatchLimitNs(const DispatchCost& cost, Precision precision) const;
};

// Takes some seconds. The CPU's: fp32, bandwidth, and the cost of waking its threads as that of a dispatch and of a
// barrier; nothing is submitted. Where fp16, int8 or cooperative matrices fail, a notice says so. After a hang or the
// loss of the device (DeviceFailed) all that the device may still be using stays alive, the device too, until the
// process ends: the caller prints and writes what it has, and ends the process (endProcess) without running destructors
// of its own objects on that device.
Outcome<Ceilings> measureCeilings(const Target& target);

// {fp32Gflops, fp16Gflops, int8Gops, matrixGflops, bandwidth: [{bytes, gbps}], dispatchUs, barrierUs, submitUs}; rates
// that are nothing are null.
nlohmann::ordered_json jsonOf(const Ceilings& ceilings);

}  // namespace dunlin::bench
