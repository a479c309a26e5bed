// Networks on Vulkan devices.
#include <ctime>
#include <optional>
#include <span>

#include "runtime/plan/hazards.h"
#include "runtime/plan/kernels.h"
#include "tools/bench/network_session.h"
#include "tools/bench/roofline.h"

namespace dunlin::bench {
namespace {

using Clock = std::chrono::steady_clock;

double millisecondsSince(Clock::time_point begin) {
    return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

// Processor time that this thread has taken, or nothing where the system does not say.
std::optional<double> threadMicroseconds() {
#if defined(CLOCK_THREAD_CPUTIME_ID)
    timespec time{};
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) != 0) return std::nullopt;
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
#else
    return std::nullopt;
#endif
}

constexpr int kMostInFlight = 3;

class VulkanNetworkSession final : public NetworkSession {
  public:
    static Result<std::unique_ptr<NetworkSession>> create(vulkan::VulkanBackend& backend, const ModelRun& run);
    ~VulkanNetworkSession() override;

    const SessionFacts& facts() const override { return facts_; }
    bool hasGpuClock() const override { return timed_ != nullptr; }
    Result<double> runMs() override;
    Result<double> gpuMs() override;
    Result<std::vector<double>> layerTimesNs() override;
    Result<double> frameMs(int inFlight, int frames) override;
    Result<SubmitTime> submitTime() override;
    Result<TracedFrame> traceFrame() override;

  private:
    VulkanNetworkSession(std::shared_ptr<vulkan::VulkanDevice> device, const Shape& input)
        : device_(std::move(device)), pictures_(input) {}
    Status prepare(vulkan::VulkanBackend& backend, const ModelRun& run);
    Status openSessions(vulkan::VulkanBackend& backend, const ModelRun& run);
    Status openInFlight(vulkan::VulkanBackend& backend, const std::shared_ptr<const ModelData>& model,
                        vulkan::VulkanSessionOptions options);
    Status describe(const ModelRun& run);
    Status uploadPicture();
    Status createFences();
    vulkan::VulkanInput deviceInput() const { return {{}, sources_, {}}; }
    Status bindAll();
    Status submit(vulkan::VulkanSession& session, int slot);
    Status wait(int slot);
    Status drain(const Status& failed);

    std::shared_ptr<vulkan::VulkanDevice> device_;
    HostPictures pictures_;
    SessionFacts facts_;
    std::unique_ptr<vulkan::VulkanSession> plain_;        // facts_.maxInFlight slots, no timestamps
    std::unique_ptr<vulkan::VulkanSession> timed_;        // null where the queue has no timestamps
    std::optional<vulkan::CommandRunner> frameCommands_;  // of timed_'s frames, with two timestamps around each
    std::optional<vulkan::GpuTimer> frameTimer_;
    bool isBound_ = false;  // all slots of plain_ are recorded for the picture on the device
    vulkan::Buffer pixels_;
    std::vector<vulkan::PixelSource> sources_;  // of each image
    std::vector<VkFence> fences_;
    std::vector<std::byte> output_;
};

Result<std::unique_ptr<NetworkSession>> VulkanNetworkSession::create(vulkan::VulkanBackend& backend,
                                                                     const ModelRun& run) {
    std::unique_ptr<VulkanNetworkSession> session(new VulkanNetworkSession(backend.device(), run.input));
    const Status ready = session->prepare(backend, run);
    if (ready.code() == StatusCode::DeviceLost) (void)session.release();  // the device may still use it
    DUNLIN_TRY(ready);
    return std::unique_ptr<NetworkSession>(std::move(session));
}

Status VulkanNetworkSession::prepare(vulkan::VulkanBackend& backend, const ModelRun& run) {
    DUNLIN_TRY(openSessions(backend, run));
    DUNLIN_TRY(describe(run));
    DUNLIN_TRY(uploadPicture());
    DUNLIN_TRY(createFences());
    if (timed_) {
        DUNLIN_ASSIGN(vulkan::CommandRunner commands, vulkan::CommandRunner::create(*device_));
        DUNLIN_ASSIGN(vulkan::GpuTimer timer, vulkan::GpuTimer::create(*device_, 1));
        frameCommands_.emplace(std::move(commands));
        frameTimer_.emplace(std::move(timer));
    }
    output_.resize(plain_->outputBytes());
    return {};
}

VulkanNetworkSession::~VulkanNetworkSession() {
    for (VkFence fence : fences_) device_->functions().DestroyFence(device_->handle(), fence, device_->allocator());
}

Status VulkanNetworkSession::openSessions(vulkan::VulkanBackend& backend, const ModelRun& run) {
    const std::shared_ptr<const ModelData> model(run.network, &run.network->data);
    vulkan::VulkanSessionOptions options;
    options.session.batch = run.input.n;
    options.session.height = run.input.h;
    options.session.width = run.input.w;
    options.session.precision = *run.precision;
    options.session.fusion = run.fusion;
    options.session.forms = run.forms;
    options.inputKinds = vulkan::kInputPixels;
    options.maxPictureWidth = static_cast<uint32_t>(run.input.w);
    options.maxPictureHeight = static_cast<uint32_t>(run.input.h);
    options.timestamps = device_->capabilities().timestampValidBits > 0;
    DUNLIN_ASSIGN(std::unique_ptr<vulkan::VulkanSession> single, backend.createSession(model, options));
    facts_.deviceBytes = single->info().deviceBytes;
    facts_.barriers = single->info().barriers;
    if (options.timestamps) timed_ = std::move(single);
    single.reset();
    options.timestamps = false;
    return openInFlight(backend, model, options);
}

// With as many slots as fit.
Status VulkanNetworkSession::openInFlight(vulkan::VulkanBackend& backend, const std::shared_ptr<const ModelData>& model,
                                          vulkan::VulkanSessionOptions options) {
    Status status;
    for (options.slots = kMostInFlight; options.slots > 0; --options.slots) {
        Result<std::unique_ptr<vulkan::VulkanSession>> opened = backend.createSession(model, options);
        if (opened.ok()) {
            plain_ = *std::move(opened);
            facts_.maxInFlight = options.slots;
            if (!status.ok()) facts_.notices.push_back("no more frames in flight: " + status.message());
            return {};
        }
        status = opened.status();
        if (status.code() != StatusCode::DoesNotFit && status.code() != StatusCode::OutOfDeviceMemory) return status;
    }
    return status;
}

// What the session's program consists of. A session that had to take smaller steps than a lowering without regard to
// memory has a program of its own, of which no origins are known.
Status VulkanNetworkSession::describe(const ModelRun& run) {
    const Program& program = plain_->program();
    facts_.waits = planBarriers(program, plain_->plan());
    SessionOptions options;
    options.batch = run.input.n;
    options.height = run.input.h;
    options.width = run.input.w;
    options.precision = *run.precision;
    options.fusion = run.fusion;
    options.forms = run.forms;
    DUNLIN_ASSIGN(LoweredNetwork lowered, lowerNetwork(*run.graph, options, device_->limits()));
    if (print(lowered.program) == print(program)) {
        facts_.costs = dispatchCosts(*run.graph, lowered);
    } else {
        facts_.notices.push_back("it runs in smaller parts for want of memory, whose limits are not known");
    }
    for (size_t i = 0; i < program.dispatches.size(); ++i) {
        const Dispatch& dispatch = program.dispatches[i];
        Layer layer = {dispatch.name, row(dispatch.variant.kernel).name, dunlin::describe(dispatch.variant), {}, {}};
        for (const Binding& binding : dispatch.bindings) {
            if (!binding.write || binding.tensor < 0 || layer.shape.c > 0) continue;
            layer.shape = program.tensors[static_cast<size_t>(binding.tensor)].shape;
        }
        if (!facts_.costs.empty()) layer.cost = facts_.costs[i];
        facts_.layers.push_back(std::move(layer));
    }
    return {};
}

Status VulkanNetworkSession::uploadPicture() {
    const std::vector<uint8_t>& pixels = pictures_.pixels();
    constexpr VkBufferUsageFlags kUsage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
    DUNLIN_ASSIGN(pixels_, vulkan::Buffer::create(*device_, pixels.size(), kUsage, vulkan::MemoryUse::Device));
    DUNLIN_ASSIGN(vulkan::Uploader made, vulkan::Uploader::create(*device_, pixels.size()));
    auto uploader = std::make_unique<vulkan::Uploader>(std::move(made));
    Status uploaded = uploader->write(pixels_, 0, std::as_bytes(std::span(pixels)));
    if (uploaded.ok()) uploaded = uploader->finish();
    if (uploaded.code() == StatusCode::DeviceLost) (void)uploader.release();  // as what the device may still use
    DUNLIN_TRY(uploaded);
    const Shape& input = plain_->inputShape();
    const vulkan::PixelSource source = {pixels_.handle(), 0, static_cast<uint32_t>(input.w),
                                        static_cast<uint32_t>(input.h), 0};
    sources_.assign(pictures_.count(), source);
    return {};
}

Status VulkanNetworkSession::createFences() {
    VkFenceCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO;
    for (int i = 0; i < facts_.maxInFlight; ++i) {
        VkFence fence = VK_NULL_HANDLE;
        DUNLIN_TRY(vulkan::check(
            device_->functions().CreateFence(device_->handle(), &info, device_->allocator(), &fence), "vkCreateFence"));
        fences_.push_back(fence);
    }
    return {};
}

Result<double> VulkanNetworkSession::runMs() {
    isBound_ = false;
    const Clock::time_point begin = Clock::now();
    DUNLIN_TRY(plain_->run(pictures_.input(), output_));
    return millisecondsSince(begin);
}

Result<double> VulkanNetworkSession::gpuMs() {
    Status recorded;
    DUNLIN_TRY(frameCommands_->run([&](VkCommandBuffer commands) {
        frameTimer_->start(commands);
        recorded = timed_->record(commands, 0, deviceInput(), {});
        frameTimer_->mark(commands);
    }));
    DUNLIN_TRY(recorded);
    DUNLIN_ASSIGN(const std::vector<double> intervals, frameTimer_->intervalsNs());
    return intervals.front() / 1e6;
}

Result<std::vector<double>> VulkanNetworkSession::layerTimesNs() {
    DUNLIN_TRY(timed_->run(pictures_.input(), output_));
    return timed_->dispatchTimesNs();
}

// run() leaves slot 0 recorded for its own staging memory.
Status VulkanNetworkSession::bindAll() {
    if (isBound_) return {};
    for (int slot = 0; slot < facts_.maxInFlight; ++slot) DUNLIN_TRY(plain_->bindSlot(slot, deviceInput()));
    isBound_ = true;
    return {};
}

Status VulkanNetworkSession::submit(vulkan::VulkanSession& session, int slot) {
    const VkFence fence = fences_[static_cast<size_t>(slot)];
    DUNLIN_TRY(vulkan::check(device_->functions().ResetFences(device_->handle(), 1, &fence), "vkResetFences"));
    return session.submit({VK_NULL_HANDLE, slot, {}, {}, fence});
}

Status VulkanNetworkSession::wait(int slot) {
    return device_->waitFor(fences_[static_cast<size_t>(slot)]);
}

// After a failure with frames in flight, so that the session can be destroyed.
Status VulkanNetworkSession::drain(const Status& failed) {
    if (failed.code() == StatusCode::DeviceLost) return failed;
    const Status idle =
        vulkan::check(device_->functions().QueueWaitIdle(device_->queue()), "vkQueueWaitIdle after a failure");
    return idle.ok() ? failed
                     : error(StatusCode::DeviceLost, "%s; %s", failed.message().c_str(), idle.message().c_str());
}

Result<double> VulkanNetworkSession::frameMs(int inFlight, int frames) {
    DUNLIN_TRY(bindAll());
    const auto finish = [&](int slot) {
        DUNLIN_TRY(wait(slot));
        return plain_->readOutput(slot, output_);
    };
    const auto flow = [&]() -> Result<double> {
        for (int slot = 0; slot < inFlight; ++slot) DUNLIN_TRY(submit(*plain_, slot));
        DUNLIN_TRY(finish(0));
        const Clock::time_point begin = Clock::now();
        for (int frame = 0; frame < frames; ++frame) {
            DUNLIN_TRY(submit(*plain_, frame % inFlight));
            DUNLIN_TRY(finish((frame + 1) % inFlight));
        }
        const double perFrame = millisecondsSince(begin) / frames;
        for (int slot = 0; slot < inFlight; ++slot) DUNLIN_TRY(wait(slot));
        return perFrame;
    };
    Result<double> result = flow();
    if (!result.ok()) return drain(result.status());
    return result;
}

Result<SubmitTime> VulkanNetworkSession::submitTime() {
    DUNLIN_TRY(bindAll());
    const VkFence fence = fences_[0];
    DUNLIN_TRY(vulkan::check(device_->functions().ResetFences(device_->handle(), 1, &fence), "vkResetFences"));
    const std::optional<double> cpuBegin = threadMicroseconds();
    const Clock::time_point begin = Clock::now();
    DUNLIN_TRY(plain_->submit({VK_NULL_HANDLE, 0, {}, {}, fence}));
    SubmitTime time;
    time.wallUs = millisecondsSince(begin) * 1e3;
    const std::optional<double> cpuEnd = threadMicroseconds();
    time.cpuUs = cpuBegin && cpuEnd ? *cpuEnd - *cpuBegin : time.wallUs;
    if (const Status waited = wait(0); !waited.ok()) return drain(waited);
    return time;
}

Result<TracedFrame> VulkanNetworkSession::traceFrame() {
    vulkan::VulkanSession& session = timed_ ? *timed_ : *plain_;
    isBound_ = false;
    TracedFrame frame;
    frame.recordBegin = Clock::now();
    DUNLIN_TRY(session.bindSlot(0, deviceInput()));
    frame.submitBegin = Clock::now();
    DUNLIN_TRY(submit(session, 0));
    frame.waitBegin = Clock::now();
    if (const Status waited = wait(0); !waited.ok()) return drain(waited);
    frame.end = Clock::now();
    frame.gpuBegin = frame.submitBegin;
    if (!timed_) return frame;

    DUNLIN_ASSIGN(const std::vector<uint64_t> ticks, timed_->dispatchTicks());
    const vulkan::Capabilities& capabilities = device_->capabilities();
    if (ticks.front() == ticks.back() || capabilities.timestampPeriodNs <= 0)
        return frame;  // a clock that stands still
    const auto nanoseconds = [](double ns) {
        return std::chrono::duration_cast<Clock::duration>(std::chrono::nanoseconds(static_cast<int64_t>(ns)));
    };
    if (const Result<vulkan::ClockPair> clocks = vulkan::readClocks(*device_); clocks.ok()) {
        frame.calibrated = true;
        frame.maxDeviationNs = clocks->maxDeviationNs;
        frame.gpuBegin =
            clocks->host + nanoseconds(vulkan::ticksToNs(clocks->deviceTicks, ticks.front(), capabilities));
    }
    double elapsedNs = 0;
    DUNLIN_ASSIGN(const std::vector<double> intervals, timed_->dispatchTimesNs());
    for (double interval : intervals) {
        elapsedNs += interval;
        frame.dispatchEnds.push_back(frame.gpuBegin + nanoseconds(elapsedNs));
    }
    return frame;
}

}  // namespace

Result<std::unique_ptr<NetworkSession>> openVulkanSession(vulkan::VulkanBackend& backend, const ModelRun& run) {
    return VulkanNetworkSession::create(backend, run);
}

}  // namespace dunlin::bench
