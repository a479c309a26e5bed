// Softmax attention (Vaswani et al. 2017): of all pixels, of the same places of patches (MobileViT), or within windows
// (Swin). Scores of a few queries exist at a time.
#pragma once

#include <vector>

#include "runtime/cpu/kernels/kernel.h"
#include "runtime/weights/fold.h"

namespace dunlin::cpu {

class AttentionKernel final : public Kernel {
  public:
    static KernelNeed need(const Attention& attention, const Shape& output, size_t workers);

    // `weights`: those of a windowed attention (weights/fold.h).
    AttentionKernel(const Attention& attention, const Shape& output, const FoldedWeights& weights);
    void run(const Workers& workers, std::span<const float* const> inputs, float* output,
             std::byte* scratch) const override;

  private:
    // Sizes of what a worker has in its scratch, in floats. Rows are padded to whole vectors.
    struct Layout {
        size_t tokens = 0, tokenStride = 0;  // of a group: tokens that attend to each other
        size_t headChannels = 0, headStride = 0;
        size_t floats() const;
    };
    // One worker's scratch.
    struct Buffers;

    static Layout layoutOf(const Attention& attention, const Shape& output);
    static size_t groupCount(const Attention& attention, const Shape& output);
    void placePatches(const Attention& attention);
    void placeWindows(const AttentionWindows& windows);
    void spreadBias(const AttentionWindows& windows, const FoldedWeights& weights);

    template <typename Tag>
    void attend(Tag tag, const float* input, float* output, size_t item, float* scratch) const;
    void gather(const float* image, size_t group, size_t head, const Buffers& buffers) const;
    template <typename Tag>
    void attendFrom(Tag tag, const float* image, float* output, size_t group, size_t head, size_t firstQuery,
                    size_t queries, const Buffers& buffers) const;
    void shareOut(float* scores, size_t group, size_t head, size_t query, float* sum) const;

    Shape shape_;  // of the output
    size_t heads_, groups_;
    Layout layout_;
    std::vector<int32_t> places_;  // [group][token]: the pixel in its image; -1 for a padded token
    std::vector<float> parts_;     // [group][token]: which part of the map a shift has brought it from; empty without
    std::vector<float> bias_;      // [head][query][tokenStride]; empty without windows
    std::vector<float> paddedToken_;
};

}  // namespace dunlin::cpu
