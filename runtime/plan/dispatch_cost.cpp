#include "runtime/plan/dispatch_cost.h"

#include <algorithm>
#include <set>

namespace dunlin {
namespace {

// Kernels whose maps may be cut into strips of rows; the extents of the others do not count rows.
bool takesRows(Kernel kernel) {
    switch (kernel) {
        case Kernel::Conv2d:
        case Kernel::Pointwise:
        case Kernel::Depthwise:
        case Kernel::LayerNorm:
        case Kernel::Resize:
        case Kernel::MaxPool:
        case Kernel::InvertedResidual:
            return true;
        default:
            return false;
    }
}

// Of the images and rows of the step's output, what one dispatch computes.
double shareOf(const Graph& graph, const DispatchOrigin& origin) {
    const Shape& out = graph.shape(origin.step->output);
    const double images = static_cast<double>(origin.extent.images) / out.n;
    return takesRows(kernelOf(origin.call)) ? images * origin.extent.rows / out.h : images;
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

void collect(const Graph& graph, ValueId value, const std::set<ValueId>& inputs, std::set<int>& nodes) {
    if (value == kNoValue || inputs.contains(value)) return;
    const int producer = graph.values()[static_cast<size_t>(value)].producer;
    if (producer < 0 || !nodes.insert(producer).second) return;
    for (ValueId input : inputsOf(graph.nodes()[static_cast<size_t>(producer)].op))
        collect(graph, input, inputs, nodes);
}

}  // namespace

std::vector<int> nodesOf(const Graph& graph, const Step& step) {
    std::set<int> nodes;
    if (step.kind == Step::Kind::Moments) return {};  // the LayerNorm counts where its result is used
    collect(graph, step.output, {step.input, step.second, step.residual, step.gate}, nodes);
    return {nodes.begin(), nodes.end()};
}

DispatchCost costOf(const Graph& graph, const LoweredNetwork& network, size_t dispatch) {
    DispatchCost cost;
    std::set<std::pair<TensorId, uint64_t>> counted;
    for (const Binding& binding : network.program.dispatches[dispatch].bindings) {
        const bool isFirst = counted.insert({binding.tensor, binding.offsetBytes}).second;
        if (binding.tensor >= 0 && isFirst) cost.bytes += binding.sizeBytes;
    }
    const DispatchOrigin& origin = network.origins[dispatch];
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
