// Which steps are joined into blocks, and which must not be.
#include "runtime/plan/block_fusion.h"

#include <gtest/gtest.h>

namespace dunlin {
namespace {

// A network in the making; every layer is named by its order.
struct Network {
    Graph graph{{1, 32, 32, 3}};

    ValueId conv(ValueId x, int channels, int kernel = 1, int groups = 1) {
        Conv2d conv;
        conv.input = x;
        conv.outChannels = channels;
        conv.kernelH = conv.kernelW = kernel;
        conv.padding = {kernel / 2, kernel / 2, kernel / 2, kernel / 2};
        conv.groups = groups;
        return add(conv);
    }
    ValueId depthwise(ValueId x) { return conv(x, graph.shape(x).c, 3, graph.shape(x).c); }
    ValueId add(const Op& op) { return graph.add("node" + std::to_string(graph.nodes().size()), op); }

    std::vector<Step> blocks(ValueId output, ValueId keptValue = kNoValue) {
        graph.setOutput(output);
        std::vector<ValueId> kept;
        if (keptValue != kNoValue) kept.push_back(keptValue);
        auto steps = fuse(graph, kept);
        EXPECT_TRUE(steps.ok()) << steps.status().message();
        return fuseBlocks(graph, *std::move(steps), kept);
    }
};

using Kind = Step::Kind;
// A list, made so that GCC 12 does not warn of the array behind a braced one.
template <typename... Kinds>
std::vector<Kind> list(Kinds... kinds) {
    std::vector<Kind> result;
    (result.push_back(kinds), ...);
    return result;
}
std::vector<Kind> kindsOf(const std::vector<Step>& steps) {
    std::vector<Kind> kinds;
    for (const Step& step : steps) kinds.push_back(step.kind);
    return kinds;
}

TEST(BlockFusion, JoinsAnInvertedResidualWithItsShortcut) {
    Network network;
    const ValueId x = network.conv(network.graph.input(), 8);
    const ValueId projected = network.conv(network.depthwise(network.conv(x, 24)), 8);
    const auto blocks = network.blocks(network.add(Add{projected, x}));
    ASSERT_EQ(kindsOf(blocks), list(Kind::Convolution, Kind::InvertedResidual));
    EXPECT_EQ(blocks[1].parts.size(), 3u);
    EXPECT_EQ(blocks[1].input, x);
    EXPECT_EQ(blocks[1].residual, x);
    EXPECT_EQ(blocks[1].output, network.graph.output());
}

TEST(BlockFusion, LeavesTheProjectionBehindSqueezeExciteByItself) {
    Network network;
    const ValueId deep = network.depthwise(network.conv(network.graph.input(), 24));
    const ValueId mean = network.add(GlobalAvgPool{deep});
    const ValueId gate = network.conv(network.conv(mean, 8), 24);
    const auto blocks = network.blocks(network.conv(network.add(Mul{deep, gate}), 8));
    ASSERT_EQ(kindsOf(blocks), list(Kind::InvertedResidual, Kind::SqueezeExcite, Kind::Convolution));
    EXPECT_EQ(blocks[0].parts.size(), 2u);
    EXPECT_TRUE(blocks[0].writesSums);
}

TEST(BlockFusion, KeepsApartWhatSomethingElseReads) {
    // given an expansion that is the shortcut too
    Network shared;
    const ValueId expanded = shared.conv(shared.graph.input(), 24);
    const ValueId projected = shared.conv(shared.depthwise(expanded), 24);
    EXPECT_EQ(kindsOf(shared.blocks(shared.add(Add{projected, expanded}))), (std::vector(3, Kind::Convolution)));
}

TEST(BlockFusion, KeepsApartWhatIsAskedFor) {
    Network kept;
    const ValueId wanted = kept.conv(kept.graph.input(), 24);
    const ValueId deep = kept.depthwise(wanted);
    const ValueId output = kept.conv(deep, 8);
    EXPECT_EQ(kindsOf(kept.blocks(output, wanted)), (std::vector(3, Kind::Convolution)));
    // a kept depthwise map keeps its projection apart
    EXPECT_EQ(kindsOf(kept.blocks(output, deep)), list(Kind::InvertedResidual, Kind::Convolution));
}

TEST(BlockFusion, KeepsApartLayersWhoseInputsAreNotPlain) {
    Network network;
    const ValueId x = network.conv(network.graph.input(), 8);
    const ValueId norm = network.add(LayerNorm{x, LayerNorm::Over::Pixel, 1e-5, {"w", "b", std::nullopt, ""}});
    // an expansion that normalises, and a depthwise convolution behind an addition
    const ValueId deep = network.depthwise(network.conv(norm, 24));
    const ValueId sum = network.add(Add{network.conv(deep, 8), x});
    EXPECT_EQ(kindsOf(network.blocks(network.depthwise(sum))), (std::vector(5, Kind::Convolution)));
}

TEST(BlockFusion, JoinsAPoolWithTheLayerThatReadsIt) {
    Network network;
    const ValueId pooled = network.add(GlobalAvgPool{network.conv(network.graph.input(), 8)});
    const ValueId output = network.add(Linear{pooled, 5});
    EXPECT_EQ(kindsOf(network.blocks(output)), list(Kind::Convolution, Kind::PooledLinear));
    EXPECT_EQ(kindsOf(network.blocks(output, pooled)), list(Kind::Convolution, Kind::Pool, Kind::Convolution));
}

}  // namespace
}  // namespace dunlin
