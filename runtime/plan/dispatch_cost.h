// What a dispatch must at least do: the bytes that it moves and the arithmetic that its part of the network is worth.
#pragma once

#include "runtime/plan/lower.h"

namespace dunlin {

struct DispatchCost {
    // Each bound range once, read or written; of pixels that no window or pool looks at, nothing. Without the source of
    // preprocess, which is no tensor.
    uint64_t bytes = 0;
    int64_t flops = 0;  // two for each multiply-add of multiplyAdds(); what a kernel recomputes does not count
    bool isMatrixProduct = false;  // dense sums over channels, which matrix units could do
};

DispatchCost costOf(const Graph& graph, const LoweredNetwork& network, size_t dispatch);

// The height of the map whose rows the call's extents count; 0 for kernels that take whole images.
int rowsOf(const KernelCall& call);

// The nodes that a step computes, in graph order.
std::vector<int> nodesOf(const Graph& graph, const Step& step);

}  // namespace dunlin
