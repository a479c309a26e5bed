#include "runtime/vulkan/timestamps.h"

#include <utility>

namespace dunlin::vulkan {

Result<GpuTimer> GpuTimer::create(const VulkanDevice& device, uint32_t marks) {
    if (device.capabilities().timestampValidBits == 0) {
        return error(StatusCode::Unsupported, "queue family %u of %s has no timestamps", device.queueFamily(),
                     device.capabilities().name.c_str());
    }
    GpuTimer timer;
    timer.device_ = &device;
    timer.capacity_ = marks + 1;
    VkQueryPoolCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO;
    info.queryType = VK_QUERY_TYPE_TIMESTAMP;
    info.queryCount = timer.capacity_;
    DUNLIN_TRY(check(device.functions().CreateQueryPool(device.handle(), &info, device.allocator(), &timer.pool_),
                     "vkCreateQueryPool"));
    return timer;
}

GpuTimer::~GpuTimer() {
    if (pool_) device_->functions().DestroyQueryPool(device_->handle(), pool_, device_->allocator());
}

GpuTimer& GpuTimer::operator=(GpuTimer&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(pool_, other.pool_);
    std::swap(capacity_, other.capacity_);
    std::swap(used_, other.used_);
    return *this;
}

void GpuTimer::start(VkCommandBuffer commands) {
    device_->functions().CmdResetQueryPool(commands, pool_, 0, capacity_);
    used_ = 0;
    mark(commands);
}

void GpuTimer::mark(VkCommandBuffer commands) {
    if (used_ == capacity_) return;
    device_->functions().CmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, pool_, used_++);
}

Result<std::vector<double>> GpuTimer::intervalsNs() const {
    if (used_ < 2) return std::vector<double>{};
    std::vector<uint64_t> ticks(used_);
    DUNLIN_TRY(check(
        device_->functions().GetQueryPoolResults(device_->handle(), pool_, 0, used_, ticks.size() * sizeof(uint64_t),
                                                 ticks.data(), sizeof(uint64_t), VK_QUERY_RESULT_64_BIT),
        "vkGetQueryPoolResults"));
    const Capabilities& capabilities = device_->capabilities();
    const uint32_t bits = capabilities.timestampValidBits;
    const uint64_t mask = bits >= 64 ? UINT64_MAX : (uint64_t{1} << bits) - 1;  // counters wrap around
    std::vector<double> intervals;
    for (size_t i = 1; i < ticks.size(); ++i) {
        intervals.push_back(static_cast<double>((ticks[i] - ticks[i - 1]) & mask) * capabilities.timestampPeriodNs);
    }
    return intervals;
}

}  // namespace dunlin::vulkan
