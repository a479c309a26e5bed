// The inner loops of a resize in fixed point, compiled for the vectors of the processor that runs them. The arithmetic
// is of whole numbers: every processor gives the same bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace dunlin {

constexpr int kPixelBytes = 4;        // RGBA8
constexpr int kCoefficientBits = 22;  // Pillow's: 32 bits less 8 for the byte and 2 for overshoot

// Output i is the sum of `count[i]` taps over the source's pixels from first[i] on.
struct RowTaps {
    std::span<const int> first, count;  // one for each output
    const int32_t* weights;             // [output][tapsPerOutput]
    size_t tapsPerOutput;
};

// One row of pixels from another; `out` has four bytes for each output.
void resizeRow(const RowTaps& taps, const uint8_t* source, uint8_t* out);

// out[i] = the sum of weights[row] * rows[row][i], for i < bytes, which are those of whole pixels.
void sumRows(std::span<const uint8_t* const> rows, const int32_t* weights, size_t bytes, uint8_t* out);

}  // namespace dunlin
