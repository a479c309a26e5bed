// What the tests of the network families share: the independent implementation's tensors and numbers.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "models/reference_file.h"
#include "models/registry.h"
#include "runtime/cpu/reference.h"
#include "tests/support.h"

namespace dunlin::test {

// The reference files whose names begin so, in their names' order.
inline std::vector<std::filesystem::path> referencesOf(std::string_view prefix) {
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(sharedFolder() / "reference"))
        if (entry.path().filename().string().starts_with(prefix)) paths.push_back(entry.path());
    std::ranges::sort(paths);
    return paths;
}

inline void expectPreprocess(const nlohmann::json& expected, const PreprocessSpec& ours) {
    const auto mean = expected["mean"].get<std::array<float, 3>>(),
               deviation = expected["std"].get<std::array<float, 3>>();
    EXPECT_EQ(ours.mean, mean);
    EXPECT_EQ(ours.deviation, deviation);
    EXPECT_EQ(ours.interpolation == Interpolation::Bicubic, expected["interpolation"] == "bicubic");
    EXPECT_DOUBLE_EQ(ours.cropFraction, expected["crop_pct"].get<double>());
    EXPECT_EQ(ours.inputHeight, expected["input_size"][1].get<int>());
    EXPECT_EQ(ours.inputWidth, expected["input_size"][2].get<int>());
}

// A tap against the shape that a reference has for it: NCHW for maps (NHWC of Swin's), [n, tokens, c] for tokens. What
// folding removed must be known to be so.
inline void expectTap(const Graph& graph, const std::string& name, const std::vector<int64_t>& theirs, bool isNhwc) {
    const auto tap = graph.findTap(name);
    if (!tap.ok()) {
        EXPECT_NE(tap.status().message().find("cannot be tapped: its BatchNorm is folded"), std::string::npos)
            << tap.status().message();
        return;
    }
    const Shape& shape = graph.shape(*tap);
    const std::vector<int64_t> ours = theirs.size() == 3
                                          ? std::vector<int64_t>{shape.n, int64_t{shape.h} * shape.w, shape.c}
                                      : isNhwc ? std::vector<int64_t>{shape.n, shape.h, shape.w, shape.c}
                                               : std::vector<int64_t>{shape.n, shape.c, shape.h, shape.w};
    EXPECT_EQ(ours, theirs) << name;
}

// Names and shapes of tensors, the count of parameters, the stages' shapes and the preprocessing.
inline void expectStructure(const std::filesystem::path& path, bool isNhwc) {
    SCOPED_TRACE(path.filename().string());
    std::ifstream file(path);
    const auto json = nlohmann::json::parse(file);
    const auto reference = loadReference(path);
    ASSERT_TRUE(reference.ok()) << reference.status().message();
    const auto architecture = findArchitecture(reference->model);
    ASSERT_TRUE(architecture.ok()) << architecture.status().message();
    const Graph graph = architecture->build({}, reference->input);

    std::map<std::string, std::vector<int64_t>> ours;
    for (const ParameterTensor& tensor : graph.parameters()) ours.emplace(tensor.name, tensor.shape);
    EXPECT_EQ(ours.size(), graph.parameters().size()) << "a name is used twice";
    const auto theirs = json["tensors"].get<std::map<std::string, std::vector<int64_t>>>();
    EXPECT_EQ(ours, theirs);
    EXPECT_EQ(parameterCount(graph), reference->parameters);
    for (const ReferenceStage& stage : reference->stages) expectTap(graph, stage.name, stage.shape, isNhwc);
    expectPreprocess(json["preprocess"], architecture->preprocess);
}

inline void expectStatistics(const ReferenceStage& expected, const reference::Tensor& ours, double bound) {
    const auto count = static_cast<double>(ours.values.size());
    double mean = 0, squares = 0;
    for (double value : ours.values) mean += value / count;
    for (double value : ours.values) squares += (value - mean) * (value - mean);
    EXPECT_NEAR(mean, expected.mean, bound * expected.deviation) << expected.name;
    EXPECT_NEAR(std::sqrt(squares / (count - 1)), expected.deviation, bound * expected.deviation) << expected.name;
}

// The oracle's stages and logits, with the weights and input of a formula, against the reference's.
inline void expectNumbers(const std::string& name, double bound) {
    DUNLIN_NEEDS_SHARED("reference");
    const auto reference = loadReference(sharedFolder() / "reference" / (name + ".json"));
    ASSERT_TRUE(reference.ok()) << reference.status().message();
    const auto model = openReferenceModel(*reference);
    ASSERT_TRUE(model.ok()) << model.status().message();
    const auto graph = (*model)->data.buildGraph(reference->input);
    ASSERT_TRUE(graph.ok()) << graph.status().message();

    std::vector<ValueId> wanted;
    std::vector<ReferenceStage> stages;  // those that folding left
    for (const ReferenceStage& stage : reference->stages) {
        const auto tap = graph->findTap(stage.name);
        if (!tap.ok()) continue;
        stages.push_back(stage);
        wanted.push_back(*tap);
    }
    wanted.push_back(graph->output());
    const auto input = reference::fromNchw(reference->input, referenceInput(*reference));
    const auto results = reference::evaluate(*graph, *(*model)->data.weights, input, wanted);
    ASSERT_TRUE(results.ok()) << results.status().message();

    for (size_t i = 0; i < stages.size(); ++i) expectStatistics(stages[i], (*results)[i], bound);
    const std::vector<double>& logits = results->back().values;
    double largestError = 0, largest = 0;
    for (size_t i = 0; i < logits.size(); ++i) {
        const size_t classes = reference->logits.front().size();
        const double expected = reference->logits[i / classes][i % classes];
        largestError = std::max(largestError, std::abs(logits[i] - expected));
        largest = std::max(largest, std::abs(expected));
    }
    EXPECT_LE(largestError, bound * largest);
}

// Float32 weights, and nothing else, may differ from the reference's.
constexpr double kOracleBound = 1e-6;

inline Graph buildNetwork(const std::string& name, int height, int width, const ArchitectureOptions& options = {}) {
    const auto architecture = findArchitecture(name);
    EXPECT_TRUE(architecture.ok()) << architecture.status().message();
    return architecture->build(options, {1, height, width, 3});
}

inline double billionMultiplyAdds(const std::string& name) {
    const auto architecture = findArchitecture(name);
    EXPECT_TRUE(architecture.ok()) << architecture.status().message();
    const PreprocessSpec& preprocess = architecture->preprocess;
    return static_cast<double>(multiplyAdds(buildNetwork(name, preprocess.inputHeight, preprocess.inputWidth))) / 1e9;
}

template <typename Window>
void expectFits(const Window& op, const Shape& input) {
    ASSERT_GE(input.h + op.padding.top + op.padding.bottom, op.kernelH);
    ASSERT_GE(input.w + op.padding.left + op.padding.right, op.kernelW);
}

// Shapes as inferShape() asserts them, which a build without assertions does not.
inline void expectConsistent(const Graph& graph) {
    const Shape& logits = graph.shape(graph.output());
    EXPECT_EQ(logits, (Shape{graph.shape(graph.input()).n, 1, 1, logits.c}));
    for (const Node& node : graph.nodes()) {
        SCOPED_TRACE(node.name);
        const Shape& input = graph.shape(inputsOf(node.op).front());
        const Shape& output = graph.shape(node.output);
        ASSERT_GT(std::min(output.h, output.w), 0);
        if (const auto* add = std::get_if<Add>(&node.op)) {
            ASSERT_EQ(graph.shape(add->b), input);
        } else if (const auto* mul = std::get_if<Mul>(&node.op)) {
            ASSERT_EQ(graph.shape(mul->b), (Shape{input.n, 1, 1, input.c}));
        } else if (const auto* pool = std::get_if<MaxPool>(&node.op)) {
            expectFits(*pool, input);
        } else if (const auto* concat = std::get_if<Concat>(&node.op)) {
            ASSERT_EQ(graph.shape(concat->b).h, input.h);
            ASSERT_EQ(graph.shape(concat->b).w, input.w);
        } else if (const auto* attention = std::get_if<Attention>(&node.op)) {
            ASSERT_EQ(input.c % (3 * attention->heads), 0);
            ASSERT_EQ(input.h % attention->patchH, 0);
            ASSERT_EQ(input.w % attention->patchW, 0);
        } else if (const auto* separable = std::get_if<SeparableAttention>(&node.op)) {
            ASSERT_EQ(input.c % 2, 1);
            ASSERT_EQ(input.h % separable->patchH, 0);
            ASSERT_EQ(input.w % separable->patchW, 0);
        } else if (const auto* conv = std::get_if<Conv2d>(&node.op)) {
            ASSERT_EQ(input.c % conv->groups, 0);
            expectFits(*conv, input);
        }
    }
}

// Odd and even sides, wide and tall, from the least to the most.
inline void expectBuildsAtEverySize(const Architecture& architecture) {
    constexpr int kStep = 31;  // odd and coprime to every stride
    for (int side = kMinInputSide; side <= kMaxInputSide; side += kStep) {
        SCOPED_TRACE(side);
        expectConsistent(architecture.build({}, {1, side, kMinInputSide + kMaxInputSide - side, 3}));
    }
}

}  // namespace dunlin::test
