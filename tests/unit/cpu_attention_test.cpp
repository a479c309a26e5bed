// Attention on the CPU against the oracle: of all pixels, of patches and of shifted windows.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "runtime/cpu/kernels/kernel.h"
#include "runtime/cpu/reference.h"
#include "runtime/weights/synthetic.h"
#include "tests/unit/cpu_networks.h"

namespace dunlin {
namespace {

using test::noise;

// Runs the kernel of a one-node graph; scratch of exactly the size that it asks for, of no numbers.
std::vector<float> runKernel(const Graph& graph, const std::vector<float>& input, size_t threads,
                             cpu::Vectors vectors = cpu::longestVectors()) {
    const Node& node = graph.nodes()[0];
    const auto pool = cpu::ThreadPool::create(threads);
    EXPECT_TRUE(pool.ok());
    if (!pool.ok()) return {};
    const auto kernel = cpu::makeKernel(graph, node, *formulaWeights());
    EXPECT_TRUE(kernel.ok());
    if (!kernel.ok()) return {};
    const size_t scratchFloats = cpu::kernelNeed(graph, node, threads).scratchBytes / sizeof(float);
    std::vector<float> scratch(scratchFloats, NAN);
    std::vector<float> output(static_cast<size_t>(graph.shape(node.output).elementCount()), NAN);
    const float* const inputs[] = {input.data()};
    (*kernel)->run({.pool = pool->get(), .count = threads, .vectors = vectors}, inputs, output.data(),
                   reinterpret_cast<std::byte*>(scratch.data()));
    return output;
}

void expectMatchesOracle(const Attention& attention, Shape shape, float scale = 3) {
    SCOPED_TRACE(describe(shape) + ", " + std::to_string(attention.heads) + " heads");
    shape.c *= 3;
    Graph graph(shape);
    Attention op = attention;
    op.input = graph.input();
    graph.setOutput(graph.add("op", op));
    const std::vector<float> input = noise(static_cast<size_t>(shape.elementCount()), scale);

    const auto folded = foldWeights(graph, graph.nodes()[0], *formulaWeights());
    ASSERT_TRUE(folded.ok()) << folded.status().message();
    const reference::Tensor map = reference::fromFloats(shape, input);
    const reference::Tensor* const maps[] = {&map};
    const reference::Tensor expected = reference::evaluate(op, maps, *folded);
    for (cpu::Vectors vectors : cpu::kAllVectors) {
        if (!cpu::hasVectors(vectors)) continue;
        SCOPED_TRACE("vectors of kind " + std::to_string(static_cast<int>(vectors)));
        const std::vector<float> output = runKernel(graph, input, 1, vectors);
        ASSERT_EQ(output.size(), expected.values.size());
        const double tolerance = 1e-5 * std::max(1.0f, scale);
        for (size_t i = 0; i < output.size(); ++i)
            ASSERT_NEAR(output[i], expected.values[i], tolerance) << "element " << i;
    }

    const std::vector<float> output = runKernel(graph, input, 1);
    for (size_t threads : {2, 3}) ASSERT_EQ(runKernel(graph, input, threads), output) << threads << " threads";
}

TEST(CpuAttention, OfAllPixelsWithHeadsOfAnyWidth) {
    for (int headChannels : {1, 7, 16, 20, 24, 36, 48, 60, 64, 128})
        expectMatchesOracle({.heads = 2}, {1, 3, 5, 2 * headChannels});
}

TEST(CpuAttention, OfAnyNumberOfTokens) {
    for (int tokens : {1, 2, 3, 15, 16, 17, 63, 64, 65, 131, 197})
        expectMatchesOracle({.heads = 3}, {2, 1, tokens, 3 * 12});
}

TEST(CpuAttention, OfPlacesInPatches) {
    expectMatchesOracle({.heads = 4, .patchH = 2, .patchW = 2}, {2, 8, 6, 64});
    expectMatchesOracle({.heads = 2, .patchH = 1, .patchW = 3}, {1, 5, 9, 10});
    expectMatchesOracle({.heads = 4, .patchH = 8, .patchW = 8}, {1, 16, 16, 16});
    expectMatchesOracle({.heads = 1, .patchH = 4, .patchW = 4}, {1, 4, 4, 5});
}

AttentionWindows windows(int height, int width, int shiftH, int shiftW) {
    return {height, width, shiftH, shiftW, "op.relative_position_bias_table", "qkv.bias"};
}

TEST(CpuAttention, WithinWindowsThatDivideTheMap) {
    expectMatchesOracle({.heads = 3, .windows = windows(7, 7, 0, 0)}, {1, 14, 14, 96});
    expectMatchesOracle({.heads = 2, .windows = windows(2, 3, 0, 0)}, {2, 4, 9, 10});
    expectMatchesOracle({.heads = 1, .windows = windows(1, 1, 0, 0)}, {1, 3, 2, 4});
}

TEST(CpuAttention, WithinShiftedWindowsWhosePartsDoNotSeeEachOther) {
    expectMatchesOracle({.heads = 3, .windows = windows(7, 7, 3, 3)}, {1, 14, 14, 96});
    expectMatchesOracle({.heads = 2, .windows = windows(4, 3, 2, 1)}, {2, 8, 9, 10});
    expectMatchesOracle({.heads = 2, .windows = windows(4, 4, 0, 2)}, {1, 4, 12, 8});
}

TEST(CpuAttention, WithinWindowsThatHangOverTheMap) {
    expectMatchesOracle({.heads = 2, .windows = windows(7, 7, 0, 0)}, {1, 9, 8, 12});
    expectMatchesOracle({.heads = 2, .windows = windows(7, 7, 3, 3)}, {2, 9, 15, 12});
    expectMatchesOracle({.heads = 1, .windows = windows(7, 7, 0, 0)}, {1, 2, 3, 5});
    expectMatchesOracle({.heads = 4, .windows = windows(5, 4, 2, 2)}, {1, 11, 13, 8});
    expectMatchesOracle({.heads = 2, .windows = windows(12, 12, 6, 6)}, {1, 13, 25, 8});
}

TEST(CpuAttention, OfLargeScoresPicksTheLargestAndDoesNotOverflow) {
    expectMatchesOracle({.heads = 2}, {1, 4, 4, 32}, 100);
    expectMatchesOracle({.heads = 2, .windows = windows(3, 3, 1, 1)}, {1, 6, 6, 32}, 100);
}

TEST(CpuAttention, HidesNoNumberThatIsNone) {
    Graph graph({1, 2, 3, 24});
    graph.setOutput(graph.add("op", Attention{.input = graph.input(), .heads = 2}));
    std::vector<float> input = noise(2 * 3 * 24, 1);
    input[0] = NAN;  // of the first pixel's query in the first head
    const std::vector<float> output = runKernel(graph, input, 1);
    EXPECT_TRUE(std::isnan(output[0]));
    EXPECT_FALSE(std::isnan(output[4]));
}

}  // namespace
}  // namespace dunlin
