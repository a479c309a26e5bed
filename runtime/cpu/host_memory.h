// What a network needs of the machine's memory on the CPU, and what the machine has.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "runtime/graph/graph.h"
#include "runtime/status.h"

namespace dunlin {

struct HostMemoryNeed {
    uint64_t weightBytes = 0;  // packed weights, and what kernels have made of theirs
    uint64_t foldedBytes = 0;  // the most of them that exist twice while a session is created: as folded and as packed
    // The arena of the maps, those that are kept to the end included, and scratch.
    uint64_t activationBytes = 0;
    uint64_t peakBytes() const { return weightBytes + foldedBytes + activationBytes; }
};

// A close estimate from the graph alone, without what preprocessing allocates for a picture and the copy of position
// embeddings that are resized while a session is created; `kept` are values that live until the end of a run (outputs
// and taps).
HostMemoryNeed hostMemoryNeed(const Graph& graph, std::span<const ValueId> kept, size_t threads = 1);

// Bytes that may still be allocated without swapping: the machine's, or what a container leaves of its limit. Nothing
// where the system does not say.
std::optional<uint64_t> availableHostBytes();

// What a container leaves of its limit, from the control group's files (version 2) in this folder. What of the page
// cache can be dropped at once ("inactive_file") counts as free. Nothing where there is no limit.
std::optional<uint64_t> containerAvailableBytes(const std::filesystem::path& controlGroup);

// DoesNotFit with both numbers; `what` begins the sentence ("resnet152 at 224x224").
Status checkFits(const std::string& what, uint64_t needBytes, std::optional<uint64_t> availableBytes);

}  // namespace dunlin
