#include "runtime/cpu/kernels/depthwise.h"

#include <algorithm>

namespace dunlin::cpu {
namespace {

// Multiply-adds that are worth handing to another thread: a few microseconds.
constexpr size_t kJobProducts = 50 * 1000;
constexpr size_t kJobsAWorker = 4;

}  // namespace

KernelNeed DepthwiseKernel::need(const Conv2d& conv, const Shape& input, const Shape& output, const Fusion& fusion,
                                 size_t workers) {
    const uint64_t taps = uint64_t{sizeOf(conv.kernelH)} * sizeOf(conv.kernelW);
    return {.constantBytes = (taps + 1) * sizeOf(input.c) * sizeof(float),
            .scratchBytes = sumBytes(output, fusion) + workers * sizeOf(conv.kernelH) * sizeof(const float*)};
}

DepthwiseKernel::DepthwiseKernel(const Conv2d& conv, const Shape& input, const Shape& output,
                                 const FoldedWeights& weights)
    : conv_(conv),
      input_(input),
      output_(output),
      weight_(alignedFloats(weights.weight.size())),
      bias_(alignedFloats(weights.bias.size())) {
    const size_t channels = weights.bias.size(), taps = weights.weight.size() / channels;
    for (size_t c = 0; c < channels; ++c)
        for (size_t tap = 0; tap < taps; ++tap) weight_[tap * channels + c] = weights.weight[c * taps + tap];
    std::ranges::copy(weights.bias, bias_.get());
}

void DepthwiseKernel::run(const Workers& workers, std::span<const float* const> inputs, float* output,
                          std::byte* scratch) const {
    runWithMean(workers, inputs, output, nullptr, scratch);
}

void DepthwiseKernel::runWithMean(const Workers& workers, std::span<const float* const> inputs, float* output,
                                  float* mean, std::byte* scratch) const {
    const size_t rows = sizeOf(output_.n) * sizeOf(output_.h), rowFloats = sizeOf(output_.w) * sizeOf(output_.c);
    const size_t inputRowFloats = sizeOf(input_.w) * sizeOf(input_.c), taps = sizeOf(conv_.kernelH);
    const size_t rowProducts = rowFloats * taps * sizeOf(conv_.kernelW), channels = sizeOf(output_.c);
    size_t jobs = std::min(rows, divideUp(rows * rowProducts, kJobProducts));
    jobs = std::min(jobs, workers.count == 1 ? 1 : kJobsAWorker * workers.count);
    const StripFunctions strips = functions(workers.vectors);
    const float* const input = inputs[0];
    auto* const pointers = reinterpret_cast<const float**>(scratch);
    float* const sums = mean ? reinterpret_cast<float*>(pointers + workers.count * taps) : nullptr;
    forEachWithWorker(workers, jobs, [=, this](size_t job, size_t worker) {
        for (size_t row = job * rows / jobs; row < (job + 1) * rows / jobs; ++row) {
            const size_t image = row / sizeOf(output_.h);
            const auto rowOf = [=, this](size_t y) { return input + (image * sizeOf(input_.h) + y) * inputRowFloats; };
            computeRow(strips, row % sizeOf(output_.h), rowOf, pointers + worker * taps, output + row * rowFloats,
                       sums ? sums + row * channels : nullptr);
        }
    });
    if (mean) computeMeans(strips, sums, mean);
}

void DepthwiseKernel::computeMeans(const StripFunctions& functions, const float* sums, float* means) const {
    const size_t channels = sizeOf(output_.c), height = sizeOf(output_.h);
    const float share = 1 / static_cast<float>(height * sizeOf(output_.w));
    for (size_t image = 0; image < sizeOf(output_.n); ++image, sums += height * channels, means += channels) {
        functions.sum(sums, height, channels, means);
        for (size_t c = 0; c < channels; ++c) means[c] *= share;
    }
}

}  // namespace dunlin::cpu
