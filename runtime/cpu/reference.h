// The oracle: what every op means, as naive loops with float64 accumulation. Every kernel and every backend is tested
// against it. It is written to be read, not to be fast: about a second for a MobileNet.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "runtime/graph/graph.h"
#include "runtime/graph/ops.h"
#include "runtime/graph/tensor.h"
#include "runtime/status.h"
#include "runtime/weights/fold.h"
#include "runtime/weights/weights_source.h"

namespace dunlin::reference {

// A feature map in NHWC order, float64.
struct Tensor {
    Shape shape;
    std::vector<double> values;  // shape.elementCount() of them

    Tensor() = default;
    explicit Tensor(const Shape& shape) : shape(shape), values(static_cast<size_t>(shape.elementCount())) {}

    double& at(int n, int y, int x, int c) { return values[offset(n, y, x, c)]; }
    double at(int n, int y, int x, int c) const { return values[offset(n, y, x, c)]; }

  private:
    size_t offset(int n, int y, int x, int c) const {
        return ((static_cast<size_t>(n) * static_cast<size_t>(shape.h) + static_cast<size_t>(y)) *
                    static_cast<size_t>(shape.w) +
                static_cast<size_t>(x)) *
                   static_cast<size_t>(shape.c) +
               static_cast<size_t>(c);
    }
};

// `nhwc` has shape.elementCount() values.
Tensor fromFloats(const Shape& shape, std::span<const float> nhwc);
// From PyTorch's order; `shape` is still written NHWC.
Tensor fromNchw(const Shape& shape, std::span<const float> nchw);
std::vector<float> toFloats(const Tensor& tensor);

// The one definition of the activations.
double activate(Activation activation, double x);

// One op on tensors in the order of inputsOf(op). `weights` are what foldWeights() gives for the op. The value numbers
// inside `op` are not looked at. Shapes must agree: a mismatch is an assertion, as in Graph::add.
Tensor evaluate(const Op& op, std::span<const Tensor* const> inputs, const FoldedWeights& weights);

// The network on one input: the values asked for, in that order. Values are freed after their last use. BadFile (from
// the weights) with the node's name when a tensor is missing or misshapen; InvalidArgument when the input's shape is
// not the graph's.
Result<std::vector<Tensor>> evaluate(const Graph& graph, const WeightsSource& weights, const Tensor& input,
                                     std::span<const ValueId> wanted);

}  // namespace dunlin::reference
