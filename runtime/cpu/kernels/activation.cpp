#include "runtime/cpu/kernels/activation.h"

#include <algorithm>

#include "runtime/cpu/kernels/activation_loop.h"
#include "runtime/cpu/kernels/math.h"

namespace dunlin::cpu {
namespace {

template <typename Tag, typename Function>
DUNLIN_INLINE inline void forRows(const float* from, float* to, size_t stride, size_t rows, size_t columns,
                                  Function function) {
    constexpr size_t kFloats = Tag::kFloats;
    for (; rows > 0; --rows, from += stride, to += stride)
        for (size_t first = 0; first < columns; first += kFloats) {
            typename Tag::Vector x = {};
            const size_t count = std::min(kFloats, columns - first);
            if (count == kFloats)
                Tag::load(x, from + first);
            else
                std::memcpy(&x, from + first, count * sizeof(float));
            x = function(x);
            if (count == kFloats)
                Tag::store(to + first, x);
            else
                std::memcpy(to + first, &x, count * sizeof(float));
        }
}

template <typename Tag>
DUNLIN_INLINE inline void activateRows(Activation activation, const float* from, float* to, size_t stride, size_t rows,
                                       size_t columns) {
    const auto apply = [=](auto function) DUNLIN_INLINE { forRows<Tag>(from, to, stride, rows, columns, function); };
    switch (activation) {
        case Activation::None:
            if (from != to) apply([](auto x) DUNLIN_INLINE { return x; });
            return;
        case Activation::Relu:
            return apply([](auto x) DUNLIN_INLINE { return atLeast(x, 0); });
        case Activation::Relu6:
            return apply([](auto x) DUNLIN_INLINE { return atMost(atLeast(x, 0), 6); });
        case Activation::HardSwish:
            return apply([](auto x) DUNLIN_INLINE { return hardSwish(x); });
        case Activation::HardSigmoid:
            return apply([](auto x) DUNLIN_INLINE { return hardSigmoid(x); });
        case Activation::Silu:
            return apply([](auto x) DUNLIN_INLINE { return silu(x); });
        case Activation::Sigmoid:
            return apply([](auto x) DUNLIN_INLINE { return sigmoid(x); });
        case Activation::Gelu:
            return apply([](auto x) DUNLIN_INLINE { return gelu(x); });
        case Activation::GeluTanh:
            return apply([](auto x) DUNLIN_INLINE { return geluTanh(x); });
    }
}

void activateWithVectorsOf4(Activation activation, const float* from, float* to, size_t stride, size_t rows,
                            size_t columns) {
    activateRows<VectorTag<4>>(activation, from, to, stride, rows, columns);
}
#if defined(__x86_64__)
DUNLIN_FOR_AVX2 void activateWithVectorsOf8(Activation activation, const float* from, float* to, size_t stride,
                                            size_t rows, size_t columns) {
    activateRows<VectorTag<8>>(activation, from, to, stride, rows, columns);
}
DUNLIN_FOR_AVX512 void activateWithVectorsOf16(Activation activation, const float* from, float* to, size_t stride,
                                               size_t rows, size_t columns) {
    activateRows<VectorTag<16>>(activation, from, to, stride, rows, columns);
}
#endif

}  // namespace

ActivationLoop activationLoop(Vectors vectors) {
#if defined(__x86_64__)
    if (vectors == Vectors::Of16) return activateWithVectorsOf16;
    if (vectors == Vectors::Of8) return activateWithVectorsOf8;
#else
    static_cast<void>(vectors);
#endif
    return activateWithVectorsOf4;
}

void activate(const Workers& workers, Activation activation, const float* input, float* output, size_t count) {
    const ActivationLoop loop = activationLoop(workers.vectors);
    forEach(workers, divideUp(count, kElementsAJob), [=](size_t job) DUNLIN_INLINE {
        const size_t first = job * kElementsAJob, size = std::min(kElementsAJob, count - first);
        loop(activation, input + first, output + first, size, 1, size);
    });
}

}  // namespace dunlin::cpu
