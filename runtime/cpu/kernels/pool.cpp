#include "runtime/cpu/kernels/pool.h"

#include "runtime/cpu/kernels/math.h"

namespace dunlin::cpu {
namespace {

constexpr size_t kChannelsAJob = 64;

}  // namespace

MeanKernel::MeanKernel(const GlobalAvgPool& pool, const Shape& input)
    : input_(input),
      begin_(sizeOf(pool.begin)),
      count_(pool.count > 0 ? sizeOf(pool.count) : sizeOf(input.h) * sizeOf(input.w) - begin_) {}

void MeanKernel::run(const Workers& workers, std::span<const float* const> inputs, float* output, std::byte*) const {
    const float* const input = inputs[0];
    const size_t channels = sizeOf(input_.c), pixels = sizeOf(input_.h) * sizeOf(input_.w);
    const size_t parts = divideUp(channels, kChannelsAJob), begin = begin_, pixelCount = count_;
    forEach(workers, sizeOf(input_.n) * parts, [=](size_t job) DUNLIN_INLINE {
        const size_t image = job / parts, first = job % parts * kChannelsAJob;
        const size_t count = std::min(kChannelsAJob, channels - first);
        double sums[kChannelsAJob] = {};
        for (size_t pixel = begin; pixel < begin + pixelCount; ++pixel) {
            const float* const x = input + (image * pixels + pixel) * channels + first;
            for (size_t c = 0; c < count; ++c) sums[c] += static_cast<double>(x[c]);
        }
        for (size_t c = 0; c < count; ++c)
            output[image * channels + first + c] = static_cast<float>(sums[c] / static_cast<double>(pixelCount));
    });
}

void MaxPoolKernel::run(const Workers& workers, std::span<const float* const> inputs, float* output, std::byte*) const {
    const float* const input = inputs[0];
    const size_t channels = sizeOf(input_.c);
    const MaxPool pool = pool_;
    const Shape from = input_, to = output_;
    forEach(workers, sizeOf(to.n) * sizeOf(to.h), [=](size_t row) DUNLIN_INLINE {
        const int top = static_cast<int>(row % sizeOf(to.h)) * pool.strideH - pool.padding.top;
        const float* const image = input + row / sizeOf(to.h) * sizeOf(from.h) * sizeOf(from.w) * channels;
        for (int outX = 0; outX < to.w; ++outX) {
            const int left = outX * pool.strideW - pool.padding.left;
            float* const result = output + (row * sizeOf(to.w) + sizeOf(outX)) * channels;
            std::fill(result, result + channels, -kInfinity);
            for (int y = std::max(top, 0); y < std::min(top + pool.kernelH, from.h); ++y)
                for (int x = std::max(left, 0); x < std::min(left + pool.kernelW, from.w); ++x) {
                    const float* const pixel = image + (sizeOf(y) * sizeOf(from.w) + sizeOf(x)) * channels;
                    for (size_t c = 0; c < channels; ++c) result[c] = atLeast(pixel[c], result[c]);
                }
        }
    });
}

}  // namespace dunlin::cpu
