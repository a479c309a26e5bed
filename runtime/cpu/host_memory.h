// What a network needs of the machine's memory on the CPU, and what the machine has.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "runtime/graph/graph.h"
#include "runtime/status.h"

namespace dunlin {

struct HostMemoryNeed {
    uint64_t weightBytes = 0;  // packed weights
    uint64_t activationBytes =
        0;  // the largest sum of maps that are alive at one op, and those that are kept to the end
    // While a session is created, the weights exist twice: as folded and as packed.
    uint64_t peakBytes() const { return 2 * weightBytes + activationBytes; }
};

// A close estimate from the graph alone; `kept` are values that live until the end of a run (outputs and taps).
HostMemoryNeed hostMemoryNeed(const Graph& graph, std::span<const ValueId> kept);

// Bytes that may still be allocated without swapping: the machine's, or what a container leaves of its limit. Nothing
// where the system does not say.
std::optional<uint64_t> availableHostBytes();

// DoesNotFit with both numbers.
Status checkFits(uint64_t needBytes, std::optional<uint64_t> availableBytes);

}  // namespace dunlin
