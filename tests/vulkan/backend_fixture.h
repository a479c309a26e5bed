// A backend on the fixture's device, for tests that create sessions.
#pragma once

#include <memory>
#include <utility>

#include "runtime/vulkan/backend.h"
#include "tests/vulkan/vulkan_fixture.h"

namespace dunlin::test {

// backend_ is null where the test is skipped.
class BackendTest : public VulkanTest {
  protected:
    void SetUp() override {
        VulkanTest::SetUp();
        if (!device_) return;
        auto backend = vulkan::VulkanBackend::create(device_);
        ASSERT_TRUE(backend.ok()) << backend.status().message();
        backend_ = *std::move(backend);
    }
    void TearDown() override {
        backend_.reset();
        VulkanTest::TearDown();
    }

    std::unique_ptr<vulkan::VulkanBackend> backend_;
};

}  // namespace dunlin::test
