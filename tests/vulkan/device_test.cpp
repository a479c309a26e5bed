// Finding, creating and borrowing devices.
#include "runtime/vulkan/device.h"

#include "runtime/vulkan/memory.h"
#include "runtime/vulkan/quirks.h"
#include "tests/vulkan/application.h"
#include "tests/vulkan/vulkan_fixture.h"

namespace dunlin::vulkan {
namespace {

using test::handlesOf;
using DeviceTest = test::VulkanTest;

ListedDevice listed(int index, VkPhysicalDeviceType type, DeviceFamily family, bool usable = true) {
    ListedDevice device;
    device.index = index;
    device.capabilities.type = type;
    device.capabilities.limits.family = family;
    device.capabilities.usable = usable;
    return device;
}

TEST(BestDevice, isARealGpuBeforeASoftwareOne) {
    const ListedDevice software = listed(0, VK_PHYSICAL_DEVICE_TYPE_CPU, DeviceFamily::CpuDriver);
    const ListedDevice integrated = listed(1, VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU, DeviceFamily::Intel);
    const ListedDevice discrete = listed(2, VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU, DeviceFamily::Nvidia);
    ListedDevice broken = listed(3, VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU, DeviceFamily::Amd, false);
    EXPECT_EQ(bestDevice({software, integrated, discrete, broken}), 2);
    EXPECT_EQ(bestDevice({software, integrated, broken}), 1);
    EXPECT_EQ(bestDevice({software, broken}), 0);
    EXPECT_EQ(bestDevice({broken}), -1);
}

TEST(Quirks, eachHasANameAndAReport) {
    for (const Quirk& quirk : quirks()) {
        EXPECT_NE(std::string(quirk.name), "");
        EXPECT_EQ(std::string(quirk.report).rfind("https://", 0), 0u) << quirk.name;
    }
}

TEST(Quirks, aDriverWithoutThemIsLeftAlone) {
    Capabilities capabilities;
    capabilities.name = "Mali-G78";
    capabilities.driverId = VK_DRIVER_ID_ARM_PROPRIETARY;
    applyQuirks(capabilities);
    EXPECT_TRUE(capabilities.quirks.empty());
    EXPECT_EQ(capabilities.limits.maxAllocationBytes, UINT64_MAX);
}

TEST(Requirements, nothingIsNeededBeyondVulkan11) {
    const Requirements needed = requirements();
    EXPECT_EQ(needed.minApiVersion, VK_API_VERSION_1_1);
    EXPECT_TRUE(needed.requiredInstanceExtensions.empty());
    EXPECT_TRUE(needed.requiredDeviceExtensions.empty());
    EXPECT_FALSE(needed.requiredFeatures.fp16());
    EXPECT_TRUE(needed.recommendedFeatures.fp16());
}

PFN_vkVoidFunction VKAPI_CALL noLoader(VkInstance, const char*) {
    return nullptr;
}

TEST(Loader, withoutFunctionsIsUnsupported) {
    const auto devices = VulkanDevice::list(noLoader);
    ASSERT_FALSE(devices.ok());
    EXPECT_EQ(devices.status().code(), StatusCode::Unsupported);
}

PFN_vkGetInstanceProcAddr g_realLoader = nullptr;
PFN_vkVoidFunction VKAPI_CALL loaderOfVulkan10(VkInstance instance, const char* name) {
    return std::string(name) == "vkEnumerateInstanceVersion" ? nullptr : g_realLoader(instance, name);
}

TEST_F(DeviceTest, aLoaderOfVulkan10IsRefusedWithItsVersion) {
    g_realLoader = device_->instanceFunctions().getInstanceProcAddr;
    const auto devices = VulkanDevice::list(loaderOfVulkan10);
    ASSERT_FALSE(devices.ok());
    EXPECT_EQ(devices.status().code(), StatusCode::Unsupported);
    EXPECT_NE(devices.status().message().find("1.0"), std::string::npos) << devices.status().message();
}

TEST_F(DeviceTest, capabilitiesMeetWhatVulkanGuarantees) {
    const Capabilities& capabilities = device_->capabilities();
    EXPECT_TRUE(capabilities.usable) << capabilities.reason;
    EXPECT_FALSE(capabilities.name.empty());
    EXPECT_GE(capabilities.apiVersion, VK_API_VERSION_1_1);
    const DeviceLimits& limits = device_->limits();
    EXPECT_GE(limits.maxStorageBufferRange, uint64_t{1} << 27);
    EXPECT_GE(limits.maxTexelBufferElements, 65536u);
    EXPECT_GE(limits.maxWorkgroupInvocations, 128u);
    EXPECT_GE(limits.sharedMemoryBytes, 16384u);
    EXPECT_GE(limits.offsetAlignment, 16u);
    EXPECT_GT(device_->availableBytes(), 0u);
}

TEST_F(DeviceTest, anIndexThatIsNotThereIsRefusedWithTheCount) {
    DeviceOptions options;
    options.index = 1000;
    const auto device = VulkanDevice::create(options);
    ASSERT_FALSE(device.ok());
    EXPECT_EQ(device.status().code(), StatusCode::UnknownName);
    EXPECT_NE(device.status().message().find("1000"), std::string::npos);
}

TEST_F(DeviceTest, validationMessagesAreCollected) {
    // given a device of its own, so that the message does not fail this test
    DeviceOptions options;
    options.validation = true;
    auto device = VulkanDevice::create(options);
    ASSERT_TRUE(device.ok()) << device.status().message();
    ASSERT_TRUE((*device)->validationMessages().empty());

    // when Vulkan is misused: a buffer without usage
    VkBufferCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
    info.size = 16;
    VkBuffer buffer = VK_NULL_HANDLE;
    if ((*device)->functions().CreateBuffer((*device)->handle(), &info, nullptr, &buffer) == VK_SUCCESS) {
        (*device)->functions().DestroyBuffer((*device)->handle(), buffer, nullptr);
    }

    // then it is said
    ASSERT_FALSE((*device)->validationMessages().empty());
    EXPECT_NE((*device)->validationMessages().front().id.find("VUID"), std::string::npos);
}

TEST_F(DeviceTest, synchronizationValidationIsOn) {
    // given a device of its own, and two writes to one buffer without a barrier in between
    DeviceOptions options;
    options.validation = true;
    auto device = VulkanDevice::create(options);
    ASSERT_TRUE(device.ok()) << device.status().message();
    auto buffer = Buffer::create(**device, 64, VK_BUFFER_USAGE_TRANSFER_DST_BIT, MemoryUse::Device);
    auto runner = CommandRunner::create(**device);
    ASSERT_TRUE(buffer.ok() && runner.ok());
    const Status status = runner->run([&](VkCommandBuffer commands) {
        (*device)->functions().CmdFillBuffer(commands, buffer->handle(), 0, 64, 1);
        (*device)->functions().CmdFillBuffer(commands, buffer->handle(), 0, 64, 2);
    });
    ASSERT_TRUE(status.ok());

    // then the hazard is reported
    ASSERT_FALSE((*device)->validationMessages().empty());
    EXPECT_EQ((*device)->validationMessages().front().id, "SYNC-HAZARD-WRITE-AFTER-WRITE");
}

TEST_F(DeviceTest, aBorrowedDeviceSurvivesItsBorrower) {
    {
        auto borrower = VulkanDevice::borrow(handlesOf(*device_));
        ASSERT_TRUE(borrower.ok()) << borrower.status().message();
        EXPECT_EQ((*borrower)->handle(), device_->handle());
        EXPECT_EQ((*borrower)->capabilities().name, device_->capabilities().name);
    }
    auto runner = CommandRunner::create(*device_);
    ASSERT_TRUE(runner.ok());
    EXPECT_TRUE(runner->run([](VkCommandBuffer) {}).ok());
}

TEST_F(DeviceTest, onlyWhatTheApplicationEnabledIsUsed) {
    BorrowedDevice handles = handlesOf(*device_);
    handles.enabled = {};
    auto borrower = VulkanDevice::borrow(handles);
    ASSERT_TRUE(borrower.ok());
    EXPECT_FALSE((*borrower)->limits().fp16);
}

TEST_F(DeviceTest, borrowingNeedsHandlesAndAComputeQueue) {
    BorrowedDevice noQueue = handlesOf(*device_);
    noQueue.queue = VK_NULL_HANDLE;
    EXPECT_EQ(VulkanDevice::borrow(noQueue).status().code(), StatusCode::InvalidArgument);
    BorrowedDevice noFamily = handlesOf(*device_);
    noFamily.queueFamily = 77;
    const Status status = VulkanDevice::borrow(noFamily).status();
    EXPECT_EQ(status.code(), StatusCode::InvalidArgument);
    EXPECT_NE(status.message().find("77"), std::string::npos);
    BorrowedDevice halfLock = handlesOf(*device_);
    halfLock.lockQueue = [] {};
    EXPECT_EQ(VulkanDevice::borrow(halfLock).status().code(), StatusCode::InvalidArgument);
}

TEST_F(DeviceTest, theQueueIsLockedAroundEachSubmission) {
    int locks = 0, unlocks = 0;
    BorrowedDevice handles = handlesOf(*device_);
    handles.lockQueue = [&] { EXPECT_EQ(++locks, unlocks + 1); };
    handles.unlockQueue = [&] { EXPECT_EQ(++unlocks, locks); };
    auto borrower = VulkanDevice::borrow(handles);
    ASSERT_TRUE(borrower.ok());
    auto runner = CommandRunner::create(**borrower);
    ASSERT_TRUE(runner.ok());
    ASSERT_TRUE(runner->run([](VkCommandBuffer) {}).ok());
    ASSERT_TRUE(runner->run([](VkCommandBuffer) {}).ok());
    EXPECT_EQ(locks, 2);
    EXPECT_EQ(unlocks, 2);
}

}  // namespace
}  // namespace dunlin::vulkan
