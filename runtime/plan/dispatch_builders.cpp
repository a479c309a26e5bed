#include "runtime/plan/dispatch_builders.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "runtime/plan/kernels.h"
#include "shaders/include/params.h"

namespace dunlin {
namespace {

using namespace params;

uint asUint(int64_t value) {
    assert(value >= 0 && value <= int64_t{0xffffffff});
    return static_cast<uint>(value);
}

// Squeeze-excite's shared memory grows in steps, so that a network's layers share few pipelines.
constexpr uint kGroupsStep = 256, kReducedStep = 64;
constexpr uint32_t kFloatGroupBytes = 16;
// Pixels of the projection that an invocation of inverted_residual sums up: kStrip in the shader.
constexpr uint32_t kStripPixels = 4;

int64_t groupsPerImage(const Shape& shape) {
    return int64_t{shape.h} * shape.w * channelGroups(shape.c);
}

// Input rows that a window needs for output rows [begin, begin + count), clamped to the map.
Extent inputExtent(const Extent& out, const Shape& in, int kernel, int stride, int padTop) {
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

Dispatch dispatchOf(const Variant& variant, std::vector<Binding> bindings, PushConstants push,
                    std::array<uint32_t, 3> workgroups) {
    Dispatch dispatch;
    dispatch.variant = variant;
    dispatch.bindings = std::move(bindings);
    dispatch.push = push;
    dispatch.workgroups = workgroups;
    return dispatch;
}

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

uint32_t residualOption(const std::optional<Operand>& residual, ResidualOrder order) {
    if (!residual) return 0;
    return order == ResidualOrder::AfterActivation ? 1 : 2;
}

struct Tiles {
    int columns, rows;
    int64_t count() const { return int64_t{columns} * rows; }
};

Tiles tilesOf(const Shape& out, int rows, const KernelForm& form) {
    return {divideUp(out.w, int{form.tileX}), divideUp(rows, int{form.tileY})};
}

}  // namespace

Variant DispatchBuilder::variant(Kernel kernel, const KernelForm& form) const {
    Variant variant;
    variant.kernel = kernel;
    variant.precision = precision_;
    variant.load = form.load;
    variant.tileX = form.tileX;
    variant.tileY = form.tileY;
    variant.constants[0] = form.localSize;
    variant.constants[1] = form.groupLanes;
    return variant;
}

DispatchBuilder::Bound DispatchBuilder::bindGroups(const Operand& operand, int64_t firstGroup, int64_t groupCount,
                                                   bool write) const {
    const int64_t skipped = int64_t{operand.firstImage} * groupsPerImage(operand.shape);
    const auto beginBytes = static_cast<uint64_t>(firstGroup - skipped) * operand.groupBytes;
    const uint64_t offsetBytes = beginBytes / limits_.offsetAlignment * limits_.offsetAlignment;
    const uint64_t endBytes = beginBytes + static_cast<uint64_t>(groupCount) * operand.groupBytes;
    const auto boundGroups = static_cast<int64_t>(offsetBytes / operand.groupBytes);
    return {{operand.tensor, offsetBytes, endBytes - offsetBytes, write}, static_cast<int>(-(skipped + boundGroups))};
}

DispatchBuilder::Bound DispatchBuilder::bindRows(const Operand& operand, const Extent& extent, bool write) const {
    const int64_t rowGroups = int64_t{operand.shape.w} * channelGroups(operand.shape.c);
    const int64_t first = (int64_t{extent.imageBegin} * operand.shape.h + extent.rowBegin) * rowGroups;
    assert(extent.images == 1 || (extent.rowBegin == 0 && extent.rows == operand.shape.h));
    return bindGroups(operand, first, int64_t{extent.images} * extent.rows * rowGroups, write);
}

Binding DispatchBuilder::bindAll(const Operand& operand, int64_t groupCount) const {
    return {operand.tensor, 0, static_cast<uint64_t>(groupCount) * operand.groupBytes, false};
}

Binding DispatchBuilder::bindOutput(const Operand& result, uint64_t endBytes) const {
    return {result.tensor, 0, endBytes, true};
}

std::array<uint32_t, 3> DispatchBuilder::flatWorkgroups(int64_t items, const KernelForm& form) const {
    return spreadWorkgroups(divideUp(items, int64_t{form.localSize}));
}

std::array<uint32_t, 3> DispatchBuilder::spreadWorkgroups(int64_t count) const {
    const int64_t x = std::min<int64_t>(count, limits_.maxWorkgroupCount[0]);
    return {asUint(x), asUint(divideUp(count, x)), 1};
}

Dispatch DispatchBuilder::pointwise(const PointwiseCall& call, const KernelForm& form, const Extent& extent) const {
    const int inGroups = channelGroups(call.in.shape.c), outGroups = channelGroups(call.out.shape.c);
    const Shape& out = call.out.shape;
    const int64_t extentPixels = int64_t{extent.rows} * out.w;
    assert(!call.gate || !call.imageMoments);
    const std::optional<Operand>& perImage = call.imageMoments ? call.imageMoments : call.gate;
    // Without a gate nothing depends on the image, so the batch is one long row of pixels.
    const int64_t images = perImage ? extent.images : 1;
    const int64_t pixelsPerImage = perImage ? extentPixels : extentPixels * extent.images;

    PointwiseParams params{};
    params.pixelBegin = asUint((int64_t{extent.imageBegin} * out.h + extent.rowBegin) * out.w);
    params.pixelsPerImage = asUint(pixelsPerImage);
    params.images = asUint(images);
    params.tilesPerImage = asUint(divideUp(pixelsPerImage, int64_t{form.tileX}));
    params.inGroups = asUint(inGroups);
    params.outGroups = asUint(outGroups);
    params.outChannels = asUint(out.c);

    const Bound in = bindRows(call.in, extent, false), result = bindRows(call.out, extent, true);
    params.inBase = in.base;
    params.outBase = result.base;
    Bound residual{}, gate{};
    if (call.residual) residual = bindRows(*call.residual, extent, false);
    if (perImage) gate = bindRows(*perImage, {extent.imageBegin, extent.images, 0, 1}, false);
    params.residualBase = residual.base;
    params.gateBase = gate.base;
    params.gateImageBegin = asUint(extent.imageBegin);
    params.inChannels = asUint(call.in.shape.c);
    params.epsilon = call.normEpsilon.value_or(0.0f);

    Variant chosen = variant(Kernel::Pointwise, form);
    chosen.constants[constant_id::kActivation] = static_cast<uint32_t>(call.activation);
    chosen.constants[constant_id::kResidual] = residualOption(call.residual, call.residualOrder);
    chosen.constants[constant_id::kGate] = call.imageMoments ? 2 : call.gate.has_value();
    chosen.constants[constant_id::kNorm] = call.normEpsilon.has_value();
    const Binding weights = bindAll(call.weights, int64_t{outGroups} * (1 + int64_t{inGroups} * kChannelGroup));
    const int64_t outTiles = divideUp(outGroups, int{form.tileY});
    return dispatchOf(chosen, {in.binding, weights, residual.binding, gate.binding, result.binding},
                      PushConstants::of(params), flatWorkgroups(outTiles * params.tilesPerImage * images, form));
}

Dispatch DispatchBuilder::conv2d(const Conv2dCall& call, const KernelForm& form, const Extent& extent) const {
    const Shape &inShape = call.in.shape, &outShape = call.out.shape;
    Conv2dParams params{};
    setWindow(params, call, extent);
    params.inGroups = asUint(channelGroups(inShape.c));
    params.outGroups = asUint(channelGroups(outShape.c));
    params.outChannels = asUint(outShape.c);

    const Bound in =
        bindRows(call.in, inputExtent(extent, inShape, call.kernelH, call.strideH, call.padding.top), false);
    const Bound out = bindRows(call.out, extent, true);
    assert(!call.residual || !call.second);
    assert(!call.normEpsilon || !call.second);
    Bound other{};
    if (call.residual) other = bindRows(*call.residual, extent, false);
    if (call.second) {
        other =
            bindRows(*call.second, inputExtent(extent, inShape, call.kernelH, call.strideH, call.padding.top), false);
        params.secondGroups = asUint(channelGroups(call.second->shape.c));
    }
    params.inBase = in.base;
    params.outBase = out.base;
    params.otherBase = other.base;
    const int64_t taps = int64_t{call.kernelH} * call.kernelW;
    params.inChannels = asUint(inShape.c);
    params.epsilon = call.normEpsilon.value_or(0.0f);

    Variant chosen = variant(Kernel::Conv2d, form);
    chosen.constants[constant_id::kActivation] = static_cast<uint32_t>(call.activation);
    chosen.constants[constant_id::kOther] = call.second ? 3 : residualOption(call.residual, call.residualOrder);
    chosen.constants[constant_id::kWindowNorm] = call.normEpsilon.has_value();
    setWindowConstants(chosen, call);
    const int64_t window = taps * (params.inGroups + params.secondGroups) * kChannelGroup;
    const Binding weights = bindAll(call.weights, int64_t{params.outGroups} * (1 + window));
    const int64_t items = tilesOf(outShape, extent.rows, form).count() * params.outGroups * extent.images;
    return dispatchOf(chosen, {in.binding, weights, other.binding, out.binding}, PushConstants::of(params),
                      flatWorkgroups(items, form));
}

int DispatchBuilder::partialCount(const Shape& out, int rows, const KernelForm& form) {
    return static_cast<int>(divideUp(tilesOf(out, rows, form).count(), int64_t{form.localSize / form.groupLanes}));
}

Dispatch DispatchBuilder::depthwise(const DepthwiseCall& call, const KernelForm& form, const Extent& extent) const {
    const Shape &inShape = call.in.shape, &outShape = call.out.shape;
    DepthwiseParams params{};
    setWindow(params, call, extent);
    params.groups = asUint(channelGroups(outShape.c));
    params.channels = asUint(outShape.c);

    const Bound in =
        bindRows(call.in, inputExtent(extent, inShape, call.kernelH, call.strideH, call.padding.top), false);
    const Bound out = bindRows(call.out, extent, true);
    params.inBase = in.base;
    params.outBase = out.base;
    const int64_t tiles = tilesOf(outShape, extent.rows, form).count();
    std::array<uint32_t, 3> workgroups = flatWorkgroups(tiles * params.groups * extent.images, form);
    Bound sums{};
    if (call.sums) {
        sums = bindRows(*call.sums, {extent.imageBegin, extent.images, 0, 1}, true);
        params.sumsBase = sums.base;
        params.partialBegin = asUint(call.partialBegin);
        params.partialsPerImage = asUint(call.sums->shape.w);
        workgroups = {divideUp(params.groups, form.groupLanes), asUint(partialCount(outShape, extent.rows, form)),
                      params.images};
    }

    Variant chosen = variant(Kernel::Depthwise, form);
    chosen.constants[constant_id::kActivation] = static_cast<uint32_t>(call.activation);
    chosen.constants[constant_id::kSqueeze] = call.sums.has_value();
    setWindowConstants(chosen, call);
    const Binding weights = bindAll(call.weights, (1 + int64_t{call.kernelH} * call.kernelW) * params.groups);
    return dispatchOf(chosen, {in.binding, weights, out.binding, sums.binding}, PushConstants::of(params), workgroups);
}

Dispatch DispatchBuilder::squeezeExcite(const SqueezeExciteCall& call, const KernelForm& form,
                                        const Extent& extent) const {
    SqueezeExciteParams params{};
    params.channels = asUint(call.gate.shape.c);
    params.groups = asUint(channelGroups(call.gate.shape.c));
    params.reducedGroups = asUint(channelGroups(call.reducedChannels));
    params.partialsPerImage = asUint(call.sums.shape.w);
    params.inversePixels = 1.0f / static_cast<float>(call.pixels);
    params.imageBegin = asUint(extent.imageBegin);
    const Extent images = {extent.imageBegin, extent.images, 0, 1};
    const Bound sums = bindRows(call.sums, images, false), gate = bindRows(call.gate, images, true);
    params.sumsBase = sums.base;
    params.gateBase = gate.base;

    Variant chosen = variant(Kernel::SqueezeExcite, form);
    chosen.constants[constant_id::kReduceActivation] = static_cast<uint32_t>(call.reduceActivation);
    chosen.constants[constant_id::kGateActivation] = static_cast<uint32_t>(call.gateActivation);
    chosen.constants[constant_id::kMaxGroups] = std::min(
        roundUp(params.groups, kGroupsStep), squeezeExciteChunk(limits_, form.localSize, call.reducedChannels));
    chosen.constants[constant_id::kMaxReducedGroups] = roundUp(params.reducedGroups, kReducedStep);
    const int64_t reduceGroups = int64_t{params.reducedGroups} * (1 + int64_t{params.groups} * kChannelGroup);
    const int64_t expandGroups = int64_t{params.groups} * (1 + int64_t{params.reducedGroups} * kChannelGroup);
    return dispatchOf(chosen,
                      {sums.binding, bindAll(call.reduceWeights, reduceGroups),
                       bindAll(call.expandWeights, expandGroups), gate.binding},
                      PushConstants::of(params), {asUint(extent.images), 1, 1});
}

Dispatch DispatchBuilder::pool(const PoolCall& call, const KernelForm& form, const Extent& extent) const {
    PoolParams params{};
    params.pixelsPerImage = asUint(int64_t{call.in.shape.h} * call.in.shape.w);
    params.pixelBegin = asUint(call.begin);
    params.pixels = call.count > 0 ? asUint(call.count) : params.pixelsPerImage - params.pixelBegin;
    params.groups = asUint(channelGroups(call.in.shape.c));
    params.imageBegin = asUint(extent.imageBegin);
    params.images = asUint(extent.images);
    const Bound in = bindRows(call.in, {extent.imageBegin, extent.images, 0, call.in.shape.h}, false);
    const Bound out = bindRows(call.out, {extent.imageBegin, extent.images, 0, 1}, true);
    params.inBase = in.base;
    params.outBase = out.base;
    return dispatchOf(variant(Kernel::Pool, form), {in.binding, out.binding}, PushConstants::of(params),
                      {divideUp(params.groups, form.groupLanes), params.images, 1});
}

Dispatch DispatchBuilder::head(const HeadCall& call, const KernelForm& form, const Extent& extent) const {
    constexpr uint64_t kFloatBytes = sizeof(float);
    HeadParams params{};
    params.classes = asUint(call.logits.shape.c);
    params.groups = asUint(channelGroups(call.logits.shape.c));
    params.topK = asUint(call.topK);
    params.imageBegin = asUint(extent.imageBegin);
    const Bound logits = bindRows(call.logits, {extent.imageBegin, extent.images, 0, 1}, false);
    params.inBase = logits.base;
    params.logitsOffset = asUint(static_cast<int64_t>(call.logitsBytes / kFloatBytes));
    params.probabilitiesOffset = asUint(static_cast<int64_t>(call.probabilitiesBytes / kFloatBytes));
    params.topClassesOffset = asUint(static_cast<int64_t>(call.topClassesBytes / kFloatBytes));
    params.topProbabilitiesOffset = asUint(static_cast<int64_t>(call.topProbabilitiesBytes / kFloatBytes));
    const auto lastImage = static_cast<uint64_t>(extent.imageBegin + extent.images);
    const uint64_t rowBytes = static_cast<uint64_t>(call.topK) * kFloatBytes;
    const Binding result = bindOutput(call.result, call.topProbabilitiesBytes + lastImage * rowBytes);
    return dispatchOf(variant(Kernel::Head, form), {logits.binding, result}, PushConstants::of(params),
                      {asUint(extent.images), 1, 1});
}

Dispatch DispatchBuilder::exportMap(const ExportCall& call, const KernelForm& form, const Extent& extent) const {
    const Shape& shape = call.in.shape;
    ExportParams params{};
    params.pixelBegin = asUint((int64_t{extent.imageBegin} * shape.h + extent.rowBegin) * shape.w);
    params.pixels = asUint(int64_t{extent.images} * extent.rows * shape.w);
    params.channels = asUint(shape.c);
    params.groups = asUint(channelGroups(shape.c));
    const Bound in = bindRows(call.in, extent, false);
    params.inBase = in.base;
    const uint64_t pixelBytes = static_cast<uint64_t>(shape.c) * sizeof(float);
    const uint64_t beginBytes = call.resultBytes + params.pixelBegin * pixelBytes;
    const uint64_t offsetBytes = beginBytes / limits_.offsetAlignment * limits_.offsetAlignment;
    const auto toFloats = [](uint64_t bytes) { return static_cast<int64_t>(bytes / sizeof(float)); };
    params.outBase = static_cast<int>(toFloats(call.resultBytes) - toFloats(offsetBytes));
    const Binding result = {call.result.tensor, offsetBytes, beginBytes - offsetBytes + params.pixels * pixelBytes,
                            true};
    return dispatchOf(variant(Kernel::Export, form), {in.binding, result}, PushConstants::of(params),
                      flatWorkgroups(int64_t{params.pixels} * params.groups, form));
}

Dispatch DispatchBuilder::preprocess(const Operand& out, int image, const KernelForm& form) const {
    PreprocessParams params{};
    params.outWidth = asUint(out.shape.w);
    params.outHeight = asUint(out.shape.h);
    const Bound bound = bindRows(out, {image, 1, 0, out.shape.h}, true);
    params.outBase = static_cast<int>(bound.base + int64_t{image} * groupsPerImage(out.shape));
    Dispatch dispatch = dispatchOf(variant(Kernel::Preprocess, form), {Binding{}, bound.binding},
                                   PushConstants::of(params), flatWorkgroups(int64_t{out.shape.h} * out.shape.w, form));
    dispatch.image = image;
    return dispatch;
}

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

uint32_t squeezeExciteChunk(const DeviceLimits& limits, uint32_t localSize, int reducedChannels) {
    const uint32_t vectors = limits.sharedMemoryBytes / kFloatGroupBytes;
    const uint32_t taken = localSize + roundUp(asUint(channelGroups(reducedChannels)), kReducedStep);
    if (taken + kReducedStep > vectors) return 0;
    return std::min(kSqueezeExciteChunk, (vectors - taken) / kReducedStep * kReducedStep);
}

bool dispatchFits(const Dispatch& dispatch, const DeviceLimits& limits) {
    for (size_t i = 0; i < dispatch.workgroups.size(); ++i) {
        if (dispatch.workgroups[i] > limits.maxWorkgroupCount[i]) return false;
    }
    const std::span<const BindingRow> rows = row(dispatch.variant.kernel).bindings;
    for (size_t i = 0; i < dispatch.bindings.size(); ++i) {
        const Binding& binding = dispatch.bindings[i];
        if (binding.tensor < 0) continue;
        const BindingKind kind = rows[i].kind;
        const bool byLoadPath = kind == BindingKind::Activation || kind == BindingKind::Weights;
        const bool texel = kind == BindingKind::TexelNative || (byLoadPath && dispatch.variant.load == LoadPath::Texel);
        const uint64_t texelBytes = dispatch.variant.precision == Precision::Fp16 ? 8 : 16;
        const uint64_t limitBytes = texel ? limits.maxTexelBufferElements * texelBytes : limits.maxStorageBufferRange;
        if (binding.sizeBytes > limitBytes) return false;
    }
    return true;
}

}  // namespace dunlin
