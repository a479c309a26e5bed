// EfficientNet, EfficientNet-Lite and EfficientNetV2 against the papers' tables and the references.
#include "models/efficientnet.h"

#include "tests/unit/network_support.h"

namespace dunlin {
namespace {

using test::buildNetwork;

double millionParameters(const std::string& name) {
    return static_cast<double>(parameterCount(buildNetwork(name, 64, 64))) / 1e6;
}

const Conv2d& convolution(const Graph& graph, std::string_view name) {
    return std::get<Conv2d>(std::ranges::find(graph.nodes(), name, &Node::name)->op);
}

// How many blocks each stage has.
std::vector<int> depths(const Graph& graph) {
    std::vector<int> counts;
    for (int stage = 0; graph.taps().contains("blocks." + std::to_string(stage)); ++stage) {
        int blocks = 0;
        const std::string prefix = "blocks." + std::to_string(stage) + ".";
        while (graph.taps().contains(prefix + std::to_string(blocks))) ++blocks;
        counts.push_back(blocks);
    }
    return counts;
}

TEST(EfficientNet, HasTheReferencesTensorsAndStages) {
    DUNLIN_NEEDS_SHARED("reference");
    for (const auto& [prefix, atLeast] :
         {std::pair{"efficientnet_", 6u}, std::pair{"tf_efficientnet_", 4u}, std::pair{"tf_efficientnetv2_", 3u}}) {
        const auto references = test::referencesOf(prefix);
        EXPECT_GE(references.size(), atLeast) << prefix;
        for (const auto& path : references) test::expectStructure(path, /* isNhwc = */ false);
    }
}

TEST(EfficientNet, ComputesTheReferencesNumbers) {
    test::expectNumbers("efficientnet_b0-192x256-2", test::kOracleBound);
}

TEST(EfficientNet, PadsAsTensorFlowDid) {
    constexpr double kBound = 1e-5;  // other paddings are percents away
    test::expectNumbers("tf_efficientnet_b0", kBound);
}

TEST(EfficientNet, ParametersAreThoseOfThePapers) {
    constexpr std::pair<const char*, double> kPublished[] = {
        {"efficientnet_b0", 5.3},       {"efficientnet_b1", 7.8},       {"efficientnet_b2", 9.2},
        {"efficientnet_b3", 12},        {"efficientnet_b4", 19},        {"efficientnet_b5", 30},
        {"efficientnet_b6", 43},        {"efficientnet_b7", 66},        {"efficientnet_lite0", 4.7},
        {"efficientnet_lite1", 5.4},    {"efficientnet_lite2", 6.1},    {"efficientnet_lite3", 8.2},
        {"efficientnet_lite4", 13.0},   {"efficientnetv2_s", 22},       {"efficientnetv2_m", 54},
        {"efficientnetv2_l", 120},      {"efficientnetv2_xl", 208},     {"tf_efficientnetv2_b1", 8.1},
        {"tf_efficientnetv2_b2", 10.1}, {"tf_efficientnetv2_b3", 14.4},
    };
    for (const auto& [name, millions] : kPublished) {
        EXPECT_NEAR(millionParameters(name), millions, 0.03 * millions) << name;
    }
}

TEST(EfficientNet, MultiplyAddsAreThoseOfThePapers) {
    struct Published {
        const char* name;
        int side;
        double billions;
    };
    for (const auto& [name, side, billions] :
         {Published{"efficientnet_b0", 224, 0.39}, Published{"efficientnet_b1", 240, 0.70},
          Published{"efficientnet_b4", 380, 4.2}, Published{"efficientnet_b7", 600, 37},
          Published{"efficientnetv2_s", 384, 8.8}, Published{"efficientnetv2_m", 480, 24},
          Published{"efficientnetv2_l", 480, 53}, Published{"efficientnetv2_xl", 512, 94}}) {
        const double ours = static_cast<double>(multiplyAdds(buildNetwork(name, side, side))) / 1e9;
        EXPECT_NEAR(ours, billions, 0.07 * billions) << name;
    }
}

// The depth coefficient scales every stage, rounded up; the lite ones keep the first and the last as they are.
TEST(EfficientNet, CompoundScalingRoundsDepthsUp) {
    EXPECT_EQ(depths(buildNetwork("efficientnet_b0", 64, 64)), (std::vector{1, 2, 2, 3, 3, 4, 1}));
    EXPECT_EQ(depths(buildNetwork("efficientnet_b7", 64, 64)), (std::vector{4, 7, 7, 10, 10, 13, 4}));
    EXPECT_EQ(depths(buildNetwork("efficientnet_lite4", 64, 64)), (std::vector{1, 4, 4, 6, 6, 8, 1}));
    EXPECT_EQ(depths(buildNetwork("tf_efficientnetv2_b3", 64, 64)), (std::vector{2, 3, 3, 5, 7, 12}));
}

TEST(EfficientNet, TheLiteOnesKeepStemAndHead) {
    const Graph full = buildNetwork("efficientnet_b4", 64, 64), lite = buildNetwork("efficientnet_lite4", 64, 64);
    EXPECT_EQ(convolution(full, "conv_stem").outChannels, 48);
    EXPECT_EQ(convolution(full, "conv_head").outChannels, 1792);
    EXPECT_EQ(convolution(lite, "conv_stem").outChannels, 32);
    EXPECT_EQ(convolution(lite, "conv_head").outChannels, 1280);
    EXPECT_EQ(convolution(lite, "conv_stem").activation, Activation::Relu6);
    for (const Node& node : lite.nodes()) EXPECT_FALSE(std::holds_alternative<Mul>(node.op)) << node.name;
}

TEST(EfficientNet, SqueezesToAQuarterOfTheBlocksInput) {
    const Graph graph = buildNetwork("efficientnet_b0", 64, 64);
    EXPECT_EQ(convolution(graph, "blocks.0.0.se.conv_reduce").outChannels, 32 / 4);
    EXPECT_EQ(convolution(graph, "blocks.2.0.se.conv_reduce").outChannels, 24 / 4);
    EXPECT_EQ(convolution(graph, "blocks.2.0.se.conv_expand").outChannels, 24 * 6);
    EXPECT_EQ(convolution(graph, "blocks.2.0.se.conv_reduce").activation, Activation::Silu);
    EXPECT_EQ(convolution(graph, "blocks.2.0.se.conv_expand").activation, Activation::Sigmoid);
}

TEST(EfficientNet, ArgumentsReplaceTheCoefficients) {
    const Graph b4 = buildNetwork("efficientnet_b4", 64, 64);
    ArchitectureOptions asB4;
    asB4.channelMultiplier = 1.4;
    asB4.depthMultiplier = 1.8;
    const Graph scaled = buildNetwork("efficientnet_b0", 64, 64, asB4);
    EXPECT_EQ(depths(scaled), depths(b4));
    EXPECT_EQ(parameterCount(scaled), parameterCount(b4));
}

TEST(EfficientNet, BuildsAtEverySize) {
    for (const Architecture& architecture : efficientnetArchitectures()) {
        SCOPED_TRACE(architecture.name);
        test::expectBuildsAtEverySize(architecture);
    }
}

}  // namespace
}  // namespace dunlin
