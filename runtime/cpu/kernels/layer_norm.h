// Layer normalisation (Ba et al. 2016) of each pixel's channels, or of whole images (GroupNorm with one group).
#pragma once

#include <vector>

#include "runtime/cpu/kernels/kernel.h"
#include "runtime/weights/fold.h"

namespace dunlin::cpu {

class LayerNormKernel final : public Kernel {
  public:
    static KernelNeed need(const LayerNorm& norm, const Shape& shape);

    LayerNormKernel(const LayerNorm& norm, const Shape& shape, FoldedWeights weights);
    void run(const Workers& workers, std::span<const float* const> inputs, float* output,
             std::byte* scratch) const override;

  private:
    void normalisePixels(const Workers& workers, const float* input, float* output) const;
    void normaliseImage(const Workers& workers, const float* input, float* output, double* sums) const;

    LayerNorm::Over over_;
    Shape shape_;
    double epsilon_;
    std::vector<float> weight_, bias_;
};

}  // namespace dunlin::cpu
