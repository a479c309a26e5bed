// Sums and products of two maps, element by element.
#pragma once

#include "runtime/cpu/kernels/kernel.h"

namespace dunlin::cpu {

class AddKernel final : public Kernel {
  public:
    AddKernel(const Add& add, const Shape& shape)
        : activation_(add.activation), count_(static_cast<size_t>(shape.elementCount())) {}
    void run(const Workers& workers, std::span<const float* const> inputs, float* output,
             std::byte* scratch) const override;

  private:
    Activation activation_;
    size_t count_;
};

class MulKernel final : public Kernel {
  public:
    // `second`: the shape of b, the output's or one pixel an image.
    MulKernel(const Shape& output, const Shape& second);
    void run(const Workers& workers, std::span<const float* const> inputs, float* output,
             std::byte* scratch) const override;

  private:
    // Rows of the output, each multiplied by a row of b: all of an image's by the same one, or each by its own.
    size_t elements_, rows_, rowFloats_, rowsOfOneFactor_;
};

}  // namespace dunlin::cpu
