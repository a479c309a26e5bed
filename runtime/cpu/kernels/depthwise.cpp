#include "runtime/cpu/kernels/depthwise.h"

#include "runtime/cpu/kernels/activation.h"

namespace dunlin::cpu {
namespace {

// Output pixels side by side that share each load of a weight.
constexpr size_t kStrip = 4;

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

// `count` outputs of two vectors of channels, from `channel` on.
template <typename Tag>
DUNLIN_INLINE inline void DepthwiseKernel::computeStrip(Tag, const float* const* pixels, float* output, size_t count,
                                                        size_t channel) const {
    constexpr size_t kFloats = Tag::kFloats;
    const size_t channels = bias_.size(), kernelW = sizeOf(conv_.kernelW), stride = sizeOf(conv_.strideW);
    typename Tag::Vector sums[kStrip][2];
    for (size_t o = 0; o < kStrip; ++o)
        for (size_t v = 0; v < 2; ++v) Tag::load(sums[o][v], bias_.data() + channel + v * kFloats);
    const float* weight = weight_.data() + channel;
    for (size_t ky = 0; ky < sizeOf(conv_.kernelH); ++ky, pixels += stripInputs(conv_))
        for (size_t kx = 0; kx < kernelW; ++kx, weight += channels) {
            typename Tag::Vector first, second, input;
            Tag::load(first, weight);
            Tag::load(second, weight + kFloats);
            for (size_t o = 0; o < kStrip; ++o) {
                const float* const pixel = pixels[o * stride + kx] + channel;
                Tag::load(input, pixel);
                sums[o][0] += input * first;
                Tag::load(input, pixel + kFloats);
                sums[o][1] += input * second;
            }
        }
    for (size_t o = 0; o < count; ++o)
        for (size_t v = 0; v < 2; ++v) Tag::store(output + o * channels + channel + v * kFloats, sums[o][v]);
}

// The last channels, fewer than two vectors.
DUNLIN_INLINE inline void DepthwiseKernel::computeRest(const float* const* pixels, float* output, size_t count,
                                                       size_t channel) const {
    const size_t channels = bias_.size(), kernelW = sizeOf(conv_.kernelW), stride = sizeOf(conv_.strideW);
    for (; channel < channels; ++channel)
        for (size_t o = 0; o < count; ++o) {
            float sum = bias_[channel];
            for (size_t tap = 0; tap < weight_.size() / channels; ++tap) {
                const float* const pixel = pixels[tap / kernelW * stripInputs(conv_) + o * stride + tap % kernelW];
                sum += pixel[channel] * weight_[tap * channels + channel];
            }
            output[o * channels + channel] = sum;
        }
}

// One row of outputs of one image. `pixels`: scratch for where the inputs of a strip lie.
template <typename Tag>
DUNLIN_INLINE inline void DepthwiseKernel::computeRow(Tag tag, const float* input, float* output, size_t row,
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
        for (; channel + 2 * Tag::kFloats <= channels; channel += 2 * Tag::kFloats)
            computeStrip(tag, pixels, strip, count, channel);
        computeRest(pixels, strip, count, channel);
    }
}

void DepthwiseKernel::run(const Workers& workers, std::span<const float* const> inputs, float* output,
                          std::byte* scratch) const {
    const float* const input = inputs[0];
    auto* const pointers = reinterpret_cast<const float**>(scratch);
    const size_t pointersAWorker = pointerCount(conv_);
    forEachWithWorker(workers, sizeOf(output_.n) * sizeOf(output_.h),
                      [=, this](size_t row, size_t worker, auto tag)
                          DUNLIN_INLINE { computeRow(tag, input, output, row, pointers + worker * pointersAWorker); });
    if (conv_.activation != Activation::None)
        activate(workers, conv_.activation, output, output, static_cast<size_t>(output_.elementCount()));
}

}  // namespace dunlin::cpu
