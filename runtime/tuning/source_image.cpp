#include "runtime/tuning/source_image.h"

#include <cstring>
#include <utility>

#include "runtime/vulkan/memory.h"

namespace dunlin::tuning {
namespace {

constexpr VkImageSubresourceRange kWhole = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1};

VkImageMemoryBarrier transition(VkImage image, VkImageLayout from, VkImageLayout to, VkAccessFlags sourceAccess,
                                VkAccessFlags targetAccess) {
    VkImageMemoryBarrier barrier{};
    barrier.sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER;
    barrier.srcAccessMask = sourceAccess;
    barrier.dstAccessMask = targetAccess;
    barrier.oldLayout = from;
    barrier.newLayout = to;
    barrier.srcQueueFamilyIndex = barrier.dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED;
    barrier.image = image;
    barrier.subresourceRange = kWhole;
    return barrier;
}

}  // namespace

Result<SourceImage> SourceImage::create(const vulkan::VulkanDevice& device, uint32_t width, uint32_t height,
                                        std::span<const std::byte> pixels, VkFormat format) {
    SourceImage result;
    result.device_ = &device;
    DUNLIN_TRY(result.allocate({width, height, 1}, format));
    DUNLIN_TRY(result.upload({width, height, 1}, pixels));
    return result;
}

SourceImage::~SourceImage() {
    if (!device_) return;
    const vulkan::DeviceFunctions& vk = device_->functions();
    if (view_) vk.DestroyImageView(device_->handle(), view_, device_->allocator());
    if (image_) vk.DestroyImage(device_->handle(), image_, device_->allocator());
    if (memory_) vk.FreeMemory(device_->handle(), memory_, device_->allocator());
}

SourceImage& SourceImage::operator=(SourceImage&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(image_, other.image_);
    std::swap(memory_, other.memory_);
    std::swap(view_, other.view_);
    return *this;
}

Status SourceImage::allocate(VkExtent3D extent, VkFormat format) {
    const vulkan::DeviceFunctions& vk = device_->functions();
    VkImageCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO;
    info.imageType = VK_IMAGE_TYPE_2D;
    info.format = format;
    info.extent = extent;
    info.mipLevels = info.arrayLayers = 1;
    info.samples = VK_SAMPLE_COUNT_1_BIT;
    info.tiling = VK_IMAGE_TILING_OPTIMAL;
    info.usage = VK_IMAGE_USAGE_SAMPLED_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT;
    DUNLIN_TRY(vulkan::check(vk.CreateImage(device_->handle(), &info, device_->allocator(), &image_), "vkCreateImage"));
    VkMemoryRequirements requirements{};
    vk.GetImageMemoryRequirements(device_->handle(), image_, &requirements);
    const int type = vulkan::chooseMemoryType(device_->capabilities().memory, requirements.memoryTypeBits,
                                              vulkan::MemoryUse::Device);
    if (type < 0) {
        return error(StatusCode::Unsupported, "no memory type of the device suits an image (allowed types 0x%x)",
                     requirements.memoryTypeBits);
    }
    VkMemoryAllocateInfo allocation{};
    allocation.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
    allocation.allocationSize = requirements.size;
    allocation.memoryTypeIndex = static_cast<uint32_t>(type);
    DUNLIN_TRY(vulkan::check(vk.AllocateMemory(device_->handle(), &allocation, device_->allocator(), &memory_),
                             "vkAllocateMemory"));
    DUNLIN_TRY(vulkan::check(vk.BindImageMemory(device_->handle(), image_, memory_, 0), "vkBindImageMemory"));
    VkImageViewCreateInfo view{};
    view.sType = VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO;
    view.image = image_;
    view.viewType = VK_IMAGE_VIEW_TYPE_2D;
    view.format = format;
    view.subresourceRange = kWhole;
    return vulkan::check(vk.CreateImageView(device_->handle(), &view, device_->allocator(), &view_),
                         "vkCreateImageView");
}

Status SourceImage::upload(VkExtent3D extent, std::span<const std::byte> pixels) {
    DUNLIN_ASSIGN(
        const vulkan::Buffer staging,
        vulkan::Buffer::create(*device_, pixels.size(), VK_BUFFER_USAGE_TRANSFER_SRC_BIT, vulkan::MemoryUse::Upload));
    std::memcpy(staging.mapped(), pixels.data(), pixels.size());
    DUNLIN_TRY(staging.flush(0, pixels.size()));
    DUNLIN_ASSIGN(vulkan::CommandRunner runner, vulkan::CommandRunner::create(*device_));
    const vulkan::DeviceFunctions& vk = device_->functions();
    return runner.run([&](VkCommandBuffer commands) {
        const VkImageMemoryBarrier toWrite = transition(
            image_, VK_IMAGE_LAYOUT_UNDEFINED, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, 0, VK_ACCESS_TRANSFER_WRITE_BIT);
        vk.CmdPipelineBarrier(commands, VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 0,
                              nullptr, 0, nullptr, 1, &toWrite);
        VkBufferImageCopy region{};
        region.imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1};
        region.imageExtent = extent;
        vk.CmdCopyBufferToImage(commands, staging.handle(), image_, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, 1, &region);
        const VkImageMemoryBarrier toRead =
            transition(image_, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL,
                       VK_ACCESS_TRANSFER_WRITE_BIT, VK_ACCESS_SHADER_READ_BIT);
        vk.CmdPipelineBarrier(commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 0,
                              nullptr, 0, nullptr, 1, &toRead);
    });
}

}  // namespace dunlin::tuning
