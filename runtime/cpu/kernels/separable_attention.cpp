#include "runtime/cpu/kernels/separable_attention.h"

#include <algorithm>

#include "runtime/cpu/kernels/vector_loop.h"

namespace dunlin::cpu {
namespace {

// Channels of one job's context: few, so that the few places of a patch make jobs for many threads.
constexpr size_t kChannelsAJob = 64;

}  // namespace

// The pixels of a place of its image, row by row.
template <typename Visit>
DUNLIN_INLINE inline void SeparableAttentionKernel::forEachPixel(size_t place, Visit visit) const {
    const size_t patchH = sizeOf(attention_.patchH), patchW = sizeOf(attention_.patchW);
    const size_t h = sizeOf(shape_.h), w = sizeOf(shape_.w), image = place / (patchH * patchW);
    for (size_t y = place / patchW % patchH; y < h; y += patchH)
        for (size_t x = place % patchW; x < w; x += patchW) visit((image * h + y) * w + x);
}

KernelNeed SeparableAttentionKernel::need(const SeparableAttention& attention, const Shape& output) {
    const size_t pixels = static_cast<size_t>(output.pixelCount());
    const size_t places = sizeOf(output.n) * sizeOf(attention.patchH) * sizeOf(attention.patchW);
    return {.scratchBytes = (pixels + places * sizeOf(output.c)) * sizeof(float)};
}

// What each pixel's key counts, of one place of one image: [place][pixel of that place].
template <typename Tag>
DUNLIN_INLINE inline void SeparableAttentionKernel::shareOut(Tag tag, const float* input, float* shares,
                                                             size_t place) const {
    float* next = shares;
    forEachPixel(place, [&](size_t pixel) DUNLIN_INLINE { *next++ = input[pixel * stride()]; });
    shareByExponential(tag, shares, shares, static_cast<size_t>(next - shares));
}

// The context of some channels, over the pixels of one place of one image.
template <typename Tag>
DUNLIN_INLINE inline void SeparableAttentionKernel::gatherContext(Tag tag, const float* input, const float* shares,
                                                                  float* context, size_t place, size_t first,
                                                                  size_t count) const {
    float sums[kChannelsAJob] = {};
    forEachPixel(place, [&](size_t pixel) DUNLIN_INLINE {
        const float share = *shares++;
        const float* const keys = input + pixel * stride() + 1 + first;
        forEachVector(tag, 0, count, [&](size_t c, auto part) DUNLIN_INLINE {
            typename decltype(part)::Vector sum, key;
            part.load(sum, sums + c);
            part.load(key, keys + c);
            part.store(sums + c, sum + share * key);
        });
    });
    std::copy(sums, sums + count, context + first);
}

void SeparableAttentionKernel::run(const Workers& workers, std::span<const float* const> inputs, float* output,
                                   std::byte* scratch) const {
    const float* const input = inputs[0];
    const size_t channels = sizeOf(shape_.c), parts = divideUp(channels, kChannelsAJob);
    const size_t patchH = sizeOf(attention_.patchH), patchW = sizeOf(attention_.patchW);
    const size_t places = sizeOf(shape_.n) * patchH * patchW;
    const size_t pixelsOfPlace = static_cast<size_t>(shape_.pixelCount()) / places;
    auto* const contexts = reinterpret_cast<float*>(scratch);
    float* const shares = contexts + places * channels;
    forEach(workers, places, [=, this](size_t place, auto tag) DUNLIN_INLINE {
        shareOut(tag, input, shares + place * pixelsOfPlace, place);
    });
    forEach(workers, places * parts, [=, this](size_t job, auto tag) DUNLIN_INLINE {
        const size_t place = job / parts, first = job % parts * kChannelsAJob;
        gatherContext(tag, input, shares + place * pixelsOfPlace, contexts + place * channels, place, first,
                      std::min(kChannelsAJob, channels - first));
    });

    const size_t h = sizeOf(shape_.h), w = sizeOf(shape_.w);
    forEach(workers, sizeOf(shape_.n) * h, [=](size_t row, auto tag) DUNLIN_INLINE {
        const size_t image = row / h, top = row % h % patchH;
        for (size_t x = 0; x < w; ++x) {
            const float* const context = contexts + ((image * patchH + top) * patchW + x % patchW) * channels;
            const float* const values = input + (row * w + x) * (1 + 2 * channels) + 1 + channels;
            float* const result = output + (row * w + x) * channels;
            forEachVector(tag, 0, channels, [=](size_t c, auto part) DUNLIN_INLINE {
                typename decltype(part)::Vector value, factor;
                part.load(value, values + c);
                part.load(factor, context + c);
                part.store(result + c, atLeast(value, 0) * factor);
            });
        }
    });
}

}  // namespace dunlin::cpu
