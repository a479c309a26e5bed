// What a session keeps for each frame in flight. Private to the session's sources.
#pragma once

#include <optional>

#include "runtime/vulkan/session.h"

namespace dunlin::vulkan {

struct VulkanSession::Slot {
    explicit Slot(const VulkanDevice& owner) : device(owner) {}
    ~Slot() {
        const DeviceFunctions& vk = device.functions();
        if (fence) vk.DestroyFence(device.handle(), fence, device.allocator());
        if (pool) vk.DestroyCommandPool(device.handle(), pool, device.allocator());
    }
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;

    const VulkanDevice& device;
    Buffer arena, output;
    DescriptorSets sets;
    VkCommandPool pool = VK_NULL_HANDLE;
    VkCommandBuffer commands = VK_NULL_HANDLE;
    VkFence fence = VK_NULL_HANDLE;  // of run()
    std::optional<GpuTimer> timer;
    std::vector<PushConstants> push;   // by dispatch; preprocess's change with the source
    std::vector<BoundDispatch> bound;  // by dispatch
    bool recorded = false;             // `commands` holds the whole network, and the sets are as they were then
    bool recordedByRun = false;        // with staging_ as the source
};

}  // namespace dunlin::vulkan
