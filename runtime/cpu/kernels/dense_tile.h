// The innermost loops of matrix products: tiles of the result whose sums stay in registers, compiled for each length of
// vectors.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/cpu/kernels/activation_loop.h"
#include "runtime/cpu/kernels/parallel.h"
#include "runtime/graph/ops.h"

namespace dunlin::cpu {

// Columns of a panel of weights; a last panel may have half as many.
constexpr size_t kPanelColumns = 32;
constexpr size_t kHalfPanel = kPanelColumns / 2;
constexpr size_t kMaxTileRows = 14;

// result[row][column] = activation((bias[column] + the sum of input[row][k] weights[k][column], one k after the other)
// + residual[row][column]): the residual comes last, so that the bits are those of an Add behind the product. What a
// row multiplies lies in `segments` pieces of `segmentDepth` floats: of a convolution's window, the rows. Strides are
// in floats.
struct Tile {
    size_t count;  // of tiles below one another
    const float* input;
    size_t inputStride;  // from one row to the next
    const size_t* segmentOffsets;
    size_t segments;
    size_t segmentDepth;
    const float* weights;
    size_t weightStride;
    const float* bias;
    const float* residual;  // may be null
    float* output;
    size_t outputStride;  // of the residual too
    // What will be needed soon is asked for, a line at a time, from this address on: `prefetchStep` bytes further for
    // each k. A number, because it may leave the array, which pointers must not.
    uintptr_t prefetch;
    size_t prefetchStep;
    Activation activation;  // None, or one that isAppliedInTiles()
};

// Functions of a few instructions are applied to the sums before they are stored, others to what was stored.
constexpr bool isAppliedInTiles(Activation activation) {
    return activation == Activation::Relu || activation == Activation::Relu6 || activation == Activation::HardSwish;
}

using TileFunction = void (*)(const Tile&);
// Copies `columns` < kPanelColumns floats of each row of a tile to its place, after adding the residual, where there is
// one, and applying an activation to the tile.
using FinishFunction = void (*)(Activation, float* tile, size_t tileStride, const float* residual, float* output,
                                size_t outputStride, size_t rows, size_t columns);

// What one length of vectors has.
struct TileFunctions {
    size_t rows;     // of the tallest tile, at most kMaxTileRows
    size_t columns;  // of the widest, at most kPanelColumns; others have a half, or a quarter, as long as those are
                     // vectors
    size_t narrow;   // columns of the narrowest tile: one vector
    TileFunction wide[kMaxTileRows], half[kMaxTileRows], quarter[kMaxTileRows];  // by rows - 1; null where too narrow
    ActivationLoop activate;
    FinishFunction finish;

    // The narrowest tile that holds `columns`, or the widest.
    size_t columnsFor(size_t wanted) const {
        size_t chosen = columns;
        while (chosen / 2 >= wanted && chosen / 2 >= narrow) chosen /= 2;
        return chosen;
    }
    TileFunction function(size_t tileRows, size_t tileColumns) const {
        const TileFunction* const table = tileColumns == columns ? wide : tileColumns * 2 == columns ? half : quarter;
        return table[tileRows - 1];
    }
};

const TileFunctions& tileFunctions(Vectors vectors);

}  // namespace dunlin::cpu
