// A Vulkan device under the validation layer for tests. Where there is no driver, tests say SKIPPED with the reason;
// where the validation layer said anything, they fail.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "runtime/vulkan/device.h"

namespace dunlin::test {

inline void expectNoValidationMessages(const vulkan::VulkanDevice& device) {
    for (const vulkan::ValidationMessage& message : device.validationMessages()) {
        ADD_FAILURE() << "validation: " << message.id << ": " << message.text;
    }
}

// device_ is null, and the test skipped, where no driver is usable. A missing validation layer is a failure: the tests
// would otherwise prove less than they say.
class VulkanTest : public ::testing::Test {
  protected:
    void SetUp() override {
        const auto devices = vulkan::VulkanDevice::list();
        if (!devices.ok()) GTEST_SKIP() << devices.status().message();
        if (vulkan::bestDevice(*devices) < 0) GTEST_SKIP() << "no usable Vulkan device";
        vulkan::DeviceOptions options;
        options.validation = true;
        options.instruments = wantsInstruments();
        auto device = vulkan::VulkanDevice::create(options);
        ASSERT_TRUE(device.ok()) << device.status().message();
        device_ = *std::move(device);
    }
    void TearDown() override {
        if (device_) expectNoValidationMessages(*device_);
    }

    virtual bool wantsInstruments() const { return false; }

    std::shared_ptr<vulkan::VulkanDevice> device_;
};

}  // namespace dunlin::test
