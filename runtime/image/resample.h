// The innermost loops of resizing pictures: weighted sums of bytes in fixed point. Integers: the same on every machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace dunlin {

constexpr size_t kPixelBytes = 4;     // RGBA8
constexpr int kCoefficientBits = 22;  // Pillow's: 32 bits less 8 for the byte and 2 for overshoot

// One output pixel of a row is the weighted sum of `taps` source pixels from `first` on, in steps of kTapsAStep.
constexpr size_t kTapsAStep = 4;
struct RowTaps {
    const int32_t* first;  // by output
    size_t outputs;
    size_t taps;             // a multiple of kTapsAStep; all within the source's row
    const int32_t* weights;  // [output][tap][kPixelBytes]: a tap's weight four times
};
void resizeRow(const RowTaps& row, const uint8_t* source, uint8_t* out);

// out[i] = the sum of weights[t] * rows[t][i] for i < count.
void addRows(std::span<const int32_t> weights, const uint8_t* const* rows, size_t count, uint8_t* out);

}  // namespace dunlin
