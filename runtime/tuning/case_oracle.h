// What a step of a network makes of given values, and how far a kernel may be from it.
#pragma once

#include <map>
#include <vector>

#include "runtime/cpu/reference.h"
#include "runtime/plan/fusion.h"
#include "runtime/plan/program.h"

namespace dunlin::tuning {

struct OracleValue {
    reference::Tensor tensor;
    double error = 0;  // absolute: what a kernel's value may be off by
};

// The nodes of one step with their weights, as the device has them. Borrows the graph. Immutable: evaluate() may be
// called for one part of a map after another.
class StepOracle {
  public:
    // `nodes` in graph order. Fails where the weights do.
    static Result<StepOracle> create(const Graph& graph, const Step& step, std::vector<int> nodes, Kernel kernel,
                                     Precision precision, const WeightsSource& weights);

    // The value `wanted`, from `known` ones; nodes whose outputs are known are not evaluated. With `rowsArePadded`,
    // inputs of convolutions have their rows of padding already.
    OracleValue evaluate(std::map<ValueId, OracleValue> known, ValueId wanted, bool rowsArePadded = false) const;

  private:
    struct WeightedNode {
        int index;
        Op op;
        ValueId output;
        FoldedWeights weights;
    };

    StepOracle(const Graph& graph, const Step& step, Kernel kernel, Precision precision)
        : graph_(&graph), normNode_(step.normNode), kernel_(kernel), precision_(precision) {}

    bool isRounded(const WeightedNode& node) const;
    double errorOf(const WeightedNode& node, const std::vector<const OracleValue*>& inputs,
                   const reference::Tensor& output) const;
    double errorOfLayer(const FoldedWeights& weights, int products, const OracleValue& input, double largest) const;

    const Graph* graph_;
    int normNode_;
    Kernel kernel_;
    Precision precision_;
    std::vector<WeightedNode> nodes_;
};

}  // namespace dunlin::tuning
