// What becomes of a benchmark when its device is lost in the middle, or has no clock.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/tools/temporary_folder.h"
#include "tests/vulkan/faulty_vulkan.h"
#include "tools/bench/model_bench.h"

namespace dunlin::bench {
namespace {

using test::faultyVulkan;

class BenchModelDevice : public ::testing::Test {
  protected:
    void SetUp() override {
        const auto real = vulkan::VulkanDevice::create();
        if (!real.ok()) GTEST_SKIP() << real.status().message();
        faultyVulkan().real = (*real)->instanceFunctions().getInstanceProcAddr;
        faultyVulkan().live.clear();
        faultyVulkan().reset();
        options_.models = {"mobilenetv3_small_050", "mobilenetv3_small_075"};
        options_.sizes = {{64, 64}};
        options_.batches = {1};
        options_.measure.precisions = {DUNLIN_PRECISION_FP32};
        options_.measure.seconds = 0.02;
        options_.measure.ceilings = false;
        options_.starts = false;
    }
    // A faulty Vulkan device, and the CPU.
    void open() {
        vulkan::DeviceOptions options;
        options.getInstanceProcAddr = test::faultyGetInstanceProcAddr;
        options.instruments = true;
        auto device = vulkan::VulkanDevice::create(options);
        ASSERT_TRUE(device.ok()) << device.status().message();
        targets_.push_back({"vulkan:0", "faulty", *std::move(device), 0, true});
        targets_.push_back({"cpu", "processor", nullptr, 1, false});
    }
    ModelBenchResult measure() { return benchModels(options_, targets_, {}, hooks_); }
    static Json rowOf(const ModelBenchResult& result, const std::string& id) {
        for (const Json& row : result.document["results"]) {
            if (row["id"] == id) return row;
        }
        ADD_FAILURE() << "no row " << id;
        return Json::object();
    }

    const std::string onVulkan_ = "mobilenetv3_small_050/64x64/b1/fp32/vulkan:0";
    const std::string onCpu_ = "mobilenetv3_small_050/64x64/b1/fp32/cpu";
    ModelBenchOptions options_;
    std::vector<Target> targets_;
    ModelBenchHooks hooks_;
};

TEST_F(BenchModelDevice, KeepsWhatWasMeasuredWhenTheDeviceIsLost) {
    ASSERT_NO_FATAL_FAILURE(open());
    // in the midst of the blocking times: when a checkpoint has shown the first rows
    hooks_.checkpoint = [&](const Json& document) {
        EXPECT_EQ(document["complete"], false);
        const auto isMeasured = [&](const Json& row) { return row["id"] == onVulkan_; };
        const bool hasRow = std::ranges::any_of(document["results"], isMeasured);
        if (hasRow && faultyVulkan().failed.empty()) faultyVulkan().reset(5, VK_ERROR_DEVICE_LOST, "vkQueueSubmit");
    };
    const ModelBenchResult result = measure();
    EXPECT_EQ(faultyVulkan().failed, "vkQueueSubmit");
    EXPECT_TRUE(result.deviceLost);
    EXPECT_FALSE(result.lost.empty()) << "what the device may still use";
    EXPECT_EQ(result.status(), ExitStatus::DeviceFailed);
    EXPECT_EQ(result.document["complete"], false);
    EXPECT_GE(rowOf(result, onVulkan_)["runs"], 3) << "measured before";
    EXPECT_GE(rowOf(result, onCpu_)["runs"], 10) << "went on on the other device";
    EXPECT_NE(result.document["notices"].dump().find("DEVICE_LOST"), std::string::npos);
}

TEST_F(BenchModelDevice, SaysThatTheDeviceWasLostWhereNothingWasMeasured) {
    ASSERT_NO_FATAL_FAILURE(open());
    faultyVulkan().reset(1, VK_ERROR_DEVICE_LOST, "vkQueueSubmit");  // the first upload
    const ModelBenchResult result = measure();
    EXPECT_TRUE(result.deviceLost);
    EXPECT_NE(rowOf(result, onVulkan_)["error"].get<std::string>().find("DEVICE_LOST"), std::string::npos);
    EXPECT_NE(
        rowOf(result, "mobilenetv3_small_075/64x64/b1/fp32/vulkan:0")["error"].get<std::string>().find("lost before"),
        std::string::npos);
    EXPECT_GE(rowOf(result, onCpu_)["runs"], 10);
    EXPECT_EQ(result.status(), ExitStatus::DeviceFailed);
}

TEST_F(BenchModelDevice, OpensNothingOnADeviceThatWasLostWhileItsLimitsWereMeasured) {
    ASSERT_NO_FATAL_FAILURE(open());
    options_.measure.ceilings = true;
    faultyVulkan().reset(1, VK_ERROR_DEVICE_LOST, "vkQueueSubmit");
    const ModelBenchResult result = measure();
    EXPECT_EQ(faultyVulkan().failed, "vkQueueSubmit");
    EXPECT_EQ(faultyVulkan().calls, 1) << "nothing was submitted afterwards";
    EXPECT_TRUE(result.deviceLost) << "so that the process ends without destructors";
    EXPECT_EQ(result.status(), ExitStatus::DeviceFailed);
    EXPECT_NE(rowOf(result, onVulkan_)["error"].get<std::string>().find("lost before"), std::string::npos);
    EXPECT_NE(result.document["notices"].dump().find("DEVICE_LOST"), std::string::npos);
    EXPECT_GE(rowOf(result, onCpu_)["runs"], 10);
}

TEST_F(BenchModelDevice, MeasuresByTheWallAloneWhereTheClockStandsStill) {
    ASSERT_NO_FATAL_FAILURE(open());
    faultyVulkan().stopsClock = true;
    const test::TemporaryFolder folder;
    options_.trace = folder / "trace.json";
    const ModelBenchResult result = measure();
    EXPECT_EQ(result.status(), ExitStatus::Done);
    const Json row = rowOf(result, onVulkan_);
    EXPECT_GE(row["runs"], 10);
    EXPECT_TRUE(row["gpuMedianMs"].is_null());
    EXPECT_TRUE(row["samples"]["gpuMs"].empty());
    EXPECT_TRUE(row["layers"].empty());
    EXPECT_NE(result.document["notices"].dump().find("stands still"), std::string::npos);
    for (const Json& event : result.trace["traceEvents"]) EXPECT_NE(event.value("cat", ""), "gpu");
}

TEST_F(BenchModelDevice, BuildsNoDocumentThatNobodyTakes) {
    ASSERT_NO_FATAL_FAILURE(open());
    int asked = 0, taken = 0;
    hooks_.isCheckpointDue = [&] { return ++asked == 2; };
    hooks_.checkpoint = [&](const Json&) { ++taken; };
    EXPECT_EQ(measure().status(), ExitStatus::Done);
    EXPECT_GT(asked, 2);
    EXPECT_EQ(taken, 1);
}

TEST_F(BenchModelDevice, TakesAHangForALoss) {
    ASSERT_NO_FATAL_FAILURE(open());
    hooks_.checkpoint = [&](const Json&) {
        if (faultyVulkan().failed.empty()) faultyVulkan().reset(3, VK_TIMEOUT, "vkWaitForFences");
    };
    const ModelBenchResult result = measure();
    EXPECT_EQ(faultyVulkan().failed, "vkWaitForFences");
    EXPECT_TRUE(result.deviceLost);
    EXPECT_EQ(result.status(), ExitStatus::DeviceFailed);
    EXPECT_NE(result.document.dump().find("did not finish"), std::string::npos);
    EXPECT_GE(rowOf(result, onCpu_)["runs"], 10);
}

TEST_F(BenchModelDevice, DoesNotTimeWhatIsWrong) {
    ASSERT_NO_FATAL_FAILURE(open());
    faultyVulkan().dropsDispatches = true;
    const ModelBenchResult result = measure();
    const Json row = rowOf(result, onVulkan_);
    EXPECT_EQ(row["correct"], false);
    EXPECT_NE(row["error"].get<std::string>().find("differ from the CPU's"), std::string::npos) << row["error"];
    EXPECT_FALSE(row.contains("wallMedianMs"));
    EXPECT_EQ(result.status(), ExitStatus::No);
    EXPECT_GE(rowOf(result, onCpu_)["runs"], 10);
    EXPECT_EQ(result.document["complete"], true);
}

TEST_F(BenchModelDevice, MeasuresByTheWallAloneWhereQueuesHaveNoTimestamps) {
    faultyVulkan().hidesTimestamps = true;
    ASSERT_NO_FATAL_FAILURE(open());
    const test::TemporaryFolder folder;
    options_.trace = folder / "trace.json";
    const ModelBenchResult result = measure();
    EXPECT_EQ(result.status(), ExitStatus::Done);
    const Json row = rowOf(result, onVulkan_);
    EXPECT_GE(row["runs"], 10);
    EXPECT_TRUE(row["gpuMedianMs"].is_null());
    EXPECT_TRUE(row["layers"].empty());
    EXPECT_TRUE(row["frameMs2"].is_number()) << "frames in flight need no timestamps";
    EXPECT_EQ(row["dispatches"], 48);
    EXPECT_NE(result.document["notices"].dump().find("no timestamps"), std::string::npos);
    EXPECT_NE(result.trace["otherData"][onVulkan_].get<std::string>().find("no timestamps"), std::string::npos);
    for (const Json& event : result.trace["traceEvents"]) EXPECT_NE(event.value("cat", ""), "gpu");
}

TEST_F(BenchModelDevice, MeasuresInGroupsWhatDoesNotFitIntoMemoryTogether) {
    ASSERT_NO_FATAL_FAILURE(open());
    // The second network on the device finds no memory, until the first has gone.
    int allocations = 0;
    hooks_.progress = [&](double, const std::string& what) {
        if (what.find("preparing mobilenetv3_small_075") != std::string::npos && allocations++ == 0) {
            faultyVulkan().reset(1, VK_ERROR_OUT_OF_DEVICE_MEMORY, "vkAllocateMemory");
        }
    };
    const ModelBenchResult result = measure();
    EXPECT_EQ(faultyVulkan().failed, "vkAllocateMemory");
    EXPECT_EQ(result.status(), ExitStatus::Done);
    EXPECT_EQ(result.document["complete"], true);
    for (const Json& row : result.document["results"]) EXPECT_FALSE(row.contains("error")) << row["id"];
    EXPECT_EQ(result.document["results"].size(), 4u);
    EXPECT_NE(result.document["notices"].dump().find("in groups"), std::string::npos);
}

}  // namespace
}  // namespace dunlin::bench
