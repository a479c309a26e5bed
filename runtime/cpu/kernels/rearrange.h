// Ops that move pixels: concatenation, space-to-depth, and a map as a sequence of tokens.
#pragma once

#include <vector>

#include "runtime/cpu/kernels/kernel.h"
#include "runtime/weights/fold.h"

namespace dunlin::cpu {

class ConcatKernel final : public Kernel {
  public:
    ConcatKernel(const Shape& a, const Shape& b) : a_(a), b_(b) {}
    void run(const Workers& workers, std::span<const float* const> inputs, float* output,
             std::byte* scratch) const override;

  private:
    Shape a_, b_;
};

class SpaceToDepthKernel final : public Kernel {
  public:
    SpaceToDepthKernel(const SpaceToDepth& op, const Shape& input, const Shape& output)
        : block_(op.block), input_(input), output_(output) {}
    void run(const Workers& workers, std::span<const float* const> inputs, float* output,
             std::byte* scratch) const override;

  private:
    int block_;
    Shape input_, output_;
};

class EmbedTokensKernel final : public Kernel {
  public:
    static KernelNeed need(const Shape& output);
    EmbedTokensKernel(const EmbedTokens& op, const Shape& output, FoldedWeights weights)
        : prefix_(static_cast<size_t>(op.prefix())), output_(output), added_(std::move(weights.weight)) {}
    void run(const Workers& workers, std::span<const float* const> inputs, float* output,
             std::byte* scratch) const override;

  private:
    size_t prefix_;
    Shape output_;
    std::vector<float> added_;  // [token][channel]
};

}  // namespace dunlin::cpu
