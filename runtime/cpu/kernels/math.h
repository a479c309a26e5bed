// Elementary functions in float32: no branches, no calls, no tables. Each is one text for a float, of which compilers
// make vectors in plain loops, and for the vectors of a tag: both give the same bits.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "runtime/cpu/kernels/parallel.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>  // makes the builtins known that only some functions' targets have
#define DUNLIN_HAS_MINMAX_BUILTINS
#endif

namespace dunlin::cpu {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// `value` in each element.
template <typename Number>
DUNLIN_INLINE constexpr Number splat(float value) {
    if constexpr (std::is_same_v<Number, float>)
        return value;
    else
        return Number{} + value;
}

// a > b ? a : b, and a < b ? a : b: one instruction each. GCC 12 makes two of that where vectors have 16 floats.
template <typename Number>
DUNLIN_INLINE inline Number greaterElse(const Number& a, const Number& b) {
#if defined(DUNLIN_HAS_MINMAX_BUILTINS)
    if constexpr (sizeof(Number) == 64) return __builtin_ia32_maxps512_mask(a, b, a, -1, 4);
    if constexpr (sizeof(Number) == 32) return __builtin_ia32_maxps256(a, b);
    if constexpr (sizeof(Number) == 16) return __builtin_ia32_maxps(a, b);
#endif
    return a > b ? a : b;
}
template <typename Number>
DUNLIN_INLINE inline Number lessElse(const Number& a, const Number& b) {
#if defined(DUNLIN_HAS_MINMAX_BUILTINS)
    if constexpr (sizeof(Number) == 64) return __builtin_ia32_minps512_mask(a, b, a, -1, 4);
    if constexpr (sizeof(Number) == 32) return __builtin_ia32_minps256(a, b);
    if constexpr (sizeof(Number) == 16) return __builtin_ia32_minps(a, b);
#endif
    return a < b ? a : b;
}

// NaN passes through as `x`.
template <typename Number>
DUNLIN_INLINE inline Number atLeast(Number x, float low) {
    return greaterElse(splat<Number>(low), x);
}
template <typename Number>
DUNLIN_INLINE inline Number atMost(Number x, float high) {
    return lessElse(splat<Number>(high), x);
}
// NaN in `x` is passed over.
template <typename Number>
DUNLIN_INLINE inline Number largerOf(Number largest, Number x) {
    return greaterElse(x, largest);
}

// The same bits as integers.
template <typename Number>
struct BitsOf {
    typedef uint32_t Type __attribute__((vector_size(sizeof(Number))));
};
template <>
struct BitsOf<float> {
    using Type = uint32_t;
};

// |x|
template <typename Number>
DUNLIN_INLINE inline Number magnitudeOf(Number x) {
    using Bits = typename BitsOf<Number>::Type;
    return __builtin_bit_cast(Number, __builtin_bit_cast(Bits, x) & 0x7fffffffu);
}

// e^x to 2e-7 of itself, 1e-7 with fused multiply-add. Below -87 it gives e^-87, about 1e-38, and above 88 e^88; NaN
// stays NaN.
template <typename Number>
DUNLIN_INLINE inline Number exponential(Number x) {
    using Bits = typename BitsOf<Number>::Type;
    constexpr float kLog2E = 1.44269504f;
    // ln 2 in two parts: the first has trailing zeros, so that its multiples below are exact.
    constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
    // Adding 1.5 * 2^23 rounds to a whole number, which then stands in the lowest bits: here with an exponent's bias.
    constexpr float kRound = 12582912.0f + 127;

    const Number clamped = atMost(atLeast(x, -87.0f), 88.0f);
    const Number shifted = clamped * kLog2E + kRound;
    const Number whole = shifted - kRound;
    const Number rest = (clamped - whole * kLn2High) - whole * kLn2Low;  // within +- ln(2) / 2
    // e^rest, fitted for the smallest relative error: 3e-9 before rounding.
    Number sum = splat<Number>(0.0013814539f);
    sum = sum * rest + 0.0083687454f;
    sum = sum * rest + 0.041668389f;
    sum = sum * rest + 0.16666521f;
    sum = sum * rest + 0.49999994f;
    sum = sum * rest + 1.0f;
    sum = sum * rest + 1.0f;
    return sum * __builtin_bit_cast(Number, __builtin_bit_cast(Bits, shifted) << 23);  // times 2^whole
}

template <typename Number>
DUNLIN_INLINE inline Number sigmoid(Number x) {
    return 1.0f / (1.0f + exponential(-x));
}

// Below kVanishing the value differs from 0 by less than 1e-35, and the factor in front of the sigmoid is cut there:
// infinity times 0 would be no number.
constexpr float kVanishing = -90;

template <typename Number>
DUNLIN_INLINE inline Number silu(Number x) {
    return atLeast(x, kVanishing) / (1.0f + exponential(-x));
}

template <typename Number>
DUNLIN_INLINE inline Number hardSigmoid(Number x) {
    return atMost(atLeast(x + 3.0f, 0), 6) * (1.0f / 6);
}

template <typename Number>
DUNLIN_INLINE inline Number hardSwish(Number x) {
    return x * atMost(atLeast(x + 3.0f, 0), 6) * (1.0f / 6);
}

// x (1 + erf(x / sqrt 2)) / 2 = max(x, 0) - |x| erfc(|x| / sqrt 2) / 2. With t = 1 / (1 + p z), erfc(z) is
// t P(t) exp(-z^2), the form of Abramowitz and Stegun 7.1.26; P of degree 6 is fitted so that gelu is off by at most
// 4e-9 before rounding. Beyond |x| = 14 the second term is below 1e-36, and |x| is cut there.
template <typename Number>
DUNLIN_INLINE inline Number gelu(Number x) {
    constexpr float kP = 0.35f * 0.707106781f;
    const Number magnitude = atMost(magnitudeOf(x), 14);
    const Number t = 1.0f / (1.0f + kP * magnitude);
    Number sum = splat<Number>(-0.19947733706f);
    sum = sum * t + 0.77883093575f;
    sum = sum * t - 0.69190423734f;
    sum = sum * t + 0.69457377272f;
    sum = sum * t - 0.01316058245f;
    sum = sum * t + 0.23686406747f;
    sum = sum * t + 0.19427336925f;
    const Number complement = t * sum * exponential(-0.5f * magnitude * magnitude);
    return atLeast(x, 0) - 0.5f * magnitude * complement;
}

// (1 + tanh(u)) / 2 is sigmoid(2 u), so the tanh form is x * sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3)).
template <typename Number>
DUNLIN_INLINE inline Number geluTanh(Number x) {
    constexpr float kSlope = 1.59576912f, kCubic = 0.044715f * kSlope;
    return atLeast(x, kVanishing) / (1.0f + exponential(-x * (kSlope + kCubic * x * x)));
}

}  // namespace dunlin::cpu
