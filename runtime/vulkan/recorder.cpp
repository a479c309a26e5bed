#include "runtime/vulkan/recorder.h"

#include <cstring>

namespace dunlin::vulkan {
namespace {

bool samePush(const BoundDispatch& a, const BoundDispatch& b) {
    return a.push->size == b.push->size && std::memcmp(a.push->bytes.data(), b.push->bytes.data(), a.push->size) == 0;
}

}  // namespace

void recordBarrier(const VulkanDevice& device, VkCommandBuffer commands, VkPipelineStageFlags sourceStage,
                   VkAccessFlags sourceAccess, VkPipelineStageFlags targetStage, VkAccessFlags targetAccess) {
    VkMemoryBarrier barrier{};
    barrier.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
    barrier.srcAccessMask = sourceAccess;
    barrier.dstAccessMask = targetAccess;
    device.functions().CmdPipelineBarrier(commands, sourceStage, targetStage, 0, 1, &barrier, 0, nullptr, 0, nullptr);
}

void recordDispatches(const VulkanDevice& device, VkCommandBuffer commands, std::span<const BoundDispatch> dispatches,
                      GpuTimer* timer) {
    const DeviceFunctions& vk = device.functions();
    if (timer) timer->start(commands);
    const BoundDispatch* last = nullptr;
    for (const BoundDispatch& dispatch : dispatches) {
        if (dispatch.barrierBefore) {
            recordBarrier(device, commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
                          VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
        }
        const bool sameLayout = last && last->pipeline->layout == dispatch.pipeline->layout;
        if (!last || last->pipeline->handle != dispatch.pipeline->handle) {
            vk.CmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, dispatch.pipeline->handle);
        }
        if (!sameLayout || last->set != dispatch.set) {
            vk.CmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, dispatch.pipeline->layout, 0, 1,
                                     &dispatch.set, 0, nullptr);
        }
        if (dispatch.push->size > 0 && (!sameLayout || !samePush(*last, dispatch))) {
            vk.CmdPushConstants(commands, dispatch.pipeline->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                                dispatch.push->size, dispatch.push->bytes.data());
        }
        vk.CmdDispatch(commands, dispatch.workgroups[0], dispatch.workgroups[1], dispatch.workgroups[2]);
        if (timer) timer->mark(commands);
        last = &dispatch;
    }
}

}  // namespace dunlin::vulkan
