// Loops over floats that lie side by side, in vectors as long as there are, and sums of them.
#pragma once

#include <cstddef>
#include <utility>

#include "runtime/cpu/kernels/math.h"
#include "runtime/cpu/kernels/parallel.h"

namespace dunlin::cpu {

// Calls body(i, tag) with begin <= i < end, from vector to vector; what is left goes to shorter ones, down to single
// floats.
template <typename Tag, typename Body>
DUNLIN_INLINE inline void forEachVector(Tag, size_t begin, size_t end, Body body) {
    constexpr size_t kFloats = Tag::kFloats;
    for (; begin + kFloats <= end; begin += kFloats) body(begin, Tag());
    if constexpr (kFloats > 1)
        if (begin < end) forEachVector(VectorTag<(kFloats > 4 ? kFloats / 2 : 1)>(), begin, end, body);
}

template <typename Tag, size_t... indices>
DUNLIN_INLINE inline float sumAcross(Tag, const typename Tag::Vector& vector, std::index_sequence<indices...>) {
    constexpr size_t kHalf = sizeof...(indices);
    using Half = VectorTag<kHalf>;
    const typename Half::Vector sum = __builtin_shufflevector(vector, vector, indices...) +
                                      __builtin_shufflevector(vector, vector, (indices + kHalf)...);
    if constexpr (kHalf == 1)
        return sum[0];
    else
        return sumAcross(Half(), sum, std::make_index_sequence<kHalf / 2>());
}

// The sum of a vector's floats, in pairs of those that are half a vector apart.
template <typename Tag>
DUNLIN_INLINE inline float sumAcross(Tag tag, const typename Tag::Vector& vector) {
    return sumAcross(tag, vector, std::make_index_sequence<Tag::kFloats / 2>());
}

// The sum of function(x[i]) for i < count, in kLanes partial sums.
template <typename Tag, typename Function>
DUNLIN_INLINE inline float sumOver(Tag tag, const float* x, size_t count, Function function) {
    using Vector = typename Tag::Vector;
    Vector sums[Tag::kInLanes] = {};
    const size_t whole = count / kLanes * kLanes;
    for (size_t i = 0; i < whole; i += kLanes)
        for (size_t v = 0; v < Tag::kInLanes; ++v) {
            Vector numbers;
            Tag::load(numbers, x + i + v * Tag::kFloats);
            sums[v] += function(numbers);
        }
    for (size_t v = 1; v < Tag::kInLanes; ++v) sums[0] += sums[v];
    float sum = sumAcross(tag, sums[0]);
    for (size_t i = whole; i < count; ++i) sum += function(x[i]);
    return sum;
}

template <typename Tag>
DUNLIN_INLINE inline float sumOf(Tag tag, const float* x, size_t count) {
    return sumOver(tag, x, count, [](auto number) DUNLIN_INLINE { return number; });
}

// Minus infinity of none; NaN is passed over.
template <typename Tag>
DUNLIN_INLINE inline float largestOf(Tag, const float* x, size_t count) {
    using Vector = typename Tag::Vector;
    Vector largest[Tag::kInLanes];
    for (Vector& vector : largest) vector = splat<Vector>(-kInfinity);
    const size_t whole = count / kLanes * kLanes;
    for (size_t i = 0; i < whole; i += kLanes)
        for (size_t v = 0; v < Tag::kInLanes; ++v) {
            Vector numbers;
            Tag::load(numbers, x + i + v * Tag::kFloats);
            largest[v] = largerOf(largest[v], numbers);
        }
    float lanes[kLanes];
    for (size_t v = 0; v < Tag::kInLanes; ++v) Tag::store(lanes + v * Tag::kFloats, largest[v]);
    for (size_t i = whole; i < count; ++i) lanes[0] = largerOf(lanes[0], x[i]);
    float result = lanes[0];
    for (float lane : lanes) result = largerOf(result, lane);
    return result;
}

// shares[i] = e^x[i], over the sum of them all. `shares` may be `x`.
template <typename Tag>
DUNLIN_INLINE inline void shareByExponential(Tag tag, const float* x, float* shares, size_t count) {
    const float largest = largestOf(tag, x, count);
    forEachVector(tag, 0, count, [=](size_t i, auto part) DUNLIN_INLINE {
        typename decltype(part)::Vector number;
        part.load(number, x + i);
        part.store(shares + i, exponential(number - largest));
    });
    const float scale = 1 / sumOf(tag, shares, count);
    forEachVector(tag, 0, count, [=](size_t i, auto part) DUNLIN_INLINE {
        typename decltype(part)::Vector share;
        part.load(share, shares + i);
        part.store(shares + i, share * scale);
    });
}

}  // namespace dunlin::cpu
