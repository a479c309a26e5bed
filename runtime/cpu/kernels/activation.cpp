#include "runtime/cpu/kernels/activation.h"

#include <algorithm>

#include "runtime/cpu/kernels/activation_loop.h"

namespace dunlin::cpu {

void activate(const Workers& workers, Activation activation, const float* input, float* output, size_t count) {
    forEach(workers, divideUp(count, kElementsAJob), [=](size_t job, auto tag) DUNLIN_INLINE {
        const size_t first = job * kElementsAJob, size = std::min(kElementsAJob, count - first);
        activateRange(tag, activation, input + first, output + first, size);
    });
}

}  // namespace dunlin::cpu
