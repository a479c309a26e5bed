// dunlin_vulkan.h: requirements, recording and submitting.
#include "dunlin/dunlin_vulkan.h"

#include <span>
#include <vector>

#include "runtime/api_support.h"

namespace dunlin::api {
namespace {

DunlinVulkanFeatures publicFeatures(const vulkan::Features& features) {
    return {features.storageBuffer16, features.shaderFloat16, features.timelineSemaphore};
}

void setList(std::span<const char* const> names, uint32_t& count, const char* const*& list) {
    count = static_cast<uint32_t>(names.size());
    list = names.data();
}

void fillRequirements(DunlinVulkanRequirements& info) {
    const vulkan::Requirements wanted = vulkan::requirements();
    info.minApiVersion = wanted.minApiVersion;
    info.queueFlags = VK_QUEUE_COMPUTE_BIT;
    setList(wanted.requiredInstanceExtensions, info.requiredInstanceExtensionCount, info.requiredInstanceExtensions);
    setList(wanted.recommendedInstanceExtensions, info.recommendedInstanceExtensionCount,
            info.recommendedInstanceExtensions);
    setList(wanted.requiredDeviceExtensions, info.requiredDeviceExtensionCount, info.requiredDeviceExtensions);
    setList(wanted.recommendedDeviceExtensions, info.recommendedDeviceExtensionCount, info.recommendedDeviceExtensions);
    info.requiredFeatures = publicFeatures(wanted.requiredFeatures);
    info.recommendedFeatures = publicFeatures(wanted.recommendedFeatures);
}

// A session on a Vulkan device, and a slot that it has.
Status checkSlot(DunlinSession session, uint32_t slot) {
    DUNLIN_TRY(checkPresent(session, "session"));
    if (!session->vulkan) return error(StatusCode::Unsupported, "the session runs on the CPU and has no slots");
    if (slot >= session->info.slots) {
        return error(StatusCode::InvalidArgument, "slot is %u, but the session has %u", slot, session->info.slots);
    }
    return {};
}

vulkan::Region regionOf(const VkRect2D& region) {
    return {static_cast<uint32_t>(region.offset.x), static_cast<uint32_t>(region.offset.y), region.extent.width,
            region.extent.height};
}

// The backend's form of an input; owns the lists that `plain` points to.
struct Input {
    std::vector<vulkan::ImageSource> images;
    std::vector<vulkan::PixelSource> pixels;
    vulkan::VulkanInput plain;
};

Status translateImages(const DunlinVulkanInput& input, Input& translated) {
    if (input.imageCount > 0) DUNLIN_TRY(checkPresent(input.images, "DunlinVulkanInput::images"));
    for (const DunlinVulkanImage& image : std::span(input.images, input.imageCount)) {
        if (image.region.offset.x < 0 || image.region.offset.y < 0) {
            return error(StatusCode::InvalidArgument, "an image's region begins at %d, %d, but must begin inside it",
                         image.region.offset.x, image.region.offset.y);
        }
        translated.images.push_back({image.view, image.layout, image.extent.width, image.extent.height,
                                     regionOf(image.region), image.isSrgb != VK_FALSE});
    }
    return {};
}

Status translatePixels(const DunlinVulkanInput& input, Input& translated) {
    if (input.pixelsCount > 0) DUNLIN_TRY(checkPresent(input.pixels, "DunlinVulkanInput::pixels"));
    for (const DunlinVulkanPixels& pixels : std::span(input.pixels, input.pixelsCount)) {
        translated.pixels.push_back({pixels.buffer, pixels.offset, pixels.width, pixels.height, pixels.rowPixels});
    }
    return {};
}

Status translate(const DunlinVulkanInput* input, Input& translated) {
    DUNLIN_TRY(checkHead(input, DUNLIN_STRUCTURE_TYPE_VULKAN_INPUT, "DunlinVulkanInput"));
    DUNLIN_TRY(translateImages(*input, translated));
    DUNLIN_TRY(translatePixels(*input, translated));
    translated.plain = {translated.images, translated.pixels, {input->tensor, input->tensorOffset}};
    return {};
}

Status translate(const DunlinVulkanOutput* output, vulkan::VulkanOutput& translated) {
    if (!output) return {};
    DUNLIN_TRY(checkHead(output, DUNLIN_STRUCTURE_TYPE_VULKAN_OUTPUT, "DunlinVulkanOutput"));
    translated = {output->buffer, output->offset};
    return {};
}

Status translate(const char* name, uint32_t count, const DunlinVulkanSemaphore* semaphores,
                 std::vector<vulkan::SemaphoreValue>& translated) {
    if (count > 0) DUNLIN_TRY(checkPresent(semaphores, name));
    for (const DunlinVulkanSemaphore& semaphore : std::span(semaphores, count)) {
        if (semaphore.semaphore == VK_NULL_HANDLE) {
            return error(StatusCode::InvalidArgument, "a semaphore of %s is VK_NULL_HANDLE, which it must not be",
                         name);
        }
        translated.push_back({semaphore.semaphore, semaphore.value});
    }
    return {};
}

Status submit(DunlinSession session, const DunlinVulkanSubmit& submit) {
    std::vector<vulkan::SemaphoreValue> waits, signals;
    DUNLIN_TRY(translate("DunlinVulkanSubmit::waits", submit.waitCount, submit.waits, waits));
    DUNLIN_TRY(translate("DunlinVulkanSubmit::signals", submit.signalCount, submit.signals, signals));
    return session->vulkan->submit({submit.queue, static_cast<int>(submit.slot), waits, signals, submit.fence});
}

}  // namespace
}  // namespace dunlin::api

using namespace dunlin;
using namespace dunlin::api;

DunlinStatus dunlinGetVulkanRequirements(DunlinVulkanRequirements* requirements, DunlinError* error) {
    return guarded(error, [&]() -> Status {
        DUNLIN_TRY(checkHead(requirements, DUNLIN_STRUCTURE_TYPE_VULKAN_REQUIREMENTS, "DunlinVulkanRequirements"));
        fillRequirements(*requirements);
        return {};
    });
}

DunlinStatus dunlinGetSlotOutputBuffer(DunlinSession session, uint32_t slot, VkBuffer* buffer, DunlinError* error) {
    return guarded(error, [&]() -> Status {
        DUNLIN_TRY(checkPresent(buffer, "buffer"));
        *buffer = VK_NULL_HANDLE;
        DUNLIN_TRY(checkSlot(session, slot));
        *buffer = session->vulkan->outputBuffer(static_cast<int>(slot));
        return {};
    });
}

DunlinStatus dunlinReadSlotOutput(DunlinSession session, uint32_t slot, void* output, size_t outputBytes,
                                  DunlinError* error) {
    return guarded(error, [&]() -> Status {
        DUNLIN_TRY(checkSlot(session, slot));
        DUNLIN_TRY(checkPresent(output, "output"));
        DUNLIN_TRY(checkOutputBytes(*session, outputBytes));
        const std::span bytes(static_cast<std::byte*>(output), static_cast<size_t>(session->info.outputBytes));
        return session->vulkan->readOutput(static_cast<int>(slot), bytes);
    });
}

DunlinStatus dunlinRecord(DunlinSession session, VkCommandBuffer commandBuffer, uint32_t slot,
                          const DunlinVulkanInput* input, const DunlinVulkanOutput* output, uint32_t firstDispatch,
                          uint32_t dispatchCount, DunlinError* error) {
    return guarded(error, [&]() -> Status {
        DUNLIN_TRY(checkSlot(session, slot));
        DUNLIN_TRY(checkPresent(commandBuffer, "commandBuffer"));
        Input source;
        vulkan::VulkanOutput destination;
        DUNLIN_TRY(translate(input, source));
        DUNLIN_TRY(translate(output, destination));
        return session->vulkan->record(commandBuffer, static_cast<int>(slot), source.plain, destination, firstDispatch,
                                       dispatchCount);
    });
}

DunlinStatus dunlinBindSlot(DunlinSession session, uint32_t slot, const DunlinVulkanInput* input,
                            const DunlinVulkanOutput* output, DunlinError* error) {
    return guarded(error, [&]() -> Status {
        DUNLIN_TRY(checkSlot(session, slot));
        Input source;
        vulkan::VulkanOutput destination;
        DUNLIN_TRY(translate(input, source));
        DUNLIN_TRY(translate(output, destination));
        return session->vulkan->bindSlot(static_cast<int>(slot), source.plain, destination);
    });
}

DunlinStatus dunlinSubmit(DunlinSession session, const DunlinVulkanSubmit* submission, DunlinError* error) {
    return guarded(error, [&]() -> Status {
        DUNLIN_TRY(checkHead(submission, DUNLIN_STRUCTURE_TYPE_VULKAN_SUBMIT, "DunlinVulkanSubmit"));
        DUNLIN_TRY(checkSlot(session, submission->slot));
        return submit(session, *submission);
    });
}
