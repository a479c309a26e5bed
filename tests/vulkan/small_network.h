// A network that has every kernel but takes milliseconds, and what it computes according to the oracle.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "models/builder.h"
#include "models/registry.h"
#include "runtime/backend.h"
#include "runtime/cpu/reference.h"
#include "runtime/weights/synthetic.h"

namespace dunlin::test {

constexpr int kSmallSide = 32;
constexpr int kSmallClasses = 10;

inline Graph buildSmallNetwork(const Shape& input) {
    NetworkBuilder builder(input, {});
    const ValueId stem =
        builder.convNorm({"conv_stem", "bn1"}, builder.graph().input(), 8, 3, 2, Activation::HardSwish);
    ValueId x = builder.convNorm({"expand", "bn2"}, stem, 24, 1, 1, Activation::HardSwish);
    x = builder.depthwise({"depthwise", "bn3"}, x, 5, 1, Activation::Relu);
    x = builder.squeezeExcite("se", x, 8, Activation::Relu, Activation::HardSigmoid);
    x = builder.convNorm({"project", "bn4"}, x, 8, 1, 1, Activation::None);
    x = builder.add("shortcut", x, stem);
    builder.graph().tap("features", x);
    x = builder.pool("pool", x);
    builder.graph().setOutput(builder.linear("classifier", x, kSmallClasses));
    return builder.take();
}

inline std::shared_ptr<const ModelData> smallModel() {
    auto model = std::make_shared<ModelData>();
    model->architecture = "small";
    model->weights = formulaWeights();
    model->classes = kSmallClasses;
    model->preprocess.inputHeight = model->preprocess.inputWidth = kSmallSide;
    model->buildGraph = [](const Shape& input) -> Result<Graph> { return buildSmallNetwork(input); };
    return model;
}

// An architecture of the registry with formula weights.
inline std::shared_ptr<const ModelData> registryModel(const char* name) {
    const Result<Architecture> architecture = findArchitecture(name);
    EXPECT_TRUE(architecture.ok()) << architecture.status().message();
    auto model = std::make_shared<ModelData>();
    model->architecture = name;
    model->weights = formulaWeights();
    model->classes = ArchitectureOptions{}.classes;
    model->preprocess = architecture->preprocess;
    model->buildGraph = [build = architecture->build](const Shape& input) -> Result<Graph> {
        return build(ArchitectureOptions{}, input);
    };
    return model;
}

// What the network makes of an NCHW tensor.
inline std::vector<float> oracleLogits(const ModelData& model, const Shape& input, std::span<const float> nchw) {
    const Result<Graph> graph = model.buildGraph(input);
    EXPECT_TRUE(graph.ok()) << graph.status().message();
    const ValueId wanted[] = {graph->output()};
    const auto outputs = reference::evaluate(*graph, *model.weights, reference::fromNchw(input, nchw), wanted);
    EXPECT_TRUE(outputs.ok()) << outputs.status().message();
    return reference::toFloats(outputs->front());
}

// A slice of an output buffer as floats.
inline std::vector<float> floatsOf(std::span<const std::byte> output, const OutputSlice& slice) {
    std::vector<float> values(slice.sizeBytes / sizeof(float));
    std::memcpy(values.data(), output.data() + slice.offsetBytes, slice.sizeBytes);
    return values;
}

// max |a - b| / max |b|, the project's measure; infinite where a number is not finite.
inline double relativeError(std::span<const float> values, std::span<const float> expected) {
    if (values.size() != expected.size()) return INFINITY;
    double worst = 0, largest = 0;
    for (size_t i = 0; i < values.size(); ++i) {
        if (!std::isfinite(values[i])) return INFINITY;
        worst = std::max(worst, std::abs(double{values[i]} - expected[i]));
        largest = std::max(largest, std::abs(double{expected[i]}));
    }
    return worst / largest;
}

// A picture without repeating rows or columns.
inline std::vector<uint8_t> testPicture(int width, int height, unsigned seed = 1) {
    std::vector<uint8_t> pixels(static_cast<size_t>(width) * static_cast<size_t>(height) * 4);
    unsigned state = seed;
    for (size_t i = 0; i < pixels.size(); ++i) {
        state = state * 1664525u + 1013904223u;
        const size_t x = i / 4 % static_cast<size_t>(width), y = i / 4 / static_cast<size_t>(width);
        pixels[i] = static_cast<uint8_t>((x * 3 + y * 5 + (state >> 27)) & 255);
    }
    return pixels;
}

}  // namespace dunlin::test
