#include "models/swin.h"

#include "tests/unit/network_support.h"

namespace dunlin {
namespace {

using test::billionMultiplyAdds;
using test::buildNetwork;

const Attention& attentionOf(const Graph& graph, std::string_view block) {
    const auto node = std::ranges::find(graph.nodes(), std::string(block) + ".attn", &Node::name);
    return std::get<Attention>(node->op);
}

TEST(Swin, HasTheReferencesTensorsAndStages) {
    DUNLIN_NEEDS_SHARED("reference");
    const auto references = test::referencesOf("swin_");
    EXPECT_GE(references.size(), 3u);
    for (const auto& path : references) test::expectStructure(path, /* isNhwc = */ true);
}

TEST(Swin, ComputesTheReferencesNumbers) {
    test::expectNumbers("swin_tiny_patch4_window7_224", test::kOracleBound);
}

TEST(Swin, MultiplyAddsAreThoseOfThePaper) {
    const auto near = [](const char* name, double billions) {
        EXPECT_NEAR(billionMultiplyAdds(name), billions, 0.05 * billions) << name;
    };
    near("swin_tiny_patch4_window7_224", 4.5);
    near("swin_small_patch4_window7_224", 8.7);
    near("swin_base_patch4_window7_224", 15.4);
    near("swin_base_patch4_window12_384", 47.0);
}

TEST(Swin, BuildsAtEverySize) {
    for (const Architecture& architecture : swinArchitectures()) {
        SCOPED_TRACE(architecture.name);
        for (int side = 32; side <= 1024; side += 3)
            test::expectConsistent(architecture.build({}, {1, side, 1056 - side, 3}));
    }
}

TEST(Swin, EverySecondBlockShiftsItsWindows) {
    const Graph graph = buildNetwork("swin_tiny_patch4_window7_224", 224, 224);
    for (int block = 0; block < 6; ++block) {
        const Attention& attention = attentionOf(graph, "layers.2.blocks." + std::to_string(block));
        EXPECT_EQ(attention.windows->height, 7);
        EXPECT_EQ(attention.windows->shiftH, block % 2 == 0 ? 0 : 3);
        EXPECT_EQ(attention.windows->shiftW, block % 2 == 0 ? 0 : 3);
        EXPECT_EQ(attention.heads, 12);
    }
}

TEST(Swin, NothingIsShiftedAlongASideThatOneWindowCovers) {
    // The last stage's map: 7x14.
    const Graph graph = buildNetwork("swin_tiny_patch4_window7_224", 224, 448);
    const AttentionWindows& windows = *attentionOf(graph, "layers.3.blocks.1").windows;
    EXPECT_EQ(windows.shiftH, 0);
    EXPECT_EQ(windows.shiftW, 3);
}

TEST(Swin, WindowsKeepTheirSizeAndPicturesArePaddedToWholePatches) {
    const Graph graph = buildNetwork("swin_tiny_patch4_window7_224", 33, 100);
    EXPECT_EQ(graph.shape(*graph.findTap("layers.0")), (Shape{1, 9, 25, 96}));
    EXPECT_EQ(graph.shape(*graph.findTap("layers.1")), (Shape{1, 5, 13, 192}));
    EXPECT_EQ(graph.shape(*graph.findTap("layers.3")), (Shape{1, 2, 4, 768}));
    EXPECT_EQ(attentionOf(graph, "layers.3.blocks.0").windows->height, 7);
    EXPECT_EQ(parameterCount(graph), parameterCount(buildNetwork("swin_tiny_patch4_window7_224", 224, 224)));
}

TEST(Swin, EveryBlockIsATap) {
    const Graph graph = buildNetwork("swin_small_patch4_window7_224", 224, 224);
    EXPECT_EQ(graph.shape(*graph.findTap("layers.2.blocks.17")), (Shape{1, 14, 14, 384}));
    EXPECT_EQ(*graph.findTap("layers.2.blocks.17"), *graph.findTap("layers.2"));
    EXPECT_EQ(*graph.findTap("features"), *graph.findTap("norm"));
    EXPECT_EQ(graph.shape(*graph.findTap("pooled")), (Shape{1, 1, 1, 768}));
}

}  // namespace
}  // namespace dunlin
