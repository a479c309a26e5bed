#include "runtime/image/resample.h"

#include <algorithm>
#include <cstring>

// The loops are compiled once for every processor and once for AVX2, whose vectors multiply integers of 32 bits.
#define DUNLIN_INLINE __attribute__((always_inline))

namespace dunlin {
namespace {

constexpr int32_t kHalf = 1 << (kCoefficientBits - 1);  // rounds the final shift to nearest
constexpr size_t kStep = kTapsAStep * kPixelBytes;

// GCC's and Clang's language extension: two pixels as integers.
constexpr size_t kInVector = 2 * kPixelBytes;
typedef int32_t Integers __attribute__((vector_size(kInVector * sizeof(int32_t))));

// Written so that it becomes one instruction.
DUNLIN_INLINE inline void load(Integers& integers, const uint8_t* from) {
    integers = Integers{from[0], from[1], from[2], from[3], from[4], from[5], from[6], from[7]};
}

// Weighted sums to what a byte holds.
DUNLIN_INLINE inline void clampToBytes(Integers& sums) {
    sums >>= kCoefficientBits;
    sums = sums < 0 ? Integers{} : sums;
    sums = sums > 255 ? Integers{} + 255 : sums;
}

DUNLIN_INLINE inline void resizeRowBy(const RowTaps& row, const uint8_t* source, uint8_t* out) {
    constexpr size_t kVectors = kStep / kInVector;
    const int32_t* weights = row.weights;
    for (size_t i = 0; i < row.outputs; ++i, out += kPixelBytes) {
        const uint8_t* bytes = source + static_cast<size_t>(row.first[i]) * kPixelBytes;
        Integers sums[kVectors] = {};
        for (size_t tap = 0; tap < row.taps; tap += kTapsAStep)
            for (size_t v = 0; v < kVectors; ++v, weights += kInVector, bytes += kInVector) {
                Integers weight, colours;
                std::memcpy(&weight, weights, sizeof(weight));
                load(colours, bytes);
                sums[v] += weight * colours;
            }
        for (size_t v = 1; v < kVectors; ++v) sums[0] += sums[v];
        sums[0] += __builtin_shufflevector(sums[0], sums[0], 4, 5, 6, 7, 0, 1, 2, 3) + kHalf;
        clampToBytes(sums[0]);
        for (size_t c = 0; c < kPixelBytes; ++c) out[c] = static_cast<uint8_t>(sums[0][c]);
    }
}

// Each integer of a vector holds a pixel: its bytes are taken out and put back by shifts.
DUNLIN_INLINE inline void addRowsBy(std::span<const int32_t> weights, const uint8_t* const* rows, size_t count,
                                    uint8_t* out) {
    size_t at = 0;
    for (; at + sizeof(Integers) <= count; at += sizeof(Integers)) {
        Integers sums[kPixelBytes] = {};
        for (size_t tap = 0; tap < weights.size(); ++tap) {
            Integers pixels;
            std::memcpy(&pixels, rows[tap] + at, sizeof(pixels));
            for (size_t c = 0; c < kPixelBytes; ++c) sums[c] += weights[tap] * (pixels >> (8 * c) & 255);
        }
        Integers result = {};
        for (size_t c = 0; c < kPixelBytes; ++c) {
            sums[c] += kHalf;
            clampToBytes(sums[c]);
            result |= sums[c] << (8 * c);
        }
        std::memcpy(out + at, &result, sizeof(result));
    }
    for (; at < count; ++at) {
        int32_t sum = kHalf;
        for (size_t tap = 0; tap < weights.size(); ++tap) sum += weights[tap] * rows[tap][at];
        out[at] = static_cast<uint8_t>(std::clamp(sum >> kCoefficientBits, 0, 255));
    }
}

#if defined(__x86_64__)
#define DUNLIN_FOR_AVX2 __attribute__((target("avx2")))
bool hasAvx2() {
    return __builtin_cpu_supports("avx2");
}
#else
#define DUNLIN_FOR_AVX2
bool hasAvx2() {
    return false;
}
#endif

DUNLIN_FOR_AVX2 void resizeRowAvx2(const RowTaps& row, const uint8_t* source, uint8_t* out) {
    resizeRowBy(row, source, out);
}
DUNLIN_FOR_AVX2 void addRowsAvx2(std::span<const int32_t> weights, const uint8_t* const* rows, size_t count,
                                 uint8_t* out) {
    addRowsBy(weights, rows, count, out);
}

}  // namespace

void resizeRow(const RowTaps& row, const uint8_t* source, uint8_t* out) {
    if (hasAvx2()) return resizeRowAvx2(row, source, out);
    resizeRowBy(row, source, out);
}

void addRows(std::span<const int32_t> weights, const uint8_t* const* rows, size_t count, uint8_t* out) {
    if (hasAvx2()) return addRowsAvx2(weights, rows, count, out);
    addRowsBy(weights, rows, count, out);
}

}  // namespace dunlin
