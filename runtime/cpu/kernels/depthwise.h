// Depthwise convolutions.
#pragma once

#include <algorithm>

#include "runtime/cpu/kernels/aligned.h"
#include "runtime/cpu/kernels/depthwise_strip.h"
#include "runtime/cpu/kernels/kernel.h"
#include "runtime/weights/fold.h"

namespace dunlin::cpu {

// One output a channel; any kernel, stride and padding.
class DepthwiseKernel final : public Kernel {
  public:
    static KernelNeed need(const Conv2d& conv, const Shape& input, const Shape& output, const Fusion& fusion,
                           size_t workers);
    // Bytes for the sums of each row of outputs; none where no mean is asked for.
    static uint64_t sumBytes(const Shape& output, const Fusion& fusion) {
        const uint64_t rows = uint64_t{sizeOf(output.n)} * sizeOf(output.h);
        return fusion.mean != kNoValue ? rows * sizeOf(output.c) * sizeof(float) : 0;
    }

    DepthwiseKernel(const Conv2d& conv, const Shape& input, const Shape& output, const FoldedWeights& weights);
    void run(const Workers& workers, std::span<const float* const> inputs, float* output,
             std::byte* scratch) const override;
    void runWithMean(const Workers& workers, std::span<const float* const> inputs, float* output, float* mean,
                     std::byte* scratch) const override;

    // One row of outputs of a map. rowOf(y) is where row y of the input lies, for 0 <= y < its height; `rows` has
    // room for as many pointers as the kernel has rows. The sums of the row's channels are stored too, unless `sums` is
    // null.
    template <typename RowOf>
    void computeRow(const StripFunctions& functions, size_t row, RowOf rowOf, const float** rows, float* output,
                    float* sums) const;
    // The means of maps, [image][channel], from the sums of their rows, [image][row][channel].
    void computeMeans(const StripFunctions& functions, const float* sums, float* means) const;
    StripFunctions functions(Vectors vectors) const {
        return stripFunctions(vectors, sizeOf(conv_.kernelW), sizeOf(conv_.strideW), sizeOf(input_.c),
                              sizeOf(output_.w));
    }

  private:
    Conv2d conv_;
    Shape input_, output_;
    AlignedFloats weight_;  // [kernelH][kernelW][channels]
    AlignedFloats bias_;
};

template <typename RowOf>
void DepthwiseKernel::computeRow(const StripFunctions& functions, size_t row, RowOf rowOf, const float** rows,
                                 float* output, float* sums) const {
    const size_t channels = sizeOf(input_.c), width = sizeOf(output_.w);
    const auto top = static_cast<std::ptrdiff_t>(row) * conv_.strideH - conv_.padding.top;
    const auto firstTap = static_cast<size_t>(std::clamp<std::ptrdiff_t>(-top, 0, conv_.kernelH));
    const auto endTap = static_cast<size_t>(std::clamp<std::ptrdiff_t>(input_.h - top, 0, conv_.kernelH));
    size_t rowCount = 0;
    for (size_t tap = firstTap; tap < endTap; ++tap)
        rows[rowCount++] = rowOf(static_cast<size_t>(top + static_cast<std::ptrdiff_t>(tap)));

    Strip strip = {.rows = rows,
                   .rowCount = rowCount,
                   .weights = weight_.get() + firstTap * sizeOf(conv_.kernelW) * channels,
                   .bias = bias_.get(),
                   .channels = channels,
                   .kernelWidth = sizeOf(conv_.kernelW),
                   .stride = sizeOf(conv_.strideW),
                   .left = -std::ptrdiff_t{conv_.padding.left},
                   .width = sizeOf(input_.w),
                   .outputs = 0,
                   .count = 1,
                   .output = output,
                   .activation = conv_.activation};
    for (size_t x = 0; x < width; x += strip.count * strip.outputs) {
        strip.outputs = std::min(functions.outputs, width - x);
        const size_t step = strip.outputs * strip.stride;
        const auto end =
            strip.left + static_cast<std::ptrdiff_t>((functions.outputs - 1) * strip.stride + strip.kernelWidth);
        const bool isInside = functions.inside != functions.any && strip.left >= 0 && end <= input_.w &&
                              strip.outputs == functions.outputs;
        strip.count =
            isInside ? std::min((width - x) / strip.outputs, static_cast<size_t>(input_.w - end) / step + 1) : 1;
        (isInside ? functions.inside : functions.any)(strip);
        strip.left += static_cast<std::ptrdiff_t>(strip.count * step);
        strip.output += strip.count * strip.outputs * channels;
    }
    if (sums) functions.sum(output, width, channels, sums);
}

}  // namespace dunlin::cpu
