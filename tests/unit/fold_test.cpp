#include "runtime/weights/fold.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "runtime/weights/safetensors.h"
#include "tests/weights_files.h"

namespace dunlin {
namespace {

using test::packed;

// A grouped convolution with bias and BatchNorm, then a classifier.
Graph smallGraph() {
    Graph graph({1, 4, 4, 2});
    Conv2d conv;
    conv.input = graph.input();
    conv.outChannels = 2;
    conv.groups = 2;
    conv.kernelH = 1;
    conv.kernelW = 2;
    conv.parameters = {"conv.weight", "conv.bias", BatchNorm{"bn", 0.5}};
    Linear linear;
    linear.input = graph.add("pool", GlobalAvgPool{graph.add("conv", conv)});
    linear.outFeatures = 1;
    linear.parameters = {"fc.weight", "", std::nullopt};
    graph.setOutput(graph.add("fc", linear));
    return graph;
}

struct Tensor {
    std::string shape;
    std::string data;
    std::string dtype = "F32";
};
using Tensors = std::map<std::string, Tensor>;

Tensors smallTensors() {
    return {
        {"conv.weight", {"[2,1,1,2]", packed<float>({1, 2, 3, 4})}},
        {"conv.bias", {"[2]", packed<float>({10, 20})}},
        {"bn.weight", {"[2]", packed<float>({6, -3})}},
        {"bn.bias", {"[2]", packed<float>({0.25f, 0.5f})}},
        {"bn.running_mean", {"[2]", packed<float>({7, 8})}},
        {"bn.running_var", {"[2]", packed<float>({8.5f, 3.5f})}},  // square roots with epsilon: 3 and 2
        {"bn.num_batches_tracked", {"[]", packed<int64_t>({9}), "I64"}},
        {"fc.weight", {"[1,2]", packed<float>({5, 6})}},
    };
}

std::shared_ptr<const WeightsSource> fileOf(const Tensors& tensors) {
    std::string header, data;
    for (const auto& [name, tensor] : tensors) {
        header += header.empty() ? "{\"" : ",\"";
        header.append(name)
            .append("\":{\"dtype\":\"")
            .append(tensor.dtype)
            .append("\",\"shape\":")
            .append(tensor.shape);
        header.append(",\"data_offsets\":[").append(std::to_string(data.size())).append(",");
        data += tensor.data;
        header.append(std::to_string(data.size())).append("]}");
    }
    auto weights = openSafetensors(inMemory("x", test::toBytes(test::safetensorsFile(header + "}", data))));
    EXPECT_TRUE(weights.ok()) << weights.status().message();
    return *weights;
}

TEST(FoldWeights, PutsBatchNormIntoWeightAndBias) {
    const Graph graph = smallGraph();
    const auto folded = foldWeights(graph, graph.nodes()[0], *fileOf(smallTensors()));
    ASSERT_TRUE(folded.ok()) << folded.status().message();
    // scales 6 / 3 and -3 / 2
    EXPECT_EQ(folded->weight, (std::vector<float>{2, 4, -4.5f, -6}));
    EXPECT_EQ(folded->bias, (std::vector<float>{(10 - 7) * 2 + 0.25f, (20 - 8) * -1.5f + 0.5f}));
}

TEST(FoldWeights, GivesZerosWhereAnOpHasNoBiasAndNothingWhereItHasNoWeights) {
    const Graph graph = smallGraph();
    const auto pool = foldWeights(graph, graph.nodes()[1], *fileOf(smallTensors()));
    ASSERT_TRUE(pool.ok());
    EXPECT_TRUE(pool->weight.empty() && pool->bias.empty());
    const auto linear = foldWeights(graph, graph.nodes()[2], *fileOf(smallTensors()));
    ASSERT_TRUE(linear.ok());
    EXPECT_EQ(linear->weight, (std::vector<float>{5, 6}));
    EXPECT_EQ(linear->bias, std::vector<float>{0});
}

TEST(FoldWeights, RefusesNumbersThatMakeNoSense) {
    const Graph graph = smallGraph();
    Tensors negative = smallTensors();
    negative["bn.running_var"].data = packed<float>({1, -2});
    EXPECT_EQ(foldWeights(graph, graph.nodes()[0], *fileOf(negative)).status().message(),
              "x: bn.running_var: element 1 is -2, but a variance is not negative");
    Tensors infinite = smallTensors();
    infinite["conv.weight"].data = packed<float>({1, 2, std::numeric_limits<float>::infinity(), 4});
    EXPECT_EQ(foldWeights(graph, graph.nodes()[0], *fileOf(infinite)).status().message(),
              "x: conv.weight: element 2 is inf, not a finite number");
}

TEST(CheckWeights, AcceptsAFileThatFitsAndIgnoresCounters) {
    const Status status = checkWeights(smallGraph(), *fileOf(smallTensors()));
    EXPECT_TRUE(status.ok()) << status.message();
}

TEST(CheckWeights, NamesMissingMisshapenAndExtraTensorsInOneSentence) {
    Tensors tensors = smallTensors();
    tensors.erase("conv.bias");
    tensors["fc.weight"].shape = "[2,1]";
    tensors["bn.bias"] = {"[2]", packed<int64_t>({1, 2}), "I64"};
    tensors["head.weight"] = {"[1]", packed<float>({1})};
    const Status status = checkWeights(smallGraph(), *fileOf(tensors));
    EXPECT_EQ(status.code(), StatusCode::BadFile);
    EXPECT_EQ(status.message(),
              "its tensors do not fit the network: 1 missing (conv.bias [2]); "
              "1 of another shape (fc.weight is [2, 1] instead of [1, 2]); 1 of integers (bn.bias); "
              "1 too many (head.weight [1])");
}

TEST(CheckWeights, NamesTheFirstFewOfMany) {
    const Status status = checkWeights(smallGraph(), *fileOf({{"x", {"[1]", packed<float>({1})}}}));
    EXPECT_EQ(status.message(),
              "its tensors do not fit the network: 7 missing (conv.weight [2, 1, 1, 2], conv.bias [2], bn.weight [2], "
              "...); 1 too many (x [1])");
}

}  // namespace
}  // namespace dunlin
