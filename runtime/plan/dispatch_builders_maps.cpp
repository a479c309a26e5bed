// The other half of DispatchBuilder: attention and what surrounds it, maps of another size, whole blocks.
#include <cmath>

#include "runtime/plan/dispatch_builders.h"
#include "runtime/plan/dispatch_parts.h"
#include "shaders/include/params.h"

namespace dunlin {

using namespace params;

namespace {

// Pixels of the projection that an invocation of inverted_residual sums up: kStrip in the shader.
constexpr uint32_t kStripPixels = 4;

void setInvertedResidualConstants(Variant& variant, const InvertedResidualCall& call, const KernelForm& form) {
    setWindowConstants(variant, call);
    variant.constants[constant_id::kActivation] = static_cast<uint32_t>(call.activation);
    variant.constants[constant_id::kSqueeze] = call.sums.has_value();
    variant.constants[constant_id::kFirstActivation] = static_cast<uint32_t>(call.firstActivation);
    variant.constants[constant_id::kFirstKernelH] = asUint(call.firstKernelH);
    variant.constants[constant_id::kFirstKernelW] = asUint(call.firstKernelW);
    variant.constants[constant_id::kFirstStrideH] = asUint(call.firstStrideH);
    variant.constants[constant_id::kFirstStrideW] = asUint(call.firstStrideW);
    if (!call.projectWeights) return;
    const std::optional<uint32_t> groups = projectedGroups(channelGroups(call.out.shape.c), form);
    assert(groups);
    variant.constants[constant_id::kProject] = groups.value_or(1);
    variant.constants[constant_id::kProjectActivation] = static_cast<uint32_t>(call.projectActivation);
    variant.constants[constant_id::kProjectResidual] = call.residual.has_value();
}

}  // namespace

Dispatch DispatchBuilder::attention(const AttentionCall& call, const KernelForm& form, const Extent& extent) const {
    const Shape& map = call.out.shape;
    const int headGroups = channelGroups(call.headChannels);
    assert(call.in.shape.c == 3 * map.c && map.c == call.heads * headGroups * kChannelGroup);
    AttentionParams params{};
    params.mapHeight = asUint(map.h);
    params.mapWidth = asUint(map.w);
    params.heads = asUint(call.heads);
    params.setHeight = asUint(call.windows ? call.windows->height : map.h / call.patchH);
    params.setWidth = asUint(call.windows ? call.windows->width : map.w / call.patchW);
    params.setsDown = call.windows ? divideUp(params.mapHeight, params.setHeight) : asUint(call.patchH);
    params.setsAcross = call.windows ? divideUp(params.mapWidth, params.setWidth) : asUint(call.patchW);
    params.setStepH = call.windows ? params.setHeight : 1;
    params.setStepW = call.windows ? params.setWidth : 1;
    params.tokenStepH = call.windows ? 1 : asUint(call.patchH);
    params.tokenStepW = call.windows ? 1 : asUint(call.patchW);
    params.shiftH = call.windows ? call.windows->shiftH : 0;
    params.shiftW = call.windows ? call.windows->shiftW : 0;
    params.scale = 1.0f / std::sqrt(static_cast<float>(call.headChannels));
    params.imageBegin = asUint(extent.imageBegin);
    params.images = asUint(extent.images);
    const Extent images = {extent.imageBegin, extent.images, 0, map.h};
    const Bound in = bindRows(call.in, images, false), out = bindRows(call.out, images, true);
    params.inBase = in.base;
    params.outBase = out.base;

    Variant chosen = variant(Kernel::Attention, form);
    chosen.constants[constant_id::kHeadGroups] = asUint(headGroups);
    Binding constants{};
    if (call.windows) {
        chosen.constants[constant_id::kWindows] = 1;
        chosen.constants[constant_id::kPadding] =
            params.mapHeight % params.setHeight != 0 || params.mapWidth % params.setWidth != 0;
        const int64_t positions = int64_t{2 * call.windows->height - 1} * (2 * call.windows->width - 1);
        constants =
            bindAll(*call.constants, positions * channelGroups(call.heads) + int64_t{3} * call.heads * headGroups);
    }
    const int64_t sets = int64_t{params.setsDown} * params.setsAcross * extent.images;
    const int64_t tiles = divideUp(int64_t{params.setHeight} * params.setWidth, int64_t{form.tileX});
    return dispatchOf(chosen, {in.binding, constants, out.binding}, PushConstants::of(params),
                      spreadWorkgroups(divideUp(sets * call.heads * tiles, int64_t{form.groupLanes})));
}

Dispatch DispatchBuilder::separableAttention(const SeparableAttentionCall& call, const KernelForm& form,
                                             const Extent& extent) const {
    const Shape& map = call.out.shape;
    SeparableAttentionParams params{};
    params.mapHeight = asUint(map.h);
    params.mapWidth = asUint(map.w);
    params.groups = asUint(channelGroups(map.c));
    params.patchH = asUint(call.patchH);
    params.patchW = asUint(call.patchW);
    params.imageBegin = asUint(extent.imageBegin);
    assert(channelGroups(call.in.shape.c) == static_cast<int>(1 + 2 * params.groups));
    const Extent images = {extent.imageBegin, extent.images, 0, map.h};
    const Bound in = bindRows(call.in, images, false), out = bindRows(call.out, images, true);
    params.inBase = in.base;
    params.outBase = out.base;
    const uint places = params.patchH * params.patchW;
    return dispatchOf(variant(Kernel::SeparableAttention, form), {in.binding, out.binding}, PushConstants::of(params),
                      {divideUp(params.groups, form.groupLanes) * places, asUint(extent.images), 1});
}

Dispatch DispatchBuilder::layerNorm(const LayerNormCall& call, const KernelForm& form, const Extent& extent) const {
    const Shape& shape = call.out.shape;
    LayerNormParams params{};
    params.pixelBegin = asUint((int64_t{extent.imageBegin} * shape.h + extent.rowBegin) * shape.w);
    params.pixels = asUint(int64_t{extent.images} * extent.rows * shape.w);
    params.pixelsPerImage = asUint(int64_t{shape.h} * shape.w);
    params.groups = asUint(channelGroups(shape.c));
    params.channels = asUint(shape.c);
    params.epsilon = call.epsilon;
    const Bound in = bindRows(call.in, extent, false), out = bindRows(call.out, extent, true);
    Bound moments{};
    if (call.moments) moments = bindRows(*call.moments, {extent.imageBegin, extent.images, 0, 1}, false);
    params.inBase = in.base;
    params.momentsBase = moments.base;
    params.outBase = out.base;

    Variant chosen = variant(Kernel::LayerNorm, form);
    chosen.constants[constant_id::kMoments] = call.moments.has_value();
    const Binding weights = bindAll(call.weights, int64_t{2} * params.groups);
    return dispatchOf(chosen, {in.binding, weights, moments.binding, out.binding}, PushConstants::of(params),
                      spreadWorkgroups(divideUp(params.pixels, form.localSize / form.groupLanes)));
}

Dispatch DispatchBuilder::moments(const MomentsCall& call, const KernelForm& form, const Extent& extent) const {
    const Shape& shape = call.in.shape;
    MomentsParams params{};
    params.pixels = asUint(int64_t{shape.h} * shape.w);
    params.groups = asUint(channelGroups(shape.c));
    params.channels = asUint(shape.c);
    params.epsilon = call.epsilon;
    params.imageBegin = asUint(extent.imageBegin);
    const Bound in = bindRows(call.in, {extent.imageBegin, extent.images, 0, shape.h}, false);
    const Bound out = bindRows(call.out, {extent.imageBegin, extent.images, 0, 1}, true);
    params.inBase = in.base;
    params.outBase = out.base;
    return dispatchOf(variant(Kernel::Moments, form), {in.binding, out.binding}, PushConstants::of(params),
                      {asUint(extent.images), 1, 1});
}

Dispatch DispatchBuilder::embedTokens(const EmbedTokensCall& call, const KernelForm& form, const Extent& extent) const {
    const Shape &inShape = call.in.shape, &outShape = call.out.shape;
    EmbedTokensParams params{};
    params.pixels = asUint(int64_t{inShape.h} * inShape.w);
    params.prefix = asUint(call.prefix);
    params.groups = asUint(channelGroups(inShape.c));
    params.imageBegin = asUint(extent.imageBegin);
    params.images = asUint(extent.images);
    const Bound in = bindRows(call.in, {extent.imageBegin, extent.images, 0, inShape.h}, false);
    const Bound out = bindRows(call.out, {extent.imageBegin, extent.images, 0, outShape.h}, true);
    params.inBase = in.base;
    params.outBase = out.base;
    const int64_t imageGroups = groupsPerImage(outShape);
    return dispatchOf(variant(Kernel::EmbedTokens, form),
                      {in.binding, bindAll(call.constants, imageGroups), out.binding}, PushConstants::of(params),
                      flatWorkgroups(imageGroups * extent.images, form));
}

Dispatch DispatchBuilder::resize(const ResizeCall& call, const KernelForm& form, const Extent& extent) const {
    const Shape &inShape = call.in.shape, &outShape = call.out.shape;
    ResizeParams params{};
    params.inHeight = asUint(inShape.h);
    params.inWidth = asUint(inShape.w);
    params.outHeight = asUint(outShape.h);
    params.outWidth = asUint(outShape.w);
    params.groups = asUint(channelGroups(outShape.c));
    params.imageBegin = asUint(extent.imageBegin);
    params.images = asUint(extent.images);
    params.rowBegin = asUint(extent.rowBegin);
    params.rows = asUint(extent.rows);
    params.alignCorners = call.alignCorners;
    // The first of the two input rows that an output row lies between, as in the shader.
    const auto rowBefore = [&](int row) {
        if (call.alignCorners) return static_cast<int>(int64_t{row} * (inShape.h - 1) / std::max(outShape.h - 1, 1));
        const int64_t position = std::max((int64_t{2} * row + 1) * inShape.h - outShape.h, int64_t{0});
        return static_cast<int>(position / (int64_t{2} * outShape.h));
    };
    Extent needed = {extent.imageBegin, extent.images, 0, inShape.h};
    if (extent.images == 1) {
        needed.rowBegin = rowBefore(extent.rowBegin);
        needed.rows = std::min(rowBefore(extent.rowBegin + extent.rows - 1) + 2, inShape.h) - needed.rowBegin;
    }
    const Bound in = bindRows(call.in, needed, false), out = bindRows(call.out, extent, true);
    params.inBase = in.base;
    params.outBase = out.base;
    const int64_t items = int64_t{extent.images} * extent.rows * outShape.w * params.groups;
    return dispatchOf(variant(Kernel::Resize, form), {in.binding, out.binding}, PushConstants::of(params),
                      flatWorkgroups(items, form));
}

Dispatch DispatchBuilder::maxPool(const MaxPoolCall& call, const KernelForm& form, const Extent& extent) const {
    MaxPoolParams params{};
    setWindow(params, call, extent);
    params.groups = asUint(channelGroups(call.out.shape.c));
    params.kernelH = call.kernelH;
    params.kernelW = call.kernelW;
    params.strideH = call.strideH;
    params.strideW = call.strideW;
    const Extent needed = inputExtent(extent, call.in.shape, call.kernelH, call.strideH, call.padding.top);
    const Bound in = bindRows(call.in, needed, false), out = bindRows(call.out, extent, true);
    params.inBase = in.base;
    params.outBase = out.base;
    const int64_t items = int64_t{extent.images} * extent.rows * call.out.shape.w * params.groups;
    return dispatchOf(variant(Kernel::MaxPool, form), {in.binding, out.binding}, PushConstants::of(params),
                      flatWorkgroups(items, form));
}

Dispatch DispatchBuilder::pooledLinear(const PooledLinearCall& call, const KernelForm& form,
                                       const Extent& extent) const {
    const Shape &inShape = call.in.shape, &outShape = call.out.shape;
    assert(outShape.h == 1 && outShape.w == 1 && form.localSize % form.groupLanes == 0);
    PooledLinearParams params{};
    params.pixelsPerImage = asUint(int64_t{inShape.h} * inShape.w);
    params.pixelBegin = asUint(call.begin);
    params.pixels = call.count > 0 ? asUint(call.count) : params.pixelsPerImage - params.pixelBegin;
    params.inGroups = asUint(channelGroups(inShape.c));
    params.outGroups = asUint(channelGroups(outShape.c));
    params.outChannels = asUint(outShape.c);
    params.imageBegin = asUint(extent.imageBegin);
    const Bound in = bindRows(call.in, {extent.imageBegin, extent.images, 0, inShape.h}, false);
    const Bound out = bindRows(call.out, {extent.imageBegin, extent.images, 0, 1}, true);
    params.inBase = in.base;
    params.outBase = out.base;

    Variant chosen = variant(Kernel::PooledLinear, form);
    chosen.constants[constant_id::kActivation] = static_cast<uint32_t>(call.activation);
    const Binding weights = bindAll(call.weights, params.outGroups * (1 + int64_t{params.inGroups} * kChannelGroup));
    return dispatchOf(chosen, {in.binding, weights, out.binding}, PushConstants::of(params),
                      {divideUp(params.outGroups, form.groupLanes * form.tileY), asUint(extent.images), 1});
}

int DispatchBuilder::invertedResidualPartials(const Shape& out, int rows, const KernelForm& form) {
    return static_cast<int>(tilesOf(out, rows, form).count());
}

Dispatch DispatchBuilder::invertedResidual(const InvertedResidualCall& call, const KernelForm& form,
                                           const Extent& extent) const {
    const Shape &hiddenShape = call.hidden, &outShape = call.out.shape;
    assert(!call.sums || !call.projectWeights);
    assert(call.projectWeights || (!call.residual && hiddenShape.c == outShape.c));
    InvertedResidualParams params{};
    setWindow(params, call, extent);
    params.hiddenHeight = asUint(hiddenShape.h);
    params.hiddenWidth = asUint(hiddenShape.w);
    params.inGroups = asUint(channelGroups(call.in.shape.c));
    params.hiddenGroups = asUint(channelGroups(hiddenShape.c));
    params.outGroups = asUint(channelGroups(outShape.c));
    params.outChannels = asUint(outShape.c);
    params.firstPadTop = call.firstPadding.top;
    params.firstPadLeft = call.firstPadding.left;

    const Extent hidden = inputExtent(extent, hiddenShape, call.kernelH, call.strideH, call.padding.top);
    const Bound in = bindRows(
        call.in, inputExtent(hidden, call.in.shape, call.firstKernelH, call.firstStrideH, call.firstPadding.top),
        false);
    const Bound out = bindRows(call.out, extent, true);
    Bound residual{}, sums{};
    if (call.residual) residual = bindRows(*call.residual, extent, false);
    if (call.sums) {
        sums = bindRows(*call.sums, {extent.imageBegin, extent.images, 0, 1}, true);
        params.partialBegin = asUint(call.partialBegin);
        params.partialsPerImage = asUint(call.sums->shape.w);
    }
    params.inBase = in.base;
    params.outBase = out.base;
    params.residualBase = residual.base;
    params.sumsBase = sums.base;

    Variant chosen = variant(Kernel::InvertedResidual, form);
    setInvertedResidualConstants(chosen, call, form);
    const int64_t taps = int64_t{call.firstKernelH} * call.firstKernelW;
    const Binding first =
        bindAll(call.firstWeights, int64_t{params.hiddenGroups} * (1 + taps * params.inGroups * kChannelGroup));
    const Binding depthwise =
        bindAll(call.depthwiseWeights, (1 + int64_t{call.kernelH} * call.kernelW) * params.hiddenGroups);
    Binding project{};
    if (call.projectWeights) {
        project = bindAll(*call.projectWeights,
                          int64_t{params.outGroups} * (1 + int64_t{params.hiddenGroups} * kChannelGroup));
    }
    const int64_t slices = call.projectWeights ? 1 : divideUp(params.hiddenGroups, form.groupLanes);
    return dispatchOf(chosen, {in.binding, first, depthwise, project, residual.binding, out.binding, sums.binding},
                      PushConstants::of(params),
                      spreadWorkgroups(tilesOf(outShape, extent.rows, form).count() * extent.images * slices));
}

uint64_t invertedResidualSharedBytes(const InvertedResidualCall& call, const KernelForm& form) {
    const int64_t windowW = int64_t{form.tileX - 1} * call.strideW + call.kernelW;
    const int64_t windowH = int64_t{form.tileY - 1} * call.strideH + call.kernelH;
    const int64_t hidden = windowW * windowH * form.groupLanes;
    int64_t second = call.sums ? form.localSize : 1;
    if (call.projectWeights) second = int64_t{form.tileX} * form.tileY * form.groupLanes;
    return static_cast<uint64_t>(hidden + second) * kFloatGroupBytes;
}

std::optional<uint32_t> projectedGroups(int outGroups, const KernelForm& form) {
    const uint32_t strips = uint32_t{form.tileX} * form.tileY / kStripPixels;
    if (form.localSize < strips) return std::nullopt;
    const uint32_t needed = divideUp(asUint(outGroups), form.localSize / strips);
    for (const uint32_t groups : {1u, 2u, 3u, 4u, 6u}) {
        if (needed <= groups) return groups;
    }
    return std::nullopt;
}

}  // namespace dunlin
