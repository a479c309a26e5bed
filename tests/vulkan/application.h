// A Vulkan application of its own for tests: instance, device, images and buffers that Dunlin only borrows.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "runtime/vulkan/device.h"
#include "runtime/vulkan/interop.h"
#include "runtime/vulkan/memory.h"

namespace dunlin::test {

inline vulkan::BorrowedDevice handlesOf(const vulkan::VulkanDevice& device) {
    vulkan::BorrowedDevice borrowed;
    borrowed.getInstanceProcAddr = device.instanceFunctions().getInstanceProcAddr;
    borrowed.instance = device.instance();
    borrowed.physicalDevice = device.physicalDevice();
    borrowed.device = device.handle();
    borrowed.queueFamily = device.queueFamily();
    borrowed.queue = device.queue();
    borrowed.enabled = device.enabled();
    return borrowed;
}

// Device functions that only applications call.
template <typename Function>
Function load(const vulkan::VulkanDevice& device, const char* name) {
    return reinterpret_cast<Function>(device.instanceFunctions().GetDeviceProcAddr(device.handle(), name));
}

// A sampled 2D image with RGBA8 contents, in SHADER_READ_ONLY_OPTIMAL.
class Picture {
  public:
    Picture(const vulkan::VulkanDevice& device, VkFormat format, uint32_t width, uint32_t height,
            const std::vector<uint8_t>& pixels)
        : device_(device), width_(width), height_(height), isSrgb_(format == VK_FORMAT_R8G8B8A8_SRGB) {
        createImage(format);
        createView(format);
        upload(pixels);
    }
    ~Picture() {
        load<PFN_vkDestroyImageView>(device_, "vkDestroyImageView")(device_.handle(), view_, nullptr);
        load<PFN_vkDestroyImage>(device_, "vkDestroyImage")(device_.handle(), image_, nullptr);
        device_.functions().FreeMemory(device_.handle(), memory_, nullptr);
    }
    Picture(const Picture&) = delete;
    Picture& operator=(const Picture&) = delete;

    vulkan::ImageSource source(const vulkan::Region& crop = {}) const {
        vulkan::ImageSource source;
        source.view = view_;
        source.layout = VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL;
        source.width = width_;
        source.height = height_;
        source.crop = crop;
        source.isSrgb = isSrgb_;
        return source;
    }

  private:
    void createImage(VkFormat format) {
        VkImageCreateInfo info{};
        info.sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO;
        info.imageType = VK_IMAGE_TYPE_2D;
        info.format = format;
        info.extent = {width_, height_, 1};
        info.mipLevels = info.arrayLayers = 1;
        info.samples = VK_SAMPLE_COUNT_1_BIT;
        info.usage = VK_IMAGE_USAGE_SAMPLED_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT;
        EXPECT_EQ(load<PFN_vkCreateImage>(device_, "vkCreateImage")(device_.handle(), &info, nullptr, &image_),
                  VK_SUCCESS);
        VkMemoryRequirements requirements{};
        load<PFN_vkGetImageMemoryRequirements>(device_, "vkGetImageMemoryRequirements")(device_.handle(), image_,
                                                                                        &requirements);
        const int type = vulkan::chooseMemoryType(device_.capabilities().memory, requirements.memoryTypeBits,
                                                  vulkan::MemoryUse::Device);
        VkMemoryAllocateInfo allocation{};
        allocation.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
        allocation.allocationSize = requirements.size;
        allocation.memoryTypeIndex = static_cast<uint32_t>(type);
        EXPECT_EQ(device_.functions().AllocateMemory(device_.handle(), &allocation, nullptr, &memory_), VK_SUCCESS);
        EXPECT_EQ(load<PFN_vkBindImageMemory>(device_, "vkBindImageMemory")(device_.handle(), image_, memory_, 0),
                  VK_SUCCESS);
    }

    void createView(VkFormat format) {
        VkImageViewCreateInfo info{};
        info.sType = VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO;
        info.image = image_;
        info.viewType = VK_IMAGE_VIEW_TYPE_2D;
        info.format = format;
        info.subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1};
        EXPECT_EQ(load<PFN_vkCreateImageView>(device_, "vkCreateImageView")(device_.handle(), &info, nullptr, &view_),
                  VK_SUCCESS);
    }

    void upload(const std::vector<uint8_t>& pixels) {
        auto staging =
            vulkan::Buffer::create(device_, pixels.size(), VK_BUFFER_USAGE_TRANSFER_SRC_BIT, vulkan::MemoryUse::Upload);
        ASSERT_TRUE(staging.ok());
        std::memcpy(staging->mapped(), pixels.data(), pixels.size());
        ASSERT_TRUE(staging->flush(0, pixels.size()).ok());
        auto runner = vulkan::CommandRunner::create(device_);
        ASSERT_TRUE(runner.ok());
        const Status status = runner->run([&](VkCommandBuffer commands) {
            transition(commands, VK_IMAGE_LAYOUT_UNDEFINED, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL);
            VkBufferImageCopy region{};
            region.imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1};
            region.imageExtent = {width_, height_, 1};
            load<PFN_vkCmdCopyBufferToImage>(device_, "vkCmdCopyBufferToImage")(
                commands, staging->handle(), image_, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, 1, &region);
            transition(commands, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL);
        });
        ASSERT_TRUE(status.ok()) << status.message();
    }

    void transition(VkCommandBuffer commands, VkImageLayout from, VkImageLayout to) {
        const bool first = from == VK_IMAGE_LAYOUT_UNDEFINED;
        VkImageMemoryBarrier barrier{};
        barrier.sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER;
        barrier.srcAccessMask = first ? VkAccessFlags{0} : VkAccessFlags{VK_ACCESS_TRANSFER_WRITE_BIT};
        barrier.dstAccessMask = first ? VK_ACCESS_TRANSFER_WRITE_BIT : VK_ACCESS_SHADER_READ_BIT;
        barrier.oldLayout = from;
        barrier.newLayout = to;
        barrier.srcQueueFamilyIndex = barrier.dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED;
        barrier.image = image_;
        barrier.subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1};
        device_.functions().CmdPipelineBarrier(
            commands, first ? VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT : VK_PIPELINE_STAGE_TRANSFER_BIT,
            first ? VK_PIPELINE_STAGE_TRANSFER_BIT : VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 0, nullptr, 0, nullptr, 1,
            &barrier);
    }

    const vulkan::VulkanDevice& device_;
    uint32_t width_, height_;
    bool isSrgb_;
    VkImage image_ = VK_NULL_HANDLE;
    VkDeviceMemory memory_ = VK_NULL_HANDLE;
    VkImageView view_ = VK_NULL_HANDLE;
};

// A semaphore of the application; a timeline one begins at 0.
class Semaphore {
  public:
    explicit Semaphore(const vulkan::VulkanDevice& device, bool timeline) : device_(device) {
        VkSemaphoreTypeCreateInfo type{};
        type.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO;
        type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
        VkSemaphoreCreateInfo info{};
        info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO;
        if (timeline) info.pNext = &type;
        EXPECT_EQ(load<PFN_vkCreateSemaphore>(device_, "vkCreateSemaphore")(device_.handle(), &info, nullptr, &handle_),
                  VK_SUCCESS);
    }
    ~Semaphore() { load<PFN_vkDestroySemaphore>(device_, "vkDestroySemaphore")(device_.handle(), handle_, nullptr); }
    Semaphore(const Semaphore&) = delete;
    Semaphore& operator=(const Semaphore&) = delete;

    VkSemaphore handle() const { return handle_; }
    // Timeline only: blocks until the value is reached.
    VkResult wait(uint64_t value) const {
        VkSemaphoreWaitInfo info{};
        info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO;
        info.semaphoreCount = 1;
        info.pSemaphores = &handle_;
        info.pValues = &value;
        return load<PFN_vkWaitSemaphoresKHR>(device_, "vkWaitSemaphoresKHR")(device_.handle(), &info, UINT64_MAX);
    }
    VkResult signal(uint64_t value) const {
        VkSemaphoreSignalInfo info{};
        info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO;
        info.semaphore = handle_;
        info.value = value;
        return load<PFN_vkSignalSemaphoreKHR>(device_, "vkSignalSemaphoreKHR")(device_.handle(), &info);
    }

  private:
    const vulkan::VulkanDevice& device_;
    VkSemaphore handle_ = VK_NULL_HANDLE;
};

}  // namespace dunlin::test
