// The table of shader costs: which pipelines are in it, and what its rows make of them. Compiling is the ctest
// shader_cost's business.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "runtime/plan/kernels.h"
#include "tools/bench/shader_cost/cost_table.h"

namespace dunlin::shader_cost {
namespace {

nlohmann::ordered_json statisticsWith(uint32_t registers) {
    return {
        {"SGPRs", 40},      {"VGPRs", registers}, {"Spilled SGPRs", 0},       {"Spilled VGPRs", 0},
        {"Code size", 800}, {"LDS size", 1024},   {"Scratch size", 0},        {"Subgroups per SIMD", 512 / registers},
        {"Latency", 1000},  {"Copies", 3},        {"Inverse Throughput", 500}};
}

CompiledPipeline pipeline(Use use, Kernel kernel, uint32_t registers, uint32_t latency) {
    CompiledPipeline result;
    result.listed.variant.kernel = kernel;
    result.listed.use = use;
    result.listed.networks = {"a_network"};
    result.cost = *costOf(statisticsWith(registers));
    result.cost.latency = latency;
    return result;
}

DeviceLimits desktopLimits() {
    DeviceLimits limits;
    limits.family = DeviceFamily::Amd;
    limits.maxWorkgroupInvocations = 1024;
    limits.maxWorkgroupSize = {1024, 1024, 1024};
    limits.sharedMemoryBytes = 65536;
    limits.fp16 = true;
    return limits;
}

TEST(ShaderCost, ReadsWhatRadvCounts) {
    const auto cost = costOf(statisticsWith(64));
    ASSERT_TRUE(cost.ok());
    EXPECT_EQ(cost->vectorRegisters, 64u);
    EXPECT_EQ(cost->sharedBytes, 1024u);
    EXPECT_EQ(cost->subgroupsPerSimd, 8u);
    EXPECT_FALSE(cost->spills());
}

TEST(ShaderCost, NamesTheStatisticThatADriverDoesNotCount) {
    nlohmann::ordered_json statistics = statisticsWith(64);
    statistics.erase("Latency");
    const auto cost = costOf(statistics);
    ASSERT_FALSE(cost.ok());
    EXPECT_NE(cost.failure().message.find("\"Latency\""), std::string::npos) << cost.failure().message;
}

TEST(ShaderCost, SpilledRegistersAndScratchBothCountAsSpills) {
    for (const char* statistic : {"Spilled SGPRs", "Spilled VGPRs", "Scratch size"}) {
        nlohmann::ordered_json statistics = statisticsWith(64);
        statistics[statistic] = 1;
        EXPECT_TRUE(costOf(statistics)->spills()) << statistic;
    }
}

TEST(ShaderCost, ARowHasTheWorstRegistersAndTheMeanCycles) {
    const CompiledPipeline pipelines[] = {pipeline(Use::Default, Kernel::Pool, 32, 100),
                                          pipeline(Use::Default, Kernel::Pool, 64, 300)};
    const std::vector<CostRow> rows = rowsOf(pipelines);
    ASSERT_EQ(rows.size(), 1u);
    EXPECT_EQ(rows[0].pipelines, 2u);
    EXPECT_EQ(rows[0].cost.vectorRegisters, 64u);
    EXPECT_EQ(rows[0].cost.subgroupsPerSimd, 8u);
    EXPECT_EQ(rows[0].cost.latency, 200u);
}

TEST(ShaderCost, RowsOfTheSameModuleStayApartByUse) {
    const CompiledPipeline pipelines[] = {pipeline(Use::Candidate, Kernel::Pool, 32, 100),
                                          pipeline(Use::Default, Kernel::Pool, 64, 300)};
    const std::vector<CostRow> rows = rowsOf(pipelines);
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_EQ(rows[0].use, Use::Default);
    EXPECT_EQ(rows[1].use, Use::Candidate);
}

TEST(ShaderCost, AChangedFigureChangesOneLine) {
    const CompiledPipeline before[] = {pipeline(Use::Default, Kernel::Pool, 32, 100),
                                       pipeline(Use::Default, Kernel::Head, 64, 300)};
    CompiledPipeline after[] = {before[0], before[1]};
    after[1].cost.latency = 98765;
    const std::string first = markdown("GPU", "driver", before), second = markdown("GPU", "driver", after);
    ASSERT_EQ(first.size(), second.size());
    const auto linesThatDiffer = [&] {
        size_t count = 0;
        for (size_t begin = 0; begin < first.size();) {
            const size_t end = std::min(first.find('\n', begin), first.size());
            count += first.compare(begin, end - begin, second, begin, end - begin) != 0;
            begin = end + 1;
        }
        return count;
    };
    EXPECT_EQ(linesThatDiffer(), 1u);
}

TEST(ShaderCost, ListsEveryPipelineOnceDefaultsFirst) {
    const auto listed = listPipelines(desktopLimits(), Precision::Fp16);
    ASSERT_TRUE(listed.ok()) << listed.failure().message;
    std::set<Variant> seen;
    for (const ListedPipeline& one : *listed) {
        EXPECT_TRUE(seen.insert(one.variant).second) << describe(one.variant);
        EXPECT_FALSE(one.networks.empty()) << describe(one.variant);
        EXPECT_TRUE(unpackSpirv(one.variant).ok()) << describe(one.variant);
    }
    EXPECT_TRUE(std::ranges::is_sorted(*listed, {}, &ListedPipeline::use));
    for (const Use use : {Use::Default, Use::MaxFusion, Use::Candidate})
        EXPECT_GT(std::ranges::count(*listed, use, &ListedPipeline::use), 0) << name(use);
}

TEST(ShaderCost, DefaultPlansHaveEveryKernelThatNetworksNeed) {
    const auto listed = listPipelines(desktopLimits(), Precision::Fp32);
    ASSERT_TRUE(listed.ok()) << listed.failure().message;
    std::set<Kernel> missing;
    for (const KernelRow& kernel : kernelTable()) missing.insert(kernel.kernel);
    for (const ListedPipeline& one : *listed) {
        if (one.use != Use::Candidate) missing.erase(one.variant.kernel);
    }
    missing.erase(Kernel::Resize);  // only for sizes that MobileViT's patches do not divide
    EXPECT_TRUE(missing.empty()) << row(*missing.begin()).name;
}

}  // namespace
}  // namespace dunlin::shader_cost
