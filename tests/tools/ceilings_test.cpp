// What a device can do at most: the limit of a dispatch from made-up ceilings, their JSON, and that measured ones are
// within reason.
#include "tools/bench/ceilings.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tools/bench/probe.h"

namespace dunlin::bench {
namespace {

using Json = nlohmann::ordered_json;

// 100 GB/s up to 1 MB, 40 GB/s from 4 MB on; 1 TFLOP/s.
Ceilings madeUp() {
    Ceilings ceilings;
    ceilings.fp32 = 1e12;
    ceilings.bandwidth = {{250'000, 100e9}, {1'000'000, 100e9}, {4'000'000, 40e9}};
    ceilings.dispatchNs = 2000;
    ceilings.barrierNs = 5000;
    ceilings.submitNs = 20000;
    return ceilings;
}

TEST(Ceilings, BandwidthIsThatOfTheWorkingSet) {
    const Ceilings ceilings = madeUp();
    EXPECT_DOUBLE_EQ(ceilings.bytesPerSecond(1'000'000), 100e9);
    EXPECT_DOUBLE_EQ(ceilings.bytesPerSecond(4'000'000), 40e9);
    EXPECT_DOUBLE_EQ(ceilings.bytesPerSecond(500'000), 100e9);
    EXPECT_DOUBLE_EQ(ceilings.bytesPerSecond(2'000'000), 70e9) << "half of two doublings";
    EXPECT_DOUBLE_EQ(ceilings.bytesPerSecond(1), 100e9) << "below the first as the first";
    EXPECT_DOUBLE_EQ(ceilings.bytesPerSecond(1'000'000'000), 40e9) << "beyond the last as the last";
    EXPECT_EQ(Ceilings().bytesPerSecond(1'000'000), 0);
}

TEST(Ceilings, ADispatchIsLimitedByTheSlowerOfBytesAndArithmetic) {
    const Ceilings ceilings = madeUp();
    EXPECT_DOUBLE_EQ(ceilings.limitNs({1'000'000, 1'000'000, false}, Precision::Fp32), 10'000) << "by its bytes";
    EXPECT_DOUBLE_EQ(ceilings.limitNs({1'000'000, 50'000'000, false}, Precision::Fp32), 50'000) << "by arithmetic";
    EXPECT_EQ(ceilings.limitNs({}, Precision::Fp32), 0);
    EXPECT_DOUBLE_EQ(ceilings.dispatchLimitNs({1'000'000, 50'000'000, false}, Precision::Fp32), 55'000)
        << "and waits for the one before it";
    EXPECT_EQ(Ceilings().limitNs({1'000'000, 1'000'000, false}, Precision::Fp32), 0) << "nothing is known";
}

TEST(Ceilings, ArithmeticIsAtTheFastestRateThatThePrecisionAllows) {
    Ceilings ceilings = madeUp();
    ceilings.fp16 = 2e12;
    ceilings.matrix = 8e12;
    const DispatchCost elementwise = {0, 8'000'000, false}, product = {0, 8'000'000, true};
    EXPECT_DOUBLE_EQ(ceilings.limitNs(elementwise, Precision::Fp32), 8000);
    EXPECT_DOUBLE_EQ(ceilings.limitNs(product, Precision::Fp32), 8000) << "matrices are of fp16";
    EXPECT_DOUBLE_EQ(ceilings.limitNs(elementwise, Precision::Fp16), 4000);
    EXPECT_DOUBLE_EQ(ceilings.limitNs(product, Precision::Fp16), 1000);
    ceilings.matrix = 1.5e12;
    EXPECT_DOUBLE_EQ(ceilings.limitNs(product, Precision::Fp16), 4000) << "slower matrices are no limit";
    ceilings.matrix.reset();
    ceilings.fp16 = 0.25e12;
    EXPECT_DOUBLE_EQ(ceilings.limitNs(product, Precision::Fp16), 8000) << "fp16 can be computed in fp32";
}

TEST(Ceilings, GoThroughJson) {
    Ceilings ceilings = madeUp();
    ceilings.int8 = 4e12;
    const Json json = jsonOf(ceilings);
    EXPECT_EQ(json.dump(),
              R"({"fp32Gflops":1000.0,"fp16Gflops":null,"int8Gops":4000.0,"matrixGflops":null,"bandwidth":[)"
              R"({"bytes":250000,"gbps":100.0},{"bytes":1000000,"gbps":100.0},{"bytes":4000000,"gbps":40.0}],)"
              R"("dispatchUs":2.0,"barrierUs":5.0,"submitUs":20.0})");
    const auto back = ceilingsFromJson(json);
    ASSERT_TRUE(back.ok()) << back.failure().message;
    EXPECT_EQ(jsonOf(*back), json);
    EXPECT_DOUBLE_EQ(back->bytesPerSecond(2'000'000), 70e9);
}

TEST(Ceilings, BadJsonIsRefusedByField) {
    const auto messageOf = [](const char* field, const Json& value) {
        Json json = jsonOf(madeUp());
        json[field] = value;
        const auto result = ceilingsFromJson(json);
        return result.ok() ? "" : result.failure().message;
    };
    EXPECT_EQ(messageOf("fp32Gflops", "fast"), "fp32Gflops of the ceilings is no number from 0 on");
    EXPECT_EQ(messageOf("barrierUs", -1), "barrierUs of the ceilings is no number from 0 on");
    EXPECT_EQ(messageOf("bandwidth", 7), "bandwidth of the ceilings is no list");
    EXPECT_EQ(messageOf("bandwidth", Json::array({{{"bytes", 1}, {"gbps", 2}}, {{"bytes", 4}}})),
              "bandwidth[1] of the ceilings is no number from 0 on");
    EXPECT_EQ(messageOf("bandwidth", Json::array({{{"bytes", 4}, {"gbps", 2}}, {{"bytes", 4}, {"gbps", 2}}})),
              "the working sets of the ceilings do not ascend");
    EXPECT_EQ(ceilingsFromJson(Json::array()).failure().message, "the ceilings are no object");
}

TEST(Ceilings, SamplesGrowUntilTheyAreLongEnoughAndTheBestIsKept) {
    // given a program of 10 us a round, whose first runs are disturbed and which gets faster under load
    std::vector<uint32_t> asked;
    const auto timeNs = [&](uint32_t rounds) -> Result<double> {
        asked.push_back(rounds);
        const double slow = asked.size() == 1 ? 1e6 : 0;
        return slow + rounds * (asked.size() < 12 ? 10e3 : 8e3);
    };
    const auto roundNs = fastestRoundNs({1e6, 1e9}, timeNs);
    ASSERT_TRUE(roundNs.ok());
    EXPECT_DOUBLE_EQ(*roundNs, 10e3) << "five samples were no better: enough";
    EXPECT_GE(asked.back(), 50u) << "the disturbed sample was long enough, and did not count";
    for (size_t i = 1; i < asked.size(); ++i) EXPECT_LE(asked[i], asked[i - 1] * 8) << "never a sudden hang";

    const auto failing = [](uint32_t) -> Result<double> { return error(StatusCode::DeviceLost, "%s", "lost"); };
    EXPECT_EQ(fastestRoundNs({1e6, 1e9}, failing).status().message(), "lost");
}

void expectWithinReason(const Ceilings& ceilings) {
    ASSERT_TRUE(ceilings.fp32.has_value());
    for (const auto& rate : {ceilings.fp32, ceilings.fp16, ceilings.int8, ceilings.matrix}) {
        if (!rate) continue;
        EXPECT_GT(*rate, 1e7);
        EXPECT_LT(*rate, 1e16);
    }
    ASSERT_GE(ceilings.bandwidth.size(), 8u);
    for (size_t i = 0; i < ceilings.bandwidth.size(); ++i) {
        const BandwidthPoint& point = ceilings.bandwidth[i];
        const uint64_t lastBytes = i > 0 ? ceilings.bandwidth[i - 1].workingSetBytes : 0;
        EXPECT_GT(point.workingSetBytes, lastBytes);
        EXPECT_GT(point.bytesPerSecond, 1e6) << point.workingSetBytes;
        EXPECT_LT(point.bytesPerSecond, 1e15) << point.workingSetBytes;
    }
    EXPECT_GT(ceilings.dispatchNs, 0);
    EXPECT_GT(ceilings.barrierNs, 0);
    EXPECT_LT(ceilings.dispatchNs, 1e9);
}

TEST(Ceilings, OfTheCpuAreWithinReason) {
    const auto ceilings = measureCeilings({"cpu", "processor", nullptr, 2, false});
    ASSERT_TRUE(ceilings.ok()) << ceilings.failure().message;
    expectWithinReason(*ceilings);
    EXPECT_FALSE(ceilings->fp16 || ceilings->int8 || ceilings->matrix);
    EXPECT_EQ(ceilings->submitNs, 0);
}

class VulkanCeilings : public ::testing::Test {
  protected:
    void SetUp() override {
        const auto devices = vulkan::VulkanDevice::list();
        if (!devices.ok()) GTEST_SKIP() << devices.status().message();
        if (vulkan::bestDevice(*devices) < 0) GTEST_SKIP() << "no usable Vulkan device";
        vulkan::DeviceOptions options;
        options.validation = true;
        options.instruments = true;
        auto device = vulkan::VulkanDevice::create(options);
        ASSERT_TRUE(device.ok()) << device.status().message();
        device_ = *std::move(device);
    }
    void TearDown() override {
        if (!device_) return;
        for (const auto& message : device_->validationMessages()) ADD_FAILURE() << message.id << ": " << message.text;
    }
    std::shared_ptr<vulkan::VulkanDevice> device_;
};

TEST_F(VulkanCeilings, AreWithinReason) {
    const auto ceilings = measureCeilings({"vulkan:0", "device", device_, 0, device_->capabilities().isSoftware()});
    ASSERT_TRUE(ceilings.ok()) << ceilings.failure().message;
    expectWithinReason(*ceilings);
    EXPECT_EQ(ceilings->fp16.has_value(), device_->enabled().fp16());
    EXPECT_TRUE(ceilings->int8.has_value());
    EXPECT_GT(ceilings->submitNs, 0);
}

}  // namespace
}  // namespace dunlin::bench
