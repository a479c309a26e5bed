// Weights in the order in which kernels read them. One packing a kernel family, read by every variant of it:
//   Gemm      conv2d, pointwise, linear, squeeze-excite: [out groups][1 + K] of vec4 over 4 output channels; element 0 is
//             the bias, then K = kernelH * kernelW * (input channels rounded up to 4), in that nesting.
//   Depthwise [1 + kernelH * kernelW][groups] of vec4; row 0 is the bias.
// Padding lanes are zero.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/graph/graph.h"
#include "runtime/weights/fold.h"

namespace dunlin {

struct Constant {
    int node = -1;           // index into Graph::nodes()
    uint64_t groups = 0;     // vec4 elements
    uint64_t sizeBytes = 0;  // at the precision asked for
};

// The constants of a network, in node order. Independent of input size and batch, so that sessions can share them.
std::vector<Constant> constantsOf(const Graph& graph, Precision precision);

// Packs one constant; `packed` has sizeBytes bytes. Float32 values are rounded to nearest even for Fp16; values beyond
// float16's range saturate at its largest finite number.
void prepack(const Graph& graph, const Constant& constant, const FoldedWeights& folded, Precision precision,
             std::span<std::byte> packed);

uint16_t toHalf(float value);
float fromHalf(uint16_t half);

}  // namespace dunlin
