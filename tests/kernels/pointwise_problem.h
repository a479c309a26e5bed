// Pointwise layers as the kernels' tests put them.
#pragma once

#include <ostream>
#include <vector>

#include "tests/kernels/kernel_fixture.h"

namespace dunlin::test {

struct PointwiseCase {
    const char* name;
    Shape input;
    int outChannels;
    Activation activation = Activation::None;
    bool residual = false, gate = false;
};

inline std::ostream& operator<<(std::ostream& stream, const PointwiseCase& test) {
    return stream << test.name;
}

// A layer with its inputs and the oracle's answer.
struct PointwiseProblem {
    PointwiseProblem(const PointwiseCase& test, Precision precision)
        : layer(makeLayer(Conv2d{.outChannels = test.outChannels, .activation = test.activation}, test.input, precision,
                          1)),
          outShape(layerOutput(layer, test.input)),
          inputs(rounded(randomValues(test.input.elementCount(), 2), precision)) {
        reference::Tensor in = reference::fromFloats(test.input, inputs);
        if (test.gate) {
            const Shape shape = {test.input.n, 1, 1, test.input.c};
            gate = rounded(randomValues(shape.elementCount(), 3), precision);
            const reference::Tensor factors = reference::fromFloats(shape, gate);
            in = evaluate(Mul{}, {&in, &factors});
        }
        expected = evaluate(layer.op, {&in}, layer.weights);
        if (test.residual) {
            residual = rounded(randomValues(outShape.elementCount(), 4), precision);
            const reference::Tensor other = reference::fromFloats(outShape, residual);
            expected = evaluate(Add{}, {&expected, &other});
        }
        tolerance = toleranceFor(precision, expected, layer.products, rootMeanSquare(inputs),
                                 rootMeanSquare(layer.weights.weight));
    }

    TestLayer layer;
    Shape outShape;
    std::vector<float> inputs, gate, residual;
    reference::Tensor expected;
    double tolerance;
};

// The problem's tensors on the device.
struct PointwiseBuffers : TestBuffers {
    PointwiseBuffers(const PointwiseCase& test, const PointwiseProblem& problem, Precision precision)
        : TestBuffers(precision) {
        call.in = input(test.input, problem.inputs);
        call.weights = constant(problem.layer.packed);
        call.out = output(problem.outShape);
        if (test.residual) call.residual = input(problem.outShape, problem.residual);
        if (test.gate) call.gate = input({test.input.n, 1, 1, test.input.c}, problem.gate);
        call.activation = test.activation;
    }
    PointwiseCall call;
};

inline Extent everything(const Shape& shape) {
    return {0, shape.n, 0, shape.h};
}

}  // namespace dunlin::test
