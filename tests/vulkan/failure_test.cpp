// When Vulkan fails: the right status, nothing leaked, nothing broken, wherever it happens.
#include "runtime/vulkan/backend.h"
#include "tests/vulkan/application.h"
#include "tests/vulkan/faulty_vulkan.h"
#include "tests/vulkan/small_network.h"
#include "tests/vulkan/vulkan_fixture.h"

namespace dunlin::vulkan {
namespace {

using test::faultyVulkan;

class FailureTest : public test::VulkanTest {
  protected:
    void SetUp() override {
        VulkanTest::SetUp();
        if (!device_) return;
        faultyVulkan().real = device_->instanceFunctions().getInstanceProcAddr;
        faultyVulkan().live.clear();
        faultyVulkan().reset();
    }

    // Everything from borrowing the device to one result, on the application's validated device.
    Status wholeLife() {
        BorrowedDevice handles = test::handlesOf(*device_);
        handles.getInstanceProcAddr = test::faultyGetInstanceProcAddr;
        DUNLIN_ASSIGN(std::shared_ptr<VulkanDevice> borrowed, VulkanDevice::borrow(handles));
        DUNLIN_ASSIGN(const std::unique_ptr<VulkanBackend> backend, VulkanBackend::create(borrowed));
        VulkanSessionOptions options;
        options.slots = 2;
        options.timestamps = device_->capabilities().timestampValidBits > 0;
        DUNLIN_ASSIGN(const std::unique_ptr<VulkanSession> session, backend->createSession(model_, options));
        std::vector<std::byte> output(session->outputBytes());
        HostInput input;
        input.tensor = tensor_;
        DUNLIN_TRY(session->run(input, output));
        const PixelView picture{pixels_.data(), 70, 70, size_t{70} * 4};
        input = {};
        input.pictures = {&picture, 1};
        return session->run(input, output);
    }

    std::shared_ptr<const ModelData> model_ = test::smallModel();
    std::vector<float> tensor_ = formulaInput(1, test::kSmallSide, test::kSmallSide);
    std::vector<uint8_t> pixels_ = test::testPicture(70, 70);
};

TEST_F(FailureTest, nothingIsLeakedWhereNothingFails) {
    const Status status = wholeLife();
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_GT(faultyVulkan().calls, 50);
    EXPECT_EQ(faultyVulkan().liveObjects(), 0) << faultyVulkan().describeLive();
}

TEST_F(FailureTest, whicheverCallRunsOutOfMemoryItIsSaidAndNothingIsLeaked) {
    ASSERT_TRUE(wholeLife().ok());
    const int calls = faultyVulkan().calls;
    for (int call = 1; call <= calls; ++call) {
        faultyVulkan().reset(call, VK_ERROR_OUT_OF_DEVICE_MEMORY);
        const Status status = wholeLife();
        ASSERT_EQ(status.code(), StatusCode::OutOfDeviceMemory)
            << "call " << call << ", " << faultyVulkan().failed << ": " << status.message();
        ASSERT_EQ(faultyVulkan().liveObjects(), 0) << faultyVulkan().failed << ": " << faultyVulkan().describeLive();
    }
    // and the device is as good as before
    faultyVulkan().reset();
    EXPECT_TRUE(wholeLife().ok());
}

TEST_F(FailureTest, aLostDeviceIsSaidAndNothingIsLeaked) {
    for (const char* function : {"vkQueueSubmit", "vkWaitForFences"}) {
        faultyVulkan().reset(0, VK_SUCCESS, function);
        ASSERT_TRUE(wholeLife().ok());
        const int calls = faultyVulkan().calls;
        ASSERT_GE(calls, 3) << "the upload and two runs";
        for (int call = 1; call <= calls; ++call) {
            faultyVulkan().reset(call, VK_ERROR_DEVICE_LOST, function);
            const Status status = wholeLife();
            ASSERT_EQ(status.code(), StatusCode::DeviceLost) << function << " " << call << ": " << status.message();
            EXPECT_NE(status.message().find(function), std::string::npos) << status.message();
            ASSERT_EQ(faultyVulkan().liveObjects(), 0) << faultyVulkan().describeLive();
        }
    }
}

TEST_F(FailureTest, aSessionRunsAgainAfterAWaitThatFailed) {
    // given a session on the validated device, and what it makes of a tensor
    BorrowedDevice handles = test::handlesOf(*device_);
    handles.getInstanceProcAddr = test::faultyGetInstanceProcAddr;
    auto borrowed = VulkanDevice::borrow(handles);
    ASSERT_TRUE(borrowed.ok()) << borrowed.status().message();
    auto backend = VulkanBackend::create(*borrowed);
    ASSERT_TRUE(backend.ok()) << backend.status().message();
    const auto session = (*backend)->createSession(model_, {});
    ASSERT_TRUE(session.ok()) << session.status().message();
    std::vector<std::byte> expected((*session)->outputBytes()), output(expected.size());
    HostInput input;
    input.tensor = tensor_;
    ASSERT_TRUE((*session)->run(input, expected).ok());

    for (const char* function : {"vkWaitForFences", "vkResetFences"}) {
        // when a run with another tensor fails around its wait
        std::vector<float> other(tensor_.rbegin(), tensor_.rend());
        input.tensor = other;
        faultyVulkan().reset(1, VK_ERROR_OUT_OF_DEVICE_MEMORY, function);
        EXPECT_EQ((*session)->run(input, output).code(), StatusCode::OutOfDeviceMemory) << function;

        // then the next one waits for its own outputs
        faultyVulkan().reset();
        input.tensor = tensor_;
        const Status status = (*session)->run(input, output);
        EXPECT_TRUE(status.ok()) << function << ": " << status.message();
        EXPECT_EQ(output, expected) << function;
    }

    // and where the queue cannot be waited for either, nothing can be said of the device any more
    faultyVulkan().reset(1, VK_ERROR_OUT_OF_DEVICE_MEMORY, "vkWaitForFences");
    faultyVulkan().failAlways = "vkQueueWaitIdle";
    const Status status = (*session)->run(input, output);
    EXPECT_EQ(status.code(), StatusCode::DeviceLost) << status.message();
    faultyVulkan().reset();
}

TEST_F(FailureTest, hostMemoryIsToldFromDeviceMemory) {
    faultyVulkan().reset(2, VK_ERROR_OUT_OF_HOST_MEMORY, "vkAllocateMemory");
    EXPECT_EQ(wholeLife().code(), StatusCode::OutOfHostMemory);
    EXPECT_EQ(faultyVulkan().liveObjects(), 0) << faultyVulkan().describeLive();
}

TEST_F(FailureTest, afterALostDeviceTheSameModelRunsOnANewOne) {
    // given a session on a device of its own that is lost while it runs
    DeviceOptions deviceOptions;
    deviceOptions.getInstanceProcAddr = test::faultyGetInstanceProcAddr;
    std::vector<std::byte> expected, output;
    const auto runOn = [&](std::vector<std::byte>* result) -> Status {
        DUNLIN_ASSIGN(std::shared_ptr<VulkanDevice> device, VulkanDevice::create(deviceOptions));
        DUNLIN_ASSIGN(const std::unique_ptr<VulkanBackend> backend, VulkanBackend::create(std::move(device)));
        DUNLIN_ASSIGN(const std::unique_ptr<VulkanSession> session, backend->createSession(model_, {}));
        result->assign(session->outputBytes(), std::byte{0});
        HostInput input;
        input.tensor = tensor_;
        return session->run(input, *result);
    };
    ASSERT_TRUE(runOn(&expected).ok());
    faultyVulkan().reset(2, VK_ERROR_DEVICE_LOST, "vkWaitForFences");
    ASSERT_EQ(runOn(&output).code(), StatusCode::DeviceLost);
    EXPECT_EQ(faultyVulkan().liveObjects(), 0) << faultyVulkan().describeLive();

    // when everything is created again from the same ModelData
    faultyVulkan().reset();
    const Status status = runOn(&output);

    // then it runs as before
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(output, expected);
    EXPECT_EQ(faultyVulkan().liveObjects(), 0) << faultyVulkan().describeLive();
}

TEST_F(FailureTest, aDeviceThatCannotBeCreatedLeaksNothing) {
    DeviceOptions options;
    options.getInstanceProcAddr = test::faultyGetInstanceProcAddr;
    for (const auto& [function, failure, code] :
         {std::tuple("vkCreateInstance", VK_ERROR_INCOMPATIBLE_DRIVER, StatusCode::Unsupported),
          std::tuple("vkCreateInstance", VK_ERROR_OUT_OF_HOST_MEMORY, StatusCode::OutOfHostMemory),
          std::tuple("vkCreateDevice", VK_ERROR_INITIALIZATION_FAILED, StatusCode::DeviceError),
          std::tuple("vkCreateDevice", VK_ERROR_DEVICE_LOST, StatusCode::DeviceLost)}) {
        faultyVulkan().reset(1, failure, function);
        const auto device = VulkanDevice::create(options);
        ASSERT_FALSE(device.ok()) << function;
        EXPECT_EQ(device.status().code(), code) << device.status().message();
        EXPECT_EQ(faultyVulkan().liveObjects(), 0) << faultyVulkan().describeLive();
    }
}

}  // namespace
}  // namespace dunlin::vulkan
