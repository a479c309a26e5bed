// What only measurements enable: there when asked for, where the device has it, and without a trace otherwise.
#include "runtime/vulkan/instruments.h"

#include <filesystem>

#include "runtime/vulkan/pipelines.h"
#include "tests/vulkan/vulkan_fixture.h"

namespace dunlin::vulkan {
namespace {

class InstrumentsTest : public test::VulkanTest {
  protected:
    std::shared_ptr<VulkanDevice> open(bool instruments) const {
        DeviceOptions options;
        options.validation = true;
        options.instruments = instruments;
        auto device = VulkanDevice::create(options);
        EXPECT_TRUE(device.ok()) << device.status().message();
        return device.ok() ? *device : nullptr;
    }
    static Variant pool() {
        Variant variant;
        variant.kernel = Kernel::Pool;
        variant.constants = {64, 1};
        return variant;
    }
};

TEST_F(InstrumentsTest, AreEnabledOnlyWhenAskedFor) {
    const auto plain = open(false), measuring = open(true);
    ASSERT_TRUE(plain && measuring);
    EXPECT_FALSE(plain->instruments().pipelineStatistics || plain->instruments().calibratedTimestamps ||
                 plain->instruments().integerDotProduct);
    EXPECT_EQ(plain->functions().GetPipelineExecutableStatisticsKHR, nullptr);
    EXPECT_EQ(plain->functions().GetCalibratedTimestampsEXT, nullptr);

    const Instruments& enabled = measuring->instruments();
    const Instruments has =
        queryInstruments(measuring->instanceFunctions(), measuring->physicalDevice(), measuring->capabilities());
    EXPECT_EQ(enabled.pipelineStatistics, has.pipelineStatistics);
    EXPECT_EQ(enabled.calibratedTimestamps, has.calibratedTimestamps);
    EXPECT_EQ(enabled.integerDotProduct, has.integerDotProduct);
    EXPECT_EQ(measuring->functions().GetPipelineExecutableStatisticsKHR != nullptr, enabled.pipelineStatistics);
    EXPECT_EQ(measuring->functions().GetPipelineExecutablePropertiesKHR != nullptr, enabled.pipelineStatistics);
    EXPECT_EQ(measuring->functions().GetCalibratedTimestampsEXT != nullptr, enabled.calibratedTimestamps);
    test::expectNoValidationMessages(*plain);
    test::expectNoValidationMessages(*measuring);
}

TEST_F(InstrumentsTest, AreNothingWithoutTheirExtensions) {
    Capabilities bare = device_->capabilities();
    bare.extensions.clear();
    const Instruments none = queryInstruments(device_->instanceFunctions(), device_->physicalDevice(), bare);
    EXPECT_FALSE(none.pipelineStatistics || none.calibratedTimestamps || none.integerDotProduct);
    EXPECT_TRUE(extensionsOf(none, bare).empty());
    VkPhysicalDeviceFeatures2 features{};
    InstrumentFeatures(none).chainTo(features);
    EXPECT_EQ(features.pNext, nullptr);
}

// Drivers give one clock's ticks beside another's only where both domains are named.
TEST_F(InstrumentsTest, CalibratedTimestampsTick) {
    const auto device = open(true);
    ASSERT_TRUE(device);
    if (!device->instruments().calibratedTimestamps) GTEST_SKIP() << "the device has no calibrated timestamps";
    VkCalibratedTimestampInfoEXT info{};
    info.sType = VK_STRUCTURE_TYPE_CALIBRATED_TIMESTAMP_INFO_EXT;
    info.timeDomain = VK_TIME_DOMAIN_DEVICE_EXT;
    uint64_t first = 0, second = 0, deviation = 0;
    const auto read = device->functions().GetCalibratedTimestampsEXT;
    ASSERT_EQ(read(device->handle(), 1, &info, &first, &deviation), VK_SUCCESS);
    ASSERT_EQ(read(device->handle(), 1, &info, &second, &deviation), VK_SUCCESS);
    EXPECT_GE(second, first);
}

TEST_F(InstrumentsTest, AFolderOfPipelinesIsThatOfNormalRuns) {
    const std::filesystem::path folder = std::filesystem::temp_directory_path() / "dunlin_instruments_test";
    std::filesystem::remove_all(folder);
    const auto measuring = open(true);
    ASSERT_TRUE(measuring);
    {
        auto pipelines = Pipelines::create(*measuring, folder);
        ASSERT_TRUE(pipelines.ok()) << pipelines.status().message();
        ASSERT_TRUE((*pipelines)->get(pool()).ok());
        ASSERT_TRUE((*pipelines)->save());
    }
    auto normal = Pipelines::create(*device_, folder);
    ASSERT_TRUE(normal.ok()) << normal.status().message();
    EXPECT_TRUE((*normal)->loadedFromFile());
    EXPECT_TRUE((*normal)->get(pool()).ok());
    std::filesystem::remove_all(folder);
    test::expectNoValidationMessages(*measuring);
}

}  // namespace
}  // namespace dunlin::vulkan
