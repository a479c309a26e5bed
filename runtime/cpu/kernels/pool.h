// Poolings: means of an image's pixels, or of some of them, and maxima of windows.
#pragma once

#include "runtime/cpu/kernels/kernel.h"

namespace dunlin::cpu {

class MeanKernel final : public Kernel {
  public:
    static KernelNeed need(const GlobalAvgPool& pool, const Shape& input);

    MeanKernel(const GlobalAvgPool& pool, const Shape& input);
    void run(const Workers& workers, std::span<const float* const> inputs, float* output,
             std::byte* scratch) const override;

  private:
    static size_t pixelCount(const GlobalAvgPool& pool, const Shape& input);
    void sumBlocks(const Workers& workers, const float* input, float* sums) const;

    Shape input_;
    size_t begin_, count_;
    size_t blocks_;  // of pixels, whose sums are added in the end
};

// Windows may lie in the padding altogether: their maximum is minus infinity.
class MaxPoolKernel final : public Kernel {
  public:
    MaxPoolKernel(const MaxPool& pool, const Shape& input, const Shape& output)
        : pool_(pool), input_(input), output_(output) {}
    void run(const Workers& workers, std::span<const float* const> inputs, float* output,
             std::byte* scratch) const override;

  private:
    MaxPool pool_;
    Shape input_, output_;
};

}  // namespace dunlin::cpu
