#include "runtime/tuning/submission_clock.h"

#include <algorithm>
#include <chrono>

namespace dunlin::tuning {
namespace {

// A GPU whose clock says that nothing passed in so long has no clock.
constexpr double kStandstillNs = 1e6;

double nowNs() {
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

Result<SubmissionClock> SubmissionClock::create(const vulkan::VulkanDevice& device) {
    DUNLIN_ASSIGN(vulkan::CommandRunner commands, vulkan::CommandRunner::create(device));
    SubmissionClock clock(std::move(commands));
    if (device.capabilities().timestampValidBits == 0) return clock;
    DUNLIN_ASSIGN(vulkan::GpuTimer timer, vulkan::GpuTimer::create(device, 1));
    clock.timer_.emplace(std::move(timer));
    return clock;
}

Result<double> SubmissionClock::wallNs(const std::function<void(VkCommandBuffer)>& record) {
    double beginNs = 0;
    DUNLIN_TRY(commands_.run([&](VkCommandBuffer commands) {
        record(commands);
        beginNs = nowNs();  // recording does not count
    }));
    return nowNs() - beginNs;
}

Result<double> SubmissionClock::submissionNs() {
    return wallNs([](VkCommandBuffer) {});
}

// A single one may be disturbed, and would take away from what it is subtracted from.
Status SubmissionClock::sampleEmptySubmissions() {
    constexpr int kFirst = 8;  // later one more each time
    const bool isFirst = shortestEmptyNs_ == 0;
    for (int i = 0; i < (isFirst ? kFirst : 1); ++i) {
        DUNLIN_ASSIGN(const double ns, submissionNs());
        shortestEmptyNs_ = shortestEmptyNs_ == 0 ? ns : std::min(shortestEmptyNs_, ns);
    }
    return Status();
}

Result<double> SubmissionClock::timeNs(const std::function<void(VkCommandBuffer)>& record) {
    DUNLIN_ASSIGN(const double wall, wallNs([&](VkCommandBuffer commands) {
                      if (timer_) timer_->start(commands);
                      record(commands);
                      if (timer_) timer_->mark(commands);
                  }));
    if (timer_) {
        DUNLIN_ASSIGN(const std::vector<double> intervals, timer_->intervalsNs());
        if (intervals.front() > 0 || wall < kStandstillNs) return intervals.front();
        timer_.reset();
    }
    DUNLIN_TRY(sampleEmptySubmissions());
    // What is shorter than the noise of a submission is not measured: at least it is not negative.
    return std::max(1.0, wall - shortestEmptyNs_);
}

}  // namespace dunlin::tuning
