#include "runtime/cpu/kernels/depthwise.h"

#include <type_traits>

namespace dunlin::cpu {
namespace {

// Output pixels side by side that share each load of a weight.
constexpr size_t kStrip = 4;

size_t sizeOf(int extent) {
    return static_cast<size_t>(extent);
}

// Input pixels of one row that a strip of outputs reads.
size_t stripInputs(const Conv2d& conv) {
    return (kStrip - 1) * sizeOf(conv.strideW) + sizeOf(conv.kernelW);
}
size_t pointerCount(const Conv2d& conv) {
    return sizeOf(conv.kernelH) * stripInputs(conv);
}

}  // namespace

KernelNeed DepthwiseKernel::need(const Conv2d& conv, const Shape& input, size_t workers) {
    const uint64_t taps = uint64_t{sizeOf(conv.kernelH)} * sizeOf(conv.kernelW);
    return {.constantBytes = (taps + 2) * sizeOf(input.c) * sizeof(float),
            .scratchBytes = workers * pointerCount(conv) * sizeof(const float*)};
}

DepthwiseKernel::DepthwiseKernel(const Conv2d& conv, const Shape& input, const Shape& output, FoldedWeights weights)
    : conv_(conv),
      input_(input),
      output_(output),
      weight_(weights.weight.size()),
      bias_(std::move(weights.bias)),
      zeros_(bias_.size()) {
    const size_t channels = bias_.size(), taps = weight_.size() / channels;
    for (size_t c = 0; c < channels; ++c)
        for (size_t tap = 0; tap < taps; ++tap) weight_[tap * channels + c] = weights.weight[c * taps + tap];
}

// `count` outputs of `lanes` channels each. The number of lanes is a constant but for the last channels.
template <typename Lanes>
DUNLIN_INLINE inline void DepthwiseKernel::computeStrip(const float* const* pixels, float* output, size_t count,
                                                        size_t channel, Lanes lanes) const {
    const size_t channels = bias_.size(), kernelW = sizeOf(conv_.kernelW), stride = sizeOf(conv_.strideW);
    float sums[kStrip][kLanes];
    for (size_t o = 0; o < kStrip; ++o)
        for (size_t l = 0; l < lanes; ++l) sums[o][l] = bias_[channel + l];
    const float* weight = weight_.data() + channel;
    for (size_t ky = 0; ky < sizeOf(conv_.kernelH); ++ky, pixels += stripInputs(conv_))
        for (size_t kx = 0; kx < kernelW; ++kx, weight += channels)
            for (size_t o = 0; o < kStrip; ++o)
                for (size_t l = 0; l < lanes; ++l) sums[o][l] += pixels[o * stride + kx][channel + l] * weight[l];
    for (size_t o = 0; o < count; ++o)
        for (size_t l = 0; l < lanes; ++l) output[o * channels + channel + l] = sums[o][l];
}

// One row of outputs of one image. `pixels`: scratch for where the inputs of a strip lie.
DUNLIN_INLINE inline void DepthwiseKernel::computeRow(const float* input, float* output, size_t row,
                                                      const float** pixels) const {
    const size_t channels = bias_.size(), width = sizeOf(output_.w);
    const int image = static_cast<int>(row) / output_.h, outY = static_cast<int>(row) % output_.h;
    const int top = outY * conv_.strideH - conv_.padding.top;
    for (size_t first = 0; first < width; first += kStrip) {
        const int left = static_cast<int>(first) * conv_.strideW - conv_.padding.left;
        const float** next = pixels;
        for (int y = top; y < top + conv_.kernelH; ++y)
            for (int x = left; x < left + static_cast<int>(stripInputs(conv_)); ++x) {
                const bool isInside = y >= 0 && y < input_.h && x >= 0 && x < input_.w;
                const size_t pixel =
                    isInside ? (sizeOf(image) * sizeOf(input_.h) + sizeOf(y)) * sizeOf(input_.w) + sizeOf(x) : 0;
                *next++ = isInside ? input + pixel * channels : zeros_.data();
            }
        float* const strip = output + (row * width + first) * channels;
        const size_t count = std::min(kStrip, width - first);
        size_t channel = 0;
        for (; channel + kLanes <= channels; channel += kLanes)
            computeStrip(pixels, strip, count, channel, std::integral_constant<size_t, kLanes>());
        if (channel < channels) computeStrip(pixels, strip, count, channel, channels - channel);
    }
}

void DepthwiseKernel::run(const Workers& workers, std::span<const float* const> inputs, float* output,
                          std::byte* scratch) const {
    const float* const input = inputs[0];
    auto* const pointers = reinterpret_cast<const float**>(scratch);
    const size_t pointersAWorker = pointerCount(conv_);
    forEachWithWorker(workers, sizeOf(output_.n) * sizeOf(output_.h),
                      [=, this](size_t row, size_t worker)
                          DUNLIN_INLINE { computeRow(input, output, row, pointers + worker * pointersAWorker); });
}

}  // namespace dunlin::cpu
