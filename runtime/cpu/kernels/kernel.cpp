#include "runtime/cpu/kernels/kernel.h"

#include <algorithm>
#include <utility>

#include "runtime/cpu/kernels/activation.h"
#include "runtime/cpu/kernels/attention.h"
#include "runtime/cpu/kernels/depthwise.h"
#include "runtime/cpu/kernels/elementwise.h"
#include "runtime/cpu/kernels/layer_norm.h"
#include "runtime/cpu/kernels/pool.h"
#include "runtime/cpu/kernels/rearrange.h"
#include "runtime/cpu/kernels/resize.h"
#include "runtime/cpu/kernels/separable_attention.h"
#include "runtime/cpu/kernels/softmax.h"

namespace dunlin::cpu {
namespace {

// Up to here XNNPACK has depthwise kernels that are unrolled.
constexpr int kXnnpackDepthwiseTaps = 25;

bool isLargeDepthwise(const Graph& graph, const Conv2d& conv) {
    const int channels = graph.shape(conv.input).c;
    return conv.groups == channels && conv.outChannels == channels && channels > 1 &&
           conv.kernelH * conv.kernelW > kXnnpackDepthwiseTaps;
}

bool isPartial(const Graph& graph, const GlobalAvgPool& pool) {
    const Shape& input = graph.shape(pool.input);
    return pool.begin != 0 || (pool.count != 0 && pool.count != input.h * input.w);
}

bool isUnlikeXnnpacks(const MaxPool& pool) {
    const Padding& padding = pool.padding;
    return pool.kernelH * pool.kernelW == 1 || std::max(padding.top, padding.bottom) >= pool.kernelH ||
           std::max(padding.left, padding.right) >= pool.kernelW;
}

struct HasKernel {
    const Graph& graph;
    bool operator()(const Conv2d& conv) const { return isLargeDepthwise(graph, conv); }
    bool operator()(const GlobalAvgPool& pool) const { return isPartial(graph, pool); }
    bool operator()(const MaxPool& pool) const { return isUnlikeXnnpacks(pool); }
    bool operator()(const Activate& op) const {
        return op.activation == Activation::Gelu || op.activation == Activation::GeluTanh;
    }
    bool operator()(const LayerNorm&) const { return true; }
    bool operator()(const Attention&) const { return true; }
    bool operator()(const SeparableAttention&) const { return true; }
    bool operator()(const Concat&) const { return true; }
    bool operator()(const SpaceToDepth&) const { return true; }
    bool operator()(const EmbedTokens&) const { return true; }
    template <typename Other>
    bool operator()(const Other&) const {
        return false;
    }
};

struct Need {
    const Graph& graph;
    const Shape& output;
    size_t workers;
    KernelNeed operator()(const Conv2d& conv) const {
        return DepthwiseKernel::need(conv, graph.shape(conv.input), workers);
    }
    KernelNeed operator()(const GlobalAvgPool& pool) const { return MeanKernel::need(pool, graph.shape(pool.input)); }
    KernelNeed operator()(const Resize& resize) const { return ResizeKernel::need(resize); }
    KernelNeed operator()(const LayerNorm& norm) const { return LayerNormKernel::need(norm, output); }
    KernelNeed operator()(const Attention& op) const { return AttentionKernel::need(op, output, workers); }
    KernelNeed operator()(const SeparableAttention& op) const { return SeparableAttentionKernel::need(op, output); }
    KernelNeed operator()(const EmbedTokens&) const { return EmbedTokensKernel::need(output); }
    template <typename Other>
    KernelNeed operator()(const Other&) const {
        return {};
    }
};

struct Make {
    const Graph& graph;
    const Shape& output;
    FoldedWeights weights;

    using Made = std::unique_ptr<Kernel>;
    const Shape& shape(ValueId value) const { return graph.shape(value); }
    Made operator()(const Conv2d& conv) {
        return std::make_unique<DepthwiseKernel>(conv, shape(conv.input), output, std::move(weights));
    }
    Made operator()(const Add& op) { return std::make_unique<AddKernel>(op, output); }
    Made operator()(const Mul& op) { return std::make_unique<MulKernel>(output, shape(op.b)); }
    Made operator()(const Softmax&) { return std::make_unique<SoftmaxKernel>(output); }
    Made operator()(const Resize& op) { return std::make_unique<ResizeKernel>(op, shape(op.input)); }
    Made operator()(const GlobalAvgPool& op) { return std::make_unique<MeanKernel>(op, shape(op.input)); }
    Made operator()(const MaxPool& op) { return std::make_unique<MaxPoolKernel>(op, shape(op.input), output); }
    Made operator()(const Activate& op) { return std::make_unique<ActivationKernel>(op.activation, output); }
    Made operator()(const LayerNorm& op) { return std::make_unique<LayerNormKernel>(op, output, std::move(weights)); }
    Made operator()(const Attention& op) { return std::make_unique<AttentionKernel>(op, output, weights); }
    Made operator()(const SeparableAttention& op) { return std::make_unique<SeparableAttentionKernel>(op, output); }
    Made operator()(const Concat& op) { return std::make_unique<ConcatKernel>(shape(op.a), shape(op.b)); }
    Made operator()(const SpaceToDepth& op) {
        return std::make_unique<SpaceToDepthKernel>(op, shape(op.input), output);
    }
    Made operator()(const EmbedTokens& op) {
        return std::make_unique<EmbedTokensKernel>(op, output, std::move(weights));
    }
    template <typename Other>
    Made operator()(const Other&) {
        return nullptr;
    }
};

}  // namespace

bool hasKernel(const Graph& graph, const Node& node) {
    return std::visit(HasKernel{graph}, node.op);
}

KernelNeed kernelNeed(const Graph& graph, const Node& node, size_t workers, const Fusion&) {
    return std::visit(Need{graph, graph.shape(node.output), workers}, node.op);
}

Result<std::unique_ptr<Kernel>> makeKernel(const Graph& graph, const Node& node, const WeightsSource& weights,
                                           const Fusion&) {
    DUNLIN_ASSIGN(FoldedWeights folded, foldWeights(graph, node, weights));
    std::unique_ptr<Kernel> kernel = std::visit(Make{graph, graph.shape(node.output), std::move(folded)}, node.op);
    if (!kernel) return error(StatusCode::Unsupported, "the CPU backend has no kernel for %s", name(node.op));
    return kernel;
}

}  // namespace dunlin::cpu
