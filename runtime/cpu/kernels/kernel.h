// The ops of the graph on the CPU: one object a step, made when a session is created.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "runtime/cpu/kernels/parallel.h"
#include "runtime/graph/graph.h"
#include "runtime/status.h"
#include "runtime/weights/fold.h"
#include "runtime/weights/weights_source.h"

namespace dunlin::cpu {

// An extent of a shape, for sizes and offsets.
inline size_t sizeOf(int extent) {
    return static_cast<size_t>(extent);
}

// What a kernel needs besides its inputs and output.
struct KernelNeed {
    uint64_t constantBytes = 0;  // its weights and tables, for its lifetime
    uint64_t scratchBytes = 0;   // while it runs
};

// What a step computes besides its node, one that hasFusion().
struct Fusion {
    ValueId gate = kNoValue;                   // [n, 1, 1, c]: the pixels of the input are multiplied by it
    ValueId residual = kNoValue;               // added to the node's result
    Activation activation = Activation::None;  // after the addition
    // The GlobalAvgPool of the result, of each map: written too, by a kernel of which hasMean() holds.
    ValueId mean = kNoValue;
    bool operator==(const Fusion&) const = default;
};

// Computes a node with its activation, and what is fused into it. Immutable: one object may run on several maps at
// once, each with scratch of its own. Nothing is allocated while it runs.
class Kernel {
  public:
    virtual ~Kernel() = default;
    // `inputs` in the order of inputsOf(op), then the gate and the residual where there are, NHWC; the output overlaps
    // none of them. `scratch`: the scratchBytes of kernelNeed() for at least workers.count, aligned for doubles and
    // pointers.
    virtual void run(const Workers& workers, std::span<const float* const> inputs, float* output,
                     std::byte* scratch) const = 0;
    // The same with the mean of each map, [n, 1, 1, c]. Only of kernels that were made with Fusion::mean, and those are
    // run by it alone.
    virtual void runWithMean(const Workers&, std::span<const float* const>, float*, float*, std::byte*) const {}
};

// Whether a kernel can add a residual to its node's result, where the node has no activation, and whether it can
// multiply its input by a gate.
bool hasFusion(const Graph& graph, const Node& node);
bool hasGate(const Node& node);
// Whether a kernel can give the mean of its node's result too: a row is summed while it is near.
bool hasMean(const Graph& graph, const Node& node);

// Whether one kernel computes nodes that follow one another, each the only reader of the one before it, and is faster
// than one for each.
bool hasKernelOfBlock(const Graph& graph, std::span<const Node> nodes);
KernelNeed kernelNeedOfBlock(const Graph& graph, std::span<const Node> nodes, size_t workers,
                             const Fusion& fusion = {});
// The fusion has no gate. Errors are those of foldWeightsOfNode().
Result<std::unique_ptr<Kernel>> makeKernelOfBlock(const Graph& graph, std::span<const Node> nodes,
                                                  const WeightsSource& weights, const Fusion& fusion);

// Known from the graph alone, before anything is read or allocated.
KernelNeed kernelNeed(const Graph& graph, const Node& node, size_t workers, const Fusion& fusion = {});

// Reads and folds the node's weights. Errors are those of the weights, after the name of the node that they belong to.
Result<FoldedWeights> foldWeightsOfNode(const Graph& graph, const Node& node, const WeightsSource& weights);
Result<std::unique_ptr<Kernel>> makeKernel(const Graph& graph, const Node& node, const WeightsSource& weights,
                                           const Fusion& fusion = {});

}  // namespace dunlin::cpu
