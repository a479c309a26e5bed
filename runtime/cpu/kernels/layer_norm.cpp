#include "runtime/cpu/kernels/layer_norm.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "runtime/cpu/kernels/vector_loop.h"

namespace dunlin::cpu {
namespace {

constexpr size_t kPixelsAJob = 16;
// Elements whose sum is one number: the sums do not depend on who adds them, and few floats go into each.
constexpr size_t kElementsASum = 4096;

// The sum of (x - mean)^2: in a pass of its own, because the mean of the squares less the square of the mean would
// cancel where the mean is large.
template <typename Tag>
DUNLIN_INLINE inline float squaresOf(Tag tag, const float* x, size_t count, float mean) {
    return sumOver(tag, x, count, [=](auto number) DUNLIN_INLINE { return (number - mean) * (number - mean); });
}

template <typename Tag>
DUNLIN_INLINE inline void normalise(Tag tag, const float* input, float* output, size_t channels, float mean,
                                    float scale, const float* weights, const float* biases) {
    forEachVector(tag, 0, channels, [=](size_t c, auto part) DUNLIN_INLINE {
        typename decltype(part)::Vector number, weight, bias;
        part.load(number, input + c);
        part.load(weight, weights + c);
        part.load(bias, biases + c);
        part.store(output + c, (number - mean) * scale * weight + bias);
    });
}

size_t elementsOf(const Shape& shape) {
    return static_cast<size_t>(shape.h) * static_cast<size_t>(shape.w) * static_cast<size_t>(shape.c);
}

}  // namespace

KernelNeed LayerNormKernel::need(const LayerNorm& norm, const Shape& shape) {
    KernelNeed need;
    need.constantBytes = 2 * static_cast<uint64_t>(shape.c) * sizeof(float);
    if (norm.over == LayerNorm::Over::Image)
        need.scratchBytes = divideUp(elementsOf(shape), kElementsASum) * sizeof(double);
    return need;
}

LayerNormKernel::LayerNormKernel(const LayerNorm& norm, const Shape& shape, FoldedWeights weights)
    : over_(norm.over),
      shape_(shape),
      epsilon_(norm.epsilon),
      weight_(std::move(weights.weight)),
      bias_(std::move(weights.bias)) {}

void LayerNormKernel::run(const Workers& workers, std::span<const float* const> inputs, float* output,
                          std::byte* scratch) const {
    if (over_ == LayerNorm::Over::Pixel) return normalisePixels(workers, inputs[0], output);
    const size_t elements = elementsOf(shape_);
    for (size_t image = 0; image < static_cast<size_t>(shape_.n); ++image)
        normaliseImage(workers, inputs[0] + image * elements, output + image * elements,
                       reinterpret_cast<double*>(scratch));
}

void LayerNormKernel::normalisePixels(const Workers& workers, const float* input, float* output) const {
    const auto pixels = static_cast<size_t>(shape_.pixelCount()), channels = weight_.size();
    const auto epsilon = static_cast<float>(epsilon_);
    const float *const weight = weight_.data(), *const bias = bias_.data();
    forEach(workers, divideUp(pixels, kPixelsAJob), [=](size_t job, auto tag) DUNLIN_INLINE {
        const size_t end = std::min(pixels, (job + 1) * kPixelsAJob);
        const auto count = static_cast<float>(channels);
        for (size_t pixel = job * kPixelsAJob; pixel < end; ++pixel) {
            const float* const x = input + pixel * channels;
            const float mean = sumOf(tag, x, channels) / count;
            const float variance = squaresOf(tag, x, channels, mean) / count;
            normalise(tag, x, output + pixel * channels, channels, mean, 1 / std::sqrt(variance + epsilon), weight,
                      bias);
        }
    });
}

void LayerNormKernel::normaliseImage(const Workers& workers, const float* input, float* output, double* sums) const {
    const size_t elements = elementsOf(shape_), sumCount = divideUp(elements, kElementsASum);
    const auto total = [&] {
        double sum = 0;
        for (size_t i = 0; i < sumCount; ++i) sum += sums[i];
        return sum / static_cast<double>(elements);
    };
    const auto sizeOf = [=](size_t job)
                            DUNLIN_INLINE { return std::min(kElementsASum, elements - job * kElementsASum); };
    forEach(workers, sumCount, [=](size_t job, auto tag) DUNLIN_INLINE {
        sums[job] = static_cast<double>(sumOf(tag, input + job * kElementsASum, sizeOf(job)));
    });
    const auto mean = static_cast<float>(total());
    forEach(workers, sumCount, [=](size_t job, auto tag) DUNLIN_INLINE {
        sums[job] = static_cast<double>(squaresOf(tag, input + job * kElementsASum, sizeOf(job), mean));
    });
    const auto scale = static_cast<float>(1 / std::sqrt(total() + epsilon_));

    const size_t channels = weight_.size(), pixels = elements / channels;
    const float *const weight = weight_.data(), *const bias = bias_.data();
    forEach(workers, divideUp(pixels, kPixelsAJob), [=](size_t job, auto tag) DUNLIN_INLINE {
        const size_t end = std::min(pixels, (job + 1) * kPixelsAJob);
        for (size_t pixel = job * kPixelsAJob; pixel < end; ++pixel)
            normalise(tag, input + pixel * channels, output + pixel * channels, channels, mean, scale, weight, bias);
    });
}

}  // namespace dunlin::cpu
