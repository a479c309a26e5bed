// Activations as functions of one number, for loops over many.
#pragma once

#include "runtime/cpu/kernels/math.h"
#include "runtime/graph/ops.h"

namespace dunlin::cpu {

// Calls use(function) with the activation as a callable of one float; not for None.
template <typename Use>
DUNLIN_INLINE inline void withActivation(Activation activation, Use use) {
    switch (activation) {
        case Activation::None:
            return;
        case Activation::Relu:
            return use([](float x) DUNLIN_INLINE { return atLeast(x, 0); });
        case Activation::Relu6:
            return use([](float x) DUNLIN_INLINE { return atMost(atLeast(x, 0), 6); });
        case Activation::HardSwish:
            return use([](float x) DUNLIN_INLINE { return x * atMost(atLeast(x + 3, 0), 6) * (1.0f / 6); });
        case Activation::HardSigmoid:
            return use([](float x) DUNLIN_INLINE { return atMost(atLeast(x + 3, 0), 6) * (1.0f / 6); });
        case Activation::Silu:
            return use([](float x) DUNLIN_INLINE { return silu(x); });
        case Activation::Sigmoid:
            return use([](float x) DUNLIN_INLINE { return sigmoid(x); });
        case Activation::Gelu:
            return use([](float x) DUNLIN_INLINE { return gelu(x); });
        case Activation::GeluTanh:
            return use([](float x) DUNLIN_INLINE { return geluTanh(x); });
    }
}

}  // namespace dunlin::cpu
