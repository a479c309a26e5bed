// Softmax over the channels of each pixel.
#pragma once

#include "runtime/cpu/kernels/kernel.h"

namespace dunlin::cpu {

class SoftmaxKernel final : public Kernel {
  public:
    explicit SoftmaxKernel(const Shape& shape) : shape_(shape) {}
    void run(const Workers& workers, std::span<const float* const> inputs, float* output,
             std::byte* scratch) const override;

  private:
    Shape shape_;
};

}  // namespace dunlin::cpu
