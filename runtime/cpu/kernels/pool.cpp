#include "runtime/cpu/kernels/pool.h"

#include <algorithm>

#include "runtime/cpu/kernels/math.h"
#include "runtime/cpu/kernels/vector_loop.h"

namespace dunlin::cpu {
namespace {

// Few floats go into a sum of floats: sums of blocks are added as doubles.
constexpr size_t kPixelsASum = 128;
constexpr size_t kChannelsAJob = 64;

// Channels [channel, channel + kVectors vectors) of `pixels` pixels, `stride` apart.
template <typename Tag, size_t kVectors>
DUNLIN_INLINE inline void sumPixels(const float* x, size_t stride, size_t pixels, float* sums) {
    // Two sums each: additions take several cycles, and wait for the one before.
    typename Tag::Vector even[kVectors] = {}, odd[kVectors] = {}, number;
    for (size_t pixel = 0; pixel + 2 <= pixels; pixel += 2, x += 2 * stride)
        for (size_t v = 0; v < kVectors; ++v) {
            Tag::load(number, x + v * Tag::kFloats);
            even[v] += number;
            Tag::load(number, x + stride + v * Tag::kFloats);
            odd[v] += number;
        }
    for (size_t v = 0; v < kVectors; ++v) {
        if (pixels % 2 == 1) {
            Tag::load(number, x + v * Tag::kFloats);
            even[v] += number;
        }
        Tag::store(sums + v * Tag::kFloats, even[v] + odd[v]);
    }
}

template <typename Tag>
DUNLIN_INLINE inline void sumChannels(Tag tag, const float* x, size_t stride, size_t pixels, size_t channels,
                                      float* sums) {
    constexpr size_t kVectors = 4;
    size_t channel = 0;
    for (; channel + kVectors * Tag::kFloats <= channels; channel += kVectors * Tag::kFloats)
        sumPixels<Tag, kVectors>(x + channel, stride, pixels, sums + channel);
    forEachVector(tag, channel, channels, [=](size_t c, auto part) DUNLIN_INLINE {
        sumPixels<decltype(part), 1>(x + c, stride, pixels, sums + c);
    });
}

}  // namespace

size_t MeanKernel::pixelCount(const GlobalAvgPool& pool, const Shape& input) {
    return pool.count > 0 ? sizeOf(pool.count) : sizeOf(input.h) * sizeOf(input.w) - sizeOf(pool.begin);
}

KernelNeed MeanKernel::need(const GlobalAvgPool& pool, const Shape& input) {
    const size_t blocks = divideUp(pixelCount(pool, input), kPixelsASum);
    return {.scratchBytes = sizeOf(input.n) * blocks * sizeOf(input.c) * sizeof(float)};
}

MeanKernel::MeanKernel(const GlobalAvgPool& pool, const Shape& input)
    : input_(input),
      begin_(sizeOf(pool.begin)),
      count_(pixelCount(pool, input)),
      blocks_(divideUp(count_, kPixelsASum)) {}

void MeanKernel::run(const Workers& workers, std::span<const float* const> inputs, float* output,
                     std::byte* scratch) const {
    auto* const sums = reinterpret_cast<float*>(scratch);
    sumBlocks(workers, inputs[0], sums);
    const size_t channels = sizeOf(input_.c), blocks = blocks_;
    const auto count = static_cast<double>(count_);
    forEach(workers, sizeOf(input_.n), [=](size_t image) DUNLIN_INLINE {
        const float* const parts = sums + image * blocks * channels;
        for (size_t c = 0; c < channels; ++c) {
            double sum = 0;
            for (size_t block = 0; block < blocks; ++block) sum += static_cast<double>(parts[block * channels + c]);
            output[image * channels + c] = static_cast<float>(sum / count);
        }
    });
}

// [image][block][channel]. A block's channels are read in one go where there are blocks enough to share out.
void MeanKernel::sumBlocks(const Workers& workers, const float* input, float* sums) const {
    const size_t channels = sizeOf(input_.c), pixels = sizeOf(input_.h) * sizeOf(input_.w);
    const size_t blocks = blocks_, begin = begin_, end = begin_ + count_;
    const size_t channelsAJob = blocks > 4 ? channels : kChannelsAJob, parts = divideUp(channels, channelsAJob);
    forEach(workers, sizeOf(input_.n) * blocks * parts, [=](size_t job, auto tag) DUNLIN_INLINE {
        const size_t channel = job % parts * channelsAJob, block = job / parts % blocks, image = job / parts / blocks;
        const size_t pixel = begin + block * kPixelsASum;
        sumChannels(tag, input + (image * pixels + pixel) * channels + channel, channels,
                    std::min(kPixelsASum, end - pixel), std::min(channelsAJob, channels - channel),
                    sums + (image * blocks + block) * channels + channel);
    });
}

void MaxPoolKernel::run(const Workers& workers, std::span<const float* const> inputs, float* output, std::byte*) const {
    const float* const input = inputs[0];
    const size_t channels = sizeOf(input_.c);
    const MaxPool pool = pool_;
    const Shape from = input_, to = output_;
    forEach(workers, sizeOf(to.n) * sizeOf(to.h), [=](size_t row, auto tag) DUNLIN_INLINE {
        const int top = static_cast<int>(row % sizeOf(to.h)) * pool.strideH - pool.padding.top;
        const int firstY = std::max(top, 0), lastY = std::min(top + pool.kernelH, from.h);
        const float* const image = input + row / sizeOf(to.h) * sizeOf(from.h) * sizeOf(from.w) * channels;
        for (int outX = 0; outX < to.w; ++outX) {
            const int left = outX * pool.strideW - pool.padding.left;
            const int firstX = std::max(left, 0), lastX = std::min(left + pool.kernelW, from.w);
            float* const result = output + (row * sizeOf(to.w) + sizeOf(outX)) * channels;
            forEachVector(tag, 0, channels, [=](size_t c, auto part) DUNLIN_INLINE {
                using Vector = typename decltype(part)::Vector;
                Vector largest = splat<Vector>(-kInfinity), number;
                for (int y = firstY; y < lastY; ++y)
                    for (int x = firstX; x < lastX; ++x) {
                        part.load(number, image + (sizeOf(y) * sizeOf(from.w) + sizeOf(x)) * channels + c);
                        largest = largerOf(largest, number);
                    }
                part.store(result + c, largest);
            });
        }
    });
}

}  // namespace dunlin::cpu
