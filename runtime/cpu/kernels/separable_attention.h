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
    size_t stride() const { return 1 + 2 * sizeOf(shape_.c); }
    template <typename Visit>
    void forEachPixel(size_t place, Visit visit) const;
    template <typename Tag>
    void shareOut(Tag tag, const float* input, float* shares, size_t place) const;
    template <typename Tag>
    void gatherContext(Tag tag, const float* input, const float* shares, float* context, size_t place, size_t first,
                       size_t count) const;

    SeparableAttention attention_;
    Shape shape_;  // of the output
};

}  // namespace dunlin::cpu
