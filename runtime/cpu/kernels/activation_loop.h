// Activations over many numbers: compiled once for each length of vectors, and called by every kernel that has one.
// Inside each of them they would be a tenth of the library.
#pragma once

#include <cstddef>

#include "runtime/cpu/kernels/parallel.h"
#include "runtime/graph/ops.h"

namespace dunlin::cpu {

// to[row][column] = activation(from[row][column]) for row < rows and column < columns; rows are `stride` floats apart
// in both, which may be the same memory.
using ActivationLoop = void (*)(Activation, const float* from, float* to, size_t stride, size_t rows, size_t columns);

ActivationLoop activationLoop(Vectors vectors);

// The function for whoever is himself a function of a tag, and compiled for its processor.
template <typename Tag>
ActivationLoop activationLoopOf() {
    return activationLoop(Tag::kFloats == 16 ? Vectors::Of16 : Tag::kFloats == 8 ? Vectors::Of8 : Vectors::Of4);
}

}  // namespace dunlin::cpu
