// Weights in the order in which kernels read them. One packing a kernel family, read by every variant of it:
//   Gemm      conv2d, pointwise, linear, squeeze-excite: [out groups][1 + K] of vec4 over 4 output channels; element 0
//   is
//             the bias, then K = kernelH * kernelW * (input channels rounded up to 4), in that nesting.
//   Depthwise [1 + kernelH * kernelW][groups] of vec4; row 0 is the bias.
//   LayerNorm [2][groups]: weight, bias; for where it is computed by itself.
//   Attention with windows: [(2 height - 1) * (2 width - 1)][groups of heads], the relative positions' bias; then a
//             padded token, stored as the tensor of q, k and v is.
//   EmbedTokens [prefix + h * w][groups].
// Channels of both sides of a Gemm lie as stored_layout.h says. Padding lanes are zero.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/graph/graph.h"
#include "runtime/weights/fold.h"

namespace dunlin {

struct Constant {
    int node = -1;              // index into Graph::nodes()
    uint64_t groups = 0;        // vec4 elements
    uint64_t sizeBytes = 0;     // at the precision asked for
    // The node, and what the graph around it does to the packing (a LayerNorm that is folded in, the size of the map that
    // positions are resized for). Constants of one model and precision that agree in it hold the same bytes, so that
    // sessions of several input sizes can share them.
    std::string identity;
};

// The constants of a network, in node order.
std::vector<Constant> constantsOf(const Graph& graph, Precision precision);

// What a constant is packed from: the folded weights of its node. A LayerNorm that is computed inside the node's kernel
// (fusion.h) is folded in as well: weight[n][k] * gamma[k], and bias[n] + sum over k of weight[n][k] * beta[k]. Over
// pixels the weights of each output are then centred: normalised inputs add up to zero, so what all weights of an
// output have in common never counts, and the kernel need not subtract the mean.
Result<FoldedWeights> constantWeights(const Graph& graph, const Constant& constant, const WeightsSource& weights);

// Packs one constant; `packed` has sizeBytes bytes. Float32 values are rounded to nearest even for Fp16; values beyond
// float16's range saturate at its largest finite number.
void prepack(const Graph& graph, const Constant& constant, const FoldedWeights& folded, Precision precision,
             std::span<std::byte> packed);

uint16_t toHalf(float value);
float fromHalf(uint16_t half);

}  // namespace dunlin
