#include <gtest/gtest.h>

#include "runtime/graph/graph.h"

namespace dunlin {
namespace {

Conv2d conv3x3(ValueId input, int outChannels, int stride, Padding padding) {
    Conv2d conv;
    conv.input = input;
    conv.outChannels = outChannels;
    conv.kernelH = conv.kernelW = 3;
    conv.strideH = conv.strideW = stride;
    conv.padding = padding;
    conv.parameters = {"conv.weight", "", BatchNorm{"bn", 1e-5}};
    return conv;
}

TEST(Graph, InfersTheShapeOfAStridedConvolutionWithAsymmetricPadding) {
    Graph graph({2, 7, 10, 3});
    const ValueId out = graph.add("conv", conv3x3(graph.input(), 8, 2, {0, 0, 1, 1}));
    EXPECT_EQ(graph.shape(out), (Shape{2, 3, 5, 8}));
}

TEST(Graph, RecordsTheTensorsOfAConvolutionWithBatchNorm) {
    Graph graph({1, 8, 8, 3});
    graph.add("conv", conv3x3(graph.input(), 4, 1, {1, 1, 1, 1}));
    ASSERT_EQ(graph.parameters().size(), 5u);
    EXPECT_EQ(graph.parameters()[0].name, "conv.weight");
    EXPECT_EQ(graph.parameters()[0].shape, (std::vector<int64_t>{4, 3, 3, 3}));
    EXPECT_EQ(graph.parameters()[3].name, "bn.running_mean");
    EXPECT_EQ(parameterCount(graph), 4 * 27 + 4 + 4) << "running statistics are not counted";
}

TEST(Graph, CountsMultiplyAddsAsThePapersDo) {
    Graph graph({1, 8, 8, 3});
    const ValueId x = graph.add("conv", conv3x3(graph.input(), 4, 2, {1, 1, 1, 1}));
    graph.add("add", Add{x, x, Activation::None});
    EXPECT_EQ(multiplyAdds(graph), 4 * 4 * 4 * 27);
}

TEST(Graph, SaysWhyATapDoesNotExist) {
    Graph graph({1, 8, 8, 3});
    graph.tap("features", graph.input());
    graph.untappable("conv_stem", "its BatchNorm is folded into it");
    EXPECT_EQ(*graph.findTap("features"), graph.input());
    EXPECT_NE(graph.findTap("conv_stem").status().message().find("folded"), std::string::npos);
    EXPECT_EQ(graph.findTap("nothing").status().code(), StatusCode::UnknownName);
    EXPECT_NE(graph.findTap("nothing").status().message().find("features"), std::string::npos);
}

}  // namespace
}  // namespace dunlin
