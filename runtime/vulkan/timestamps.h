// GPU times from a query pool.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/vulkan/device.h"

namespace dunlin::vulkan {

// Timestamps along one command buffer. Movable; must not outlive the device. Not thread-safe.
class GpuTimer {
  public:
    // Room for `marks` intervals. Unsupported where the queue family has no timestamps.
    static Result<GpuTimer> create(const VulkanDevice& device, uint32_t marks);
    ~GpuTimer();
    GpuTimer(GpuTimer&& other) noexcept { *this = std::move(other); }
    GpuTimer& operator=(GpuTimer&& other) noexcept;

    // Resets all queries and writes the first timestamp, after everything before it has finished.
    void start(VkCommandBuffer commands);
    // Writes the next timestamp, once everything before it has finished. Marks past the room are dropped.
    void mark(VkCommandBuffer commands);

    // Nanoseconds between one timestamp and the next, after the command buffer has finished. An interval ends when all
    // work before it has ended, so dispatches without a barrier in between share their time.
    Result<std::vector<double>> intervalsNs() const;

  private:
    GpuTimer() = default;
    const VulkanDevice* device_ = nullptr;
    VkQueryPool pool_ = VK_NULL_HANDLE;
    uint32_t capacity_ = 0;  // timestamps
    uint32_t used_ = 0;
};

}  // namespace dunlin::vulkan
