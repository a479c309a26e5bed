// The timeline of frames, as Chrome's tracing and ui.perfetto.dev read it: the JSON form of the Trace Event Format, of
// complete events ("X", microseconds) and metadata events ("M") that name processes and threads.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "tools/bench/document.h"
#include "tools/bench/network_session.h"

namespace dunlin::bench {

struct TracedRun {
    std::string id, device;  // the device's name
    TracedFrame frame;
    std::vector<Layer> layers;     // one for each of frame.dispatchEnds
    std::vector<double> limitsNs;  // of each layer; empty: not known
    bool isCpu = false;
};

// A process for each run: a thread for the CPU (record, submit, wait), and one for the GPU with a slice for each
// dispatch. otherData says of each run how the two clocks were aligned.
Json chromeTrace(std::span<const TracedRun> runs);

}  // namespace dunlin::bench
