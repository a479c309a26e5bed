// The innermost loops of depthwise convolutions: some outputs side by side whose sums stay in registers, compiled for
// each length of vectors.
#pragma once

#include <cstddef>

#include "runtime/cpu/kernels/parallel.h"
#include "runtime/graph/ops.h"

namespace dunlin::cpu {

constexpr size_t kMaxStripOutputs = 8;

// Outputs of one row, next to one another, of all channels, and as many more of such strips as are asked for. Only taps
// that lie on the map are summed, one after the other in the order of the kernel.
struct Strip {
    const float* const* rows;  // of the map, one for each of the kernel's rows that lies on it
    size_t rowCount;
    const float* weights;  // of the first of these rows: [row][kernelWidth][channels]
    const float* bias;     // [channels]
    size_t channels;
    size_t kernelWidth, stride;
    std::ptrdiff_t left;  // the column of the map under the first output's first tap; negative in the padding
    size_t width;         // of the map
    size_t outputs;       // 1 .. those of the function
    size_t count;         // of strips; one, but for a function of the inside alone
    float* output;        // [count][outputs][channels]
    Activation activation;
};

using StripFunction = void (*)(const Strip&);
// sums[c] = the sum of pixels[p][c] over p < count, in an order that depends on nothing else; whole rows of `channels`.
using SumFunction = void (*)(const float* pixels, size_t count, size_t channels, float* sums);

// The function for a kernel and the outputs that it computes at once. One for strips whose taps all lie on the map
// within its sides and that have as many outputs, and one for any.
struct StripFunctions {
    StripFunction inside, any;
    size_t outputs;
    SumFunction sum;
};

StripFunctions stripFunctions(Vectors vectors, size_t kernelWidth, size_t stride, size_t channels, size_t mapOutputs);

}  // namespace dunlin::cpu
