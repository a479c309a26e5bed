// A model compiled for a Vulkan device: recorded into the application's command buffers, submitted from its own, or run
// blocking.
#pragma once

#include <memory>
#include <vector>

#include "runtime/backend.h"
#include "runtime/plan/memory_plan.h"
#include "runtime/vulkan/device_model.h"
#include "runtime/vulkan/interop.h"
#include "runtime/vulkan/recorder.h"

namespace dunlin::vulkan {

constexpr int kMaxSlots = 16;

struct VulkanSessionOptions {
    SessionOptions session;
    int slots = 1;                     // frames in flight, 1 to kMaxSlots
    uint32_t inputKinds = kAllInputs;  // kInput... bits
    // run() with pictures of up to so many pixels needs no allocation; larger ones make it grow its staging buffer, by
    // half at least.
    uint32_t maxPictureWidth = 0, maxPictureHeight = 0;
    uint64_t memoryLimitBytes = UINT64_MAX;  // of device memory for this session, shared weights and staging included
    bool timestamps = false;                 // run() and bindSlot() also time every dispatch on the GPU
};

// Of the buffer that run() puts host inputs into, as large as the options ask for.
uint64_t stagingBytes(const Shape& network, const VulkanSessionOptions& options);
// Of the buffer for bindings that a variant has but does not read.
uint64_t unusedBytes(const Program& program, const DeviceLimits& limits);

struct SemaphoreValue {
    VkSemaphore semaphore = VK_NULL_HANDLE;
    uint64_t value = 0;  // timeline semaphores, which must be enabled; binary ones: 0
};

struct SubmitInfo {
    VkQueue queue = VK_NULL_HANDLE;  // of the device's queue family; null: the device's own
    int slot = 0;
    std::span<const SemaphoreValue> waits;  // at VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT
    std::span<const SemaphoreValue> signals;
    VkFence fence = VK_NULL_HANDLE;  // optional
};

struct VulkanSessionInfo {
    int slots = 0;
    uint32_t inputKinds = 0;
    size_t dispatches = 0, barriers = 0;
    size_t pipelines = 0;      // for one kind of input
    uint64_t arenaBytes = 0;   // of one slot
    uint64_t weightBytes = 0;  // shared with other sessions of the model and precision
    uint64_t deviceBytes = 0;  // all that this session uses, weights included
};

// Slots are frames in flight: each owns its activations, descriptor sets, command buffer and output buffer. A slot is
// idle until commands that use it are submitted, and again when they have finished; different slots may be in flight at
// once. The calls themselves need external synchronization, one at a time for each session. The session keeps the
// device and the weights alive. Destroying it waits for nothing: no slot may be in flight. After DeviceLost it can only
// be destroyed.
class VulkanSession final : public Session {
  public:
    // The slow part of VulkanBackend::createSession(): compiles pipelines and allocates, after checkFits(). `plan` is
    // planMemory() of the program at the device's offsetAlignment; the model's weights are in the program's precision.
    static Result<std::unique_ptr<VulkanSession>> create(std::shared_ptr<const VulkanDevice> device,
                                                         std::shared_ptr<Pipelines> pipelines,
                                                         std::shared_ptr<const DeviceModel> model, Program program,
                                                         MemoryPlan plan, const VulkanSessionOptions& options);
    // DoesNotFit, with need and limit, where a session would exceed the options' limit, what the device has left, or
    // with one of its buffers what the device can allocate at once. Nothing is allocated. Of `weightBytes`,
    // `residentBytes` are on the device already.
    static Status checkFits(const VulkanDevice& device, const Program& program, const MemoryPlan& plan,
                            uint64_t weightBytes, uint64_t residentBytes, const VulkanSessionOptions& options);
    ~VulkanSession() override;

    const Shape& inputShape() const override { return program_.input; }
    std::span<const OutputSlice> outputs() const override { return program_.outputs; }
    uint64_t outputBytes() const override { return program_.outputBytes; }
    uint64_t deviceBytes() const override { return info().deviceBytes; }
    VulkanSessionInfo info() const;
    const Program& program() const { return program_; }
    const MemoryPlan& plan() const { return plan_; }

    // Uses slot 0, which must be idle; what bindSlot() fixed for it is void afterwards. One vkQueueSubmit and one wait
    // on the device's queue. Pictures that exceed the device's buffer range, or together the memory that is left, are
    // preprocessed on the CPU; DoesNotFit where the session was not created for tensors, which those then are.
    Status run(const HostInput& input, std::span<std::byte> output) override;

    // Records the dispatches [firstDispatch, firstDispatch + dispatchCount) of the network into a command buffer in the
    // recording state, outside a render pass, of a pool of the device's queue family. dispatchCount 0: all that follow.
    // No submit, no wait, no allocation. The ranges of one run are recorded in order, with the same slot, input and
    // output, and run in that order on one queue; the dependencies between them are recorded too.
    //
    // Before, the application makes sure that
    //   - what wrote the input is visible to VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_READ_BIT, and
    //     images are in the layout that the input names;
    //   - what used the output's range has finished before COMPUTE_SHADER, its writes available to SHADER_WRITE;
    //   - the slot is idle when this is called, and its last use comes before on the device, with a dependency from
    //     COMPUTE_SHADER, SHADER_WRITE to COMPUTE_SHADER, SHADER_READ | SHADER_WRITE (a fence or a semaphore will do).
    // After, outputs were written by COMPUTE_SHADER, SHADER_WRITE; the application makes them visible to their reader.
    // Images stay in their layout, and nothing changes queue families.
    //
    // A call with firstDispatch 0 rewrites the slot's descriptor sets: what was recorded for the slot before is invalid
    // from then on. Otherwise the same commands may be submitted again and again, one after the other.
    Status record(VkCommandBuffer commands, int slot, const VulkanInput& input, const VulkanOutput& output,
                  size_t firstDispatch = 0, size_t dispatchCount = 0);

    // Records the whole network into the slot's own command buffer, in its existing pool, for submit(). The slot must
    // be idle. At its end the outputs are made visible to the host (VK_PIPELINE_STAGE_HOST_BIT,
    // VK_ACCESS_HOST_READ_BIT).
    Status bindSlot(int slot, const VulkanInput& input, const VulkanOutput& output = {});
    // One vkQueueSubmit of what bindSlot() recorded. The guarantees that record() asks for come from the semaphores or
    // from submission order.
    Status submit(const SubmitInfo& info);

    // The slot's own output buffer: usage STORAGE_BUFFER and TRANSFER_SRC.
    VkBuffer outputBuffer(int slot) const;
    // Copies from the slot's own output buffer, after the device has finished and made it visible to the host.
    Status readOutput(int slot, std::span<std::byte> output) const;
    // Of the last run() or of the slot's last finished submit(), with options.timestamps: one for each dispatch.
    Result<std::vector<double>> dispatchTimesNs(int slot = 0) const;
    // The timestamps behind them, in ticks of the device: the first before the first dispatch, then one after each.
    Result<std::vector<uint64_t>> dispatchTicks(int slot = 0) const;

  private:
    struct Slot;
    // The dispatch's set within a slot, and its pipeline, by kind of source. Equal for all but preprocess.
    struct DispatchSets {
        std::array<size_t, kSourceKinds> set{};
        std::array<const Pipeline*, kSourceKinds> pipeline{};
    };

    VulkanSession() = default;
    Status compilePipelines();
    std::vector<Variant> variantsOf(const Dispatch& dispatch) const;
    Status createSlot();
    Status writeStaticBindings(Slot& slot);
    Status writeCallerBindings(Slot& slot, uint32_t kind, const VulkanInput& input, const VulkanOutput& output);
    Status writeBinding(Slot& slot, size_t dispatch, uint32_t binding);
    Status checkRecord(int slot, const VulkanOutput& output, size_t firstDispatch, size_t dispatchCount) const;
    Status recordOwn(Slot& slot, const VulkanInput& input, const VulkanOutput& output);
    uint64_t stagingRoomBytes() const;
    Status ensureStaging(uint64_t sizeBytes);
    Status stage(const HostInput& input, std::vector<PixelSource>* pictures);
    Status stagePictures(std::span<const PixelView> pictures, std::vector<PixelSource>* sources);
    Status stageTensor(std::span<const float> tensor);
    Status stagePreprocessed(std::span<const PixelView> pictures);

    std::shared_ptr<const VulkanDevice> device_;  // first, so that it goes last
    std::shared_ptr<Pipelines> pipelines_;
    std::shared_ptr<const DeviceModel> model_;
    VulkanSessionOptions options_;
    Program program_;
    MemoryPlan plan_;
    std::vector<bool> barrierBefore_;
    std::vector<DispatchSets> dispatchSets_;
    std::vector<const Pipeline*> setPipelines_;  // by set, alike in all slots
    Buffer unused_;  // what bindings point to that a variant does not read, each at its own place
    std::vector<std::unique_ptr<Slot>> slots_;
    Buffer staging_;                           // host inputs of run()
    std::vector<PixelSource> stagedPictures_;  // what run() recorded slot 0's command buffer for; empty: a tensor
};

}  // namespace dunlin::vulkan
