#include "runtime/cpu/kernels/softmax.h"

#include "runtime/cpu/kernels/math.h"
#include "runtime/cpu/kernels/vector_loop.h"

namespace dunlin::cpu {

void SoftmaxKernel::run(const Workers& workers, std::span<const float* const> inputs, float* output, std::byte*) const {
    const size_t channels = sizeOf(shape_.c);
    const float* const input = inputs[0];
    forEach(workers, static_cast<size_t>(shape_.pixelCount()), [=](size_t pixel, auto tag) DUNLIN_INLINE {
        const float* const x = input + pixel * channels;
        float* const shares = output + pixel * channels;
        const float largest = largestOf(tag, x, channels);
        forEachVector(tag, 0, channels, [=](size_t c, auto part) DUNLIN_INLINE {
            typename decltype(part)::Vector number;
            part.load(number, x + c);
            part.store(shares + c, exponential(number - largest));
        });
        const float share = 1 / sumOf(tag, shares, channels);
        forEachVector(tag, 0, channels, [=](size_t c, auto part) DUNLIN_INLINE {
            typename decltype(part)::Vector number;
            part.load(number, shares + c);
            part.store(shares + c, number * share);
        });
    });
}

}  // namespace dunlin::cpu
