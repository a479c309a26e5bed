// The device's clock: ticks as nanoseconds, and beside the host's.
#include "runtime/vulkan/timestamps.h"

#include <cmath>
#include <thread>

#include "runtime/vulkan/backend.h"
#include "tests/vulkan/small_network.h"
#include "tests/vulkan/vulkan_fixture.h"

namespace dunlin::vulkan {
namespace {

Capabilities clockOf(uint32_t validBits, float periodNs) {
    Capabilities capabilities;
    capabilities.timestampValidBits = validBits;
    capabilities.timestampPeriodNs = periodNs;
    return capabilities;
}

TEST(Ticks, LieBeforeAndBehindOneAnother) {
    EXPECT_DOUBLE_EQ(ticksToNs(100, 150, clockOf(64, 2)), 100);
    EXPECT_DOUBLE_EQ(ticksToNs(150, 100, clockOf(64, 2)), -100);
    EXPECT_DOUBLE_EQ(ticksToNs(7, 7, clockOf(64, 2)), 0);
}

TEST(Ticks, WrapAroundWithTheirValidBits) {
    const uint64_t end = (uint64_t{1} << 36) - 1;
    EXPECT_DOUBLE_EQ(ticksToNs(end - 9, 10, clockOf(36, 1)), 20);
    EXPECT_DOUBLE_EQ(ticksToNs(10, end - 9, clockOf(36, 1)), -20);
    EXPECT_DOUBLE_EQ(ticksToNs(UINT64_MAX, 1, clockOf(64, 1)), 2);
    const uint64_t invalidBits = uint64_t{5} << 40;
    EXPECT_DOUBLE_EQ(ticksToNs(100 | invalidBits, 150, clockOf(36, 1)), 50);
}

class Clocks : public test::VulkanTest {};

TEST_F(Clocks, AreNotReadTogetherWithoutInstruments) {
    const Result<ClockPair> clocks = readClocks(*device_);
    ASSERT_FALSE(clocks.ok());
    EXPECT_EQ(clocks.status().code(), StatusCode::Unsupported);
}

TEST_F(Clocks, GoOnAlike) {
    DeviceOptions options;
    options.instruments = true;
    const auto device = VulkanDevice::create(options);
    ASSERT_TRUE(device.ok()) << device.status().message();
    const Result<ClockPair> first = readClocks(**device);
    if (!first.ok()) GTEST_SKIP() << first.status().message();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    const Result<ClockPair> second = readClocks(**device);
    ASSERT_TRUE(second.ok()) << second.status().message();
    // as far as the readings of a pair lie apart, which is long where another load comes in between
    const double deviationNs = static_cast<double>(first->maxDeviationNs + second->maxDeviationNs);
    const double hostNs = std::chrono::duration<double, std::nano>(second->host - first->host).count();
    const double deviceNs = ticksToNs(first->deviceTicks, second->deviceTicks, (*device)->capabilities());
    EXPECT_GE(hostNs + deviationNs, 50e6);
    EXPECT_NEAR(deviceNs, hostNs, 0.01 * hostNs + deviationNs);
    // and the host's is steady_clock: its readings lie before now, and not long before
    const auto ago = std::chrono::steady_clock::now() - second->host;
    EXPECT_GE(ago, std::chrono::steady_clock::duration::zero());
    EXPECT_LT(ago, std::chrono::seconds(10));
}

TEST_F(Clocks, TicksOfDispatchesAreWhatTheirTimesAreMadeOf) {
    if (device_->capabilities().timestampValidBits == 0) GTEST_SKIP() << "no timestamps";
    auto backend = VulkanBackend::create(device_);
    ASSERT_TRUE(backend.ok()) << backend.status().message();
    VulkanSessionOptions options;
    options.timestamps = true;
    const auto session = (*backend)->createSession(test::smallModel(), options);
    ASSERT_TRUE(session.ok()) << session.status().message();
    const std::vector<float> tensor = formulaInput(1, test::kSmallSide, test::kSmallSide);
    std::vector<std::byte> output((*session)->outputBytes());
    ASSERT_TRUE((*session)->run({{}, tensor}, output).ok());
    const auto times = (*session)->dispatchTimesNs();
    const auto ticks = (*session)->dispatchTicks();
    ASSERT_TRUE(times.ok() && ticks.ok());
    ASSERT_EQ(ticks->size(), times->size() + 1);
    for (size_t i = 0; i < times->size(); ++i) {
        EXPECT_DOUBLE_EQ(ticksToNs((*ticks)[i], (*ticks)[i + 1], device_->capabilities()), (*times)[i]) << i;
    }
}

}  // namespace
}  // namespace dunlin::vulkan
