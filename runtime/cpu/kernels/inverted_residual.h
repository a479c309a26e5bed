// Expansion, depthwise convolution and projection row by row: what lies between them stays in a cache. MobileNetV2's
// block (Sandler et al. 2018), or two neighbours of one.
#pragma once

#include <optional>

#include "runtime/cpu/kernels/dense.h"
#include "runtime/cpu/kernels/depthwise.h"
#include "runtime/cpu/kernels/kernel.h"
#include "runtime/weights/fold.h"

namespace dunlin::cpu {

// The convolutions of a block, one reading the other; either pointwise one may be absent.
struct BlockNodes {
    const Node* expand = nullptr;
    const Node* depthwise = nullptr;
    const Node* project = nullptr;
};

// Nodes that follow one another as such a block, and whether to compute them as one is worth it: where what lies
// between them would not stay in a cache, and the weights do.
std::optional<BlockNodes> asBlock(const Graph& graph, std::span<const Node> nodes);

class InvertedResidualKernel final : public Kernel {
  public:
    static KernelNeed need(const Graph& graph, const BlockNodes& nodes, const Fusion& fusion, size_t workers);

    static Result<std::unique_ptr<Kernel>> make(const Graph& graph, const BlockNodes& nodes,
                                                const WeightsSource& weights, const Fusion& fusion);
    void run(const Workers& workers, std::span<const float* const> inputs, float* output,
             std::byte* scratch) const override;
    void runWithMean(const Workers& workers, std::span<const float* const> inputs, float* output, float* mean,
                     std::byte* scratch) const override;

  private:
    struct Pointwise {
        PackedMatrix matrix;
        Activation activation;
    };
    // One thread's rows: a ring of those that the depthwise convolution reads, and one that it writes.
    struct Buffers {
        const float** rows;
        float *ring, *row;
    };

    InvertedResidualKernel(const Shape& input, const Shape& output, std::optional<Pointwise> expand,
                           std::unique_ptr<DepthwiseKernel> depthwise, size_t kernelH, size_t strideH, size_t top,
                           std::optional<Pointwise> project, bool hasResidual);
    // One image's maps; the sums of each row are those of its channels, where they are asked for.
    struct Maps {
        const float *input, *residual;
        float *output, *sums;
    };
    void computeBand(const TileFunctions& tiles, const StripFunctions& strips, const Maps& maps, size_t firstRow,
                     size_t endRow, const Buffers& buffers) const;

    Shape input_, output_;  // of the block
    size_t channels_;       // between its convolutions
    std::optional<Pointwise> expand_;
    std::unique_ptr<DepthwiseKernel> depthwise_;
    size_t kernelH_, strideH_, top_;
    std::optional<Pointwise> project_;
    bool hasResidual_;
};

}  // namespace dunlin::cpu
