// How the device stores the channels of a value where that is not simply one after another.
#pragma once

#include <vector>

#include "runtime/graph/graph.h"

namespace dunlin {

// Channels in parts, each of which begins a new channel group, so that kernels need not look inside groups: attention's
// heads (q, k and v of each, and their output), the separable attention's score, keys and values, and the two maps of a
// concatenation. One part for every other value.
std::vector<int> channelParts(const Graph& graph, ValueId value);

// Channels with the padding of every part: what a tensor's shape has on the device.
int storedChannels(const std::vector<int>& parts);
Shape storedShape(const Graph& graph, ValueId value);

// Where the device stores each channel.
std::vector<int> channelPositions(const std::vector<int>& parts);

}  // namespace dunlin
