// Poolings that XNNPACK has no form of: means of some of an image's pixels, and maxima of single pixels or of windows
// that may lie in the padding altogether.
#pragma once

#include "runtime/cpu/kernels/kernel.h"

namespace dunlin::cpu {

class MeanKernel final : public Kernel {
  public:
    MeanKernel(const GlobalAvgPool& pool, const Shape& input);
    void run(const Workers& workers, std::span<const float* const> inputs, float* output,
             std::byte* scratch) const override;

  private:
    Shape input_;
    size_t begin_, count_;
};

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
