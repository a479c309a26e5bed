// Activations as passes over a map.
#pragma once

#include "runtime/cpu/kernels/kernel.h"

namespace dunlin::cpu {

// Elements of one job of an elementwise op: 32 KiB a map.
constexpr size_t kElementsAJob = 8192;

// output[i] = activation(input[i]) for i < count; both may be the same memory.
void activate(const Workers& workers, Activation activation, const float* input, float* output, size_t count);

class ActivationKernel final : public Kernel {
  public:
    ActivationKernel(Activation activation, const Shape& shape)
        : activation_(activation), count_(static_cast<size_t>(shape.elementCount())) {}
    void run(const Workers& workers, std::span<const float* const> inputs, float* output, std::byte*) const override {
        activate(workers, activation_, inputs[0], output, count_);
    }

  private:
    Activation activation_;
    size_t count_;
};

}  // namespace dunlin::cpu
