#include "runtime/plan/dispatch_builders.h"

#include "runtime/plan/dispatch_parts.h"
#include "shaders/include/params.h"

namespace dunlin {

using namespace params;

namespace {

// Squeeze-excite's shared memory grows in steps, so that a network's layers share few pipelines.
constexpr uint kGroupsStep = 256, kReducedStep = 64;
constexpr int kThreeColours = 3;

// What is computed together, and how much of it by a workgroup.
struct PointwiseTile {
    int64_t pixels, groups;
    int64_t tilesAWorkgroup;
};

PointwiseTile pointwiseTile(const KernelForm& form, const MatrixShape& matrix) {
    const int64_t shareLanes = form.localSize / form.groupLanes;
    switch (form.method) {
        case Method::SharedTiles:
            return {form.tileX * shareLanes, int64_t{form.tileY} * form.groupLanes, 1};
        case Method::SplitK:
            return {form.tileX, form.tileY, form.groupLanes};
        case Method::Matrix: {
            const MatrixTile tile = matrixTile(form, matrix);
            return {tile.pixels, tile.channels / kChannelGroup, 1};
        }
        case Method::Registers:
            break;
    }
    return {form.tileX, form.tileY, form.localSize};
}

uint32_t residualOption(const std::optional<Operand>& residual, ResidualOrder order) {
    if (!residual) return 0;
    return order == ResidualOrder::AfterActivation ? 1 : 2;
}

}  // namespace

MatrixTile matrixTile(const KernelForm& form, const MatrixShape& matrix) {
    assert(matrix.subgroupSize > 0);
    const int64_t rows = int64_t{form.localSize} / matrix.subgroupSize / form.groupLanes;
    return {form.tileX * rows * matrix.rows, int64_t{form.tileY} * form.groupLanes * matrix.columns};
}

Variant DispatchBuilder::variant(Kernel kernel, const KernelForm& form) const {
    Variant variant;
    variant.kernel = kernel;
    variant.precision = precision_;
    variant.load = form.load;
    variant.tileX = form.tileX;
    variant.tileY = form.tileY;
    variant.constants[0] = form.localSize;
    variant.constants[1] = form.groupLanes;
    variant.method = form.method;
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
    const PointwiseTile tile = pointwiseTile(form, limits_.matrix);
    params.tilesPerImage = asUint(divideUp(pixelsPerImage, tile.pixels));
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
    if (form.method == Method::Matrix) {
        chosen.constants[constant_id::kMatrixRows] = limits_.matrix.rows;
        chosen.constants[constant_id::kMatrixColumns] = limits_.matrix.columns;
        chosen.constants[constant_id::kMatrixInner] = limits_.matrix.inner;
        chosen.constants[constant_id::kMatrixSubgroup] = limits_.matrix.subgroupSize;
    }
    const Binding weights = bindAll(call.weights, int64_t{outGroups} * (1 + int64_t{inGroups} * kChannelGroup));
    const int64_t tiles = divideUp(int64_t{outGroups}, tile.groups) * params.tilesPerImage * images;
    return dispatchOf(chosen, {in.binding, weights, residual.binding, gate.binding, result.binding},
                      PushConstants::of(params), spreadWorkgroups(divideUp(tiles, tile.tilesAWorkgroup)));
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
    chosen.constants[constant_id::kColours] = inShape.c == kThreeColours && !call.second && !call.normEpsilon;
    setWindowConstants(chosen, call);
    const int64_t window = taps * (params.inGroups + params.secondGroups) * kChannelGroup;
    const Binding weights = bindAll(call.weights, int64_t{params.outGroups} * (1 + window));
    const int64_t tilesOfRow =
        int64_t{divideUp(outShape.w, int{form.tileX})} * divideUp(channelGroups(outShape.c), int{form.tileY});
    const int64_t items = tilesOfRow * extent.rows * extent.images;
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

Dispatch DispatchBuilder::preprocess(const PreprocessCall& call, const KernelForm& form) const {
    const auto& [out, image] = call;
    PreprocessParams params{};
    params.outWidth = asUint(out.shape.w);
    params.outHeight = asUint(out.shape.h);
    const Bound bound = bindRows(out, {image, 1, 0, out.shape.h}, true);
    params.outBase = static_cast<int>(bound.base + int64_t{image} * groupsPerImage(out.shape));
    const int strips = divideUp(out.shape.h, static_cast<int>(form.groupLanes));
    Dispatch dispatch = dispatchOf(variant(Kernel::Preprocess, form), {Binding{}, bound.binding},
                                   PushConstants::of(params), flatWorkgroups(int64_t{strips} * out.shape.w, form));
    dispatch.image = image;
    return dispatch;
}

Dispatch DispatchBuilder::build(const KernelCall& call, const KernelForm& form, const Extent& extent) const {
    struct Build {
        const DispatchBuilder& builder;
        const KernelForm& form;
        const Extent& extent;
        Dispatch operator()(const PreprocessCall& c) const { return builder.preprocess(c, form); }
        Dispatch operator()(const Conv2dCall& c) const { return builder.conv2d(c, form, extent); }
        Dispatch operator()(const PointwiseCall& c) const { return builder.pointwise(c, form, extent); }
        Dispatch operator()(const DepthwiseCall& c) const { return builder.depthwise(c, form, extent); }
        Dispatch operator()(const SqueezeExciteCall& c) const { return builder.squeezeExcite(c, form, extent); }
        Dispatch operator()(const PoolCall& c) const { return builder.pool(c, form, extent); }
        Dispatch operator()(const HeadCall& c) const { return builder.head(c, form, extent); }
        Dispatch operator()(const ExportCall& c) const { return builder.exportMap(c, form, extent); }
        Dispatch operator()(const AttentionCall& c) const { return builder.attention(c, form, extent); }
        Dispatch operator()(const SeparableAttentionCall& c) const {
            return builder.separableAttention(c, form, extent);
        }
        Dispatch operator()(const LayerNormCall& c) const { return builder.layerNorm(c, form, extent); }
        Dispatch operator()(const MomentsCall& c) const { return builder.moments(c, form, extent); }
        Dispatch operator()(const EmbedTokensCall& c) const { return builder.embedTokens(c, form, extent); }
        Dispatch operator()(const ResizeCall& c) const { return builder.resize(c, form, extent); }
        Dispatch operator()(const MaxPoolCall& c) const { return builder.maxPool(c, form, extent); }
        Dispatch operator()(const PooledLinearCall& c) const { return builder.pooledLinear(c, form, extent); }
        Dispatch operator()(const InvertedResidualCall& c) const { return builder.invertedResidual(c, form, extent); }
    };
    return std::visit(Build{*this, form, extent}, call);
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
