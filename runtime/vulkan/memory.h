// Buffers with their memory, and how bytes get into those that the host cannot write.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "runtime/vulkan/device.h"

namespace dunlin::vulkan {

enum class MemoryUse {
    Device,    // device-local; may or may not be mapped
    Upload,    // written by the host, read by the device: host-visible, coherent preferred
    Readback,  // written by the device, read by the host: host-visible, cached preferred
};

// A VkBuffer and the memory it is bound to, both freed together. Movable; must not outlive its device. Not thread-safe.
class Buffer {
  public:
    Buffer() = default;
    // Memory for Upload and Readback stays mapped. Sizes are rounded up to a multiple of 16; zero counts as 16.
    static Result<Buffer> create(const VulkanDevice& device, uint64_t sizeBytes, VkBufferUsageFlags usage,
                                 MemoryUse use);
    ~Buffer() { reset(); }
    Buffer(Buffer&& other) noexcept { *this = std::move(other); }
    Buffer& operator=(Buffer&& other) noexcept;
    void reset();

    VkBuffer handle() const { return buffer_; }
    uint64_t sizeBytes() const { return sizeBytes_; }            // what was asked for
    uint64_t allocatedBytes() const { return allocatedBytes_; }  // what the driver took
    std::byte* mapped() const { return mapped_; }                // null for Device

    // After writing through mapped(), before the submission that reads; nothing to do on coherent memory.
    Status flush(uint64_t offsetBytes, uint64_t sizeBytes) const;
    // After the fence, before reading through mapped().
    Status invalidate(uint64_t offsetBytes, uint64_t sizeBytes) const;

  private:
    VkMappedMemoryRange atomRange(uint64_t offsetBytes, uint64_t sizeBytes) const;

    const VulkanDevice* device_ = nullptr;
    VkBuffer buffer_ = VK_NULL_HANDLE;
    VkDeviceMemory memory_ = VK_NULL_HANDLE;
    uint64_t sizeBytes_ = 0, allocatedBytes_ = 0;
    std::byte* mapped_ = nullptr;
    bool coherent_ = true;
};

// The memory type for a use among those that `typeBits` allows: the first with all preferred properties, else with the
// needed ones; -1 where there is none. For MemoryUse::Device, the first of the largest heap.
int chooseMemoryType(const VkPhysicalDeviceMemoryProperties& memory, uint32_t typeBits, MemoryUse use);

// DoesNotFit, with need and limit, where `needBytes` is more than what the device's memory has left now. `what` begins
// the sentence: "weights and 2 slots".
Status checkBudget(const VulkanDevice& device, uint64_t needBytes, const char* what);

// A command buffer that is recorded, submitted to the device's queue and waited for. Not thread-safe.
class CommandRunner {
  public:
    static Result<CommandRunner> create(const VulkanDevice& device);
    ~CommandRunner();
    CommandRunner(CommandRunner&& other) noexcept { *this = std::move(other); }
    CommandRunner& operator=(CommandRunner&& other) noexcept;

    const VulkanDevice& device() const { return *device_; }
    // Blocks until the device is done.
    Status run(const std::function<void(VkCommandBuffer)>& record);

  private:
    CommandRunner() = default;
    const VulkanDevice* device_ = nullptr;
    VkCommandPool pool_ = VK_NULL_HANDLE;
    VkCommandBuffer commands_ = VK_NULL_HANDLE;
    VkFence fence_ = VK_NULL_HANDLE;
};

// Copies host bytes into device buffers through one staging buffer of bounded size. The destination needs
// VK_BUFFER_USAGE_TRANSFER_DST_BIT; what was written is visible to every later submission once finish() has returned.
class Uploader {
  public:
    static constexpr uint64_t kChunkBytes = uint64_t{16} << 20;
    static Result<Uploader> create(const VulkanDevice& device, uint64_t chunkBytes = kChunkBytes);

    // Offset and size are multiples of 4. Blocks whenever the staging buffer is full.
    Status write(const Buffer& destination, uint64_t offsetBytes, std::span<const std::byte> bytes);
    Status finish();

  private:
    struct Copy {
        VkBuffer destination;
        VkBufferCopy region;
    };
    explicit Uploader(CommandRunner runner) : runner_(std::move(runner)) {}
    CommandRunner runner_;
    Buffer staging_;
    uint64_t usedBytes_ = 0;
    std::vector<Copy> copies_;
};

}  // namespace dunlin::vulkan
