// Threads and memory of the CPU backend.
#include <gtest/gtest.h>

#include <algorithm>
#include <climits>
#include <filesystem>
#include <fstream>

#include "runtime/cpu/host_memory.h"
#include "runtime/cpu/threads.h"
#include "runtime/processors.h"

namespace dunlin {
namespace {

TEST(Threads, AreAsManyAsAskedForUpToTheProcessorsOfTheProcess) {
    const int processors = defaultThreadCount();
    EXPECT_GE(processors, 1);
    EXPECT_EQ(*resolveThreads(0), processors);
    for (int threads = 1; threads <= kMaxThreads; ++threads)
        EXPECT_EQ(*resolveThreads(threads), std::min(threads, processors));
}

TEST(Threads, OutOfRangeIsRefusedWithBothLimits) {
    const auto negative = resolveThreads(-1), many = resolveThreads(kMaxThreads + 1);
    ASSERT_FALSE(negative.ok());
    EXPECT_EQ(negative.status().code(), StatusCode::InvalidArgument);
    ASSERT_FALSE(many.ok());
    EXPECT_EQ(many.status().message(), "257 threads were asked for, but the number must lie in 0..256");
}

TEST(Threads, AQuotaIsRoundedUpToWholeProcessors) {
    EXPECT_EQ(processorsOfQuota("200000 100000"), 2);
    EXPECT_EQ(processorsOfQuota("150000 100000"), 2);
    EXPECT_EQ(processorsOfQuota("1000 100000\n"), 1);
    EXPECT_EQ(processorsOfQuota("9223372036854775807 1"), INT_MAX);
}

TEST(Threads, WhatIsNoQuotaIsNone) {
    for (const char* text :
         {"max 100000", "", "100000", "100000 ", "100000 0", "-5 100000", "x y", "99999999999999999999 1"})
        EXPECT_EQ(processorsOfQuota(text), 0) << text;
}

// Four maps of 1, 2, 2 and 1 KiB in a row: input, wide, relu, logits.
Graph chain() {
    Graph graph({1, 4, 4, 16});
    const auto wide = graph.add("wide", Conv2d{.input = 0, .outChannels = 32, .parameters = {.weight = "wide.weight"}});
    const auto relu = graph.add("relu", Activate{wide, Activation::Relu});
    graph.setOutput(
        graph.add("narrow", Conv2d{.input = relu, .outChannels = 16, .parameters = {.weight = "narrow.weight"}}));
    return graph;
}

TEST(HostMemory, IsTheMapsAliveTogetherAndTheWeightsOneNodesTwice) {
    const Graph graph = chain();
    const ValueId kept[] = {graph.output()};
    const HostMemoryNeed need = hostMemoryNeed(graph, kept);
    constexpr uint64_t kWide = (16 + 1) * 32 * 4, kNarrow = (32 + 1) * 16 * 4;  // with their biases
    EXPECT_EQ(need.weightBytes, kWide + kNarrow);
    EXPECT_EQ(need.foldedBytes, kWide);
    // At "relu": the input, which is kept, and what is read and written.
    EXPECT_EQ(need.activationBytes, (1 + 2 + 2) * 1024u);
    EXPECT_EQ(need.peakBytes(), need.weightBytes + need.foldedBytes + need.activationBytes);
}

TEST(HostMemory, KeptValuesLiveToTheEnd) {
    const Graph graph = chain();
    const ValueId kept[] = {1, 2, graph.output()};
    EXPECT_EQ(hostMemoryNeed(graph, kept).activationBytes, (1 + 2 + 2 + 1) * 1024u);
}

TEST(HostMemory, TheMachineHasSome) {
#ifdef __linux__
    ASSERT_TRUE(availableHostBytes().has_value());
    EXPECT_GT(*availableHostBytes(), 1u << 20);
#endif
}

TEST(HostMemory, ThePageCacheOfAContainerCountsAsFree) {
    const auto folder = std::filesystem::path(testing::TempDir()) / "dunlin_control_group";
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    const auto write = [&](const char* name, const char* content) { std::ofstream(folder / name) << content; };
    EXPECT_EQ(containerAvailableBytes(folder), std::nullopt);
    write("memory.current", "700\n");
    write("memory.max", "max\n");
    EXPECT_EQ(containerAvailableBytes(folder), std::nullopt);
    write("memory.max", "1000\n");
    EXPECT_EQ(containerAvailableBytes(folder), 300u);
    write("memory.stat", "anon 100\nfile 600\nactive_file 50\ninactive_file 550\nslab 1\n");
    EXPECT_EQ(containerAvailableBytes(folder), 850u);
    write("memory.stat", "inactive_file 9999\n");  // read a moment later
    EXPECT_EQ(containerAvailableBytes(folder), 1000u);
    write("memory.stat", "");
    write("memory.current", "1200\n");
    EXPECT_EQ(containerAvailableBytes(folder), 0u);
}

TEST(HostMemory, RefusesWithTheNeedAndTheLimit) {
    EXPECT_TRUE(checkFits("x", 1000, 1000).ok());
    EXPECT_TRUE(checkFits("x", ~uint64_t{0}, std::nullopt).ok());
    const Status status = checkFits("resnet152 at 224x224", 3u << 20, 2u << 20);
    EXPECT_EQ(status.code(), StatusCode::DoesNotFit);
    EXPECT_EQ(status.message(), "resnet152 at 224x224 needs 3.0 MiB of memory, and 2.0 MiB are available");
}

}  // namespace
}  // namespace dunlin
