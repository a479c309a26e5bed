#include "runtime/cpu/reference.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numbers>
#include <utility>

namespace dunlin::reference {
namespace {

// Calls visit(n, y, x, c) for every element of a shape, in NHWC order.
template <typename Visit>
void forEachElement(const Shape& shape, Visit visit) {
    for (int n = 0; n < shape.n; ++n)
        for (int y = 0; y < shape.h; ++y)
            for (int x = 0; x < shape.w; ++x)
                for (int c = 0; c < shape.c; ++c) visit(n, y, x, c);
}

int convolvedSide(int side, int paddingBefore, int paddingAfter, int kernel, int stride) {
    const int padded = side + paddingBefore + paddingAfter;
    assert(padded >= kernel);
    return (padded - kernel) / stride + 1;
}

// One output element of a convolution, before its activation. `weights` is [out][in / groups][kernelH][kernelW].
double convolveAt(const Conv2d& conv, const Tensor& input, const FoldedWeights& weights, int n, int outY, int outX,
                  int outChannel) {
    const int groupInputs = input.shape.c / conv.groups;
    const int groupOutputs = conv.outChannels / conv.groups;
    const int firstInput = outChannel / groupOutputs * groupInputs;
    const size_t kernelArea = static_cast<size_t>(conv.kernelH) * static_cast<size_t>(conv.kernelW);
    const float* filter =
        weights.weight.data() + static_cast<size_t>(outChannel) * static_cast<size_t>(groupInputs) * kernelArea;

    double sum = weights.bias[static_cast<size_t>(outChannel)];
    for (int ky = 0; ky < conv.kernelH; ++ky) {
        const int y = outY * conv.strideH - conv.padding.top + ky;
        if (y < 0 || y >= input.shape.h) continue;
        for (int kx = 0; kx < conv.kernelW; ++kx) {
            const int x = outX * conv.strideW - conv.padding.left + kx;
            if (x < 0 || x >= input.shape.w) continue;
            const size_t tap = static_cast<size_t>(ky) * static_cast<size_t>(conv.kernelW) + static_cast<size_t>(kx);
            for (int c = 0; c < groupInputs; ++c)
                sum += input.at(n, y, x, firstInput + c) * double{filter[static_cast<size_t>(c) * kernelArea + tap]};
        }
    }
    return sum;
}

struct Evaluate {
    std::span<const Tensor* const> inputs;
    const FoldedWeights& weights;
    Tensor output;

    const Tensor& in(size_t index) const { return *inputs[index]; }

    void operator()(const Conv2d& conv) {
        const size_t kernelArea = static_cast<size_t>(conv.kernelH) * static_cast<size_t>(conv.kernelW);
        assert(weights.weight.size() ==
               static_cast<size_t>(conv.outChannels) * static_cast<size_t>(in(0).shape.c / conv.groups) * kernelArea);
        assert(weights.bias.size() == static_cast<size_t>(conv.outChannels));
        static_cast<void>(kernelArea);
        forEachElement(output.shape, [&](int n, int y, int x, int c) {
            output.at(n, y, x, c) = activate(conv.activation, convolveAt(conv, in(0), weights, n, y, x, c));
        });
    }

    void operator()(const Linear& linear) {
        const int features = in(0).shape.c;
        assert(weights.weight.size() == static_cast<size_t>(linear.outFeatures) * static_cast<size_t>(features));
        assert(weights.bias.size() == static_cast<size_t>(linear.outFeatures));
        forEachElement(output.shape, [&](int n, int y, int x, int c) {
            const float* row = weights.weight.data() + static_cast<size_t>(c) * static_cast<size_t>(features);
            double sum = weights.bias[static_cast<size_t>(c)];
            for (int k = 0; k < features; ++k) sum += in(0).at(n, y, x, k) * double{row[k]};
            output.at(n, y, x, c) = activate(linear.activation, sum);
        });
    }

    void operator()(const Add& add) {
        forEachElement(output.shape, [&](int n, int y, int x, int c) {
            output.at(n, y, x, c) = activate(add.activation, in(0).at(n, y, x, c) + in(1).at(n, y, x, c));
        });
    }

    void operator()(const Mul&) {
        const bool perImage = in(1).shape.h == 1 && in(1).shape.w == 1;
        forEachElement(output.shape, [&](int n, int y, int x, int c) {
            output.at(n, y, x, c) = in(0).at(n, y, x, c) * (perImage ? in(1).at(n, 0, 0, c) : in(1).at(n, y, x, c));
        });
    }

    void operator()(const GlobalAvgPool&) {
        const Shape& shape = in(0).shape;
        forEachElement(shape, [&](int n, int y, int x, int c) { output.at(n, 0, 0, c) += in(0).at(n, y, x, c); });
        for (double& value : output.values) value /= double{static_cast<double>(shape.h) * shape.w};
    }

    void operator()(const Activate& op) {
        std::transform(in(0).values.begin(), in(0).values.end(), output.values.begin(),
                       [&](double x) { return activate(op.activation, x); });
    }

    void operator()(const Softmax&) {
        const size_t channels = static_cast<size_t>(output.shape.c);
        for (size_t first = 0; first < output.values.size(); first += channels) {
            const double* logits = in(0).values.data() + first;
            double* probabilities = output.values.data() + first;
            // Softmax does not change when all logits move together; with the largest at 0, exp cannot overflow.
            const double largest = *std::max_element(logits, logits + channels);
            double sum = 0;
            for (size_t c = 0; c < channels; ++c) sum += probabilities[c] = std::exp(logits[c] - largest);
            for (size_t c = 0; c < channels; ++c) probabilities[c] /= sum;
        }
    }
};

struct InferShape {
    std::span<const Shape> inputs;

    Shape operator()(const Conv2d& conv) const {
        const Shape& in = inputs[0];
        assert(in.c % conv.groups == 0 && conv.outChannels % conv.groups == 0);
        const Padding& padding = conv.padding;
        return {in.n, convolvedSide(in.h, padding.top, padding.bottom, conv.kernelH, conv.strideH),
                convolvedSide(in.w, padding.left, padding.right, conv.kernelW, conv.strideW), conv.outChannels};
    }
    Shape operator()(const Linear& linear) const { return {inputs[0].n, inputs[0].h, inputs[0].w, linear.outFeatures}; }
    Shape operator()(const Add&) const {
        assert(inputs[0] == inputs[1]);
        return inputs[0];
    }
    Shape operator()(const Mul&) const {
        assert(inputs[1] == inputs[0] || (inputs[1] == Shape{inputs[0].n, 1, 1, inputs[0].c}));
        return inputs[0];
    }
    Shape operator()(const GlobalAvgPool&) const { return {inputs[0].n, 1, 1, inputs[0].c}; }
    Shape operator()(const Activate&) const { return inputs[0]; }
    Shape operator()(const Softmax&) const { return inputs[0]; }
};

// For every value, the index of the last node that reads it; the node count where it is wanted in the end.
std::vector<size_t> lastUses(const Graph& graph, std::span<const ValueId> wanted) {
    std::vector<size_t> last(graph.values().size(), 0);
    for (size_t index = 0; index < graph.nodes().size(); ++index)
        for (ValueId value : inputsOf(graph.nodes()[index].op)) last[static_cast<size_t>(value)] = index;
    for (ValueId value : wanted) last[static_cast<size_t>(value)] = graph.nodes().size();
    return last;
}

}  // namespace

Tensor fromFloats(const Shape& shape, std::span<const float> nhwc) {
    assert(nhwc.size() == static_cast<size_t>(shape.elementCount()));
    Tensor tensor(shape);
    std::copy(nhwc.begin(), nhwc.end(), tensor.values.begin());
    return tensor;
}

Tensor fromNchw(const Shape& shape, std::span<const float> nchw) {
    assert(nchw.size() == static_cast<size_t>(shape.elementCount()));
    Tensor tensor(shape);
    size_t next = 0;
    for (int n = 0; n < shape.n; ++n)
        for (int c = 0; c < shape.c; ++c)
            for (int y = 0; y < shape.h; ++y)
                for (int x = 0; x < shape.w; ++x) tensor.at(n, y, x, c) = nchw[next++];
    return tensor;
}

std::vector<float> toFloats(const Tensor& tensor) {
    std::vector<float> floats(tensor.values.size());
    std::transform(tensor.values.begin(), tensor.values.end(), floats.begin(),
                   [](double value) { return static_cast<float>(value); });
    return floats;
}

double activate(Activation activation, double x) {
    const auto sigmoid = [](double v) { return 1.0 / (1.0 + std::exp(-v)); };
    switch (activation) {
        case Activation::None:
            return x;
        case Activation::Relu:
            return std::max(x, 0.0);
        case Activation::Relu6:
            return std::clamp(x, 0.0, 6.0);
        case Activation::HardSwish:
            return x * std::clamp(x + 3.0, 0.0, 6.0) / 6.0;
        case Activation::HardSigmoid:
            return std::clamp(x + 3.0, 0.0, 6.0) / 6.0;
        case Activation::Silu:
            return x * sigmoid(x);
        case Activation::Sigmoid:
            return sigmoid(x);
        case Activation::Gelu:
            return 0.5 * x * (1.0 + std::erf(x / std::numbers::sqrt2));
        case Activation::GeluTanh: {
            const double inner = std::sqrt(2.0 / std::numbers::pi) * (x + 0.044715 * x * x * x);
            return 0.5 * x * (1.0 + std::tanh(inner));
        }
    }
    return x;
}

Shape outputShape(const Op& op, std::span<const Shape> inputs) {
    return std::visit(InferShape{inputs}, op);
}

Tensor evaluate(const Op& op, std::span<const Tensor* const> inputs, const FoldedWeights& weights) {
    std::vector<Shape> shapes;
    for (const Tensor* input : inputs) shapes.push_back(input->shape);
    Evaluate evaluation{inputs, weights, Tensor(outputShape(op, shapes))};
    std::visit(evaluation, op);
    return std::move(evaluation.output);
}

Result<std::vector<Tensor>> evaluate(const Graph& graph, const WeightsSource& weights, const Tensor& input,
                                     std::span<const ValueId> wanted) {
    if (input.shape != graph.shape(graph.input()))
        return error(StatusCode::InvalidArgument, "the input is %s but the network was built for %s",
                     describe(input.shape).c_str(), describe(graph.shape(graph.input())).c_str());

    const std::vector<size_t> lastUse = lastUses(graph, wanted);
    std::vector<Tensor> values(graph.values().size());
    values[static_cast<size_t>(graph.input())] = input;

    for (size_t index = 0; index < graph.nodes().size(); ++index) {
        const Node& node = graph.nodes()[index];
        Result<FoldedWeights> folded = foldWeights(graph, node, weights);
        if (!folded.ok()) return folded.status().withContext(node.name);

        const std::vector<ValueId> reads = inputsOf(node.op);
        std::vector<const Tensor*> inputs;
        for (ValueId value : reads) inputs.push_back(&values[static_cast<size_t>(value)]);
        values[static_cast<size_t>(node.output)] = evaluate(node.op, inputs, *folded);

        for (ValueId value : reads)
            if (lastUse[static_cast<size_t>(value)] == index) values[static_cast<size_t>(value)] = Tensor();
    }

    std::vector<Tensor> results;
    for (ValueId value : wanted) results.push_back(values[static_cast<size_t>(value)]);
    return results;
}

}  // namespace dunlin::reference
