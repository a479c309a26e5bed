#include "tests/kernels/test_image.h"

#include <cstring>

namespace dunlin::test {
namespace {

constexpr uint32_t kTexelBytes = 4;

VkImageMemoryBarrier transition(VkImage image, VkImageLayout from, VkImageLayout to, VkAccessFlags before,
                                VkAccessFlags after) {
    VkImageMemoryBarrier barrier{};
    barrier.sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER;
    barrier.srcAccessMask = before;
    barrier.dstAccessMask = after;
    barrier.oldLayout = from;
    barrier.newLayout = to;
    barrier.srcQueueFamilyIndex = barrier.dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED;
    barrier.image = image;
    barrier.subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1};
    return barrier;
}

}  // namespace

Result<std::unique_ptr<TestImage>> TestImage::create(const vulkan::VulkanDevice& device, const Crop& crop,
                                                     std::span<const uint8_t> pixels, bool isSrgb) {
    std::unique_ptr<TestImage> image(new TestImage(device));
    const VkExtent3D extent = {crop.width + 2 * crop.x, crop.height + 2 * crop.y, 1};
    DUNLIN_TRY(image->createImage(extent, isSrgb ? VK_FORMAT_R8G8B8A8_SRGB : VK_FORMAT_R8G8B8A8_UNORM));
    DUNLIN_TRY(image->upload(extent, crop, pixels));
    return image;
}

TestImage::~TestImage() {
    const VkDevice device = device_.handle();
    if (view_) load<PFN_vkDestroyImageView>("vkDestroyImageView")(device, view_, device_.allocator());
    if (image_) load<PFN_vkDestroyImage>("vkDestroyImage")(device, image_, device_.allocator());
    if (memory_) device_.functions().FreeMemory(device, memory_, device_.allocator());
}

Status TestImage::createImage(VkExtent3D extent, VkFormat format) {
    VkImageCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO;
    info.imageType = VK_IMAGE_TYPE_2D;
    info.format = format;
    info.extent = extent;
    info.mipLevels = info.arrayLayers = 1;
    info.samples = VK_SAMPLE_COUNT_1_BIT;
    info.tiling = VK_IMAGE_TILING_OPTIMAL;
    info.usage = VK_IMAGE_USAGE_SAMPLED_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT;
    const VkDevice device = device_.handle();
    DUNLIN_TRY(vulkan::check(load<PFN_vkCreateImage>("vkCreateImage")(device, &info, device_.allocator(), &image_),
                             "vkCreateImage"));
    VkMemoryRequirements needs{};
    load<PFN_vkGetImageMemoryRequirements>("vkGetImageMemoryRequirements")(device, image_, &needs);
    const int type =
        vulkan::chooseMemoryType(device_.capabilities().memory, needs.memoryTypeBits, vulkan::MemoryUse::Device);
    if (type < 0) return error(StatusCode::Unsupported, "no memory type for an image");
    VkMemoryAllocateInfo allocation{};
    allocation.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
    allocation.allocationSize = needs.size;
    allocation.memoryTypeIndex = static_cast<uint32_t>(type);
    DUNLIN_TRY(vulkan::check(device_.functions().AllocateMemory(device, &allocation, device_.allocator(), &memory_),
                             "vkAllocateMemory"));
    DUNLIN_TRY(vulkan::check(load<PFN_vkBindImageMemory>("vkBindImageMemory")(device, image_, memory_, 0),
                             "vkBindImageMemory"));
    VkImageViewCreateInfo viewInfo{};
    viewInfo.sType = VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO;
    viewInfo.image = image_;
    viewInfo.viewType = VK_IMAGE_VIEW_TYPE_2D;
    viewInfo.format = format;
    viewInfo.subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1};
    return vulkan::check(
        load<PFN_vkCreateImageView>("vkCreateImageView")(device, &viewInfo, device_.allocator(), &view_),
        "vkCreateImageView");
}

Status TestImage::upload(VkExtent3D extent, const Crop& crop, std::span<const uint8_t> pixels) {
    // The border is white: read by mistake, it shows.
    const uint64_t sizeBytes = uint64_t{extent.width} * extent.height * kTexelBytes;
    DUNLIN_ASSIGN(
        const vulkan::Buffer staging,
        vulkan::Buffer::create(device_, sizeBytes, VK_BUFFER_USAGE_TRANSFER_SRC_BIT, vulkan::MemoryUse::Upload));
    std::memset(staging.mapped(), 0xff, sizeBytes);
    for (uint32_t y = 0; y < crop.height; ++y) {
        std::memcpy(staging.mapped() + (uint64_t{crop.y + y} * extent.width + crop.x) * kTexelBytes,
                    &pixels[size_t{y} * crop.width * kTexelBytes], size_t{crop.width} * kTexelBytes);
    }
    DUNLIN_TRY(staging.flush(0, sizeBytes));
    DUNLIN_ASSIGN(vulkan::CommandRunner runner, vulkan::CommandRunner::create(device_));
    return runner.run([&](VkCommandBuffer commands) {
        const auto pipelineBarrier = [&](VkPipelineStageFlags before, VkPipelineStageFlags after,
                                         const VkImageMemoryBarrier& barrier) {
            device_.functions().CmdPipelineBarrier(commands, before, after, 0, 0, nullptr, 0, nullptr, 1, &barrier);
        };
        pipelineBarrier(VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT,
                        transition(image_, VK_IMAGE_LAYOUT_UNDEFINED, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, 0,
                                   VK_ACCESS_TRANSFER_WRITE_BIT));
        VkBufferImageCopy region{};
        region.imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1};
        region.imageExtent = extent;
        load<PFN_vkCmdCopyBufferToImage>("vkCmdCopyBufferToImage")(commands, staging.handle(), image_,
                                                                   VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, 1, &region);
        pipelineBarrier(
            VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
            transition(image_, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL,
                       VK_ACCESS_TRANSFER_WRITE_BIT, VK_ACCESS_SHADER_READ_BIT));
    });
}

}  // namespace dunlin::test
