#include "models/mobilevit.h"

#include "models/model.h"
#include "tests/unit/network_support.h"

namespace dunlin {
namespace {

using test::billionMultiplyAdds;
using test::buildNetwork;

template <typename Op>
std::vector<Op> opsOf(const Graph& graph) {
    std::vector<Op> ops;
    for (const Node& node : graph.nodes())
        if (const auto* op = std::get_if<Op>(&node.op)) ops.push_back(*op);
    return ops;
}

TEST(MobileVit, HasTheReferencesTensorsAndStages) {
    DUNLIN_NEEDS_SHARED("reference");
    const auto references = test::referencesOf("mobilevit");
    EXPECT_GE(references.size(), 5u);
    for (const auto& path : references) test::expectStructure(path, /* isNhwc = */ false);
}

TEST(MobileVit, ComputesTheReferencesNumbers) {
    test::expectNumbers("mobilevit_xxs", test::kOracleBound);
}

TEST(MobileVit, ResizesMapsThatThePatchDoesNotDivide) {
    test::expectNumbers("mobilevit_s-224x288", test::kOracleBound);
}

TEST(MobileVit2, ComputesTheReferencesNumbers) {
    test::expectNumbers("mobilevitv2_100", test::kOracleBound);
}

TEST(MobileVit, MultiplyAddsAreThePublishedOnes) {
    const auto near = [](const char* name, double billions) {
        EXPECT_NEAR(billionMultiplyAdds(name), billions, 0.05 * billions) << name;
    };
    near("mobilevit_xxs", 0.42);
    near("mobilevit_xs", 1.05);
    near("mobilevit_s", 2.03);
    near("mobilevitv2_050", 0.48);
    near("mobilevitv2_100", 1.84);
    near("mobilevitv2_150", 4.1);
    near("mobilevitv2_200", 7.2);
}

TEST(MobileVit2, WidthsScaleTheParametersAsThePaperHasThem) {
    const auto millions = [](const char* name) {
        return static_cast<double>(parameterCount(buildNetwork(name, 256, 256))) / 1e6;
    };
    EXPECT_NEAR(millions("mobilevitv2_050"), 1.4, 0.05);
    EXPECT_NEAR(millions("mobilevitv2_075"), 2.9, 0.05);
    EXPECT_NEAR(millions("mobilevitv2_100"), 4.9, 0.05);
    EXPECT_NEAR(millions("mobilevitv2_125"), 7.5, 0.05);
    EXPECT_NEAR(millions("mobilevitv2_150"), 10.6, 0.05);
    EXPECT_NEAR(millions("mobilevitv2_175"), 14.3, 0.05);
    EXPECT_NEAR(millions("mobilevitv2_200"), 18.5, 0.06);
}

TEST(MobileVit, BuildsAtEverySize) {
    for (const Architecture& architecture : mobilevitArchitectures()) {
        SCOPED_TRACE(architecture.name);
        for (const auto& [height, width] : {std::pair{32, 32}, {33, 47}, {97, 1024}, {255, 257}, {1023, 64}})
            test::expectConsistent(architecture.build({}, {1, height, width, 3}));
    }
    for (int side = 32; side <= 1024; ++side) test::expectConsistent(buildNetwork("mobilevit_xxs", side, 1056 - side));
    for (int side = 32; side <= 1024; ++side)
        test::expectConsistent(buildNetwork("mobilevitv2_050", side, 1056 - side));
}

TEST(MobileVit, ResizesOnlyWhereThePatchDoesNotDivide) {
    EXPECT_TRUE(opsOf<Resize>(buildNetwork("mobilevit_s", 256, 256)).empty());
    EXPECT_TRUE(opsOf<Resize>(buildNetwork("mobilevitv2_100", 256, 256)).empty());

    // 7x9 becomes 8x10 and, before the convolutions, 7x9 again.
    const auto first = opsOf<Resize>(buildNetwork("mobilevit_s", 224, 288));
    ASSERT_EQ(first.size(), 2u);
    EXPECT_EQ((std::pair{first[0].height, first[0].width}), (std::pair{8, 10}));
    EXPECT_EQ((std::pair{first[1].height, first[1].width}), (std::pair{7, 9}));
    EXPECT_FALSE(first[0].alignCorners);

    const Graph graph = buildNetwork("mobilevitv2_100", 224, 288);
    const auto second = opsOf<Resize>(graph);
    ASSERT_EQ(second.size(), 1u);
    EXPECT_TRUE(second[0].alignCorners);
    EXPECT_EQ(graph.shape(*graph.findTap("features")), (Shape{1, 8, 10, 512}));
}

// The paper's configuration B: patches of 8, 4 and 2.
TEST(MobileVit, TakesThePatchesOfEachStageAsAnOption) {
    ArchitectureOptions options;
    options.patchSizes = {8, 4, 2};
    const Graph graph = buildNetwork("mobilevit_s", 256, 256, options);
    std::vector<int> patches;
    for (const Attention& attention : opsOf<Attention>(graph)) {
        EXPECT_EQ(attention.patchH, attention.patchW);
        patches.push_back(attention.patchH);
    }
    EXPECT_EQ(patches, (std::vector<int>{8, 8, 4, 4, 4, 4, 2, 2, 2}));
    EXPECT_EQ(parameterCount(graph), parameterCount(buildNetwork("mobilevit_s", 256, 256)));
    for (int side : {32, 100, 255, 1024}) test::expectConsistent(buildNetwork("mobilevit_xs", side, side, options));
}

TEST(MobileVit, PatchesAreAnArgumentOfTheModel) {
    const auto open = [](const char* name, const char* arguments) {
        ModelOptions options;
        options.weights = "synthetic";
        options.modelArguments = arguments;
        return openModel(name, options);
    };
    const auto patchesOf = [&](const char* arguments) {
        const auto model = open("mobilevit_xxs", arguments);
        EXPECT_TRUE(model.ok()) << model.status().message();
        return (*model)->options.patchSizes;
    };
    EXPECT_EQ(patchesOf(R"({"patch_size": [8, 4, 2]})"), (std::array{8, 4, 2}));
    EXPECT_EQ(patchesOf(R"({"patch_size": 4})"), (std::array{4, 4, 4}));

    const auto expectRefused = [&](const char* name, const char* arguments, const char* sentence) {
        const auto model = open(name, arguments);
        ASSERT_FALSE(model.ok());
        EXPECT_EQ(model.status().code(), StatusCode::InvalidArgument);
        EXPECT_NE(model.status().message().find(sentence), std::string::npos) << model.status().message();
    };
    expectRefused("mobilevit_xxs", R"({"patch_size": [8, 4]})", "patch_size is [8,4], but must be a list of three");
    expectRefused("mobilevit_xxs", R"({"patch_size": [8, 0, 2]})", "patch_size[1] is 0, but must be a number from 1");
    expectRefused("mobilevit_xxs", R"({"patch_size": 1000})", "patch_size is 1000");
    expectRefused("mobilenetv2_100", R"({"patch_size": 2})", "mobilenetv2_100 does not know the argument patch_size");
}

TEST(MobileVit, EveryBlockIsATap) {
    const Graph graph = buildNetwork("mobilevit_xxs", 256, 256);
    EXPECT_EQ(graph.shape(*graph.findTap("stages.1.2")), (Shape{1, 64, 64, 24}));
    EXPECT_EQ(graph.shape(*graph.findTap("stages.3.0")), (Shape{1, 16, 16, 64}));
    EXPECT_EQ(*graph.findTap("stages.3.1"), *graph.findTap("stages.3"));
    EXPECT_EQ(graph.shape(*graph.findTap("pooled")), (Shape{1, 1, 1, 320}));
}

}  // namespace
}  // namespace dunlin
