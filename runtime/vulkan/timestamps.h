// GPU times from a query pool.
#pragma once

#include <chrono>
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
    // The timestamps themselves, of the device's clock, in its ticks: one more than there are intervals.
    Result<std::vector<uint64_t>> ticks() const;

  private:
    GpuTimer() = default;
    const VulkanDevice* device_ = nullptr;
    VkQueryPool pool_ = VK_NULL_HANDLE;
    uint32_t capacity_ = 0;  // timestamps
    uint32_t used_ = 0;
};

// Nanoseconds from one timestamp to a later one, or to an earlier one where `to` lies less than half of the counter's
// range before `from`: counters of few valid bits wrap around.
double ticksToNs(uint64_t from, uint64_t to, const Capabilities& capabilities);

// The device's clock and the host's, read at one moment.
struct ClockPair {
    uint64_t deviceTicks = 0;
    std::chrono::steady_clock::time_point host;
    uint64_t maxDeviationNs = 0;  // how far apart the readings may lie
};

// Unsupported where the device was created without VK_KHR_ or VK_EXT_calibrated_timestamps
// (DeviceOptions::instruments), or cannot read the clock behind std::chrono::steady_clock.
Result<ClockPair> readClocks(const VulkanDevice& device);

}  // namespace dunlin::vulkan
