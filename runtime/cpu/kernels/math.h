// Elementary functions in float32 that compilers vectorise: no branches, no calls, no tables.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "runtime/cpu/kernels/parallel.h"

namespace dunlin::cpu {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Written so that they become one instruction; NaN passes through as `x`.
DUNLIN_INLINE inline float atLeast(float x, float low) {
    return x < low ? low : x;
}
DUNLIN_INLINE inline float atMost(float x, float high) {
    return x > high ? high : x;
}

// e^x to 2e-7 of itself. Below -87 it gives e^-87, about 1e-38, and above 88 e^88; NaN stays NaN.
DUNLIN_INLINE inline float exponential(float x) {
    constexpr float kLog2E = 1.44269504f;
    // ln 2 in two parts: the first has trailing zeros, so that its multiples below are exact.
    constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
    // Adding 1.5 * 2^23 rounds to a whole number, which then stands in the lowest bits.
    constexpr float kRound = 12582912.0f;

    const float clamped = atMost(atLeast(x, -87.0f), 88.0f);
    const float shifted = clamped * kLog2E + kRound;
    const float whole = shifted - kRound;
    const float rest = (clamped - whole * kLn2High) - whole * kLn2Low;  // within +- ln(2) / 2
    // The series of e^rest; its next term is below 6e-9.
    float sum = 1.0f / 5040;
    sum = sum * rest + 1.0f / 720;
    sum = sum * rest + 1.0f / 120;
    sum = sum * rest + 1.0f / 24;
    sum = sum * rest + 1.0f / 6;
    sum = sum * rest + 1.0f / 2;
    sum = sum * rest + 1;
    sum = sum * rest + 1;
    // times 2^whole, by its exponent's bits
    const float power = std::bit_cast<float>(std::bit_cast<uint32_t>(sum) + (std::bit_cast<uint32_t>(shifted) << 23));
    return x == x ? power : x;
}

DUNLIN_INLINE inline float sigmoid(float x) {
    return 1 / (1 + exponential(-x));
}

// Below kVanishing the value differs from 0 by less than 1e-35, and the factor in front of the sigmoid is cut there:
// infinity times 0 would be no number.
constexpr float kVanishing = -90;

DUNLIN_INLINE inline float silu(float x) {
    return atLeast(x, kVanishing) * sigmoid(x);
}

// x (1 + erf(x / sqrt 2)) / 2 = max(x, 0) - |x| erfc(|x| / sqrt 2) / 2. With t = 1 / (1 + p z), erfc(z) is
// t P(t) exp(-z^2), the form of Abramowitz and Stegun 7.1.26; P of degree 6 is fitted so that gelu is off by at most
// 4e-9 before rounding. Beyond |x| = 14 the second term is below 1e-36, and |x| is cut there.
DUNLIN_INLINE inline float gelu(float x) {
    constexpr float kP = 0.35f * 0.707106781f;
    const float magnitude = atMost(std::fabs(x), 14);
    const float t = 1 / (1 + kP * magnitude);
    float sum = -0.19947733706f;
    sum = sum * t + 0.77883093575f;
    sum = sum * t - 0.69190423734f;
    sum = sum * t + 0.69457377272f;
    sum = sum * t - 0.01316058245f;
    sum = sum * t + 0.23686406747f;
    sum = sum * t + 0.19427336925f;
    const float complement = t * sum * exponential(-0.5f * magnitude * magnitude);
    return atLeast(x, 0) - 0.5f * magnitude * complement;
}

// (1 + tanh(u)) / 2 is sigmoid(2 u), so the tanh form is x * sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3)).
DUNLIN_INLINE inline float geluTanh(float x) {
    constexpr float kSlope = 1.59576912f, kCubic = 0.044715f * kSlope;
    return atLeast(x, kVanishing) * sigmoid(x * (kSlope + kCubic * x * x));
}

}  // namespace dunlin::cpu
