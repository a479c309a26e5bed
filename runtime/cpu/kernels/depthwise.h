// Depthwise convolutions of large kernels: XNNPACK is fast up to 25 taps.
#pragma once

#include <vector>

#include "runtime/cpu/kernels/kernel.h"
#include "runtime/weights/fold.h"

namespace dunlin::cpu {

// One output a channel; any kernel, stride and padding.
class DepthwiseKernel final : public Kernel {
  public:
    static KernelNeed need(const Conv2d& conv, const Shape& input, size_t workers);

    DepthwiseKernel(const Conv2d& conv, const Shape& input, const Shape& output, FoldedWeights weights);
    void run(const Workers& workers, std::span<const float* const> inputs, float* output,
             std::byte* scratch) const override;

  private:
    template <typename Tag>
    void computeRow(Tag tag, const float* input, float* output, size_t row, const float** pixels) const;
    template <typename Tag>
    void computeStrip(Tag, const float* const* pixels, float* output, size_t count, size_t channel) const;
    void computeRest(const float* const* pixels, float* output, size_t count, size_t channel) const;

    Conv2d conv_;
    Shape input_, output_;
    std::vector<float> weight_;  // [kernelH][kernelW][channels]
    std::vector<float> bias_;
    std::vector<float> zeros_;  // a pixel of the padding
};

}  // namespace dunlin::cpu
