// What the sources of DispatchBuilder share. Not for others.
#pragma once

#include <algorithm>
#include <cassert>
#include <utility>

#include "runtime/plan/dispatch_builders.h"
#include "runtime/plan/kernels.h"

namespace dunlin {

inline uint32_t asUint(int64_t value) {
    assert(value >= 0 && value <= int64_t{0xffffffff});
    return static_cast<uint32_t>(value);
}

inline int64_t groupsPerImage(const Shape& shape) {
    return int64_t{shape.h} * shape.w * channelGroups(shape.c);
}

// Input rows that a window needs for output rows [begin, begin + count), clamped to the map.
inline Extent inputExtent(const Extent& out, const Shape& in, int kernel, int stride, int padTop) {
    if (out.images > 1) return {out.imageBegin, out.images, 0, in.h};
    const int first = std::clamp(out.rowBegin * stride - padTop, 0, in.h - 1);
    const int last = std::clamp((out.rowBegin + out.rows - 1) * stride - padTop + kernel - 1, first, in.h - 1);
    return {out.imageBegin, 1, first, last - first + 1};
}

// What conv2d, depthwise and others have in common: a window that slides over rows of the map.
template <typename Params, typename Call>
void setWindow(Params& params, const Call& call, const Extent& extent) {
    params.inHeight = asUint(call.in.shape.h);
    params.inWidth = asUint(call.in.shape.w);
    params.outHeight = asUint(call.out.shape.h);
    params.outWidth = asUint(call.out.shape.w);
    params.padTop = call.padding.top;
    params.padLeft = call.padding.left;
    params.imageBegin = asUint(extent.imageBegin);
    params.images = asUint(extent.images);
    params.rowBegin = asUint(extent.rowBegin);
    params.rows = asUint(extent.rows);
}
template <typename Call>
void setWindowConstants(Variant& variant, const Call& call) {
    variant.constants[constant_id::kKernelH] = asUint(call.kernelH);
    variant.constants[constant_id::kKernelW] = asUint(call.kernelW);
    variant.constants[constant_id::kStrideH] = asUint(call.strideH);
    variant.constants[constant_id::kStrideW] = asUint(call.strideW);
}

inline Dispatch dispatchOf(const Variant& variant, std::vector<Binding> bindings, PushConstants push,
                           std::array<uint32_t, 3> workgroups) {
    Dispatch dispatch;
    dispatch.variant = variant;
    dispatch.bindings = std::move(bindings);
    dispatch.push = push;
    dispatch.workgroups = workgroups;
    return dispatch;
}

struct Tiles {
    int columns, rows;
    int64_t count() const { return int64_t{columns} * rows; }
};

inline Tiles tilesOf(const Shape& out, int rows, const KernelForm& form) {
    return {divideUp(out.w, int{form.tileX}), divideUp(rows, int{form.tileY})};
}

}  // namespace dunlin
