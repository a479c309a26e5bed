// A picture as a sampled image on a device, for what reads one.
#pragma once

#include <cstddef>
#include <span>

#include "runtime/vulkan/device.h"

namespace dunlin::tuning {

// In SHADER_READ_ONLY_OPTIMAL. Movable; must not outlive the device. Not thread-safe.
class SourceImage {
  public:
    SourceImage() = default;
    // `pixels`: RGBA8, rows without gaps; `format`: R8G8B8A8_UNORM or R8G8B8A8_SRGB. Blocks until they are there.
    static Result<SourceImage> create(const vulkan::VulkanDevice& device, uint32_t width, uint32_t height,
                                      std::span<const std::byte> pixels, VkFormat format = VK_FORMAT_R8G8B8A8_UNORM);
    ~SourceImage();
    SourceImage(SourceImage&& other) noexcept { *this = std::move(other); }
    SourceImage& operator=(SourceImage&& other) noexcept;

    VkImageView view() const { return view_; }

  private:
    Status allocate(VkExtent3D extent, VkFormat format);
    Status upload(VkExtent3D extent, std::span<const std::byte> pixels);

    const vulkan::VulkanDevice* device_ = nullptr;
    VkImage image_ = VK_NULL_HANDLE;
    VkDeviceMemory memory_ = VK_NULL_HANDLE;
    VkImageView view_ = VK_NULL_HANDLE;
};

}  // namespace dunlin::tuning
