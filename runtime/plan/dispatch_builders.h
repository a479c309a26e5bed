// One dispatch from shapes: push constants, workgroup counts and bound ranges, for every kernel. The other half of each
// shader's contract: what a shader reads from its push constants is computed here and nowhere else.
//
// Bindings, in order (the rows of kernels.cpp):
//   preprocess      source, out
//   conv2d          in, weights, residual or second input, out
//   pointwise       in, weights, residual, gate, out
//   depthwise       in, weights, out, sums
//   squeeze_excite  sums, reduce weights, expand weights, gate
//   pool            in, out
//   head            logits, result
//   export          in, result
//   attention       in, constants, out
//   separable_attention, moments, resize, max_pool: in, out
//   layer_norm      in, weights, moments, out
//   embed_tokens    in, constants, out
//   pooled_linear   in, weights, out
//   inverted_residual  in, first weights, depthwise weights, project weights, residual, out, sums
//
// Which invocation does what. "Flat" kernels number their work items, the first-named coordinate fastest, and run them
// at flat index (workgroup.y * workgroups.x + workgroup.x) * local size + local index; surplus invocations do nothing:
//   preprocess      flat: column, strip of group lanes rows, of one image
//   conv2d          flat: out tile (tileY groups), column tile, row, image
//   pointwise       flat: out tile (tileY groups), pixel tile (tileX pixels), image; by shared tiles,
//                   workgroups numbered likewise, whose tiles are localSize / group lanes and group lanes times as
//                   large; by split-K, workgroups of group lanes tiles
//   depthwise       flat: group, column tile, row tile, image; with squeeze, workgroups at [ceil(groups / group lanes),
//                   partial, image] take as many tiles as group lanes leave room for, and each makes one partial
//   squeeze_excite  workgroup.x = image
//   pool            workgroups at [ceil(groups / group lanes), image]
//   head            workgroup.x = image
//   export          flat: group, pixel
//   attention       workgroups of group lanes queries (tiles of tileX), numbered by query, head, set of tokens, image;
//                   the lanes that are left share out the keys
//   separable_attention  workgroup.x = block of group lanes groups, then place in the patch; workgroup.y = image
//   layer_norm      workgroups of pixels; group lanes share one
//   moments         workgroup.x = image
//   embed_tokens    flat: group, token, image
//   resize, max_pool  flat: group, column, row, image
//   pooled_linear   workgroup.x = block of group lanes * tileY out groups; workgroup.y = image
//   inverted_residual  workgroups numbered by slice of group lanes groups (not with projection), column tile, row tile,
//                   image; each tile is one partial
#pragma once

#include <optional>
#include <variant>

#include "runtime/graph/ops.h"
#include "runtime/plan/limits.h"
#include "runtime/plan/program.h"

namespace dunlin {

// A tensor as a kernel sees it.
struct Operand {
    TensorId tensor = -1;
    Shape shape;                             // of the whole tensor
    uint32_t groupBytes = kFloatGroupBytes;  // bytes of one channel group
    // Index that the tensor's first image has among the images that extents count (micro-batches count on).
    int firstImage = 0;
};

// How a kernel is run: what tuning may choose without changing any result beyond rounding.
struct KernelForm {
    LoadPath load = LoadPath::Storage;
    uint8_t tileX = 1, tileY = 1;
    uint32_t localSize = 64;  // invocations of a workgroup, which is one-dimensional
    // Depthwise with squeeze, and pool: how many of them take channel groups side by side; the rest share tiles or
    // pixels. Separable attention and layer norm too; attention: how many take queries side by side; the rest share the
    // keys of each. Pooled linear: how many take tiles of output groups; the rest share the input groups.
    // Inverted residual: groups of hidden channels in shared memory at a time. Preprocess: rows of pixels that an
    // invocation computes. Pointwise by shared tiles: how many take output groups side by side; the rest
    // take pixels. Split-K: how many tiles a workgroup has; the rest share the input groups of each. Matrices: how many
    // subgroups take output channels side by side; the rest take pixels. Divides localSize.
    uint32_t groupLanes = 1;
    Method method = Method::Registers;

    bool operator==(const KernelForm&) const = default;
};

// The part of the output that one dispatch computes. Either whole images, or rows of a single one.
struct Extent {
    int imageBegin = 0, images = 1;
    int rowBegin = 0, rows = 1;
};

// Where a shortcut is added: after the activation (linear bottlenecks have none) or before it (ResNet).
enum class ResidualOrder : uint8_t { AfterActivation, BeforeActivation };

struct PreprocessCall {
    Operand out;
    int image = 0;  // of the batch; the rest of its push constants waits for the source (vulkan/recorder)
};
struct PointwiseCall {
    Operand in, weights, out;
    std::optional<Operand> residual, gate;
    ResidualOrder residualOrder = ResidualOrder::AfterActivation;
    // A LayerNorm before the layer, folded into its weights but for the statistics: over each pixel's channels with
    // this epsilon, or over whole images with what the moments kernel wrote, [n, 1, 1, 4].
    std::optional<float> normEpsilon;
    std::optional<Operand> imageMoments;  // instead of a gate
    Activation activation = Activation::None;
};
struct Conv2dCall {
    Operand in, weights, out;
    std::optional<Operand> residual;
    std::optional<Operand> second;  // its channels follow those of `in`; instead of a residual
    ResidualOrder residualOrder = ResidualOrder::AfterActivation;
    std::optional<float> normEpsilon;  // a LayerNorm over the window, as above
    int kernelH = 1, kernelW = 1, strideH = 1, strideW = 1;
    Padding padding;
    Activation activation = Activation::None;
};
struct DepthwiseCall {
    Operand in, weights, out;
    std::optional<Operand> sums;  // shape [n, 1, partials, c], float32
    int partialBegin = 0;         // of this extent's first partial
    int kernelH = 3, kernelW = 3, strideH = 1, strideW = 1;
    Padding padding;
    Activation activation = Activation::None;
};
struct SqueezeExciteCall {
    Operand sums, reduceWeights, expandWeights, gate;
    int reducedChannels = 0;
    int64_t pixels = 0;  // of the map that was summed
    Activation reduceActivation = Activation::Relu, gateActivation = Activation::HardSigmoid;
};
struct PoolCall {
    Operand in, out;
    int begin = 0, count = 0;  // pixels of each image, in row-major order; count 0: all that follow
};
struct HeadCall {
    Operand logits, result;  // result: the output buffer
    int topK = 5;
    uint64_t logitsBytes = 0, probabilitiesBytes = 0, topClassesBytes = 0, topProbabilitiesBytes = 0;  // offsets in it
};
struct ExportCall {
    Operand in, result;
    uint64_t resultBytes = 0;  // offset of the map in the output buffer
};
// Tensors of heads: each is padded to whole channel groups, so in has 3 * heads * channelGroups(headChannels) groups a
// pixel and out a third of them; shape.c is four times that.
struct AttentionCall {
    Operand in, out;
    std::optional<Operand> constants = {};  // with windows: biases and a padded token, as prepack.h orders them
    int heads = 1, headChannels = 1;
    int patchH = 1, patchW = 1;
    std::optional<AttentionWindows> windows = {};
};
// in: groups of [score, 0, 0, 0], of keys and of values; shape.c is four times their number.
struct SeparableAttentionCall {
    Operand in, out;
    int patchH = 1, patchW = 1;
};
struct LayerNormCall {
    Operand in, weights, out;
    std::optional<Operand> moments = {};  // [n, 1, 1, 4]: what the moments kernel wrote, with its epsilon
    float epsilon = 1e-5f;
};
struct MomentsCall {
    Operand in, out;  // out: [n, 1, 1, 4]
    float epsilon = 1e-5f;
};
struct EmbedTokensCall {
    Operand in, constants, out;
    int prefix = 0;
};
struct ResizeCall {
    Operand in, out;
    bool alignCorners = false;
};
struct MaxPoolCall {
    Operand in, out;
    int kernelH = 1, kernelW = 1, strideH = 1, strideW = 1;
    Padding padding = {};
};
// A pool and the linear layer (or 1x1 convolution) that alone reads it. in: the map; out: [n, 1, 1, out channels].
struct PooledLinearCall {
    Operand in, weights, out;
    int begin = 0, count = 0;  // pixels of each image, as in PoolCall
    Activation activation = Activation::None;
};
// A first convolution (Gemm packing), a depthwise one behind it, and optionally the projection to `out` with its
// shortcut, which is added after the activation. Hidden channels are hidden.c; without projection out.c too.
struct InvertedResidualCall {
    Operand in, firstWeights, depthwiseWeights, out;
    std::optional<Operand> projectWeights = {}, residual = {};  // absent: the depthwise output is written
    std::optional<Operand> sums = {};                           // [n, 1, partials, c], float32; without projection only
    int partialBegin = 0;                                       // of this extent's first partial
    Shape hidden;                                               // of the first convolution's output, whole tensor
    int firstKernelH = 1, firstKernelW = 1, firstStrideH = 1, firstStrideW = 1;
    Padding firstPadding = {};
    Activation firstActivation = Activation::None;
    int kernelH = 3, kernelW = 3, strideH = 1, strideW = 1;
    Padding padding = {};
    Activation activation = Activation::None;
    Activation projectActivation = Activation::None;
};

// What is to be computed, by any kernel, in the order of enum Kernel: kernelOf(call) is the index.
using KernelCall = std::variant<PreprocessCall, Conv2dCall, PointwiseCall, DepthwiseCall, SqueezeExciteCall, PoolCall,
                                HeadCall, ExportCall, AttentionCall, SeparableAttentionCall, LayerNormCall, MomentsCall,
                                EmbedTokensCall, ResizeCall, MaxPoolCall, PooledLinearCall, InvertedResidualCall>;
inline Kernel kernelOf(const KernelCall& call) {
    return static_cast<Kernel>(call.index());
}

class DispatchBuilder {
  public:
    DispatchBuilder(const DeviceLimits& limits, Precision precision) : limits_(limits), precision_(precision) {}

    // Any of the calls below. The extent of preprocess does not count.
    Dispatch build(const KernelCall& call, const KernelForm& form, const Extent& extent) const;

    Dispatch pointwise(const PointwiseCall& call, const KernelForm& form, const Extent& extent) const;
    Dispatch conv2d(const Conv2dCall& call, const KernelForm& form, const Extent& extent) const;
    Dispatch depthwise(const DepthwiseCall& call, const KernelForm& form, const Extent& extent) const;
    Dispatch squeezeExcite(const SqueezeExciteCall& call, const KernelForm& form, const Extent& extent) const;
    Dispatch pool(const PoolCall& call, const KernelForm& form, const Extent& extent) const;
    Dispatch head(const HeadCall& call, const KernelForm& form, const Extent& extent) const;
    Dispatch exportMap(const ExportCall& call, const KernelForm& form, const Extent& extent) const;
    // Whole images only, as are separable attention, moments and embedTokens.
    Dispatch attention(const AttentionCall& call, const KernelForm& form, const Extent& extent) const;
    Dispatch separableAttention(const SeparableAttentionCall& call, const KernelForm& form, const Extent& extent) const;
    Dispatch layerNorm(const LayerNormCall& call, const KernelForm& form, const Extent& extent) const;
    Dispatch moments(const MomentsCall& call, const KernelForm& form, const Extent& extent) const;
    Dispatch embedTokens(const EmbedTokensCall& call, const KernelForm& form, const Extent& extent) const;
    Dispatch resize(const ResizeCall& call, const KernelForm& form, const Extent& extent) const;
    Dispatch maxPool(const MaxPoolCall& call, const KernelForm& form, const Extent& extent) const;
    // Whole images only; the extent's rows do not count.
    Dispatch pooledLinear(const PooledLinearCall& call, const KernelForm& form, const Extent& extent) const;
    // With a form that invertedResidualSharedBytes() and projectedGroups() allow (kernel_forms.h chooses such).
    Dispatch invertedResidual(const InvertedResidualCall& call, const KernelForm& form, const Extent& extent) const;
    Dispatch preprocess(const PreprocessCall& call, const KernelForm& form) const;

    // Partials of one image that a depthwise dispatch over this many rows writes.
    static int partialCount(const Shape& out, int rows, const KernelForm& form);
    // The same for inverted residual.
    static int invertedResidualPartials(const Shape& out, int rows, const KernelForm& form);

  private:
    struct Bound {
        Binding binding;
        int base;  // minus the index of the first bound group
    };
    Bound bindGroups(const Operand& operand, int64_t firstGroup, int64_t groupCount, bool write) const;
    Bound bindRows(const Operand& operand, const Extent& extent, bool write) const;
    Binding bindAll(const Operand& operand, int64_t groupCount) const;
    Binding bindOutput(const Operand& result, uint64_t endBytes) const;
    std::array<uint32_t, 3> flatWorkgroups(int64_t items, const KernelForm& form) const;
    std::array<uint32_t, 3> spreadWorkgroups(int64_t count) const;
    Variant variant(Kernel kernel, const KernelForm& form) const;

    DeviceLimits limits_;
    Precision precision_;
};

// Channel groups whose means squeeze-excite keeps in shared memory at a time; 0 if the bottleneck alone does not fit.
uint32_t squeezeExciteChunk(const DeviceLimits& limits, uint32_t localSize, int reducedChannels);

// What an inverted residual takes of a workgroup's shared memory in this form.
uint64_t invertedResidualSharedBytes(const InvertedResidualCall& call, const KernelForm& form);
// Output groups that each of its invocations sums up, rounded up to one of the few numbers that pipelines are made for;
// nothing if that is more than registers hold.
std::optional<uint32_t> projectedGroups(int outGroups, const KernelForm& form);

// Whether the dispatch respects the device's limits on buffer ranges and numbers of workgroups.
bool dispatchFits(const Dispatch& dispatch, const DeviceLimits& limits);

// What a workgroup of Method::Matrix computes, on a device that has matrices.
struct MatrixTile {
    int64_t pixels, channels;
};
MatrixTile matrixTile(const KernelForm& form, const MatrixShape& matrix);

}  // namespace dunlin
