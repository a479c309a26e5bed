// A network made ready on a device, and the single measurements that are made with it. What they are for and how often
// they are made is model_measurement.h's business.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/plan/dispatch_cost.h"
#include "runtime/vulkan/backend.h"
#include "tools/bench/model_runs.h"

namespace dunlin::bench {

// A part of the network that is timed by itself: a dispatch.
struct Layer {
    std::string name;             // of the graph's node: "blocks.1.0.conv_dw"
    std::string kernel, variant;  // "depthwise", "depthwise.f32.texel.4x1 local=64 ..."
    Shape shape;                  // of what it writes; zeros for the head
    DispatchCost cost;
};

struct SessionFacts {
    uint64_t deviceBytes = 0;  // with one frame in flight
    std::vector<DispatchCost> costs;
    std::vector<bool> waits;    // by cost: for those before it
    std::vector<Layer> layers;  // of a Vulkan device
    size_t barriers = 0;        // of a Vulkan device
    int maxInFlight = 0;        // frames that fit into the device's memory, of those that are asked for; 0: the CPU
    std::vector<std::string> notices;
};

// A frame as it went by, for the timeline.
struct TracedFrame {
    using Time = std::chrono::steady_clock::time_point;
    Time recordBegin, submitBegin, waitBegin, end;  // CPU: nothing is recorded or submitted, and all four ...
    std::vector<Time> dispatchEnds;  // ... empty without a clock that moves; the first begins at gpuBegin
    Time gpuBegin;
    bool calibrated = false;  // else the first dispatch is assumed to begin with the submission
    uint64_t maxDeviationNs = 0;
};

struct SubmitTime {
    double cpuUs = 0;   // of the submitting thread
    double wallUs = 0;  // of the call
};

// Pictures of the network's own size, for every image of the batch.
class HostPictures {
  public:
    explicit HostPictures(const Shape& input);
    const std::vector<uint8_t>& pixels() const { return pixels_; }  // of one
    HostInput input() const { return {views_, {}}; }                // valid as long as this object
    size_t count() const { return views_.size(); }

  private:
    std::vector<uint8_t> pixels_;
    std::vector<PixelView> views_;
};

// Not thread-safe. After DeviceLost from any of its functions it must not be destroyed: leak it.
class NetworkSession {
  public:
    virtual ~NetworkSession() = default;
    virtual const SessionFacts& facts() const = 0;
    virtual bool hasGpuClock() const = 0;

    // One blocking run, from pixels in host memory to results in host memory, without timestamps: milliseconds.
    virtual Result<double> runMs() = 0;
    // Of a frame whose picture is on the device, between two timestamps around its dispatches: milliseconds. 0 where
    // the clock stands still. Only with a GPU clock.
    virtual Result<double> gpuMs() = 0;
    // As runMs(), with a timestamp after each dispatch, which some devices wait at: nanoseconds of each layer. Only
    // with a GPU clock.
    virtual Result<std::vector<double>> layerTimesNs() = 0;
    // A frame's share in a steady stream of frames whose commands are recorded and whose pictures are on the device,
    // with so many (up to maxInFlight) submitted at any time and every result read: milliseconds. Not on the CPU.
    virtual Result<double> frameMs(int inFlight, int frames) = 0;
    // Of one vkQueueSubmit of recorded commands to an idle queue. Not on the CPU.
    virtual Result<SubmitTime> submitTime() = 0;
    virtual Result<TracedFrame> traceFrame() = 0;
};

// `run` can be measured (no failure), on a Vulkan device, which the backend was made for.
Result<std::unique_ptr<NetworkSession>> openVulkanSession(vulkan::VulkanBackend& backend, const ModelRun& run);
Result<std::unique_ptr<NetworkSession>> openCpuSession(const ModelRun& run);

}  // namespace dunlin::bench
