#include "runtime/cpu/kernels/elementwise.h"

#include <algorithm>

#include "runtime/cpu/kernels/activation.h"
#include "runtime/cpu/kernels/activation_loop.h"
#include "runtime/cpu/kernels/vector_loop.h"

namespace dunlin::cpu {

void AddKernel::run(const Workers& workers, std::span<const float* const> inputs, float* output, std::byte*) const {
    const float *const a = inputs[0], *const b = inputs[1];
    const size_t count = count_;
    const Activation activation = activation_;
    const ActivationLoop loop = activationLoop(workers.vectors);
    forEach(workers, divideUp(count, kElementsAJob), [=](size_t job, auto tag) DUNLIN_INLINE {
        const size_t first = job * kElementsAJob, size = std::min(kElementsAJob, count - first);
        forEachVector(tag, first, first + size, [=](size_t i, auto part) DUNLIN_INLINE {
            typename decltype(part)::Vector x, y;
            part.load(x, a + i);
            part.load(y, b + i);
            part.store(output + i, x + y);
        });
        loop(activation, output + first, output + first, size, 1, size);
    });
}

MulKernel::MulKernel(const Shape& output, const Shape& second) {
    const bool isGate = second != output;
    elements_ = static_cast<size_t>(output.elementCount());
    // Without a gate there is no need of rows: any length will do.
    rowFloats_ = isGate ? sizeOf(output.c) : std::min(kElementsAJob, elements_);
    rows_ = divideUp(elements_, rowFloats_);
    rowsOfOneFactor_ = isGate ? sizeOf(output.h) * sizeOf(output.w) : 1;
}

void MulKernel::run(const Workers& workers, std::span<const float* const> inputs, float* output, std::byte*) const {
    const float *const a = inputs[0], *const b = inputs[1];
    const size_t rows = rows_, rowFloats = rowFloats_, rowsOfOneFactor = rowsOfOneFactor_, end = elements_;
    const size_t rowsAJob = divideUp(kElementsAJob, rowFloats);
    forEach(workers, divideUp(rows, rowsAJob), [=](size_t job, auto tag) DUNLIN_INLINE {
        const size_t lastRow = std::min(rows, (job + 1) * rowsAJob);
        for (size_t row = job * rowsAJob; row < lastRow; ++row) {
            const size_t first = row * rowFloats;
            const float* const factors = b + row / rowsOfOneFactor * rowFloats;
            forEachVector(tag, 0, std::min(rowFloats, end - first), [=](size_t i, auto part) DUNLIN_INLINE {
                typename decltype(part)::Vector x, y;
                part.load(x, a + first + i);
                part.load(y, factors + i);
                part.store(output + first + i, x * y);
            });
        }
    });
}

}  // namespace dunlin::cpu
