// The innermost loops of resizing pictures: weighted sums of colours in fixed point, rounded and cut to what a byte
// holds. Integers, and two roundings of a float behind them: the same on every machine.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace dunlin {

constexpr size_t kPixelBytes = 4;     // RGBA8
constexpr int kCoefficientBits = 22;  // Pillow's: 32 bits less 8 for the byte and 2 for overshoot

// A weight is high * 2^kLowBits + low, 0 <= low < 2^kLowBits: processors multiply pairs of 16-bit numbers and add the
// products in one step.
constexpr int kLowBits = 11;

// Each output pixel of a row is the weighted sum of some source pixels from first[output] on, all within the source's
// row: `steps` times kTapsAStep of them.
constexpr size_t kTapsAStep = 4, kOutputsAStep = 2;
struct RowTaps {
    // By [pair of outputs][step]. Where the number of outputs is odd, first and weights are those of one more.
    struct Weights {
        struct Part {
            int16_t pair[kTapsAStep / 2][kOutputsAStep][kPixelBytes][2];  // the same for all bytes of a pixel
        };
        Part high, low;
    };
    const int32_t* first;
    size_t outputs;
    size_t steps;
    const Weights* weights;
};
// `out` has room for an even number of pixels.
void resizeRow(const RowTaps& row, const uint8_t* source, uint8_t* out);

// What a network is given for a byte: (byte - shift) * scale, by channel of the network's input.
struct Normalisation {
    std::array<float, 3> shift, scale;
    bool swapRedBlue;  // the network's channels are blue, green, red
};

// Weights of two rows.
struct RowPairWeights {
    int16_t high[2], low[2];
};

// The weighted sum of rows, two for each of `weights`, as `pixels` pixels of `channels` floats, normalised; channels
// past the third are set to zero.
void addRows(std::span<const RowPairWeights> weights, const uint8_t* const* rows, size_t pixels,
             const Normalisation& normalisation, size_t channels, float* out);

// All of a row of pixels of one colour.
void fillRow(uint8_t value, size_t pixels, const Normalisation& normalisation, size_t channels, float* out);

}  // namespace dunlin
