#include "runtime/tuning/case_oracle.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "runtime/tuning/case_tensors.h"

namespace dunlin::tuning {
namespace {

constexpr double kHalfRounding = 0x1p-11;
// Of float32 arithmetic over a few hundred products, as a share of the largest result.
constexpr double kFloatRounding = 1e-5;

double largestOf(const std::vector<double>& values) {
    double largest = 0;
    for (const double value : values) largest = std::max(largest, std::abs(value));
    return largest;
}

template <typename Value>
double rootMeanSquare(const std::vector<Value>& values) {
    double sum = 0;
    for (const Value value : values) sum += double{value} * double{value};
    return values.empty() ? 0.0 : std::sqrt(sum / static_cast<double>(values.size()));
}

// Kernels that compute in float32 in every precision and round only what they write.
bool isFloatInside(Kernel kernel) {
    return kernel == Kernel::SqueezeExcite || kernel == Kernel::PooledLinear || kernel == Kernel::Pool ||
           kernel == Kernel::SeparableAttention;
}

}  // namespace

Result<StepOracle> StepOracle::create(const Graph& graph, const Step& step, std::vector<int> nodes, Kernel kernel,
                                      Precision precision, const WeightsSource& weights) {
    StepOracle oracle(graph, step, kernel, precision);
    for (const int index : nodes) {
        const Node& node = graph.nodes()[static_cast<size_t>(index)];
        WeightedNode weighted = {index, node.op, node.output, {}};
        DUNLIN_ASSIGN(weighted.weights, foldWeights(graph, node, weights));
        if (oracle.isRounded(weighted)) {
            roundToHalf(weighted.weights.weight);
            roundToHalf(weighted.weights.bias);
        }
        oracle.nodes_.push_back(std::move(weighted));
    }
    return oracle;
}

// What is folded into another node's weights is rounded only together with them.
bool StepOracle::isRounded(const WeightedNode& node) const {
    return precision_ == Precision::Fp16 && node.index != normNode_ && foldedNorm(*graph_, node.op) < 0;
}

OracleValue StepOracle::evaluate(std::map<ValueId, OracleValue> known, ValueId wanted, bool rowsArePadded) const {
    for (const WeightedNode& node : nodes_) {
        if (known.contains(node.output)) continue;
        Op op = node.op;
        if (auto* conv = std::get_if<Conv2d>(&op); conv && rowsArePadded) conv->padding.top = conv->padding.bottom = 0;
        std::vector<const OracleValue*> inputs;
        std::vector<const reference::Tensor*> tensors;
        for (const ValueId input : inputsOf(op)) {
            inputs.push_back(&known.at(input));
            tensors.push_back(&inputs.back()->tensor);
        }
        OracleValue output;
        output.tensor = reference::evaluate(op, tensors, node.weights);
        output.error = errorOf(node, inputs, output.tensor);
        known[node.output] = std::move(output);
    }
    OracleValue result = std::move(known.at(wanted));
    if (precision_ == Precision::Fp16 && isFloatInside(kernel_))
        result.error += kHalfRounding * largestOf(result.tensor.values);
    return result;
}

// Float32: a share of the largest result. Float16: products and groups of four of them are rounded, so errors grow as a
// random walk over the products; 8 deviations, and the output's own rounding. What the input is off by walks too.
double StepOracle::errorOfLayer(const FoldedWeights& weights, int products, const OracleValue& input,
                                double largest) const {
    constexpr double kDeviations = 8;
    const double walk = std::sqrt(static_cast<double>(products)) * rootMeanSquare(weights.weight);
    const double before = input.error * walk;
    if (precision_ == Precision::Fp32 || isFloatInside(kernel_)) return before + kFloatRounding * largest;
    return before + kHalfRounding * (largest + kDeviations * walk * rootMeanSquare(input.tensor.values));
}

double StepOracle::errorOf(const WeightedNode& node, const std::vector<const OracleValue*>& inputs,
                           const reference::Tensor& output) const {
    const OracleValue& input = *inputs[0];
    const double largest = largestOf(output.values), largestInput = largestOf(input.tensor.values);
    const bool isHalf = precision_ == Precision::Fp16 && !isFloatInside(kernel_);
    if (const auto* conv = std::get_if<Conv2d>(&node.op)) {
        const int products = conv->kernelH * conv->kernelW * input.tensor.shape.c / conv->groups;
        return errorOfLayer(node.weights, products, input, largest);
    }
    if (std::holds_alternative<Linear>(node.op))
        return errorOfLayer(node.weights, input.tensor.shape.c, input, largest);
    if (std::holds_alternative<Add>(node.op))
        return input.error + inputs[1]->error + (isHalf ? kHalfRounding : 0x1p-23) * largest;
    // A layer behind it allows for the rounding of products and weights.
    if (std::holds_alternative<Mul>(node.op) || std::holds_alternative<SpaceToDepth>(node.op)) return input.error;
    if (std::holds_alternative<Concat>(node.op)) return std::max(input.error, inputs[1]->error);
    if (std::holds_alternative<LayerNorm>(node.op)) {
        const bool isFolded = node.index == normNode_;
        return (isFolded ? 1e-6 : isHalf ? 2 * kHalfRounding : kFloatRounding) * largest;
    }
    if (std::holds_alternative<MaxPool>(node.op)) return input.error;
    if (std::holds_alternative<Attention>(node.op)) {
        // Results are means of values, padded tokens' included: scores are off by 1e-7 of themselves.
        const double bias = node.weights.bias.empty()
                                ? 0
                                : std::abs(double{*std::ranges::max_element(
                                      node.weights.bias, {}, [](float value) { return std::abs(value); })});
        return std::max(largestInput, bias) * (kFloatRounding + (isHalf ? kHalfRounding : 0));
    }
    if (std::holds_alternative<EmbedTokens>(node.op)) return largest * (isHalf ? 2 * kHalfRounding : kFloatRounding);
    // Means of inputs, weighted or not.
    return largestInput * kFloatRounding + (isHalf ? 2 * kHalfRounding : 0) * largest;
}

}  // namespace dunlin::tuning
