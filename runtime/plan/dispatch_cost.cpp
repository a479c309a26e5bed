#include "runtime/plan/dispatch_cost.h"

#include <algorithm>
#include <set>

namespace dunlin {
namespace {

// Of the images and rows of the step's output, what one dispatch computes.
double shareOf(const Graph& graph, const DispatchOrigin& origin) {
    const Shape& out = graph.shape(origin.step->output);
    const double images = static_cast<double>(origin.extent.images) / out.n;
    const int rows = rowsOf(origin.call);
    return rows > 0 ? images * origin.extent.rows / rows : images;
}

bool isMatrixProduct(Kernel kernel) {
    switch (kernel) {
        case Kernel::Conv2d:
        case Kernel::Pointwise:
        case Kernel::Attention:
        case Kernel::PooledLinear:
        case Kernel::InvertedResidual:
            return true;
        default:
            return false;
    }
}

// Of the pixels of the main input, the share that is looked at: strides skip some, and pools may take a few.
template <typename Call>
double readShare(const Call& call) {
    if constexpr (requires {
                      call.begin;
                      call.count;
                  }) {
        const double pixels = static_cast<double>(call.in.shape.h) * call.in.shape.w;
        return call.count > 0 ? call.count / pixels : 1 - call.begin / pixels;
    } else if constexpr (requires { call.firstStrideH; }) {
        return std::min(1.0, double(call.firstKernelH) / call.firstStrideH) *
               std::min(1.0, double(call.firstKernelW) / call.firstStrideW);
    } else if constexpr (requires { call.strideH; }) {
        return std::min(1.0, double(call.kernelH) / call.strideH) * std::min(1.0, double(call.kernelW) / call.strideW);
    }
    return 1;
}

// The tensor that readShare() is about; -1 where all of everything is read.
template <typename Call>
TensorId mainInput(const Call& call) {
    if constexpr (
        requires { call.begin; } || requires { call.strideH; })
        return call.in.tensor;
    return -1;
}

void collect(const Graph& graph, ValueId value, const std::set<ValueId>& inputs, std::set<int>& nodes) {
    if (value == kNoValue || inputs.contains(value)) return;
    const int producer = graph.producer(value);
    if (producer < 0 || !nodes.insert(producer).second) return;
    for (ValueId input : inputsOf(graph.nodes()[static_cast<size_t>(producer)].op))
        collect(graph, input, inputs, nodes);
}

}  // namespace

int rowsOf(const KernelCall& call) {
    struct Rows {
        int operator()(const Conv2dCall& c) const { return c.out.shape.h; }
        int operator()(const PointwiseCall& c) const { return c.out.shape.h; }
        int operator()(const DepthwiseCall& c) const { return c.out.shape.h; }
        int operator()(const ExportCall& c) const { return c.in.shape.h; }
        int operator()(const LayerNormCall& c) const { return c.out.shape.h; }
        int operator()(const ResizeCall& c) const { return c.out.shape.h; }
        int operator()(const MaxPoolCall& c) const { return c.out.shape.h; }
        int operator()(const InvertedResidualCall& c) const { return c.out.shape.h; }
        int operator()(const PreprocessCall&) const { return 0; }
        int operator()(const SqueezeExciteCall&) const { return 0; }
        int operator()(const PoolCall&) const { return 0; }
        int operator()(const HeadCall&) const { return 0; }
        int operator()(const AttentionCall&) const { return 0; }
        int operator()(const SeparableAttentionCall&) const { return 0; }
        int operator()(const MomentsCall&) const { return 0; }
        int operator()(const EmbedTokensCall&) const { return 0; }
        int operator()(const PooledLinearCall&) const { return 0; }
    };
    return std::visit(Rows(), call);
}

std::vector<int> nodesOf(const Graph& graph, const Step& step) {
    std::set<int> nodes;
    if (step.kind == Step::Kind::Moments) return {};  // the LayerNorm counts where its result is used
    collect(graph, step.output, {step.input, step.second, step.residual, step.gate}, nodes);
    return {nodes.begin(), nodes.end()};
}

DispatchCost costOf(const Graph& graph, const LoweredNetwork& network, size_t dispatch) {
    DispatchCost cost;
    const DispatchOrigin& origin = network.origins[dispatch];
    const double share = std::visit([](const auto& call) { return readShare(call); }, origin.call);
    const TensorId input = std::visit([](const auto& call) { return mainInput(call); }, origin.call);
    std::set<std::pair<TensorId, uint64_t>> counted;
    for (const Binding& binding : network.program.dispatches[dispatch].bindings) {
        const bool isFirst = counted.insert({binding.tensor, binding.offsetBytes}).second;
        if (binding.tensor < 0 || !isFirst) continue;
        const double read = binding.tensor == input ? share : 1.0;
        cost.bytes += static_cast<uint64_t>(static_cast<double>(binding.sizeBytes) * read);
    }
    cost.isMatrixProduct = isMatrixProduct(kernelOf(origin.call));
    if (!origin.step) return cost;
    int64_t multiplyAdds = 0;
    for (int node : nodesOf(graph, *origin.step)) {
        multiplyAdds += dunlin::multiplyAdds(graph, graph.nodes()[static_cast<size_t>(node)]);
    }
    if (multiplyAdds == 0) return cost;
    cost.flops = static_cast<int64_t>(2.0 * static_cast<double>(multiplyAdds) * shareOf(graph, origin));
    return cost;
}

}  // namespace dunlin
