#include "runtime/image/resize_rows.h"

#include <bit>
#include <cstring>

// Four products of 32 bits in one instruction: x86-64 has it since SSE4.1, and compilers may not count on that.
#if defined(__x86_64__)
#define DUNLIN_FOR_AVX2 __attribute__((target("avx2")))
#endif
#define DUNLIN_INLINE __attribute__((always_inline)) inline

namespace dunlin {
namespace {

constexpr int32_t kHalf = 1 << (kCoefficientBits - 1);  // rounds the final shift to nearest

// The four bytes of a pixel as the low bytes of four numbers, and back: shuffles of 16 bytes.
typedef uint8_t Bytes __attribute__((vector_size(16)));
typedef int32_t Sums __attribute__((vector_size(16)));
static_assert(std::endian::native == std::endian::little);

DUNLIN_INLINE Sums widen(const uint8_t* pixel) {
    uint32_t packed;
    std::memcpy(&packed, pixel, kPixelBytes);
    const Sums low = {static_cast<int32_t>(packed), 0, 0, 0};
    const auto bytes = std::bit_cast<Bytes>(low);
    return std::bit_cast<Sums>(__builtin_shufflevector(bytes, bytes, 0, 4, 4, 4, 1, 4, 4, 4, 2, 4, 4, 4, 3, 4, 4, 4));
}

DUNLIN_INLINE void narrow(const Sums& sums, uint8_t* pixel) {
    const auto bytes = std::bit_cast<Bytes>(sums);
    const auto packed =
        std::bit_cast<Sums>(__builtin_shufflevector(bytes, bytes, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12));
    const int32_t first = packed[0];
    std::memcpy(pixel, &first, kPixelBytes);
}

// Sums to the bytes that they stand for.
DUNLIN_INLINE void storePixel(Sums sums, uint8_t* out) {
    sums >>= kCoefficientBits;
    sums = sums < 0 ? Sums{} : sums;
    sums = sums > 255 ? Sums{} + 255 : sums;
    narrow(sums, out);
}

DUNLIN_INLINE void resizeRowInline(const RowTaps& taps, const uint8_t* source, uint8_t* out) {
    const int32_t* weights = taps.weights;
    for (size_t i = 0; i < taps.first.size(); ++i, weights += taps.tapsPerOutput, out += kPixelBytes) {
        const uint8_t* from = source + static_cast<size_t>(taps.first[i]) * kPixelBytes;
        Sums sums = {kHalf, kHalf, kHalf, kHalf};
        for (int tap = 0; tap < taps.count[i]; ++tap, from += kPixelBytes) sums += weights[tap] * widen(from);
        storePixel(sums, out);
    }
}

DUNLIN_INLINE void sumRowsInline(std::span<const uint8_t* const> rows, const int32_t* weights, size_t bytes,
                                 uint8_t* out) {
    for (size_t at = 0; at < bytes; at += kPixelBytes) {
        Sums sums = {kHalf, kHalf, kHalf, kHalf};
        for (size_t row = 0; row < rows.size(); ++row) sums += weights[row] * widen(rows[row] + at);
        storePixel(sums, out + at);
    }
}

#if defined(__x86_64__)
DUNLIN_FOR_AVX2 void resizeRowAvx2(const RowTaps& taps, const uint8_t* source, uint8_t* out) {
    resizeRowInline(taps, source, out);
}
DUNLIN_FOR_AVX2 void sumRowsAvx2(std::span<const uint8_t* const> rows, const int32_t* weights, size_t bytes,
                                 uint8_t* out) {
    sumRowsInline(rows, weights, bytes, out);
}
#endif

}  // namespace

void resizeRow(const RowTaps& taps, const uint8_t* source, uint8_t* out) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) return resizeRowAvx2(taps, source, out);
#endif
    resizeRowInline(taps, source, out);
}

void sumRows(std::span<const uint8_t* const> rows, const int32_t* weights, size_t bytes, uint8_t* out) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) return sumRowsAvx2(rows, weights, bytes, out);
#endif
    sumRowsInline(rows, weights, bytes, out);
}

}  // namespace dunlin
