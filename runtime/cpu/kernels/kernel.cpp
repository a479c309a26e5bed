#include "runtime/cpu/kernels/kernel.h"

#include <algorithm>
#include <utility>

#include "runtime/cpu/kernels/activation.h"
#include "runtime/cpu/kernels/attention.h"
#include "runtime/cpu/kernels/dense.h"
#include "runtime/cpu/kernels/depthwise.h"
#include "runtime/cpu/kernels/elementwise.h"
#include "runtime/cpu/kernels/inverted_residual.h"
#include "runtime/cpu/kernels/layer_norm.h"
#include "runtime/cpu/kernels/pool.h"
#include "runtime/cpu/kernels/rearrange.h"
#include "runtime/cpu/kernels/resize.h"
#include "runtime/cpu/kernels/separable_attention.h"
#include "runtime/cpu/kernels/softmax.h"
#include "runtime/plan/fusion.h"

namespace dunlin::cpu {
namespace {

struct Need {
    const Graph& graph;
    const Shape& output;
    size_t workers;
    const Fusion& fusion;
    KernelNeed operator()(const Conv2d& conv) const {
        const Shape& input = graph.shape(conv.input);
        return isDepthwise(graph, conv) ? DepthwiseKernel::need(conv, input, output, fusion, workers)
                                        : DenseKernel::need(conv, input, output, fusion, workers);
    }
    KernelNeed operator()(const Linear& linear) const {
        return DenseKernel::need(asConvolution(linear), graph.shape(linear.input), output, fusion, workers);
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
    const Fusion& fusion;

    using Made = std::unique_ptr<Kernel>;
    const Shape& shape(ValueId value) const { return graph.shape(value); }
    Made operator()(const Conv2d& conv) {
        if (isDepthwise(graph, conv))
            return std::make_unique<DepthwiseKernel>(conv, shape(conv.input), output, weights);
        return std::make_unique<DenseKernel>(conv, shape(conv.input), output, weights, fusion);
    }
    Made operator()(const Linear& linear) {
        return std::make_unique<DenseKernel>(asConvolution(linear), shape(linear.input), output, weights, fusion);
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
};

}  // namespace

bool hasFusion(const Graph& graph, const Node& node) {
    const auto* conv = std::get_if<Conv2d>(&node.op);
    return std::holds_alternative<Linear>(node.op) || (conv && !isDepthwise(graph, *conv));
}

bool hasGate(const Node& node) {
    return isPointwise(node.op);
}

bool hasMean(const Graph& graph, const Node& node) {
    const auto* conv = std::get_if<Conv2d>(&node.op);
    return conv && isDepthwise(graph, *conv);
}

bool hasKernelOfBlock(const Graph& graph, std::span<const Node> nodes) {
    return asBlock(graph, nodes).has_value();
}

KernelNeed kernelNeedOfBlock(const Graph& graph, std::span<const Node> nodes, size_t workers, const Fusion& fusion) {
    const std::optional<BlockNodes> block = asBlock(graph, nodes);
    return block ? InvertedResidualKernel::need(graph, *block, fusion, workers) : KernelNeed();
}

Result<std::unique_ptr<Kernel>> makeKernelOfBlock(const Graph& graph, std::span<const Node> nodes,
                                                  const WeightsSource& weights, const Fusion& fusion) {
    const std::optional<BlockNodes> block = asBlock(graph, nodes);
    if (!block) return error(StatusCode::Unsupported, "the CPU backend has no kernel for %zu nodes", nodes.size());
    return InvertedResidualKernel::make(graph, *block, weights, fusion);
}

KernelNeed kernelNeed(const Graph& graph, const Node& node, size_t workers, const Fusion& fusion) {
    return std::visit(Need{graph, graph.shape(node.output), workers, fusion}, node.op);
}

Result<FoldedWeights> foldWeightsOfNode(const Graph& graph, const Node& node, const WeightsSource& weights) {
    Result<FoldedWeights> folded = foldWeights(graph, node, weights);
    if (!folded.ok()) return folded.status().withContext(node.name);
    return folded;
}

Result<std::unique_ptr<Kernel>> makeKernel(const Graph& graph, const Node& node, const WeightsSource& weights,
                                           const Fusion& fusion) {
    DUNLIN_ASSIGN(FoldedWeights folded, foldWeightsOfNode(graph, node, weights));
    return std::visit(Make{graph, graph.shape(node.output), std::move(folded), fusion}, node.op);
}

}  // namespace dunlin::cpu
