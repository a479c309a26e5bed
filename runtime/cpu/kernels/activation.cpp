#include "runtime/cpu/kernels/activation.h"

#include <cstring>

#include "runtime/cpu/kernels/math.h"

namespace dunlin::cpu {
namespace {

// Elements of one job: 32 KiB that are read and written.
constexpr size_t kChunk = 8192;

template <typename Function>
void applyToAll(const Workers& workers, const float* input, float* output, size_t count, Function function) {
    forEach(workers, (count + kChunk - 1) / kChunk, [=](size_t chunk) DUNLIN_INLINE {
        const size_t first = chunk * kChunk, size = std::min(kChunk, count - first);
        float* data = output + first;
        // Always in place: two pointers that may be one keep the compiler from using vectors.
        if (input != output) std::memcpy(data, input + first, size * sizeof(float));
        for (size_t i = 0; i < size; ++i) data[i] = function(data[i]);
    });
}

}  // namespace

void activate(const Workers& workers, Activation activation, const float* input, float* output, size_t count) {
    const auto apply = [&](auto function) { applyToAll(workers, input, output, count, function); };
    switch (activation) {
        case Activation::None:
            return apply([](float x) DUNLIN_INLINE { return x; });
        case Activation::Relu:
            return apply([](float x) DUNLIN_INLINE { return atLeast(x, 0); });
        case Activation::Relu6:
            return apply([](float x) DUNLIN_INLINE { return atMost(atLeast(x, 0), 6); });
        case Activation::HardSwish:
            return apply([](float x) DUNLIN_INLINE { return x * atMost(atLeast(x + 3, 0), 6) * (1.0f / 6); });
        case Activation::HardSigmoid:
            return apply([](float x) DUNLIN_INLINE { return atMost(atLeast(x + 3, 0), 6) * (1.0f / 6); });
        case Activation::Silu:
            return apply([](float x) DUNLIN_INLINE { return silu(x); });
        case Activation::Sigmoid:
            return apply([](float x) DUNLIN_INLINE { return sigmoid(x); });
        case Activation::Gelu:
            return apply([](float x) DUNLIN_INLINE { return gelu(x); });
        case Activation::GeluTanh:
            return apply([](float x) DUNLIN_INLINE { return geluTanh(x); });
    }
}

}  // namespace dunlin::cpu
