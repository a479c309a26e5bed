#include "runtime/vulkan/memory.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace dunlin::vulkan {
namespace {

struct Wish {
    VkMemoryPropertyFlags needed, preferred;
};

Wish wishFor(MemoryUse use) {
    switch (use) {
        case MemoryUse::Device:
            return {0, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT};
        case MemoryUse::Upload:
            return {VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT, VK_MEMORY_PROPERTY_HOST_COHERENT_BIT};
        case MemoryUse::Readback:
            return {VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT, VK_MEMORY_PROPERTY_HOST_CACHED_BIT};
    }
    return {0, 0};
}

// Types that need a feature which nobody enabled, or that cannot back a buffer that keeps its contents.
constexpr VkMemoryPropertyFlags kUnwanted = VK_MEMORY_PROPERTY_PROTECTED_BIT | VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT |
                                            VK_MEMORY_PROPERTY_DEVICE_COHERENT_BIT_AMD |
                                            VK_MEMORY_PROPERTY_DEVICE_UNCACHED_BIT_AMD;

Status withSize(Status status, uint64_t sizeBytes) {
    return status.withContext("a buffer of " + std::to_string(sizeBytes) + " bytes");
}

}  // namespace

int chooseMemoryType(const VkPhysicalDeviceMemoryProperties& memory, uint32_t typeBits, MemoryUse use) {
    const Wish wish = wishFor(use);
    const auto heapBytes = [&](int type) { return memory.memoryHeaps[memory.memoryTypes[type].heapIndex].size; };
    for (VkMemoryPropertyFlags wanted : {wish.needed | wish.preferred, wish.needed}) {
        int chosen = -1;
        for (int type = 0; type < static_cast<int>(memory.memoryTypeCount); ++type) {
            const VkMemoryPropertyFlags has = memory.memoryTypes[type].propertyFlags;
            if (!(typeBits & (1u << type)) || (has & kUnwanted) || (has & wanted) != wanted) continue;
            // Device memory comes from the heap that the budget is of, not from a small window into it.
            const bool better = use == MemoryUse::Device && chosen >= 0 && heapBytes(type) > heapBytes(chosen);
            if (chosen < 0 || better) chosen = type;
        }
        if (chosen >= 0) return chosen;
    }
    return -1;
}

Status checkBudget(const VulkanDevice& device, uint64_t needBytes, const char* what) {
    const uint64_t availableBytes = device.availableBytes();
    if (needBytes <= availableBytes) return Status();
    return error(StatusCode::DoesNotFit, "%s need %llu bytes of device memory, %llu are left on %s", what,
                 static_cast<unsigned long long>(needBytes), static_cast<unsigned long long>(availableBytes),
                 device.capabilities().name.c_str());
}

Result<Buffer> Buffer::create(const VulkanDevice& device, uint64_t sizeBytes, VkBufferUsageFlags usage, MemoryUse use) {
    const DeviceFunctions& vk = device.functions();
    Buffer buffer;
    buffer.device_ = &device;
    buffer.sizeBytes_ = sizeBytes;
    VkBufferCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
    info.size = std::max<uint64_t>(16, (sizeBytes + 15) / 16 * 16);
    info.usage = usage;
    info.sharingMode = VK_SHARING_MODE_EXCLUSIVE;
    if (info.size > device.limits().maxAllocationBytes) {
        return error(StatusCode::DoesNotFit, "a buffer of %llu bytes is over the device's limit of %llu bytes",
                     static_cast<unsigned long long>(info.size),
                     static_cast<unsigned long long>(device.limits().maxAllocationBytes));
    }
    DUNLIN_TRY(
        withSize(check(vk.CreateBuffer(device.handle(), &info, device.allocator(), &buffer.buffer_), "vkCreateBuffer"),
                 info.size));

    VkMemoryRequirements requirements{};
    vk.GetBufferMemoryRequirements(device.handle(), buffer.buffer_, &requirements);
    const VkPhysicalDeviceMemoryProperties& memory = device.capabilities().memory;
    const int type = chooseMemoryType(memory, requirements.memoryTypeBits, use);
    if (type < 0) {
        return error(StatusCode::Unsupported, "no memory type of the device suits (allowed types 0x%x)",
                     requirements.memoryTypeBits);
    }
    VkMemoryAllocateInfo allocation{};
    allocation.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
    allocation.allocationSize = requirements.size;
    allocation.memoryTypeIndex = static_cast<uint32_t>(type);
    DUNLIN_TRY(withSize(
        check(vk.AllocateMemory(device.handle(), &allocation, device.allocator(), &buffer.memory_), "vkAllocateMemory"),
        requirements.size));
    buffer.allocatedBytes_ = requirements.size;
    DUNLIN_TRY(check(vk.BindBufferMemory(device.handle(), buffer.buffer_, buffer.memory_, 0), "vkBindBufferMemory"));
    if (use == MemoryUse::Device) return buffer;

    void* mapped = nullptr;
    DUNLIN_TRY(check(vk.MapMemory(device.handle(), buffer.memory_, 0, VK_WHOLE_SIZE, 0, &mapped), "vkMapMemory"));
    buffer.mapped_ = static_cast<std::byte*>(mapped);
    buffer.coherent_ = memory.memoryTypes[type].propertyFlags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    return buffer;
}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
    if (this == &other) return *this;
    reset();
    device_ = std::exchange(other.device_, nullptr);
    buffer_ = std::exchange(other.buffer_, VkBuffer{VK_NULL_HANDLE});
    memory_ = std::exchange(other.memory_, VkDeviceMemory{VK_NULL_HANDLE});
    sizeBytes_ = std::exchange(other.sizeBytes_, 0);
    allocatedBytes_ = std::exchange(other.allocatedBytes_, 0);
    mapped_ = std::exchange(other.mapped_, nullptr);
    coherent_ = other.coherent_;
    return *this;
}

void Buffer::reset() {
    if (!device_) return;
    const DeviceFunctions& vk = device_->functions();
    if (buffer_) vk.DestroyBuffer(device_->handle(), buffer_, device_->allocator());
    if (memory_) vk.FreeMemory(device_->handle(), memory_, device_->allocator());  // unmaps too
    device_ = nullptr;
    buffer_ = VK_NULL_HANDLE;
    memory_ = VK_NULL_HANDLE;
    sizeBytes_ = allocatedBytes_ = 0;
    mapped_ = nullptr;
}

// Non-coherent ranges are whole atoms, or reach to the end of the allocation.
VkMappedMemoryRange Buffer::atomRange(uint64_t offsetBytes, uint64_t sizeBytes) const {
    const uint64_t atom = device_->capabilities().nonCoherentAtomBytes;
    VkMappedMemoryRange range{};
    range.sType = VK_STRUCTURE_TYPE_MAPPED_MEMORY_RANGE;
    range.memory = memory_;
    range.offset = offsetBytes / atom * atom;
    const uint64_t end = (offsetBytes + sizeBytes + atom - 1) / atom * atom;
    range.size = end >= allocatedBytes_ ? VK_WHOLE_SIZE : end - range.offset;
    return range;
}

Status Buffer::flush(uint64_t offsetBytes, uint64_t sizeBytes) const {
    if (coherent_ || sizeBytes == 0) return Status();
    const VkMappedMemoryRange range = atomRange(offsetBytes, sizeBytes);
    return check(device_->functions().FlushMappedMemoryRanges(device_->handle(), 1, &range),
                 "vkFlushMappedMemoryRanges");
}

Status Buffer::invalidate(uint64_t offsetBytes, uint64_t sizeBytes) const {
    if (coherent_ || sizeBytes == 0) return Status();
    const VkMappedMemoryRange range = atomRange(offsetBytes, sizeBytes);
    return check(device_->functions().InvalidateMappedMemoryRanges(device_->handle(), 1, &range),
                 "vkInvalidateMappedMemoryRanges");
}

Result<CommandRunner> CommandRunner::create(const VulkanDevice& device) {
    const DeviceFunctions& vk = device.functions();
    CommandRunner runner;
    runner.device_ = &device;
    VkCommandPoolCreateInfo pool{};
    pool.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
    pool.flags = VK_COMMAND_POOL_CREATE_TRANSIENT_BIT | VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
    pool.queueFamilyIndex = device.queueFamily();
    DUNLIN_TRY(
        check(vk.CreateCommandPool(device.handle(), &pool, device.allocator(), &runner.pool_), "vkCreateCommandPool"));
    VkCommandBufferAllocateInfo commands{};
    commands.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
    commands.commandPool = runner.pool_;
    commands.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    commands.commandBufferCount = 1;
    DUNLIN_TRY(
        check(vk.AllocateCommandBuffers(device.handle(), &commands, &runner.commands_), "vkAllocateCommandBuffers"));
    VkFenceCreateInfo fence{};
    fence.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO;
    DUNLIN_TRY(check(vk.CreateFence(device.handle(), &fence, device.allocator(), &runner.fence_), "vkCreateFence"));
    return runner;
}

CommandRunner::~CommandRunner() {
    if (!device_) return;
    const DeviceFunctions& vk = device_->functions();
    if (fence_) vk.DestroyFence(device_->handle(), fence_, device_->allocator());
    if (pool_) vk.DestroyCommandPool(device_->handle(), pool_, device_->allocator());  // frees its command buffer
}

CommandRunner& CommandRunner::operator=(CommandRunner&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(pool_, other.pool_);
    std::swap(commands_, other.commands_);
    std::swap(fence_, other.fence_);
    return *this;
}

Status CommandRunner::run(const std::function<void(VkCommandBuffer)>& record) {
    const DeviceFunctions& vk = device_->functions();
    VkCommandBufferBeginInfo begin{};
    begin.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
    begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
    DUNLIN_TRY(check(vk.BeginCommandBuffer(commands_, &begin), "vkBeginCommandBuffer"));
    record(commands_);
    DUNLIN_TRY(check(vk.EndCommandBuffer(commands_), "vkEndCommandBuffer"));
    VkSubmitInfo submission{};
    submission.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
    submission.commandBufferCount = 1;
    submission.pCommandBuffers = &commands_;
    return device_->submitAndWait(submission, fence_);
}

Result<Uploader> Uploader::create(const VulkanDevice& device, uint64_t chunkBytes) {
    DUNLIN_ASSIGN(CommandRunner runner, CommandRunner::create(device));
    Uploader uploader(std::move(runner));
    DUNLIN_ASSIGN(uploader.staging_,
                  Buffer::create(device, chunkBytes, VK_BUFFER_USAGE_TRANSFER_SRC_BIT, MemoryUse::Upload));
    return uploader;
}

Status Uploader::write(const Buffer& destination, uint64_t offsetBytes, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        if (usedBytes_ == staging_.sizeBytes()) DUNLIN_TRY(finish());
        const uint64_t count = std::min<uint64_t>(bytes.size(), staging_.sizeBytes() - usedBytes_);
        std::memcpy(staging_.mapped() + usedBytes_, bytes.data(), count);
        copies_.push_back({destination.handle(), {usedBytes_, offsetBytes, count}});
        usedBytes_ += count;
        offsetBytes += count;
        bytes = bytes.subspan(count);
    }
    return Status();
}

Status Uploader::finish() {
    if (copies_.empty()) return Status();
    DUNLIN_TRY(staging_.flush(0, usedBytes_));
    const DeviceFunctions& vk = runner_.device().functions();
    DUNLIN_TRY(runner_.run([&](VkCommandBuffer commands) {
        for (const Copy& copy : copies_) {
            vk.CmdCopyBuffer(commands, staging_.handle(), copy.destination, 1, &copy.region);
        }
        VkMemoryBarrier barrier{};
        barrier.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
        barrier.srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT;
        barrier.dstAccessMask = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT;
        vk.CmdPipelineBarrier(commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, 0, 1,
                              &barrier, 0, nullptr, 0, nullptr);
    }));
    copies_.clear();
    usedBytes_ = 0;
    return Status();
}

}  // namespace dunlin::vulkan
