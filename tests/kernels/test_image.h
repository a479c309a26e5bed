// A sampled image with a picture in it, surrounded by a border that must not be read.
#pragma once

#include <memory>
#include <span>

#include "runtime/vulkan/memory.h"

namespace dunlin::test {

// Where the picture lies: the border is x texels wide on the left and right, and y above and below.
struct Crop {
    uint32_t x = 0, y = 0, width = 0, height = 0;
};

// In SHADER_READ_ONLY_OPTIMAL layout. Must not outlive the device.
class TestImage {
  public:
    // `pixels` are crop.width x crop.height RGBA8.
    static Result<std::unique_ptr<TestImage>> create(const vulkan::VulkanDevice& device, const Crop& crop,
                                                     std::span<const uint8_t> pixels, bool isSrgb);
    ~TestImage();
    TestImage(const TestImage&) = delete;
    TestImage& operator=(const TestImage&) = delete;
    VkImageView view() const { return view_; }

  private:
    explicit TestImage(const vulkan::VulkanDevice& device) : device_(device) {}
    template <typename Function>
    Function load(const char* name) const {
        return reinterpret_cast<Function>(device_.instanceFunctions().GetDeviceProcAddr(device_.handle(), name));
    }
    Status createImage(VkExtent3D extent, VkFormat format);
    Status upload(VkExtent3D extent, const Crop& crop, std::span<const uint8_t> pixels);

    const vulkan::VulkanDevice& device_;
    VkImage image_ = VK_NULL_HANDLE;
    VkDeviceMemory memory_ = VK_NULL_HANDLE;
    VkImageView view_ = VK_NULL_HANDLE;
};

}  // namespace dunlin::test
