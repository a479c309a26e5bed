// Softmax attention (Vaswani et al. 2017): of all pixels, of the same places of patches (MobileViT), or within windows
// (Swin). Scores of a block of queries exist at a time.
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
    // Queries that a job takes, one block after the other: few, so that there are jobs for many threads, but enough to
    // pay for the keys that they read.
    static constexpr size_t kJobQueries = 64;

    struct Maps {
        const float* input;
        float* output;
    };

    static size_t tokenCount(const Attention& attention, const Shape& output);
    static size_t groupCount(const Attention& attention, const Shape& output);
    static size_t scratchBytes(size_t tokens, size_t headChannels);
    void placePatches(const Attention& attention);
    void placeWindows(const AttentionWindows& windows);
    void findDividedGroups();
    void spreadBias(const AttentionWindows& windows, const FoldedWeights& weights);

    template <typename Tag>
    void attendJob(Tag tag, const Maps& maps, size_t job, std::byte* scratch) const;

    Shape shape_;  // of the output
    size_t heads_, groups_;
    size_t tokens_;       // of a group: pixels that attend to each other
    size_t tokenStride_;  // padded to whole vectors
    size_t headChannels_;
    std::vector<int32_t> places_;   // [group][token]: the pixel in its image; -1 for a padded token
    std::vector<float> parts_;      // [group][tokenStride]: which part of the map a shift has brought it from; or empty
    std::vector<uint8_t> divided_;  // [group]: whether it has more than one of those
    std::vector<float> bias_;       // [head][key][tokenStride of queries]; empty without windows
    std::vector<float> paddedToken_;
};

}  // namespace dunlin::cpu
