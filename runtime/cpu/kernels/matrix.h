// Sums and products that keep their partial results in registers.
#pragma once

#include <cstddef>

#include "runtime/cpu/kernels/parallel.h"

namespace dunlin::cpu {

// In pairs: the same order for every processor, and smaller errors than one after the other.
DUNLIN_INLINE inline float sumOfLanes(const float* lanes) {
    float sums[kLanes];
    for (size_t l = 0; l < kLanes; ++l) sums[l] = lanes[l];
    for (size_t width = kLanes / 2; width > 0; width /= 2)
        for (size_t l = 0; l < width; ++l) sums[l] += sums[l + width];
    return sums[0];
}

// Rows of floats, `stride` apart.
template <typename Float>
struct Rows {
    Float* data;
    size_t stride;
};

constexpr size_t kMatrixRows = 4;  // that multiply() takes at a time

// result = a b with `rows` rows, a multiple of kMatrixRows, and `columns` columns, a multiple of kLanes. a has `depth`
// columns. float32 accumulation in the order of the depth.
template <typename Tag>
DUNLIN_INLINE inline void multiply(Tag, Rows<const float> a, Rows<const float> b, Rows<float> result, size_t rows,
                                   size_t depth, size_t columns) {
    constexpr size_t kFloats = Tag::kFloats;
    // Two vectors a row: with more, the partial results and their factors would not fit the registers. Vectors of 16
    // come one by one, as columns do.
    constexpr size_t kVectors = 2 * kFloats <= kLanes ? 2 : 1;
    for (size_t row = 0; row < rows; row += kMatrixRows)
        for (size_t column = 0; column < columns; column += kVectors * kFloats) {
            typename Tag::Vector sums[kMatrixRows][kVectors] = {};
            const float* const factors = a.data + row * a.stride;
            const float* other = b.data + column;
            for (size_t k = 0; k < depth; ++k, other += b.stride) {
                typename Tag::Vector columnsOfB[kVectors];
                for (size_t v = 0; v < kVectors; ++v) Tag::load(columnsOfB[v], other + v * kFloats);
                for (size_t r = 0; r < kMatrixRows; ++r)
                    for (size_t v = 0; v < kVectors; ++v) sums[r][v] += factors[r * a.stride + k] * columnsOfB[v];
            }
            float* to = result.data + row * result.stride + column;
            for (size_t r = 0; r < kMatrixRows; ++r, to += result.stride)
                for (size_t v = 0; v < kVectors; ++v) Tag::store(to + v * kFloats, sums[r][v]);
        }
}

}  // namespace dunlin::cpu
