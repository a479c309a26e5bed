#include "runtime/cpu/kernels/resize.h"

#include <algorithm>

#include "runtime/cpu/kernels/vector_loop.h"

namespace dunlin::cpu {

KernelNeed ResizeKernel::need(const Resize& resize) {
    return {.constantBytes = (sizeOf(resize.height) + sizeOf(resize.width)) * sizeof(Neighbours)};
}

ResizeKernel::ResizeKernel(const Resize& resize, const Shape& input)
    : input_(input),
      rows_(neighboursOf(input.h, resize.height, resize.alignCorners)),
      columns_(neighboursOf(input.w, resize.width, resize.alignCorners)) {}

std::vector<ResizeKernel::Neighbours> ResizeKernel::neighboursOf(int from, int to, bool alignCorners) {
    std::vector<Neighbours> all(sizeOf(to));
    for (int i = 0; i < to; ++i) {
        const double aligned = to > 1 ? static_cast<double>(i) * (from - 1) / (to - 1) : 0;
        const double centre = alignCorners ? aligned : std::max((i + 0.5) * from / to - 0.5, 0.0);
        const int before = std::min(static_cast<int>(centre), from - 1);
        all[sizeOf(i)] = {sizeOf(before), sizeOf(std::min(before + 1, from - 1)), static_cast<float>(centre - before)};
    }
    return all;
}

void ResizeKernel::run(const Workers& workers, std::span<const float* const> inputs, float* output, std::byte*) const {
    const size_t channels = sizeOf(input_.c), width = sizeOf(input_.w), height = sizeOf(input_.h);
    const float* const input = inputs[0];
    forEach(workers, sizeOf(input_.n) * rows_.size(), [=, this](size_t job, auto tag) DUNLIN_INLINE {
        const Neighbours& row = rows_[job % rows_.size()];
        const float* const image = input + job / rows_.size() * height * width * channels;
        const float *const above = image + row.before * width * channels, *const below =
                                                                              image + row.after * width * channels;
        float* result = output + job * columns_.size() * channels;
        for (size_t x = 0; x < columns_.size(); ++x, result += channels) {
            const Neighbours& column = columns_[x];
            const size_t left = column.before * channels, right = column.after * channels;
            forEachVector(tag, 0, channels, [=](size_t c, auto part) DUNLIN_INLINE {
                typename decltype(part)::Vector leftAbove, rightAbove, leftBelow, rightBelow;
                part.load(leftAbove, above + left + c);
                part.load(rightAbove, above + right + c);
                part.load(leftBelow, below + left + c);
                part.load(rightBelow, below + right + c);
                const auto upper = leftAbove + (rightAbove - leftAbove) * column.share;
                const auto lower = leftBelow + (rightBelow - leftBelow) * column.share;
                part.store(result + c, upper + (lower - upper) * row.share);
            });
        }
    });
}

}  // namespace dunlin::cpu
