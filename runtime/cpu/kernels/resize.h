// Bilinear resizing of maps.
#pragma once

#include <vector>

#include "runtime/cpu/kernels/kernel.h"

namespace dunlin::cpu {

class ResizeKernel final : public Kernel {
  public:
    static KernelNeed need(const Resize& resize);

    ResizeKernel(const Resize& resize, const Shape& input);
    void run(const Workers& workers, std::span<const float* const> inputs, float* output,
             std::byte* scratch) const override;

  private:
    // The two pixels between which a resized one lies, along a side, and the share of the second.
    struct Neighbours {
        size_t before, after;
        float share;
    };
    static std::vector<Neighbours> neighboursOf(int from, int to, bool alignCorners);

    Shape input_;
    std::vector<Neighbours> rows_, columns_;
};

}  // namespace dunlin::cpu
