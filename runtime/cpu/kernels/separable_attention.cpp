#include "runtime/cpu/kernels/separable_attention.h"

#include "runtime/cpu/kernels/math.h"

namespace dunlin::cpu {
namespace {

// Channels of one job's context: few, so that the few places of a patch make jobs for many threads.
constexpr size_t kChannelsAJob = 64;

}  // namespace

KernelNeed SeparableAttentionKernel::need(const SeparableAttention& attention, const Shape& output) {
    return {.scratchBytes = sizeOf(output.n) * sizeOf(attention.patchH) * sizeOf(attention.patchW) * sizeOf(output.c) *
                            sizeof(float)};
}

// The context of some channels, over the pixels of one place of one image.
DUNLIN_INLINE inline void SeparableAttentionKernel::gatherContext(const float* input, float* context,
                                                                  size_t item) const {
    const size_t channels = sizeOf(shape_.c), stride = 1 + 2 * channels;
    const size_t parts = divideUp(channels, kChannelsAJob);
    const size_t place = item / parts, first = item % parts * kChannelsAJob;
    const size_t count = std::min(kChannelsAJob, channels - first);
    const size_t patchH = sizeOf(attention_.patchH), patchW = sizeOf(attention_.patchW);
    const size_t h = sizeOf(shape_.h), w = sizeOf(shape_.w), image = place / (patchH * patchW);
    const size_t top = place / patchW % patchH, left = place % patchW;
    const float* const pixels = input + image * h * w * stride;

    float largest = -kInfinity;
    for (size_t y = top; y < h; y += patchH)
        for (size_t x = left; x < w; x += patchW) largest = atLeast(largest, pixels[(y * w + x) * stride]);

    float sums[kChannelsAJob] = {};
    double total = 0;
    for (size_t y = top; y < h; y += patchH)
        for (size_t x = left; x < w; x += patchW) {
            const float* const pixel = pixels + (y * w + x) * stride;
            const float share = exponential(pixel[0] - largest);
            total += static_cast<double>(share);
            for (size_t c = 0; c < count; ++c) sums[c] += share * pixel[1 + first + c];
        }
    const auto scale = static_cast<float>(1 / total);
    for (size_t c = 0; c < count; ++c) context[place * channels + first + c] = sums[c] * scale;
}

void SeparableAttentionKernel::run(const Workers& workers, std::span<const float* const> inputs, float* output,
                                   std::byte* scratch) const {
    const float* const input = inputs[0];
    auto* const contexts = reinterpret_cast<float*>(scratch);
    const size_t channels = sizeOf(shape_.c), parts = divideUp(channels, kChannelsAJob);
    const size_t patchH = sizeOf(attention_.patchH), patchW = sizeOf(attention_.patchW);
    forEach(workers, sizeOf(shape_.n) * patchH * patchW * parts,
            [=, this](size_t item) DUNLIN_INLINE { gatherContext(input, contexts, item); });

    const size_t h = sizeOf(shape_.h), w = sizeOf(shape_.w);
    forEach(workers, sizeOf(shape_.n) * h, [=](size_t row) DUNLIN_INLINE {
        const size_t image = row / h, top = row % h % patchH;
        for (size_t x = 0; x < w; ++x) {
            const float* const context = contexts + ((image * patchH + top) * patchW + x % patchW) * channels;
            const float* const value = input + (row * w + x) * (1 + 2 * channels) + 1 + channels;
            float* const result = output + (row * w + x) * channels;
            for (size_t c = 0; c < channels; ++c) result[c] = atLeast(value[c], 0) * context[c];
        }
    });
}

}  // namespace dunlin::cpu
