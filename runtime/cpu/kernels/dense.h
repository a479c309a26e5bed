// Convolutions and linear layers as matrix products: a row for each output pixel, a column for each output channel.
#pragma once

#include <algorithm>
#include <vector>

#include "runtime/cpu/kernels/aligned.h"
#include "runtime/cpu/kernels/dense_tile.h"
#include "runtime/cpu/kernels/kernel.h"
#include "runtime/weights/fold.h"

namespace dunlin::cpu {

// Rows that lie at equal distances, and where the results of a matrix product go. Strides are in floats.
struct ProductRows {
    const float* input;
    size_t inputStride;
    std::span<const size_t> segmentOffsets;  // of what a row multiplies: see Tile
    size_t segmentDepth;
    const float* residual;  // may be null; else as the output
    float* output;
    size_t outputStride;
    const float* next;  // rows that will be asked for after these: fetched into a near cache; may be null
    size_t count;
};

// The weights of a matrix product, packed for tiles: panel after panel of kPanelColumns columns, the last one a half
// panel where that is enough, each [depth][columns]. Where the last one would not be filled, it begins earlier and has
// columns of the one before it once more, so that tiles are whole: their results are written twice, the same bits. A
// matrix with fewer columns than a panel has zeros in those that are too many.
class PackedMatrix {
  public:
    static uint64_t bytes(size_t depth, size_t columns) {
        return uint64_t{depth + 1} * roundUp(columns, kHalfPanel) * sizeof(float);
    }

    PackedMatrix(size_t depth, size_t columns);
    void set(size_t k, size_t column, float weight);
    void setBias(size_t column, float bias) { bias_[column] = bias; }

    size_t depth() const { return depth_; }
    size_t columns() const { return columns_; }
    size_t panels() const { return divideUp(columns_, kPanelColumns); }

    // Whether the last two panels write the same columns: no two threads may compute them at once.
    static bool hasOverlap(size_t columns) { return columns > kPanelColumns && columns % kHalfPanel != 0; }

    // The columns of one panel. The residual and the output begin at the matrix' first column.
    void multiply(const TileFunctions& tiles, const ProductRows& rows, size_t panel, Activation activation) const;

  private:
    // Columns that one width of tiles computes.
    struct ProductPart {
        Activation activation;
        size_t column, width, valid;  // `valid` of the `width` columns are the matrix'
        const float* weights;
        size_t weightStride;
        uintptr_t prefetch;
        size_t prefetchStep;
    };
    void multiplyPart(const TileFunctions& tiles, const ProductRows& rows, const ProductPart& part, size_t firstRow,
                      size_t count, size_t height) const;
    size_t panelStride(size_t panel) const {
        return columns_ - panel * kPanelColumns <= kHalfPanel ? kHalfPanel : kPanelColumns;
    }
    size_t firstColumn(size_t panel) const {
        const size_t first = panel * kPanelColumns;
        return panel == 0 ? first : std::min(first, columns_ - panelStride(panel));
    }

    size_t depth_, columns_;
    AlignedFloats weights_, bias_;
};

// The matrix of a group of a convolution: `columns` output channels from `first` on, of `inputs` channels and `area`
// taps each. Row tap * inputs + channel.
PackedMatrix packedMatrix(const FoldedWeights& weights, size_t first, size_t columns, size_t inputs, size_t area);

// Any Conv2d but a depthwise one. A tile's rows are pixels side by side; their windows are read where they lie in the
// input or, where padding or a gate asks for it, in a copy of some rows of the input.
class DenseKernel final : public Kernel {
  public:
    static KernelNeed need(const Conv2d& conv, const Shape& input, const Shape& output, const Fusion& fusion,
                           size_t workers);

    // The weights in the order of FoldedWeights. A gate needs a kernel of one pixel and stride 1; with a residual, the
    // convolution has no activation of its own.
    DenseKernel(const Conv2d& conv, const Shape& input, const Shape& output, const FoldedWeights& weights,
                const Fusion& fusion);
    void run(const Workers& workers, std::span<const float* const> inputs, float* output,
             std::byte* scratch) const override;

  private:
    // The convolution over `images` maps. One that needs no neighbours is over maps of one row: tiles may then reach
    // from one row of pixels to the next.
    struct Geometry {
        Geometry(const Conv2d& conv, const Shape& input, const Shape& output, const Fusion& fusion);

        size_t images, inputHeight, inputWidth, channels, height, width, outChannels;
        size_t kernelH, kernelW, strideH, strideW, top, left, groups;
        bool isPointwise, isCopied, isGated, hasResidual;
        size_t copiedWidth() const { return (width - 1) * strideW + kernelW; }
        size_t depth() const { return kernelH * kernelW * channels / groups; }
    };
    // The pixels and panels of one job: rows of pixels, or pixels of the one row. None of it changes what is computed.
    struct Blocks {
        size_t pixels, rows, panels;                             // of a job
        size_t pixelBlocks = 0, rowBlocks = 0, panelBlocks = 0;  // of an image
        size_t jobs = 0, copiedFloats = 0;
    };
    struct Maps {
        const float *input, *gate, *residual;
        float* output;
    };

    static Blocks blocksOf(const Geometry& geometry, size_t workers);

    template <typename Tag>
    void runJob(Tag tag, const TileFunctions& tiles, const Blocks& blocks, const Maps& maps, size_t job,
                float* copy) const;
    template <typename Tag>
    void copyGated(Tag, const Maps& maps, size_t image, size_t firstPixel, size_t count, float* copy) const;
    void copyPadded(const float* input, size_t firstRow, size_t rows, float* copy) const;

    Geometry geometry_;
    Activation activation_;
    std::vector<PackedMatrix> groups_;
    std::vector<size_t> segmentOffsets_;
    size_t segmentDepth_;
};

// A linear layer is a convolution of single pixels.
Conv2d asConvolution(const Linear& linear);

}  // namespace dunlin::cpu
