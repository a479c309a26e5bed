#include "runtime/cpu/kernels/depthwise_strip.h"

#include <algorithm>

#include "runtime/cpu/kernels/activation_loop.h"
#include "runtime/cpu/kernels/math.h"
#include "runtime/cpu/kernels/repeat.h"

namespace dunlin::cpu {
namespace {

// Whole vectors of channels: the last one overlaps the one before it, which gives what they share the same bits.
template <typename Tag, typename Body>
DUNLIN_INLINE inline void forChannels(size_t channels, Body body) {
    for (size_t channel = 0;; channel = std::min(channel + Tag::kFloats, channels - Tag::kFloats)) {
        body(channel);
        if (channel + Tag::kFloats >= channels) return;
    }
}

// Functions that only compare are applied before the store, others to the strip while it is near.
DUNLIN_INLINE inline bool isCut(Activation activation) {
    return activation == Activation::Relu || activation == Activation::Relu6;
}

template <typename Tag>
DUNLIN_INLINE inline void activateStrip(const Strip& strip) {
    if (isCut(strip.activation)) return;
    const size_t count = strip.count * strip.outputs * strip.channels;
    activationLoopOf<Tag>()(strip.activation, strip.output, strip.output, count, 1, count);
}

template <typename Tag, size_t kOutputs>
DUNLIN_INLINE inline void storeSums(const Strip& strip, size_t channel, typename Tag::Vector (&sums)[kOutputs]) {
    if (isCut(strip.activation)) {
        const float highest = strip.activation == Activation::Relu6 ? 6 : kInfinity;
        repeat<kOutputs>([&](auto o) DUNLIN_INLINE {
            typename Tag::Vector& sum = sums[decltype(o)::value];
            sum = atMost(atLeast(sum, 0), highest);
        });
    }
    repeat<kOutputs>([&](auto o) DUNLIN_INLINE {
        constexpr size_t output = decltype(o)::value;
        if (output < strip.outputs) Tag::store(strip.output + output * strip.channels + channel, sums[output]);
    });
}

// Each pixel is loaded once for all outputs that it is under. `kInside`: all columns lie on the map.
template <typename Tag, size_t kKernel, size_t kStride, size_t kOutputs, bool kInside>
DUNLIN_INLINE inline void computeStrip(const Strip& strip) {
    constexpr size_t kColumns = (kOutputs - 1) * kStride + kKernel;
    const size_t channels = strip.channels;
    // The columns on the map: the first ones may be in the padding, and what lies behind the last output's too.
    const std::ptrdiff_t first = std::max<std::ptrdiff_t>(-strip.left, 0);
    const std::ptrdiff_t last = static_cast<std::ptrdiff_t>(strip.width) - strip.left;
    forChannels<Tag>(channels, [&](size_t channel) DUNLIN_INLINE {
        typename Tag::Vector sums[kOutputs];
        repeat<kOutputs>([&](auto o) DUNLIN_INLINE { Tag::load(sums[decltype(o)::value], strip.bias + channel); });
        const float* weights = strip.weights + channel;
        for (size_t row = 0; row < strip.rowCount; ++row, weights += kKernel * channels) {
            typename Tag::Vector weight[kKernel];
            repeat<kKernel>([&](auto x) DUNLIN_INLINE {
                constexpr size_t tap = decltype(x)::value;
                Tag::load(weight[tap], weights + tap * channels);
            });
            const float* const from = strip.rows[row] + channel;
            repeat<kColumns>([&](auto i) DUNLIN_INLINE {
                constexpr size_t column = decltype(i)::value;
                if constexpr (!kInside)
                    if (std::ptrdiff_t{column} < first || std::ptrdiff_t{column} >= last) return;
                typename Tag::Vector pixel;
                Tag::load(pixel, from + (strip.left + std::ptrdiff_t{column}) * static_cast<std::ptrdiff_t>(channels));
                repeat<kOutputs>([&](auto o) DUNLIN_INLINE {
                    constexpr size_t output = decltype(o)::value;
                    if constexpr (column >= output * kStride && column - output * kStride < kKernel)
                        sums[output] += pixel * weight[column - output * kStride];
                });
            });
        }
        storeSums<Tag, kOutputs>(strip, channel, sums);
    });
}

// Kernels of any width and stride.
template <typename Tag, size_t kOutputs>
DUNLIN_INLINE inline void computeAnyStrip(const Strip& strip) {
    const size_t channels = strip.channels;
    forChannels<Tag>(channels, [&](size_t channel) DUNLIN_INLINE {
        typename Tag::Vector sums[kOutputs];
        repeat<kOutputs>([&](auto o) DUNLIN_INLINE { Tag::load(sums[decltype(o)::value], strip.bias + channel); });
        const float* weights = strip.weights + channel;
        for (size_t row = 0; row < strip.rowCount; ++row)
            for (size_t tap = 0; tap < strip.kernelWidth; ++tap, weights += channels) {
                typename Tag::Vector weight;
                Tag::load(weight, weights);
                repeat<kOutputs>([&](auto o) DUNLIN_INLINE {
                    constexpr size_t output = decltype(o)::value;
                    const std::ptrdiff_t column = strip.left + static_cast<std::ptrdiff_t>(output * strip.stride + tap);
                    if (column < 0 || column >= static_cast<std::ptrdiff_t>(strip.width)) return;
                    typename Tag::Vector pixel;
                    Tag::load(pixel, strip.rows[row] + static_cast<size_t>(column) * channels + channel);
                    sums[output] += pixel * weight;
                });
            }
        storeSums<Tag, kOutputs>(strip, channel, sums);
    });
}

// With fewer channels than a vector has floats.
template <size_t kMaxFloats>
DUNLIN_INLINE inline void computeNarrowStrip(const Strip& strip) {
    if constexpr (kMaxFloats > 8)
        if (strip.channels >= 8) return computeAnyStrip<VectorTag<8>, 4>(strip);
    if constexpr (kMaxFloats > 4)
        if (strip.channels >= 4) return computeAnyStrip<VectorTag<4>, 4>(strip);
    computeAnyStrip<VectorTag<1>, 4>(strip);
}

template <typename Tag>
DUNLIN_INLINE inline void sumPixels(const float* pixels, size_t count, size_t channels, float* sums) {
    // Some sums each: additions take several cycles, and wait for the one before.
    constexpr size_t kSums = 4;
    forChannels<Tag>(channels, [=](size_t channel) DUNLIN_INLINE {
        typename Tag::Vector partial[kSums] = {}, pixel;
        const float* from = pixels + channel;
        size_t left = count;
        for (; left >= kSums; left -= kSums)
            for (size_t i = 0; i < kSums; ++i, from += channels) {
                Tag::load(pixel, from);
                partial[i] += pixel;
            }
        for (; left > 0; --left, from += channels) {
            Tag::load(pixel, from);
            partial[0] += pixel;
        }
        Tag::store(sums + channel, (partial[0] + partial[1]) + (partial[2] + partial[3]));
    });
}

// Several strips in one call, which takes as long as some channels.
template <typename Body>
DUNLIN_INLINE inline void forStrips(const Strip& strips, Body body) {
    Strip one = strips;
    for (size_t i = 0; i < strips.count; ++i) {
        body(one);
        one.left += static_cast<std::ptrdiff_t>(strips.outputs * strips.stride);
        one.output += strips.outputs * strips.channels;
    }
}

// Processors of this architecture mostly have vectors of so many floats; for others one function a kernel is enough.
#if defined(__x86_64__)
constexpr size_t kFewestMainFloats = 8;
#else
constexpr size_t kFewestMainFloats = 4;
#endif

// Each processor's functions: those of parallel.h's targets.
#define DUNLIN_STRIP_FUNCTIONS(name, floats, target)                                                              \
    struct name {                                                                                                 \
        using Tag = VectorTag<floats>;                                                                            \
        template <size_t kKernel, size_t kStride, size_t kOutputs>                                                \
        target static void inside(const Strip& strip) {                                                           \
            const auto compute = [](const Strip& one)                                                             \
                                     DUNLIN_INLINE { computeStrip<Tag, kKernel, kStride, kOutputs, true>(one); }; \
            forStrips(strip, compute);                                                                            \
            activateStrip<Tag>(strip);                                                                            \
        }                                                                                                         \
        template <size_t kKernel, size_t kStride, size_t kOutputs>                                                \
        target static void any(const Strip& strip) {                                                              \
            computeStrip<Tag, kKernel, kStride, kOutputs, false>(strip);                                          \
            activateStrip<Tag>(strip);                                                                            \
        }                                                                                                         \
        target static void anyKernel(const Strip& strip) {                                                        \
            computeAnyStrip<Tag, 4>(strip);                                                                       \
            activateStrip<Tag>(strip);                                                                            \
        }                                                                                                         \
        target static void narrow(const Strip& strip) {                                                           \
            computeNarrowStrip<floats>(strip);                                                                    \
            activateStrip<Tag>(strip);                                                                            \
        }                                                                                                         \
        target static void sum(const float* pixels, size_t count, size_t channels, float* sums) {                 \
            if (channels < floats) return sumPixels<VectorTag<1>>(pixels, count, channels, sums);                 \
            sumPixels<Tag>(pixels, count, channels, sums);                                                        \
        }                                                                                                         \
        template <size_t kOutputs>                                                                                \
        static StripFunctions choose(size_t kernelWidth, size_t stride) {                                         \
            const auto of = [](auto kernel, auto step) -> StripFunctions {                                        \
                constexpr size_t kKernel = decltype(kernel)::value;                                               \
                constexpr size_t kStride = decltype(step)::value;                                                 \
                const StripFunction forAny = any<kKernel, kStride, kOutputs>;                                     \
                if constexpr (floats < kFewestMainFloats)                                                         \
                    return {forAny, forAny, kOutputs, sum};                                                       \
                else                                                                                              \
                    return {inside<kKernel, kStride, kOutputs>, forAny, kOutputs, sum};                           \
            };                                                                                                    \
            return chooseStrip(kernelWidth, stride, of, {anyKernel, anyKernel, 4, sum});                          \
        }                                                                                                         \
    }

template <size_t number>
using Constant = std::integral_constant<size_t, number>;

template <typename Of>
StripFunctions chooseStrip(size_t kernelWidth, size_t stride, Of of, const StripFunctions& anyKernel) {
    if (kernelWidth == 3 && stride == 1) return of(Constant<3>(), Constant<1>());
    if (kernelWidth == 3 && stride == 2) return of(Constant<3>(), Constant<2>());
    if (kernelWidth == 5 && stride == 1) return of(Constant<5>(), Constant<1>());
    if (kernelWidth == 5 && stride == 2) return of(Constant<5>(), Constant<2>());
    if (kernelWidth == 7 && stride == 1) return of(Constant<7>(), Constant<1>());
    if (kernelWidth == 7 && stride == 2) return of(Constant<7>(), Constant<2>());
    return anyKernel;
}

DUNLIN_STRIP_FUNCTIONS(ForVectorsOf4, 4, DUNLIN_FOR_ANY);
#if defined(__x86_64__)
DUNLIN_STRIP_FUNCTIONS(ForVectorsOf8, 8, DUNLIN_FOR_AVX2);
DUNLIN_STRIP_FUNCTIONS(ForVectorsOf16, 16, DUNLIN_FOR_AVX512);
#endif

}  // namespace

StripFunctions stripFunctions(Vectors vectors, size_t kernelWidth, size_t stride, size_t channels, size_t mapOutputs) {
#if defined(__x86_64__)
    if (vectors == Vectors::Of16) {
        if (channels < 16) return {ForVectorsOf16::narrow, ForVectorsOf16::narrow, 4, ForVectorsOf16::sum};
        // Maps are mostly 7 times a power of two wide, some just a power of two.
        const bool bySeven = (mapOutputs + 6) / 7 * 7 < (mapOutputs + 7) / 8 * 8;
        return bySeven ? ForVectorsOf16::choose<7>(kernelWidth, stride)
                       : ForVectorsOf16::choose<8>(kernelWidth, stride);
    }
    if (vectors == Vectors::Of8) {
        if (channels < 8) return {ForVectorsOf8::narrow, ForVectorsOf8::narrow, 4, ForVectorsOf8::sum};
        return ForVectorsOf8::choose<4>(kernelWidth, stride);
    }
#endif
    static_cast<void>(vectors), static_cast<void>(mapOutputs);
    if (channels < 4) return {ForVectorsOf4::narrow, ForVectorsOf4::narrow, 4, ForVectorsOf4::sum};
    return ForVectorsOf4::choose<4>(kernelWidth, stride);
}

}  // namespace dunlin::cpu
