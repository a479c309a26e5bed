#include "runtime/cpu/kernels/softmax.h"

#include "runtime/cpu/kernels/vector_loop.h"

namespace dunlin::cpu {

void SoftmaxKernel::run(const Workers& workers, std::span<const float* const> inputs, float* output, std::byte*) const {
    const size_t channels = sizeOf(shape_.c);
    const float* const input = inputs[0];
    forEach(workers, static_cast<size_t>(shape_.pixelCount()), [=](size_t pixel, auto tag) DUNLIN_INLINE {
        shareByExponential(tag, input + pixel * channels, output + pixel * channels, channels);
    });
}

}  // namespace dunlin::cpu
