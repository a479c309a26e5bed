#include "runtime/vulkan/timestamps.h"

#if defined(_WIN32)
#include <windows.h>
#endif

#include <algorithm>
#include <array>
#include <utility>

namespace dunlin::vulkan {
namespace {

// Counters wrap around.
uint64_t validMask(const Capabilities& capabilities) {
    const uint32_t bits = capabilities.timestampValidBits;
    return bits >= 64 ? UINT64_MAX : (uint64_t{1} << bits) - 1;
}

// The clock that std::chrono::steady_clock reads on this system, and its readings as such.
#if defined(_WIN32)
constexpr VkTimeDomainEXT kSteadyClockDomain = VK_TIME_DOMAIN_QUERY_PERFORMANCE_COUNTER_EXT;

std::chrono::steady_clock::time_point steadyTime(uint64_t counter) {
    LARGE_INTEGER frequency;
    QueryPerformanceFrequency(&frequency);
    const double seconds = static_cast<double>(counter) / static_cast<double>(frequency.QuadPart);
    return std::chrono::steady_clock::time_point(
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(seconds)));
}
#else
#if defined(__APPLE__)  // libc++'s steady_clock reads CLOCK_MONOTONIC_RAW there
constexpr VkTimeDomainEXT kSteadyClockDomain = VK_TIME_DOMAIN_CLOCK_MONOTONIC_RAW_EXT;
#else
constexpr VkTimeDomainEXT kSteadyClockDomain = VK_TIME_DOMAIN_CLOCK_MONOTONIC_EXT;
#endif

std::chrono::steady_clock::time_point steadyTime(uint64_t ns) {
    return std::chrono::steady_clock::time_point(std::chrono::duration_cast<std::chrono::steady_clock::duration>(
        std::chrono::nanoseconds(static_cast<int64_t>(ns))));
}
#endif

}  // namespace

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

Result<std::vector<uint64_t>> GpuTimer::ticks() const {
    std::vector<uint64_t> ticks(used_);
    if (used_ == 0) return ticks;
    DUNLIN_TRY(check(
        device_->functions().GetQueryPoolResults(device_->handle(), pool_, 0, used_, ticks.size() * sizeof(uint64_t),
                                                 ticks.data(), sizeof(uint64_t), VK_QUERY_RESULT_64_BIT),
        "vkGetQueryPoolResults"));
    return ticks;
}

Result<std::vector<double>> GpuTimer::intervalsNs() const {
    DUNLIN_ASSIGN(const std::vector<uint64_t> marks, ticks());
    const Capabilities& capabilities = device_->capabilities();
    const uint64_t mask = validMask(capabilities);
    std::vector<double> intervals;
    for (size_t i = 1; i < marks.size(); ++i) {
        intervals.push_back(static_cast<double>((marks[i] - marks[i - 1]) & mask) * capabilities.timestampPeriodNs);
    }
    return intervals;
}

double ticksToNs(uint64_t from, uint64_t to, const Capabilities& capabilities) {
    const uint64_t mask = validMask(capabilities), forward = (to - from) & mask, backward = (from - to) & mask;
    const double period = capabilities.timestampPeriodNs;
    return forward <= backward ? static_cast<double>(forward) * period : -static_cast<double>(backward) * period;
}

Result<ClockPair> readClocks(const VulkanDevice& device) {
    const PFN_vkGetCalibratedTimestampsEXT read = device.functions().GetCalibratedTimestampsEXT;
    const PFN_vkGetPhysicalDeviceCalibrateableTimeDomainsEXT listDomains =
        device.instanceFunctions().GetPhysicalDeviceCalibrateableTimeDomainsEXT;
    if (!read || !listDomains) {
        return error(StatusCode::Unsupported, "%s was not created with calibrated timestamps",
                     device.capabilities().name.c_str());
    }
    uint32_t count = 0;
    DUNLIN_TRY(
        check(listDomains(device.physicalDevice(), &count, nullptr), "vkGetPhysicalDeviceCalibrateableTimeDomains"));
    std::vector<VkTimeDomainEXT> domains(count);
    DUNLIN_TRY(check(listDomains(device.physicalDevice(), &count, domains.data()),
                     "vkGetPhysicalDeviceCalibrateableTimeDomains"));
    const auto has = [&](VkTimeDomainEXT domain) { return std::ranges::find(domains, domain) != domains.end(); };
    if (!has(VK_TIME_DOMAIN_DEVICE_EXT) || !has(kSteadyClockDomain)) {
        return error(StatusCode::Unsupported, "%s cannot read its own clock together with the host's steady one",
                     device.capabilities().name.c_str());
    }
    std::array<VkCalibratedTimestampInfoEXT, 2> infos{};
    for (VkCalibratedTimestampInfoEXT& info : infos) info.sType = VK_STRUCTURE_TYPE_CALIBRATED_TIMESTAMP_INFO_EXT;
    infos[0].timeDomain = VK_TIME_DOMAIN_DEVICE_EXT;
    infos[1].timeDomain = kSteadyClockDomain;
    std::array<uint64_t, 2> values{};
    ClockPair pair;
    DUNLIN_TRY(check(
        read(device.handle(), static_cast<uint32_t>(infos.size()), infos.data(), values.data(), &pair.maxDeviationNs),
        "vkGetCalibratedTimestamps"));
    pair.deviceTicks = values[0];
    pair.host = steadyTime(values[1]);
    return pair;
}

}  // namespace dunlin::vulkan
