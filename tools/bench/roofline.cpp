#include "tools/bench/roofline.h"

#include "runtime/plan/prepack.h"

namespace dunlin::bench {
namespace {

constexpr uint64_t kPictureBytesPerPixel = 4;  // RGBA8

uint64_t floatBytes(const Shape& shape) {
    return static_cast<uint64_t>(shape.elementCount()) * sizeof(float);
}

// Whether sums over channels dominate the op: what units for matrix products could do.
bool isMatrixProduct(const Graph& graph, const Op& op) {
    if (const auto* conv = std::get_if<Conv2d>(&op)) return !isDepthwise(graph, *conv);
    return std::holds_alternative<Linear>(op) || std::holds_alternative<Attention>(op);
}

}  // namespace

std::vector<DispatchCost> dispatchCosts(const Graph& graph, const LoweredNetwork& network) {
    std::vector<DispatchCost> costs;
    const Shape& input = network.program.input;
    for (size_t i = 0; i < network.program.dispatches.size(); ++i) {
        costs.push_back(costOf(graph, network, i));
        if (network.program.dispatches[i].variant.kernel != Kernel::Preprocess) continue;
        costs.back().bytes += static_cast<uint64_t>(input.h) * static_cast<uint64_t>(input.w) * kPictureBytesPerPixel;
    }
    return costs;
}

std::vector<DispatchCost> nodeCosts(const Graph& graph) {
    std::vector<DispatchCost> costs;
    for (const Node& node : graph.nodes()) {
        DispatchCost cost;
        cost.bytes = floatBytes(graph.shape(node.output));
        for (ValueId input : inputsOf(node.op)) cost.bytes += floatBytes(graph.shape(input));
        cost.flops = 2 * multiplyAdds(graph, node);
        cost.isMatrixProduct = isMatrixProduct(graph, node.op);
        costs.push_back(cost);
    }
    for (const Constant& constant : constantsOf(graph, Precision::Fp32)) {
        costs[static_cast<size_t>(constant.node)].bytes += constant.sizeBytes;
    }
    return costs;
}

double networkLimitNs(const Ceilings& ceilings, const std::vector<DispatchCost>& costs,
                      const std::vector<bool>& barrierBefore, Precision precision) {
    double sumNs = 0;
    for (size_t i = 0; i < costs.size(); ++i) {
        sumNs += ceilings.limitNs(costs[i], precision) + (barrierBefore[i] ? ceilings.barrierNs : ceilings.dispatchNs);
    }
    return sumNs;
}

}  // namespace dunlin::bench
