// A picture as a sampled image on a device, for what reads one.
#pragma once

#include <cstddef>
#include <span>

#include "runtime/vulkan/device.h"

namespace dunlin::tuning {

// RGBA8, in SHADER_READ_ONLY_OPTIMAL. Movable; must not outlive the device. Not thread-safe.
class SourceImage {
  public:
    SourceImage() = default;
    // `pixels`: rows without gaps. Blocks until they are there.
    static Result<SourceImage> create(const vulkan::VulkanDevice& device, uint32_t width, uint32_t height,
                                      std::span<const std::byte> pixels);
    ~SourceImage();
    SourceImage(SourceImage&& other) noexcept { *this = std::move(other); }
    SourceImage& operator=(SourceImage&& other) noexcept;

    VkImageView view() const { return view_; }

  private:
    Status allocate(VkExtent3D extent);
    Status upload(VkExtent3D extent, std::span<const std::byte> pixels);

    const vulkan::VulkanDevice* device_ = nullptr;
    VkImage image_ = VK_NULL_HANDLE;
    VkDeviceMemory memory_ = VK_NULL_HANDLE;
    VkImageView view_ = VK_NULL_HANDLE;
};

}  // namespace dunlin::tuning
