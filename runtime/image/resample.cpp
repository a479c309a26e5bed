#include "runtime/image/resample.h"

#include <cstring>

// The loops are compiled once for every processor and once for AVX2, whose vectors multiply integers of 32 bits.
#define DUNLIN_RESAMPLE_INLINE __attribute__((always_inline))

namespace dunlin {
namespace {

constexpr int32_t kHalf = 1 << (kCoefficientBits - 1);  // rounds the final shift to nearest

// GCC's and Clang's language extension: two pixels as integers.
constexpr size_t kInVector = 2 * kPixelBytes;
typedef int32_t Integers __attribute__((vector_size(kInVector * sizeof(int32_t))));
typedef int32_t Pixel __attribute__((vector_size(kPixelBytes * sizeof(int32_t))));

// Written so that it becomes one instruction.
DUNLIN_RESAMPLE_INLINE inline void load(Integers& integers, const uint8_t* from) {
    integers = Integers{from[0], from[1], from[2], from[3], from[4], from[5], from[6], from[7]};
}

// Weighted sums to what a byte holds.
template <typename Vector>
DUNLIN_RESAMPLE_INLINE inline void clampToBytes(Vector& sums) {
    sums = (sums + kHalf) >> kCoefficientBits;
    sums = sums < 0 ? Vector{} : sums;
    sums = sums > 255 ? Vector{} + 255 : sums;
}

DUNLIN_RESAMPLE_INLINE inline void resizeRowBy(const RowTaps& row, const uint8_t* source, int32_t* out) {
    constexpr size_t kVectors = kTapsAStep * kPixelBytes / kInVector;
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
        Pixel pixel = __builtin_shufflevector(sums[0], sums[0], 0, 1, 2, 3) +
                      __builtin_shufflevector(sums[0], sums[0], 4, 5, 6, 7);
        clampToBytes(pixel);
        std::memcpy(out, &pixel, sizeof(pixel));
    }
}

DUNLIN_RESAMPLE_INLINE inline void addRowsBy(std::span<const int32_t> weights, const int32_t* const* rows, size_t count,
                                             int32_t* out) {
    constexpr size_t kVectors = 4, kBlock = kVectors * kInVector;
    size_t at = 0;
    for (; at + kBlock <= count; at += kBlock) {
        Integers sums[kVectors] = {};
        for (size_t tap = 0; tap < weights.size(); ++tap)
            for (size_t v = 0; v < kVectors; ++v) {
                Integers colours;
                std::memcpy(&colours, rows[tap] + at + v * kInVector, sizeof(colours));
                sums[v] += weights[tap] * colours;
            }
        for (size_t v = 0; v < kVectors; ++v) {
            clampToBytes(sums[v]);
            std::memcpy(out + at + v * kInVector, &sums[v], sizeof(sums[v]));
        }
    }
    for (; at < count; at += kPixelBytes) {
        Pixel sum = {};
        for (size_t tap = 0; tap < weights.size(); ++tap) {
            Pixel colours;
            std::memcpy(&colours, rows[tap] + at, sizeof(colours));
            sum += weights[tap] * colours;
        }
        clampToBytes(sum);
        std::memcpy(out + at, &sum, sizeof(sum));
    }
}

#if defined(__x86_64__)
#define DUNLIN_RESAMPLE_FOR_AVX2 __attribute__((target("avx2")))
bool hasAvx2() {
    return __builtin_cpu_supports("avx2");
}
#else
#define DUNLIN_RESAMPLE_FOR_AVX2
bool hasAvx2() {
    return false;
}
#endif

DUNLIN_RESAMPLE_FOR_AVX2 void resizeRowAvx2(const RowTaps& row, const uint8_t* source, int32_t* out) {
    resizeRowBy(row, source, out);
}
DUNLIN_RESAMPLE_FOR_AVX2 void addRowsAvx2(std::span<const int32_t> weights, const int32_t* const* rows, size_t count,
                                          int32_t* out) {
    addRowsBy(weights, rows, count, out);
}

}  // namespace

void resizeRow(const RowTaps& row, const uint8_t* source, int32_t* out) {
    if (hasAvx2()) return resizeRowAvx2(row, source, out);
    resizeRowBy(row, source, out);
}

void addRows(std::span<const int32_t> weights, const int32_t* const* rows, size_t count, int32_t* out) {
    if (hasAvx2()) return addRowsAvx2(weights, rows, count, out);
    addRowsBy(weights, rows, count, out);
}

}  // namespace dunlin
