// Activations as functions of one number, or of one vector, for loops over many.
#pragma once

#include "runtime/cpu/kernels/math.h"
#include "runtime/cpu/kernels/vector_loop.h"
#include "runtime/graph/ops.h"

namespace dunlin::cpu {

// Calls use(function) with the activation as a callable of a float or a tag's vector; not for None.
template <typename Use>
DUNLIN_INLINE inline void withActivation(Activation activation, Use use) {
    switch (activation) {
        case Activation::None:
            return;
        case Activation::Relu:
            return use([](auto x) DUNLIN_INLINE { return atLeast(x, 0); });
        case Activation::Relu6:
            return use([](auto x) DUNLIN_INLINE { return atMost(atLeast(x, 0), 6); });
        case Activation::HardSwish:
            return use([](auto x) DUNLIN_INLINE { return hardSwish(x); });
        case Activation::HardSigmoid:
            return use([](auto x) DUNLIN_INLINE { return hardSigmoid(x); });
        case Activation::Silu:
            return use([](auto x) DUNLIN_INLINE { return silu(x); });
        case Activation::Sigmoid:
            return use([](auto x) DUNLIN_INLINE { return sigmoid(x); });
        case Activation::Gelu:
            return use([](auto x) DUNLIN_INLINE { return gelu(x); });
        case Activation::GeluTanh:
            return use([](auto x) DUNLIN_INLINE { return geluTanh(x); });
    }
}

// to[i] = activation(from[i]) for i < count; both may be the same memory.
template <typename Tag>
DUNLIN_INLINE inline void activateRange(Tag tag, Activation activation, const float* from, float* to, size_t count) {
    if (activation == Activation::None) {
        if (from != to) std::memcpy(to, from, count * sizeof(float));
        return;
    }
    withActivation(activation, [=](auto function) DUNLIN_INLINE {
        forEachVector(tag, 0, count, [=](size_t i, auto part) DUNLIN_INLINE {
            typename decltype(part)::Vector x;
            part.load(x, from + i);
            part.store(to + i, function(x));
        });
    });
}

}  // namespace dunlin::cpu
