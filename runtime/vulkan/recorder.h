// A lowered program as commands.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/vulkan/pipelines.h"
#include "runtime/vulkan/timestamps.h"

namespace dunlin::vulkan {

// A dispatch with everything that it needs bound. Borrows.
struct BoundDispatch {
    const Pipeline* pipeline = nullptr;
    VkDescriptorSet set = VK_NULL_HANDLE;
    const PushConstants* push = nullptr;
    std::array<uint32_t, 3> workgroups = {1, 1, 1};
    bool barrierBefore = false;
};

// Records the dispatches into `commands`, which is recording, outside a render pass. One global memory barrier, compute
// to compute, before each dispatch that asks for one, the first included: ranges of a program that are recorded one
// after the other, in several command buffers if need be, are ordered like the whole. Pipelines, sets and push
// constants are bound only where they change. With a timer, a timestamp is written before the first and after each
// dispatch.
void recordDispatches(const VulkanDevice& device, VkCommandBuffer commands, std::span<const BoundDispatch> dispatches,
                      GpuTimer* timer = nullptr);

// A global memory barrier.
void recordBarrier(const VulkanDevice& device, VkCommandBuffer commands, VkPipelineStageFlags sourceStage,
                   VkAccessFlags sourceAccess, VkPipelineStageFlags targetStage, VkAccessFlags targetAccess);

}  // namespace dunlin::vulkan
