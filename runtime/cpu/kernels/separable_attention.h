// MobileViTv2's attention (Mehta and Rastegari 2023): one context vector for the pixels of one place in their patch.
#pragma once

#include "runtime/cpu/kernels/kernel.h"

namespace dunlin::cpu {

class SeparableAttentionKernel final : public Kernel {
  public:
    static KernelNeed need(const SeparableAttention& attention, const Shape& output);

    SeparableAttentionKernel(const SeparableAttention& attention, const Shape& output)
        : attention_(attention), shape_(output) {}
    void run(const Workers& workers, std::span<const float* const> inputs, float* output,
             std::byte* scratch) const override;

  private:
    void gatherContext(const float* input, float* context, size_t item) const;

    SeparableAttention attention_;
    Shape shape_;  // of the output
};

}  // namespace dunlin::cpu
