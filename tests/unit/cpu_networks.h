// Small networks with formula weights, and their input: what the tests of the CPU backend have in common.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "runtime/backend.h"
#include "runtime/weights/synthetic.h"

namespace dunlin::test {

using BuildGraph = std::function<Graph(const Shape&)>;

// A network whose input always has this many channels.
inline ModelData modelOf(const BuildGraph& build, int channels = 3) {
    ModelData model;
    model.architecture = "test";
    model.weights = formulaWeights();
    model.preprocess.inputHeight = 24;
    model.preprocess.inputWidth = 32;
    model.buildGraph = [build, channels](const Shape& input) -> Result<Graph> {
        return build({input.n, input.h, input.w, channels});
    };
    return model;
}

inline std::vector<float> noise(size_t count, float scale = 3) {
    std::vector<float> values(count);
    formulaNoise("test.input", values);
    for (float& value : values) value *= scale;
    return values;
}

// Ends a network with this value, which is tapped; a map is pooled, because logits are one vector an image.
inline Graph endWith(Graph graph, ValueId value) {
    graph.tap("end", value);
    const Shape& shape = graph.shape(value);
    graph.setOutput(shape.h * shape.w == 1 ? value : graph.add("logits", GlobalAvgPool{value}));
    return graph;
}

}  // namespace dunlin::test
