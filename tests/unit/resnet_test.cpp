// ResNet against the paper's table and the reference.
#include "models/resnet.h"

#include "tests/unit/network_support.h"

namespace dunlin {
namespace {

using test::buildNetwork;

size_t indexOf(const Graph& graph, std::string_view name) {
    return static_cast<size_t>(std::ranges::find(graph.nodes(), name, &Node::name) - graph.nodes().begin());
}

TEST(Resnet, HasTheReferencesTensors) {
    DUNLIN_NEEDS_SHARED("reference");
    const auto references = test::referencesOf("resnet");
    EXPECT_GE(references.size(), 1u);
    for (const auto& path : references) test::expectStructure(path, /* isNhwc = */ false);
}

TEST(Resnet, SizesAreThoseOfThePaper) {
    struct Published {
        const char* name;
        double millionParameters, billionMultiplyAdds;
    };
    // Multiply-adds with the stride in the 3x3 convolution, which costs the bottlenecks 0.2 to 0.3 billion more.
    for (const auto& [name, parameters, work] :
         {Published{"resnet18", 11.7, 1.8}, Published{"resnet34", 21.8, 3.66}, Published{"resnet50", 25.6, 4.1},
          Published{"resnet101", 44.5, 7.8}, Published{"resnet152", 60.2, 11.5}}) {
        const Graph graph = buildNetwork(name, 224, 224);
        EXPECT_NEAR(static_cast<double>(parameterCount(graph)) / 1e6, parameters, 0.01 * parameters) << name;
        EXPECT_NEAR(static_cast<double>(multiplyAdds(graph)) / 1e9, work, 0.015 * work) << name;
    }
}

TEST(Resnet, TheDownsamplingConvolutionComesBeforeTheMainPath) {
    for (const char* name : {"resnet18", "resnet50"}) {
        const Graph graph = buildNetwork(name, 64, 64);
        EXPECT_LT(indexOf(graph, "layer2.0.downsample.0"), indexOf(graph, "layer2.0.conv1"));
        const auto& sum = std::get<Add>(graph.nodes()[indexOf(graph, "layer2.0.add")].op);
        EXPECT_EQ(sum.activation, Activation::Relu);
        EXPECT_EQ(sum.a, graph.nodes()[indexOf(graph, "layer2.0.add") - 1].output);
    }
}

TEST(Resnet, BottlenecksStrideInTheirMiddle) {
    const Graph graph = buildNetwork("resnet50", 64, 64);
    EXPECT_EQ(std::get<Conv2d>(graph.nodes()[indexOf(graph, "layer2.0.conv1")].op).strideH, 1);
    EXPECT_EQ(std::get<Conv2d>(graph.nodes()[indexOf(graph, "layer2.0.conv2")].op).strideH, 2);
}

TEST(Resnet, StagesCanBeTapped) {
    const Graph graph = buildNetwork("resnet50", 224, 192);
    EXPECT_EQ(graph.shape(*graph.findTap("act1")), (Shape{1, 112, 96, 64}));
    EXPECT_EQ(graph.shape(*graph.findTap("stem")), (Shape{1, 56, 48, 64}));
    EXPECT_EQ(graph.shape(*graph.findTap("layer1.0")), (Shape{1, 56, 48, 256}));
    EXPECT_EQ(graph.shape(*graph.findTap("layer4")), (Shape{1, 7, 6, 2048}));
    EXPECT_EQ(*graph.findTap("layer4"), *graph.findTap("features"));
    EXPECT_NE(graph.findTap("conv1").status().message().find("'act1'"), std::string::npos);
}

TEST(Resnet, BuildsAtEverySize) {
    for (const Architecture& architecture : resnetArchitectures()) {
        SCOPED_TRACE(architecture.name);
        test::expectBuildsAtEverySize(architecture);
    }
}

}  // namespace
}  // namespace dunlin
