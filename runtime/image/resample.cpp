#include "runtime/image/resample.h"

#include <algorithm>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "runtime/processors.h"

namespace dunlin {
namespace {

constexpr int32_t kHalf = 1 << (kCoefficientBits - 1);  // rounds the final shift to nearest
constexpr size_t kColours = 3;

// GCC's and Clang's language extension: one pixel as integers.
typedef int32_t Pixel __attribute__((vector_size(kPixelBytes * sizeof(int32_t))));

// Not a loop, so that it becomes one instruction.
Pixel load(const uint8_t* from) {
    return Pixel{from[0], from[1], from[2], from[3]};
}

int32_t whole(int16_t high, int16_t low) {
    return high * (1 << kLowBits) + low;
}

// Weighted sums to what a byte holds.
Pixel toBytes(Pixel sums) {
    sums = (sums + kHalf) >> kCoefficientBits;
    sums = sums < 0 ? Pixel{} : sums;
    return sums > 255 ? Pixel{} + 255 : sums;
}

void storeNormalised(const Pixel& bytes, const Normalisation& normalisation, size_t channels, float* out) {
    for (size_t c = 0; c < kColours; ++c) {
        const int32_t byte = bytes[normalisation.swapRedBlue ? 2 - c : c];
        out[c] = (static_cast<float>(byte) - normalisation.shift[c]) * normalisation.scale[c];
    }
    std::fill(out + kColours, out + channels, 0.0f);
}

void resizeRowOnAny(const RowTaps& row, const uint8_t* source, uint8_t* out) {
    for (size_t i = 0; i < row.outputs; ++i, out += kPixelBytes) {
        const RowTaps::Weights* weights = row.weights + i / kOutputsAStep * row.steps;
        const uint8_t* from = source + static_cast<size_t>(row.first[i]) * kPixelBytes;
        Pixel sums = {};
        for (size_t step = 0; step < row.steps; ++step, ++weights)
            for (size_t tap = 0; tap < kTapsAStep; ++tap, from += kPixelBytes) {
                const auto& high = weights->high.pair[tap / 2][i % kOutputsAStep][0];
                const auto& low = weights->low.pair[tap / 2][i % kOutputsAStep][0];
                sums += whole(high[tap % 2], low[tap % 2]) * load(from);
            }
        sums = toBytes(sums);
        for (size_t c = 0; c < kPixelBytes; ++c) out[c] = static_cast<uint8_t>(sums[c]);
    }
}

void addRowsOnAny(std::span<const RowPairWeights> weights, const uint8_t* const* rows, size_t pixels,
                  const Normalisation& normalisation, size_t channels, float* out) {
    for (size_t at = 0; at < pixels * kPixelBytes; at += kPixelBytes, out += channels) {
        Pixel sums = {};
        for (size_t pair = 0; pair < weights.size(); ++pair)
            for (size_t row = 0; row < 2; ++row)
                sums += whole(weights[pair].high[row], weights[pair].low[row]) * load(rows[2 * pair + row] + at);
        storeNormalised(toBytes(sums), normalisation, channels, out);
    }
}

#if defined(__x86_64__)
#define DUNLIN_FOR_AVX2 __attribute__((target("avx2")))

template <typename Type>
DUNLIN_FOR_AVX2 __attribute__((always_inline)) inline __m256i load256(const Type* from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}

// Two outputs at a time, one in each half of a vector.
DUNLIN_FOR_AVX2 void resizeRowAvx2(const RowTaps& row, const uint8_t* source, uint8_t* out) {
    static_assert(sizeof(RowTaps::Weights) == 4 * sizeof(__m256i));
    // The bytes of pixels 0 and 1 in pairs, then those of pixels 2 and 3.
    const __m256i inPairs =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15));
    const __m256i zero = _mm256_setzero_si256(), firstOfHalves = _mm256_setr_epi32(0, 4, 0, 4, 0, 4, 0, 4);
    const auto [firsts, outputs, steps, allWeights] = row;
    const RowTaps::Weights* weights = allWeights;
    for (size_t i = 0; i < outputs; i += kOutputsAStep, out += kOutputsAStep * kPixelBytes) {
        const auto* const a = reinterpret_cast<const __m128i*>(source + firsts[i] * std::ptrdiff_t{kPixelBytes});
        const auto* const b = reinterpret_cast<const __m128i*>(source + firsts[i + 1] * std::ptrdiff_t{kPixelBytes});
        __m256i high = zero, low = _mm256_set1_epi32(kHalf);
        for (size_t step = 0; step < steps; ++step, ++weights) {
            const __m256i pixels = _mm256_loadu2_m128i(b + step, a + step);
            const __m256i pairs = _mm256_shuffle_epi8(pixels, inPairs);
            const __m256i first = _mm256_unpacklo_epi8(pairs, zero), second = _mm256_unpackhi_epi8(pairs, zero);
            high = _mm256_add_epi32(high, _mm256_madd_epi16(first, load256(weights->high.pair[0])));
            low = _mm256_add_epi32(low, _mm256_madd_epi16(first, load256(weights->low.pair[0])));
            high = _mm256_add_epi32(high, _mm256_madd_epi16(second, load256(weights->high.pair[1])));
            low = _mm256_add_epi32(low, _mm256_madd_epi16(second, load256(weights->low.pair[1])));
        }
        const __m256i sums =
            _mm256_srai_epi32(_mm256_add_epi32(_mm256_slli_epi32(high, kLowBits), low), kCoefficientBits);
        // Packing cuts to what a byte holds.
        const __m256i words = _mm256_packs_epi32(sums, sums), bytes = _mm256_packus_epi16(words, words);
        const __m256i both = _mm256_permutevar8x32_epi32(bytes, firstOfHalves);
        _mm_storel_epi64(reinterpret_cast<__m128i*>(out), _mm256_castsi256_si128(both));
    }
}

constexpr size_t kBlockPixels = 8;

// Sums of a block's bytes; vector v has pixels v and v + 4.
DUNLIN_FOR_AVX2 __attribute__((always_inline)) inline void addBlock(std::span<const RowPairWeights> weights,
                                                                    const uint8_t* const* rows, size_t at,
                                                                    __m256i (&sums)[4]) {
    const __m256i zero = _mm256_setzero_si256();
    __m256i high[4], low[4];
    for (size_t v = 0; v < 4; ++v) high[v] = zero, low[v] = _mm256_set1_epi32(kHalf);
    for (const RowPairWeights& pair : weights) {
        int32_t highs, lows;
        std::memcpy(&highs, pair.high, sizeof(highs));
        std::memcpy(&lows, pair.low, sizeof(lows));
        const __m256i highWeights = _mm256_set1_epi32(highs), lowWeights = _mm256_set1_epi32(lows);
        const __m256i a = load256(rows[0] + at), b = load256(rows[1] + at);
        const __m256i first = _mm256_unpacklo_epi8(a, b), second = _mm256_unpackhi_epi8(a, b);
        const __m256i pairs[4] = {_mm256_unpacklo_epi8(first, zero), _mm256_unpackhi_epi8(first, zero),
                                  _mm256_unpacklo_epi8(second, zero), _mm256_unpackhi_epi8(second, zero)};
        for (size_t v = 0; v < 4; ++v) {
            high[v] = _mm256_add_epi32(high[v], _mm256_madd_epi16(pairs[v], highWeights));
            low[v] = _mm256_add_epi32(low[v], _mm256_madd_epi16(pairs[v], lowWeights));
        }
        rows += 2;
    }
    for (size_t v = 0; v < 4; ++v)
        sums[v] = _mm256_srai_epi32(_mm256_add_epi32(_mm256_slli_epi32(high[v], kLowBits), low[v]), kCoefficientBits);
}

DUNLIN_FOR_AVX2 __attribute__((always_inline)) inline __m256 broadcast(const std::array<float, 3>& byColour) {
    return _mm256_setr_ps(byColour[0], byColour[1], byColour[2], 0, byColour[0], byColour[1], byColour[2], 0);
}

// kBlockPixels pixels or more, of three channels each. The last block overlaps the one before it.
DUNLIN_FOR_AVX2 void addRowsAvx2(std::span<const RowPairWeights> weights, const uint8_t* const* rows, size_t pixels,
                                 const Normalisation& normalisation, float* out) {
    const __m256 shift = broadcast(normalisation.shift), scale = broadcast(normalisation.scale);
    const int32_t red = normalisation.swapRedBlue ? 2 : 0, blue = 2 - red;
    const __m256i order = _mm256_setr_epi32(red, 1, blue, 3, red, 1, blue, 3);
    const __m256i none = _mm256_setzero_si256(), all = _mm256_set1_epi32(255);
    for (size_t pixel = 0; pixel < pixels; pixel += kBlockPixels) {
        pixel = std::min(pixel, pixels - kBlockPixels);
        __m256i sums[4];
        addBlock(weights, rows, pixel * kPixelBytes, sums);
        __m128 halves[kBlockPixels];
        for (size_t v = 0; v < 4; ++v) {
            const __m256i bytes = _mm256_min_epi32(_mm256_max_epi32(sums[v], none), all);
            const __m256 colours = _mm256_permutevar_ps(_mm256_cvtepi32_ps(bytes), order);
            const __m256 normalised = _mm256_mul_ps(_mm256_sub_ps(colours, shift), scale);
            halves[v] = _mm256_castps256_ps128(normalised);
            halves[v + 4] = _mm256_extractf128_ps(normalised, 1);
        }
        // Each pixel is written over the fourth float of the one before it; the last one's would be another row's.
        float* const to = out + pixel * kColours;
        for (size_t p = 0; p + 1 < kBlockPixels; ++p) _mm_storeu_ps(to + p * kColours, halves[p]);
        float last[4];
        _mm_storeu_ps(last, halves[kBlockPixels - 1]);
        std::copy_n(last, kColours, to + (kBlockPixels - 1) * kColours);
    }
}
#endif

}  // namespace

void resizeRow(const RowTaps& row, const uint8_t* source, uint8_t* out) {
#if defined(__x86_64__)
    if (hasAvx2()) return resizeRowAvx2(row, source, out);
#endif
    resizeRowOnAny(row, source, out);
}

void addRows(std::span<const RowPairWeights> weights, const uint8_t* const* rows, size_t pixels,
             const Normalisation& normalisation, size_t channels, float* out) {
#if defined(__x86_64__)
    if (hasAvx2() && channels == kColours && pixels >= kBlockPixels)
        return addRowsAvx2(weights, rows, pixels, normalisation, out);
#endif
    addRowsOnAny(weights, rows, pixels, normalisation, channels, out);
}

void fillRow(uint8_t value, size_t pixels, const Normalisation& normalisation, size_t channels, float* out) {
    for (size_t pixel = 0; pixel < pixels; ++pixel)
        storeNormalised(Pixel{} + value, normalisation, channels, out + pixel * channels);
}

}  // namespace dunlin
