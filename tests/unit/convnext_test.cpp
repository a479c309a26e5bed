// ConvNeXt against the paper's table and the references.
#include "models/convnext.h"

#include "tests/unit/network_support.h"

namespace dunlin {
namespace {

using test::buildNetwork;

std::vector<int64_t> shapeOf(const Graph& graph, std::string_view parameter) {
    return std::ranges::find(graph.parameters(), parameter, &ParameterTensor::name)->shape;
}

TEST(ConvNext, HasTheReferencesTensorsAndStages) {
    DUNLIN_NEEDS_SHARED("reference");
    const auto references = test::referencesOf("convnext_");
    EXPECT_GE(references.size(), 5u);
    for (const auto& path : references) test::expectStructure(path, /* isNhwc = */ false);
}

TEST(ConvNext, SizesAreThoseOfThePaper) {
    struct Published {
        const char* name;
        double millionParameters, billionMultiplyAdds;
    };
    for (const auto& [name, parameters, work] :
         {Published{"convnext_atto", 3.7, 0.55}, Published{"convnext_femto", 5.2, 0.78},
          Published{"convnext_pico", 9.1, 1.37}, Published{"convnext_nano", 15.6, 2.45},
          Published{"convnext_tiny", 28.6, 4.5}, Published{"convnext_small", 50.2, 8.7},
          Published{"convnext_base", 88.6, 15.4}, Published{"convnext_large", 197.8, 34.4},
          Published{"convnext_xlarge", 350.2, 60.9}}) {
        const Graph graph = buildNetwork(name, 224, 224);
        EXPECT_NEAR(static_cast<double>(parameterCount(graph)) / 1e6, parameters, 0.01 * parameters) << name;
        EXPECT_NEAR(static_cast<double>(multiplyAdds(graph)) / 1e9, work, 0.015 * work) << name;
    }
}

// The small members, and any that asks for it, store the block's linear layers as 1x1 convolutions.
TEST(ConvNext, TheMlpMayBeConvolutional) {
    const std::string weight = "stages.0.blocks.0.mlp.fc1.weight";
    const Graph atto = buildNetwork("convnext_atto", 64, 64), tiny = buildNetwork("convnext_tiny", 64, 64);
    EXPECT_EQ(shapeOf(atto, weight), (std::vector<int64_t>{160, 40, 1, 1}));
    EXPECT_EQ(shapeOf(tiny, weight), (std::vector<int64_t>{384, 96}));
    ArchitectureOptions convolutional;
    convolutional.convolutionalMlp = true;
    const Graph asked = buildNetwork("convnext_tiny", 64, 64, convolutional);
    EXPECT_EQ(shapeOf(asked, weight), (std::vector<int64_t>{384, 96, 1, 1}));
    EXPECT_EQ(multiplyAdds(asked), multiplyAdds(tiny));
}

TEST(ConvNext, EpsilonIsTheNormsOwnUnlessAskedFor) {
    ArchitectureOptions options;
    options.layerNormEpsilon = 1e-5;
    for (const auto& [graph, epsilon] : {std::pair{buildNetwork("convnext_tiny", 64, 64), 1e-6},
                                         {buildNetwork("convnext_tiny", 64, 64, options), 1e-5}}) {
        for (const Node& node : graph.nodes()) {
            if (const auto* norm = std::get_if<LayerNorm>(&node.op)) {
                EXPECT_EQ(norm->epsilon, epsilon) << node.name;
            }
        }
    }
}

TEST(ConvNext, BuildsAtEverySize) {
    for (const Architecture& architecture : convnextArchitectures()) {
        SCOPED_TRACE(architecture.name);
        test::expectBuildsAtEverySize(architecture);
    }
}

}  // namespace
}  // namespace dunlin
