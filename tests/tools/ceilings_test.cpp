// What a device can do at most: the limit of a dispatch from made-up ceilings, their JSON, that the shaders which
// measure make as many operations as are counted, that measured ceilings are within reason, and what is left where they
// fail.
#include "tools/bench/ceilings.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "runtime/vulkan/recorder.h"
#include "tests/vulkan/faulty_vulkan.h"
#include "tests/vulkan/vulkan_fixture.h"
#include "tools/bench/ceilings_parts.h"
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

TEST(Ceilings, AreJson) {
    Ceilings ceilings = madeUp();
    ceilings.int8 = 4e12;
    const Json json = jsonOf(ceilings);
    EXPECT_EQ(json.dump(),
              R"({"fp32Gflops":1000.0,"fp16Gflops":null,"int8Gops":4000.0,"matrixGflops":null,"bandwidth":[)"
              R"({"bytes":250000,"gbps":100.0},{"bytes":1000000,"gbps":100.0},{"bytes":4000000,"gbps":40.0}],)"
              R"("dispatchUs":2.0,"barrierUs":5.0,"submitUs":20.0})");
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

class VulkanCeilings : public test::VulkanTest {
    bool wantsInstruments() const override { return true; }
};

TEST_F(VulkanCeilings, AreWithinReason) {
    const auto ceilings = measureCeilings({"vulkan:0", "device", device_, 0, device_->capabilities().isSoftware()});
    ASSERT_TRUE(ceilings.ok()) << ceilings.failure().message;
    expectWithinReason(*ceilings);
    EXPECT_EQ(ceilings->fp16.has_value(), device_->enabled().fp16());
    EXPECT_TRUE(ceilings->int8.has_value());
    EXPECT_GT(ceilings->submitNs, 0);
}

// ---- the operations that are counted

constexpr uint32_t kInvocations = 64;

// What one round of the program writes from these two numbers.
Result<std::vector<uint32_t>> oneRound(const vulkan::VulkanDevice& device, const ArithmeticProgram& program,
                                       std::array<uint32_t, 2> numbers) {
    constexpr uint64_t kBytes = kInvocations * 4;
    DUNLIN_ASSIGN(tuning::SubmissionClock clock, tuning::SubmissionClock::create(device));
    DUNLIN_ASSIGN(
        const vulkan::Buffer results,
        vulkan::Buffer::create(device, kBytes, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT, vulkan::MemoryUse::Readback));
    DUNLIN_ASSIGN(Probe probe,
                  Probe::create(device, program.code, {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER}, {kInvocations}));
    DUNLIN_TRY(probe.bind(0, results, kBytes));
    DUNLIN_TRY(clock.run([&](VkCommandBuffer commands) {
        probe.record(commands, {{1, numbers[0], numbers[1]}});
        vulkan::recordBarrier(device, commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
                              VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
    }));
    DUNLIN_TRY(results.invalidate(0, kBytes));
    std::vector<uint32_t> words(kInvocations);
    std::memcpy(words.data(), results.mapped(), kBytes);
    return words;
}

TEST_F(VulkanCeilings, EachMultiplyAddIsMadeAndCounted) {
    // given numbers that grow with each step: by one for the first invocation, exactly
    const float factor = 1, addend = 1;
    for (const bool fp16 : {false, true}) {
        if (fp16 && !device_->enabled().fp16()) continue;
        SCOPED_TRACE(fp16 ? "fp16" : "fp32");
        const ArithmeticProgram program = fmaProgram(fp16);
        const auto results =
            oneRound(*device_, program, {std::bit_cast<uint32_t>(factor), std::bit_cast<uint32_t>(addend)});
        ASSERT_TRUE(results.ok()) << results.status().message();
        const int steps = static_cast<int>(program.operations) / (2 * 8);
        EXPECT_EQ(steps * 2 * 8, program.operations) << "of eight chains";
        for (uint32_t i = 0; i < kInvocations; ++i) {
            const double place = i / 64.0, f = factor + place * 0.0625, c = addend + place;
            double sum = 0;
            for (int chain = 1; chain <= 8; ++chain) {
                double x = 0.25 * chain + c;
                for (int step = 0; step < steps; ++step) x = x * f + c;
                sum += x;
            }
            const float result = std::bit_cast<float>((*results)[i]);
            ASSERT_NEAR(result, sum, i == 0 ? 0 : sum * (fp16 ? 0.01 : 1e-5)) << i;
        }
    }
}

TEST_F(VulkanCeilings, EachProductOfBytesIsMadeAndCounted) {
    for (const bool dot : {false, true}) {
        if (dot && !device_->instruments().integerDotProduct) continue;
        SCOPED_TRACE(dot ? "dot products" : "plain arithmetic");
        const ArithmeticProgram program = int8Program(dot);
        const auto results = oneRound(*device_, program, program.numbers);
        ASSERT_TRUE(results.ok()) << results.status().message();
        const int steps = static_cast<int>(program.operations) / (8 * 8);
        EXPECT_EQ(steps * 8 * 8, program.operations) << "of eight chains";
        const auto byteOf = [](uint32_t word, int i) { return static_cast<int>(static_cast<int8_t>(word >> 8 * i)); };
        for (uint32_t i = 0; i < kInvocations; ++i) {
            const uint32_t f = program.numbers[0] + i, c = program.numbers[1] ^ (i * 0x01030507);
            uint32_t result = 0;
            for (uint32_t chain = 0; chain < 8; ++chain) {
                uint32_t x = c + chain;
                for (int step = 0; step < steps; ++step) {
                    int product = 0;
                    for (int j = 0; j < 4; ++j) product += byteOf(x, j) * byteOf(f, j);
                    x = static_cast<uint32_t>(product) + c;
                }
                result ^= x;
            }
            ASSERT_EQ((*results)[i], result) << i;
        }
    }
}

// Few devices can run it: so its instructions are counted, of which none stands outside of the loop over the rounds.
TEST(Ceilings, AsManyProductsOfMatricesAreCountedAsTheShaderHas) {
    constexpr uint32_t kHeaderWords = 5, kMatrixMultiplyAdd = 4459;  // OpCooperativeMatrixMulAddKHR
    const MatrixProgram program = matrixProgram();
    int found = 0;
    for (size_t at = kHeaderWords; at < program.code.size();) {
        const uint32_t length = program.code[at] >> 16;
        ASSERT_GT(length, 0u);
        if ((program.code[at] & 0xffff) == kMatrixMultiplyAdd) ++found;
        at += length;
    }
    EXPECT_EQ(found, program.products);
}

// ---- failures

class FailingCeilings : public ::testing::Test {
  protected:
    void SetUp() override {
        const auto devices = vulkan::VulkanDevice::list();
        if (!devices.ok()) GTEST_SKIP() << devices.status().message();
        if (vulkan::bestDevice(*devices) < 0) GTEST_SKIP() << "no usable Vulkan device";
        const auto globals = vulkan::loadGlobalFunctions();
        ASSERT_TRUE(globals.ok()) << globals.status().message();
        test::faultyVulkan().real = globals->getInstanceProcAddr;
        test::faultyVulkan().live.clear();
        test::faultyVulkan().reset();
        vulkan::DeviceOptions options;
        options.getInstanceProcAddr = test::faultyGetInstanceProcAddr;
        options.instruments = true;
        auto device = vulkan::VulkanDevice::create(options);
        ASSERT_TRUE(device.ok()) << device.status().message();
        device_ = *std::move(device);
    }
    void TearDown() override { test::faultyVulkan().reset(); }
    Outcome<Ceilings> measure() const {
        return measureCeilings({"vulkan:0", "device", device_, 0, device_->capabilities().isSoftware()});
    }
    std::shared_ptr<vulkan::VulkanDevice> device_;
};

class LostDuringCeilings : public FailingCeilings, public ::testing::WithParamInterface<int> {};

TEST_P(LostDuringCeilings, NothingThatTheDeviceMayUseIsDestroyed) {
    // when what was submitted does not come back, and then everybody else lets go of the device
    auto& live = test::faultyVulkan().live;
    test::faultyVulkan().reset(GetParam(), VK_TIMEOUT, "vkWaitForFences");
    const auto ceilings = measure();
    ASSERT_FALSE(ceilings.ok());
    EXPECT_EQ(ceilings.failure().status, cli::ExitStatus::DeviceFailed);
    EXPECT_NE(ceilings.failure().message.find("did not finish within"), std::string::npos)
        << ceilings.failure().message;
    device_.reset();

    // then the device is still there, and so is what was running
    for (const char* type :
         {"Device", "Instance", "Pipeline", "DescriptorPool", "Buffer", "DeviceMemory", "CommandPool"}) {
        EXPECT_GT(live[type], 0) << type;
    }
}
// While the clocks are warmed up, while copies are checked, and among the measurements.
INSTANTIATE_TEST_SUITE_P(Submissions, LostDuringCeilings, ::testing::Values(1, 2, 20, 45));

TEST_F(FailingCeilings, WhatTheRestCanDoWithoutBecomesANotice) {
    // given a driver that cannot compile the second program of arithmetic: fp16's or int8's
    const int warmingUp = device_->capabilities().isSoftware() ? 1 : 3, copies = 2, fp32 = 1;
    test::faultyVulkan().reset(warmingUp + copies + fp32 + 1, VK_ERROR_OUT_OF_DEVICE_MEMORY,
                               "vkCreateComputePipelines");
    const auto ceilings = measure();
    ASSERT_TRUE(ceilings.ok()) << ceilings.failure().message;
    expectWithinReason(*ceilings);
    const std::string what = device_->enabled().fp16() ? "fp16: " : "int8: ";
    const bool isSaid = std::ranges::any_of(ceilings->notices, [&](const std::string& notice) {
        return notice.starts_with(what) && notice.find("vkCreateComputePipelines") != std::string::npos;
    });
    EXPECT_TRUE(isSaid) << (ceilings->notices.empty() ? "no notices" : ceilings->notices.front());
    device_.reset();
    EXPECT_EQ(test::faultyVulkan().liveObjects(), 0) << test::faultyVulkan().describeLive();
}

}  // namespace
}  // namespace dunlin::bench
