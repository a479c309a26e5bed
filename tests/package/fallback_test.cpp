// The default device where a GPU is listed but fails: see failing_loader.cpp.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "dunlin/dunlin.hpp"

namespace {

using dunlin::Device;

class Fallback : public ::testing::Test {
  protected:
    void SetUp() override {
        unsetenv("DUNLIN_FAILING_CALL");
        const auto devices = Device::list();
        ASSERT_TRUE(devices) << devices.error().message;
        if (devices->size() < 2) GTEST_SKIP() << "no Vulkan device";
        ASSERT_EQ(devices->front().type, DUNLIN_DEVICE_TYPE_DISCRETE_GPU) << "the loader of this test is not in use";
    }
    void TearDown() override { unsetenv("DUNLIN_FAILING_CALL"); }

    dunlin::Expected<Device> create(const char* id) {
        messages_.clear();
        const auto collect = [](void* user, DunlinMessageSeverity severity, const char* text) {
            static_cast<decltype(messages_)*>(user)->emplace_back(severity, text);
        };
        dunlin::DeviceOptions options;
        if (id) options.id = id;
        options.messageCallback = collect;
        options.messageUserData = &messages_;
        return Device::create(options);
    }

    std::vector<std::pair<DunlinMessageSeverity, std::string>> messages_;
};

TEST_F(Fallback, IsNotNeededWhereTheGpuOpens) {
    const auto device = create(nullptr);
    ASSERT_TRUE(device) << device.error().message;
    EXPECT_EQ(device->info()->type, DUNLIN_DEVICE_TYPE_DISCRETE_GPU);
    EXPECT_TRUE(messages_.empty());
}

TEST_F(Fallback, IsTheCpuWithAWarning) {
    for (const char* call : {"vkCreateInstance", "vkCreateDevice"}) {
        setenv("DUNLIN_FAILING_CALL", call, 1);
        const auto device = create(nullptr);
        ASSERT_TRUE(device) << call << ": " << device.error().message;
        EXPECT_EQ(device->info()->type, DUNLIN_DEVICE_TYPE_CPU) << call;
        ASSERT_EQ(messages_.size(), 1u) << call;
        EXPECT_EQ(messages_[0].first, DUNLIN_MESSAGE_WARNING);
        EXPECT_NE(messages_[0].second.find(call), std::string::npos) << messages_[0].second;
    }
}

TEST_F(Fallback, IsNotForADeviceThatWasAskedFor) {
    setenv("DUNLIN_FAILING_CALL", "vkCreateDevice", 1);
    const auto device = create("vulkan:0");
    ASSERT_FALSE(device);
    EXPECT_EQ(device.error().status, DUNLIN_ERROR_DEVICE) << device.error().message;
    EXPECT_TRUE(messages_.empty());
}

TEST_F(Fallback, ListsTheCpuWhateverVulkanSays) {
    setenv("DUNLIN_FAILING_CALL", "vkCreateInstance", 1);
    const auto devices = Device::list();
    ASSERT_TRUE(devices) << devices.error().message;
    ASSERT_EQ(devices->size(), 1u);
    EXPECT_STREQ(devices->front().id, "cpu");
}

}  // namespace
