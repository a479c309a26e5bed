#include "runtime/cpu/kernels/rearrange.h"

#include <algorithm>
#include <cstring>

namespace dunlin::cpu {
namespace {

constexpr size_t kPixelsAJob = 16;

// Calls visit(pixel) for each of `pixels`, some to a job.
template <typename Visit>
void forEachPixel(const Workers& workers, size_t pixels, Visit visit) {
    forEach(workers, divideUp(pixels, kPixelsAJob), [=](size_t job) DUNLIN_INLINE {
        const size_t end = std::min(pixels, (job + 1) * kPixelsAJob);
        for (size_t pixel = job * kPixelsAJob; pixel < end; ++pixel) visit(pixel);
    });
}

void copy(float* to, const float* from, size_t count) {
    std::memcpy(to, from, count * sizeof(float));
}

}  // namespace

void ConcatKernel::run(const Workers& workers, std::span<const float* const> inputs, float* output, std::byte*) const {
    const size_t first = sizeOf(a_.c), second = sizeOf(b_.c);
    const float *const a = inputs[0], *const b = inputs[1];
    forEachPixel(workers, static_cast<size_t>(a_.pixelCount()), [=](size_t pixel) DUNLIN_INLINE {
        float* const result = output + pixel * (first + second);
        copy(result, a + pixel * first, first);
        copy(result + first, b + pixel * second, second);
    });
}

void SpaceToDepthKernel::run(const Workers& workers, std::span<const float* const> inputs, float* output,
                             std::byte*) const {
    const float* const input = inputs[0];
    const size_t channels = sizeOf(input_.c), block = sizeOf(block_), h = sizeOf(input_.h), w = sizeOf(input_.w);
    const size_t outH = sizeOf(output_.h), outW = sizeOf(output_.w);
    forEachPixel(workers, static_cast<size_t>(output_.pixelCount()), [=](size_t pixel) DUNLIN_INLINE {
        const size_t image = pixel / (outW * outH), outY = pixel / outW % outH, outX = pixel % outW;
        float* result = output + pixel * block * block * channels;
        for (size_t x = outX * block; x < (outX + 1) * block; ++x)
            for (size_t y = outY * block; y < (outY + 1) * block; ++y, result += channels) {
                if (y < h && x < w)
                    copy(result, input + ((image * h + y) * w + x) * channels, channels);
                else
                    std::memset(result, 0, channels * sizeof(float));
            }
    });
}

KernelNeed EmbedTokensKernel::need(const Shape& output) {
    return {.constantBytes = sizeOf(output.w) * sizeOf(output.c) * sizeof(float)};
}

void EmbedTokensKernel::run(const Workers& workers, std::span<const float* const> inputs, float* output,
                            std::byte*) const {
    const float *const input = inputs[0], *const added = added_.data();
    const size_t tokens = sizeOf(output_.w), channels = sizeOf(output_.c), prefix = prefix_;
    forEachPixel(workers, sizeOf(output_.n) * tokens, [=](size_t index) DUNLIN_INLINE {
        const size_t image = index / tokens, token = index % tokens;
        const float* const addend = added + token * channels;
        float* const result = output + index * channels;
        if (token < prefix) return copy(result, addend, channels);
        const float* const pixel = input + (image * (tokens - prefix) + token - prefix) * channels;
        for (size_t c = 0; c < channels; ++c) result[c] = pixel[c] + addend[c];
    });
}

}  // namespace dunlin::cpu
