// C++20 over dunlin_vulkan.h, whose comments hold here: stages, accesses, layouts and lifetimes.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "dunlin.hpp"
#include "dunlin_vulkan.h"

namespace dunlin {
inline namespace v1 {

inline Expected<DunlinVulkanRequirements> vulkanRequirements() {
    return detail::query<DunlinVulkanRequirements>(DUNLIN_STRUCTURE_TYPE_VULKAN_REQUIREMENTS,
                                                   dunlinGetVulkanRequirements);
}

// sType of `borrowed` is set here; options.next may chain further extensions.
inline Expected<Device> borrowDevice(DunlinVulkanBorrowedDevice borrowed, DeviceOptions options = {}) {
    borrowed.sType = DUNLIN_STRUCTURE_TYPE_VULKAN_BORROWED_DEVICE;
    borrowed.pNext = options.next;
    options.next = &borrowed;
    return Device::create(options);
}

namespace detail {

inline DunlinVulkanInput typed(DunlinVulkanInput input) {
    input.sType = DUNLIN_STRUCTURE_TYPE_VULKAN_INPUT;
    return input;
}

inline DunlinVulkanOutput output(VkBuffer buffer, VkDeviceSize offset) {
    return {DUNLIN_STRUCTURE_TYPE_VULKAN_OUTPUT, nullptr, buffer, offset};
}

}  // namespace detail

inline DunlinVulkanInput vulkanInput(std::span<const DunlinVulkanImage> images) {
    DunlinVulkanInput input = {};
    input.imageCount = static_cast<uint32_t>(images.size());
    input.images = images.data();
    return input;
}

inline DunlinVulkanInput vulkanInput(std::span<const DunlinVulkanPixels> pixels) {
    DunlinVulkanInput input = {};
    input.pixelsCount = static_cast<uint32_t>(pixels.size());
    input.pixels = pixels.data();
    return input;
}

inline DunlinVulkanInput vulkanTensor(VkBuffer buffer, VkDeviceSize offset = 0) {
    DunlinVulkanInput input = {};
    input.tensor = buffer;
    input.tensorOffset = offset;
    return input;
}

// Null: the slot's own.
struct OutputBuffer {
    VkBuffer buffer = VK_NULL_HANDLE;
    VkDeviceSize offset = 0;
};

// dunlinRecord; dispatchCount 0 means all from firstDispatch on.
inline Expected<void> record(Session& session, VkCommandBuffer commandBuffer, uint32_t slot,
                             const DunlinVulkanInput& input, const OutputBuffer& output = {},
                             uint32_t firstDispatch = 0, uint32_t dispatchCount = 0) {
    const DunlinVulkanInput typedInput = detail::typed(input);
    const DunlinVulkanOutput typedOutput = detail::output(output.buffer, output.offset);
    return detail::invoke([&](DunlinError* error) {
        return dunlinRecord(session.handle(), commandBuffer, slot, &typedInput, &typedOutput, firstDispatch,
                            dispatchCount, error);
    });
}

inline Expected<void> bindSlot(Session& session, uint32_t slot, const DunlinVulkanInput& input,
                               const OutputBuffer& output = {}) {
    const DunlinVulkanInput typedInput = detail::typed(input);
    const DunlinVulkanOutput typedOutput = detail::output(output.buffer, output.offset);
    return detail::invoke(
        [&](DunlinError* error) { return dunlinBindSlot(session.handle(), slot, &typedInput, &typedOutput, error); });
}

inline Expected<VkBuffer> slotOutputBuffer(const Session& session, uint32_t slot) {
    VkBuffer buffer = VK_NULL_HANDLE;
    auto done = detail::invoke(
        [&](DunlinError* error) { return dunlinGetSlotOutputBuffer(session.handle(), slot, &buffer, error); });
    if (!done) return done.error();
    return buffer;
}

// dunlinReadSlotOutput into memory of its own.
inline Expected<Outputs> readSlotOutput(const Session& session, uint32_t slot) {
    const auto infos = session.outputs();
    Outputs outputs({infos.begin(), infos.end()}, std::vector<std::byte>(session.outputBytes()));
    auto done = detail::invoke([&](DunlinError* error) {
        return dunlinReadSlotOutput(session.handle(), slot, outputs.bytes().data(), outputs.bytes().size(), error);
    });
    if (!done) return done.error();
    return outputs;
}

// `queue` null: the device's own.
inline Expected<void> submit(Session& session, uint32_t slot, std::span<const DunlinVulkanSemaphore> waits = {},
                             std::span<const DunlinVulkanSemaphore> signals = {}, VkFence fence = VK_NULL_HANDLE,
                             VkQueue queue = VK_NULL_HANDLE) {
    const DunlinVulkanSubmit plain = {DUNLIN_STRUCTURE_TYPE_VULKAN_SUBMIT,
                                      nullptr,
                                      queue,
                                      slot,
                                      static_cast<uint32_t>(waits.size()),
                                      waits.data(),
                                      static_cast<uint32_t>(signals.size()),
                                      signals.data(),
                                      fence};
    return detail::invoke([&](DunlinError* error) { return dunlinSubmit(session.handle(), &plain, error); });
}

}  // namespace v1
}  // namespace dunlin
