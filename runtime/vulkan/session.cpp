#include <algorithm>
#include <cstring>
#include <set>

#include "runtime/plan/hazards.h"
#include "runtime/vulkan/session_slot.h"

namespace dunlin::vulkan {
namespace {

// The position in the preprocess kernel's row.
constexpr uint32_t kPreprocessSource = 0;

bool isPreprocess(const Dispatch& dispatch) {
    return dispatch.variant.kernel == Kernel::Preprocess;
}

uint64_t tensorBytes(const Shape& network) {
    return static_cast<uint64_t>(network.pixelCount()) * 3 * sizeof(float);
}

}  // namespace

uint64_t stagingBytes(const Shape& network, const VulkanSessionOptions& options) {
    uint64_t bytes = options.inputKinds & kInputTensors ? tensorBytes(network) : 0;
    if (options.inputKinds & kInputPixels) {
        const uint64_t pictureBytes = uint64_t{options.maxPictureWidth} * options.maxPictureHeight * 4;
        bytes = std::max(bytes, static_cast<uint64_t>(network.n) * pictureBytes);
    }
    return bytes;
}

// Each such binding gets bytes of its own, so that nothing seems to depend on it.
uint64_t unusedBytes(const Program& program, const DeviceLimits& limits) {
    uint64_t count = 0;
    for (const Dispatch& dispatch : program.dispatches) {
        for (const Binding& binding : dispatch.bindings) count += binding.tensor < 0;
    }
    return count * limits.offsetAlignment;
}

Status VulkanSession::checkFits(const VulkanDevice& device, const Program& program, const MemoryPlan& plan,
                                uint64_t weightBytes, uint64_t residentBytes, const VulkanSessionOptions& options) {
    if (options.slots < 1 || options.slots > kMaxSlots) {
        return error(StatusCode::InvalidArgument, "%d slots; 1 to %d are possible", options.slots, kMaxSlots);
    }
    if (options.inputKinds == 0 || (options.inputKinds & ~kAllInputs)) {
        return error(StatusCode::InvalidArgument, "input kinds 0x%x; bits of 0x%x are possible", options.inputKinds,
                     kAllInputs);
    }
    const DeviceLimits& limits = device.limits();
    const auto print = [](uint64_t bytes) { return static_cast<unsigned long long>(bytes); };
    const uint64_t staging = stagingBytes(program.input, options), unused = unusedBytes(program, limits);
    const std::pair<uint64_t, const char*> buffers[] = {{plan.arenaBytes, "activations"},
                                                        {program.outputBytes, "outputs"},
                                                        {staging, "staged host inputs"},
                                                        {unused, "unused bindings"}};
    const auto& [largestBytes, largest] =
        *std::ranges::max_element(buffers, {}, &std::pair<uint64_t, const char*>::first);
    if (largestBytes > limits.maxAllocationBytes) {
        return error(StatusCode::DoesNotFit, "%s need one allocation of %llu bytes, and the device's limit is %llu",
                     largest, print(largestBytes), print(limits.maxAllocationBytes));
    }
    const uint64_t sessionBytes =
        static_cast<uint64_t>(options.slots) * (plan.arenaBytes + program.outputBytes) + staging + unused;
    const uint64_t allBytes = weightBytes + sessionBytes;
    const uint64_t newBytes = allBytes - std::min(residentBytes, weightBytes);
    const uint64_t availableBytes = device.availableBytes();
    const bool overLimit = allBytes > options.memoryLimitBytes;
    if (!overLimit && newBytes <= availableBytes) return Status();
    return error(StatusCode::DoesNotFit,
                 "the session needs %llu bytes of device memory (weights %llu; activations, outputs and staging of %d "
                 "slots %llu), and %s %llu",
                 print(overLimit ? allBytes : newBytes), print(weightBytes), options.slots, print(sessionBytes),
                 overLimit ? "the limit is" : "the device has left",
                 print(overLimit ? options.memoryLimitBytes : availableBytes));
}

Result<std::unique_ptr<VulkanSession>> VulkanSession::create(std::shared_ptr<const VulkanDevice> device,
                                                             std::shared_ptr<Pipelines> pipelines,
                                                             std::shared_ptr<const DeviceModel> model, Program program,
                                                             MemoryPlan plan, const VulkanSessionOptions& options) {
    std::unique_ptr<VulkanSession> session(new VulkanSession());
    session->device_ = std::move(device);
    session->pipelines_ = std::move(pipelines);
    session->model_ = std::move(model);
    session->options_ = options;
    session->program_ = std::move(program);
    session->plan_ = std::move(plan);
    session->barrierBefore_ = planBarriers(session->program_, session->plan_);
    const uint64_t weightBytes = session->model_->deviceBytes();
    DUNLIN_TRY(checkFits(*session->device_, session->program_, session->plan_, weightBytes, weightBytes, options));
    DUNLIN_TRY(session->compilePipelines());
    constexpr VkBufferUsageFlags kUnusedUsage =
        VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT;
    const uint64_t unused = unusedBytes(session->program_, session->device_->limits());
    DUNLIN_ASSIGN(session->unused_, Buffer::create(*session->device_, unused, kUnusedUsage, MemoryUse::Device));
    for (int i = 0; i < options.slots; ++i) DUNLIN_TRY(session->createSlot());
    DUNLIN_TRY(session->ensureStaging(stagingBytes(session->program_.input, options)));
    if (options.session.progress && !options.session.progress(1.0f)) {
        return error(StatusCode::Cancelled, "cancelled when the session was complete");
    }
    session->options_.session.progress = nullptr;  // only for the creating call
    return session;
}

VulkanSession::~VulkanSession() = default;

Status VulkanSession::compilePipelines() {
    std::vector<Variant> distinct;  // in the order of their first use
    std::set<Variant> known;
    for (const Dispatch& dispatch : program_.dispatches) {
        for (const Variant& variant : variantsOf(dispatch)) {
            if (known.insert(variant).second) distinct.push_back(variant);
        }
    }
    const auto& progress = options_.session.progress;
    // One step is left for what comes after.
    const auto share = [&](size_t done) { return static_cast<float>(done) / static_cast<float>(distinct.size() + 1); };
    DUNLIN_TRY(pipelines_->prepare(distinct, [&](size_t done) { return !progress || progress(share(done)); }));

    for (const Dispatch& dispatch : program_.dispatches) {
        DispatchSets sets;
        for (const Variant& variant : variantsOf(dispatch)) {
            const uint32_t kind = isPreprocess(dispatch) ? variant.tileX : 0;
            DUNLIN_ASSIGN(sets.pipeline[kind], pipelines_->get(variant));
            sets.set[kind] = setPipelines_.size();
            setPipelines_.push_back(sets.pipeline[kind]);
        }
        for (uint32_t kind = 1; !isPreprocess(dispatch) && kind < kSourceKinds; ++kind) {
            sets.set[kind] = sets.set[0];
            sets.pipeline[kind] = sets.pipeline[0];
        }
        dispatchSets_.push_back(sets);
    }
    pipelines_->save();  // a folder that cannot be written costs only time
    return Status();
}

// The dispatch's own, or for preprocess one for each kind of source that the session was asked for.
std::vector<Variant> VulkanSession::variantsOf(const Dispatch& dispatch) const {
    if (!isPreprocess(dispatch)) return {dispatch.variant};
    std::vector<Variant> variants;
    for (uint32_t kind = 0; kind < kSourceKinds; ++kind) {
        if (!(options_.inputKinds & (1u << kind))) continue;
        variants.push_back(dispatch.variant);
        variants.back().tileX = static_cast<uint8_t>(kind);
    }
    return variants;
}

Status VulkanSession::createSlot() {
    const VulkanDevice& device = *device_;
    const DeviceFunctions& vk = device.functions();
    auto slot = std::make_unique<Slot>(device);
    constexpr VkBufferUsageFlags kArenaUsage =
        VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT;
    DUNLIN_ASSIGN(slot->arena, Buffer::create(device, plan_.arenaBytes, kArenaUsage, MemoryUse::Device));
    constexpr VkBufferUsageFlags kOutputUsage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT;
    DUNLIN_ASSIGN(slot->output, Buffer::create(device, program_.outputBytes, kOutputUsage, MemoryUse::Readback));

    // The gaps between outputs are handed out too: zeros, not what the memory held before.
    std::memset(slot->output.mapped(), 0, program_.outputBytes);
    DUNLIN_TRY(slot->output.flush(0, program_.outputBytes));

    VkCommandPoolCreateInfo pool{};
    pool.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
    pool.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
    pool.queueFamilyIndex = device.queueFamily();
    DUNLIN_TRY(
        check(vk.CreateCommandPool(device.handle(), &pool, device.allocator(), &slot->pool), "vkCreateCommandPool"));
    VkCommandBufferAllocateInfo commands{};
    commands.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
    commands.commandPool = slot->pool;
    commands.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    commands.commandBufferCount = 1;
    DUNLIN_TRY(
        check(vk.AllocateCommandBuffers(device.handle(), &commands, &slot->commands), "vkAllocateCommandBuffers"));
    VkFenceCreateInfo fence{};
    fence.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO;
    DUNLIN_TRY(check(vk.CreateFence(device.handle(), &fence, device.allocator(), &slot->fence), "vkCreateFence"));
    if (options_.timestamps) {
        DUNLIN_ASSIGN(GpuTimer timer, GpuTimer::create(device, static_cast<uint32_t>(program_.dispatches.size())));
        slot->timer.emplace(std::move(timer));
    }

    DUNLIN_ASSIGN(slot->sets, DescriptorSets::create(device, setPipelines_));
    DUNLIN_TRY(writeStaticBindings(*slot));
    slot->bound.resize(program_.dispatches.size());
    for (const Dispatch& dispatch : program_.dispatches) slot->push.push_back(dispatch.push);
    for (size_t i = 0; i < slot->bound.size(); ++i) {
        BoundDispatch& bound = slot->bound[i];
        bound.push = &slot->push[i];
        bound.workgroups = program_.dispatches[i].workgroups;
        bound.barrierBefore = barrierBefore_[i];
    }
    slots_.push_back(std::move(slot));
    return Status();
}

// Everything but what the caller gives at record time.
Status VulkanSession::writeStaticBindings(Slot& slot) {
    uint64_t unusedOffset = 0;
    for (size_t i = 0; i < program_.dispatches.size(); ++i) {
        const Dispatch& dispatch = program_.dispatches[i];
        for (uint32_t b = 0; b < dispatch.bindings.size(); ++b) {
            const Binding& binding = dispatch.bindings[b];
            if (binding.tensor >= 0) {
                DUNLIN_TRY(writeBinding(slot, i, b));
                continue;
            }
            const uint64_t offset = unusedOffset;
            unusedOffset += device_->limits().offsetAlignment;
            if (isPreprocess(dispatch)) continue;  // the source, which record() binds
            const uint64_t sizeBytes = std::min<uint64_t>(device_->limits().offsetAlignment, 256);
            DUNLIN_TRY(slot.sets.write(dispatchSets_[i].set[0], b, {unused_.handle(), offset, sizeBytes}));
        }
    }
    return Status();
}

// One binding to the arena or the weights; others are skipped.
Status VulkanSession::writeBinding(Slot& slot, size_t dispatch, uint32_t index) {
    const Binding& binding = program_.dispatches[dispatch].bindings[index];
    const auto id = static_cast<size_t>(binding.tensor);
    const Tensor& tensor = program_.tensors[id];
    BoundResource resource;
    resource.sizeBytes = binding.sizeBytes;
    if (tensor.storage == Storage::Arena) {
        resource.buffer = slot.arena.handle();
        resource.offsetBytes = plan_.offsets[id] + binding.offsetBytes;
    } else if (tensor.storage == Storage::Constant) {
        const DeviceModel::Range& range = model_->constant(tensor.constantIndex);
        resource.buffer = range.buffer;
        resource.offsetBytes = range.offsetBytes + binding.offsetBytes;
    } else {
        return Status();
    }
    const DispatchSets& sets = dispatchSets_[dispatch];
    if (!isPreprocess(program_.dispatches[dispatch])) return slot.sets.write(sets.set[0], index, resource);
    for (uint32_t kind = 0; kind < kSourceKinds; ++kind) {
        if (sets.pipeline[kind]) DUNLIN_TRY(slot.sets.write(sets.set[kind], index, resource));
    }
    return Status();
}

Status VulkanSession::writeCallerBindings(Slot& slot, uint32_t kind, const VulkanInput& input,
                                          const VulkanOutput& output) {
    const VkBuffer outputBuffer = output.buffer ? output.buffer : slot.output.handle();
    const uint64_t outputOffset = output.buffer ? output.offsetBytes : 0;
    for (size_t i = 0; i < program_.dispatches.size(); ++i) {
        const Dispatch& dispatch = program_.dispatches[i];
        const size_t set = dispatchSets_[i].set[kind];
        slot.bound[i].pipeline = dispatchSets_[i].pipeline[kind];
        slot.bound[i].set = slot.sets[set];
        if (isPreprocess(dispatch)) {
            const BoundSource source =
                bindSource(input, dispatch.image, program_.input, model_->model().preprocess,
                           device_->limits().offsetAlignment, dispatch.push.as<params::PreprocessParams>());
            slot.push[i] = PushConstants::of(source.params);
            DUNLIN_TRY(slot.sets.write(set, kPreprocessSource, source.resource));
        }
        for (uint32_t b = 0; b < dispatch.bindings.size(); ++b) {
            const Binding& binding = dispatch.bindings[b];
            if (binding.tensor != program_.outputTensor || binding.tensor < 0) continue;
            DUNLIN_TRY(slot.sets.write(set, b, {outputBuffer, outputOffset + binding.offsetBytes, binding.sizeBytes}));
        }
    }
    return Status();
}

Status VulkanSession::checkRecord(int slot, const VulkanOutput& output, size_t firstDispatch,
                                  size_t dispatchCount) const {
    if (slot < 0 || slot >= options_.slots) {
        return error(StatusCode::InvalidArgument, "slot %d; the session has %d, counted from 0", slot, options_.slots);
    }
    const size_t all = program_.dispatches.size();
    if (firstDispatch >= all || dispatchCount > all - firstDispatch) {
        return error(StatusCode::InvalidArgument, "%zu dispatches from %zu on; the network has %zu", dispatchCount,
                     firstDispatch, all);
    }
    const uint64_t alignment = device_->limits().offsetAlignment;
    if (output.buffer && output.offsetBytes % alignment != 0) {
        return error(StatusCode::InvalidArgument, "the output's offset of %llu bytes is no multiple of %llu",
                     static_cast<unsigned long long>(output.offsetBytes), static_cast<unsigned long long>(alignment));
    }
    return Status();
}

Status VulkanSession::record(VkCommandBuffer commands, int slotIndex, const VulkanInput& input,
                             const VulkanOutput& output, size_t firstDispatch, size_t dispatchCount) {
    DUNLIN_TRY(checkRecord(slotIndex, output, firstDispatch, dispatchCount));
    DUNLIN_ASSIGN(const uint32_t kind, checkInput(input, program_.input, options_.inputKinds, device_->limits()));
    Slot& slot = *slots_[static_cast<size_t>(slotIndex)];
    // Rewriting sets would make the ranges recorded before this one invalid; they have the same input and output.
    if (firstDispatch == 0) {
        slot.recorded = false;
        DUNLIN_TRY(writeCallerBindings(slot, kind, input, output));
    } else if (!slot.bound[0].pipeline) {
        return error(StatusCode::InvalidArgument, "slot %d is recorded from dispatch %zu on before dispatch 0 was",
                     slotIndex, firstDispatch);
    }
    const size_t count = dispatchCount > 0 ? dispatchCount : program_.dispatches.size() - firstDispatch;
    recordDispatches(*device_, commands, std::span(slot.bound).subspan(firstDispatch, count));
    return Status();
}

Status VulkanSession::recordOwn(Slot& slot, const VulkanInput& input, const VulkanOutput& output) {
    DUNLIN_ASSIGN(const uint32_t kind, checkInput(input, program_.input, options_.inputKinds, device_->limits()));
    const DeviceFunctions& vk = device_->functions();
    slot.recorded = false;
    DUNLIN_TRY(writeCallerBindings(slot, kind, input, output));
    VkCommandBufferBeginInfo begin{};
    begin.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
    DUNLIN_TRY(check(vk.BeginCommandBuffer(slot.commands, &begin), "vkBeginCommandBuffer"));
    recordDispatches(*device_, slot.commands, slot.bound, slot.timer ? &*slot.timer : nullptr);
    recordBarrier(*device_, slot.commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
                  VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
    DUNLIN_TRY(check(vk.EndCommandBuffer(slot.commands), "vkEndCommandBuffer"));
    slot.recorded = true;
    return Status();
}

Status VulkanSession::bindSlot(int slot, const VulkanInput& input, const VulkanOutput& output) {
    DUNLIN_TRY(checkRecord(slot, output, 0, 0));
    Slot& bound = *slots_[static_cast<size_t>(slot)];
    bound.recordedByRun = false;
    return recordOwn(bound, input, output);
}

Status VulkanSession::submit(const SubmitInfo& info) {
    DUNLIN_TRY(checkRecord(info.slot, {}, 0, 0));
    const Slot& slot = *slots_[static_cast<size_t>(info.slot)];
    if (!slot.recorded || slot.recordedByRun) {
        return error(StatusCode::InvalidArgument, "slot %d was not bound to an input with bindSlot", info.slot);
    }
    std::vector<VkSemaphore> waits, signals;
    std::vector<uint64_t> waitValues, signalValues;
    for (const SemaphoreValue& wait : info.waits) {
        waits.push_back(wait.semaphore);
        waitValues.push_back(wait.value);
    }
    for (const SemaphoreValue& signal : info.signals) {
        signals.push_back(signal.semaphore);
        signalValues.push_back(signal.value);
    }
    // A timeline semaphore may well be waited for at 0, and binary ones ignore their value: values always go along.
    const bool timeline = device_->enabled().timelineSemaphore;
    const auto hasValue = [](const SemaphoreValue& one) { return one.value != 0; };
    if (!timeline && (std::ranges::any_of(info.waits, hasValue) || std::ranges::any_of(info.signals, hasValue))) {
        return error(StatusCode::Unsupported, "a semaphore has a value, and timelineSemaphore is not enabled");
    }
    const std::vector<VkPipelineStageFlags> stages(waits.size(), VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT);
    VkTimelineSemaphoreSubmitInfo values{};
    values.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO;
    values.waitSemaphoreValueCount = static_cast<uint32_t>(waitValues.size());
    values.pWaitSemaphoreValues = waitValues.data();
    values.signalSemaphoreValueCount = static_cast<uint32_t>(signalValues.size());
    values.pSignalSemaphoreValues = signalValues.data();
    VkSubmitInfo submission{};
    submission.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
    if (timeline) submission.pNext = &values;
    submission.waitSemaphoreCount = static_cast<uint32_t>(waits.size());
    submission.pWaitSemaphores = waits.data();
    submission.pWaitDstStageMask = stages.data();
    submission.commandBufferCount = 1;
    submission.pCommandBuffers = &slot.commands;
    submission.signalSemaphoreCount = static_cast<uint32_t>(signals.size());
    submission.pSignalSemaphores = signals.data();
    return device_->submit(info.queue ? info.queue : device_->queue(), submission, info.fence);
}

VkBuffer VulkanSession::outputBuffer(int slot) const {
    return slots_[static_cast<size_t>(slot)]->output.handle();
}

Status VulkanSession::readOutput(int slot, std::span<std::byte> output) const {
    DUNLIN_TRY(checkRecord(slot, {}, 0, 0));
    if (output.size() < program_.outputBytes) {
        return error(StatusCode::InvalidArgument, "room for %zu bytes of output, %llu are needed", output.size(),
                     static_cast<unsigned long long>(program_.outputBytes));
    }
    const Buffer& buffer = slots_[static_cast<size_t>(slot)]->output;
    DUNLIN_TRY(buffer.invalidate(0, program_.outputBytes));
    std::memcpy(output.data(), buffer.mapped(), program_.outputBytes);
    return Status();
}

Result<std::vector<double>> VulkanSession::dispatchTimesNs(int slot) const {
    DUNLIN_TRY(checkRecord(slot, {}, 0, 0));
    const Slot& one = *slots_[static_cast<size_t>(slot)];
    if (!one.timer) return error(StatusCode::InvalidArgument, "the session was created without timestamps");
    return one.timer->intervalsNs();
}

Result<std::vector<uint64_t>> VulkanSession::dispatchTicks(int slot) const {
    DUNLIN_TRY(checkRecord(slot, {}, 0, 0));
    const Slot& one = *slots_[static_cast<size_t>(slot)];
    if (!one.timer) return error(StatusCode::InvalidArgument, "the session was created without timestamps");
    return one.timer->ticks();
}

VulkanSessionInfo VulkanSession::info() const {
    VulkanSessionInfo info;
    info.slots = options_.slots;
    info.inputKinds = options_.inputKinds;
    info.dispatches = program_.dispatches.size();
    info.barriers = static_cast<size_t>(std::ranges::count(barrierBefore_, true));
    info.pipelines = countPipelines(program_);
    info.arenaBytes = plan_.arenaBytes;
    info.weightBytes = model_->deviceBytes();
    info.deviceBytes = info.weightBytes + unused_.allocatedBytes() + staging_.allocatedBytes();
    for (const auto& slot : slots_) info.deviceBytes += slot->arena.allocatedBytes() + slot->output.allocatedBytes();
    return info;
}

}  // namespace dunlin::vulkan
