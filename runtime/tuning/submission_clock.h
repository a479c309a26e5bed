// How long commands take on a device.
#pragma once

#include <functional>
#include <optional>

#include "runtime/vulkan/memory.h"
#include "runtime/vulkan/timestamps.h"

namespace dunlin::tuning {

// Submits commands to the device's queue, waits, and times them: by the GPU's clock where the queue has one that moves,
// else by the wall less the cost of the shortest empty submission. Movable; must not outlive the device. Not
// thread-safe.
class SubmissionClock {
  public:
    static Result<SubmissionClock> create(const vulkan::VulkanDevice& device);

    // Blocks until the device is done.
    Status run(const std::function<void(VkCommandBuffer)>& record) { return commands_.run(record); }
    // As run(): the nanoseconds that it took. More than zero by the wall; by the GPU's clock, what is shorter than its
    // tick may take none.
    Result<double> timeNs(const std::function<void(VkCommandBuffer)>& record);
    // The nanoseconds of an empty submission, from the call to its end, by the wall.
    Result<double> submissionNs();
    // False as well once the GPU's clock was seen to stand still.
    bool usesGpuClock() const { return timer_.has_value(); }

  private:
    explicit SubmissionClock(vulkan::CommandRunner commands) : commands_(std::move(commands)) {}
    Result<double> wallNs(const std::function<void(VkCommandBuffer)>& record);
    Status sampleEmptySubmissions();

    vulkan::CommandRunner commands_;
    std::optional<vulkan::GpuTimer> timer_;
    double shortestEmptyNs_ = 0;  // submission so far; 0: none yet
};

}  // namespace dunlin::tuning
