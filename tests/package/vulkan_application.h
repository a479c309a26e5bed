// A small Vulkan application for tests: instance with the validation layer, device with what Dunlin recommends, and one
// picture in an image. Knows Dunlin by its public headers only.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <span>
#include <string>
#include <vector>
#include <vulkan/vulkan_raii.hpp>

#include "dunlin/dunlin_vulkan.hpp"

namespace application {

// What the validation layer said, warnings and errors.
inline VKAPI_ATTR VkBool32 VKAPI_CALL collectMessage(VkDebugUtilsMessageSeverityFlagBitsEXT,
                                                     VkDebugUtilsMessageTypeFlagsEXT,
                                                     const VkDebugUtilsMessengerCallbackDataEXT* data, void* messages) {
    static_cast<std::vector<std::string>*>(messages)->push_back(data->pMessage);
    return VK_FALSE;
}

struct Buffer {
    vk::raii::DeviceMemory memory = nullptr;
    vk::raii::Buffer handle = nullptr;
    void* mapped = nullptr;
};

struct Image {
    vk::raii::DeviceMemory memory = nullptr;
    vk::raii::Image handle = nullptr;
    vk::raii::ImageView view = nullptr;
};

class Application {
  public:
    // Throws vk::Error; where there is no Vulkan device, physicalDevices() of the instance is empty.
    Application() {
        const char* layer = "VK_LAYER_KHRONOS_validation";
        const char* extension = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
        const vk::ValidationFeatureEnableEXT synchronization =
            vk::ValidationFeatureEnableEXT::eSynchronizationValidation;
        const vk::ValidationFeaturesEXT validation(synchronization);
        const vk::ApplicationInfo info("dunlin test", 0, nullptr, 0, VK_API_VERSION_1_1);
        instance = vk::raii::Instance(context, vk::InstanceCreateInfo({}, &info, layer, extension, &validation));
        using Severity = vk::DebugUtilsMessageSeverityFlagBitsEXT;
        messenger = vk::raii::DebugUtilsMessengerEXT(
            instance, vk::DebugUtilsMessengerCreateInfoEXT({}, Severity::eWarning | Severity::eError,
                                                           vk::DebugUtilsMessageTypeFlagBitsEXT::eValidation,
                                                           collectMessage, &messages));
        physicalDevice = vk::raii::PhysicalDevices(instance).front();
        createDevice();
    }

    ~Application() {
        if (*device) device.waitIdle();
    }

    // The features of dunlin_vulkan.h that are recommended and that this device supports, all of which are enabled.
    DunlinVulkanBorrowedDevice borrowed() const {
        DunlinVulkanBorrowedDevice handles = {};
        handles.getInstanceProcAddr = context.getDispatcher()->vkGetInstanceProcAddr;
        handles.instance = *instance;
        handles.physicalDevice = *physicalDevice;
        handles.device = *device;
        handles.queueFamily = queueFamily;
        handles.queue = *queue;
        handles.enabledFeatures = enabled;
        return handles;
    }

    Buffer createBuffer(vk::DeviceSize sizeBytes, vk::BufferUsageFlags usage) {
        Buffer buffer;
        buffer.handle = vk::raii::Buffer(device, vk::BufferCreateInfo({}, sizeBytes, usage));
        using Property = vk::MemoryPropertyFlagBits;
        buffer.memory =
            allocate(buffer.handle.getMemoryRequirements(), Property::eHostVisible | Property::eHostCoherent);
        buffer.handle.bindMemory(*buffer.memory, 0);
        buffer.mapped = buffer.memory.mapMemory(0, sizeBytes);
        return buffer;
    }

    // RGBA8 pixels in an image in SHADER_READ_ONLY_OPTIMAL.
    Image createImage(const std::vector<uint8_t>& pixels, uint32_t width, uint32_t height) {
        Buffer staging = createBuffer(pixels.size(), vk::BufferUsageFlagBits::eTransferSrc);
        std::memcpy(staging.mapped, pixels.data(), pixels.size());
        using Usage = vk::ImageUsageFlagBits;
        Image image;
        image.handle = vk::raii::Image(
            device, vk::ImageCreateInfo({}, vk::ImageType::e2D, vk::Format::eR8G8B8A8Unorm, {width, height, 1}, 1, 1,
                                        vk::SampleCountFlagBits::e1, vk::ImageTiling::eOptimal,
                                        Usage::eSampled | Usage::eTransferDst));
        image.memory = allocate(image.handle.getMemoryRequirements(), vk::MemoryPropertyFlagBits::eDeviceLocal);
        image.handle.bindMemory(*image.memory, 0);
        image.view = vk::raii::ImageView(
            device, vk::ImageViewCreateInfo({}, *image.handle, vk::ImageViewType::e2D, vk::Format::eR8G8B8A8Unorm, {},
                                            {vk::ImageAspectFlagBits::eColor, 0, 1, 0, 1}));
        const vk::raii::CommandBuffer commands = beginCommands();
        changeLayout(commands, *image.handle, vk::ImageLayout::eUndefined, vk::ImageLayout::eTransferDstOptimal);
        commands.copyBufferToImage(
            *staging.handle, *image.handle, vk::ImageLayout::eTransferDstOptimal,
            vk::BufferImageCopy(0, 0, 0, {vk::ImageAspectFlagBits::eColor, 0, 0, 1}, {}, {width, height, 1}));
        changeLayout(commands, *image.handle, vk::ImageLayout::eTransferDstOptimal,
                     vk::ImageLayout::eShaderReadOnlyOptimal);
        commands.end();
        queue.submit(vk::SubmitInfo({}, {}, *commands));
        queue.waitIdle();
        return image;
    }

    vk::raii::CommandBuffer beginCommands() {
        vk::raii::CommandBuffers buffers(device, {*pool, vk::CommandBufferLevel::ePrimary, 1});
        vk::raii::CommandBuffer commands = std::move(buffers.front());
        commands.begin(vk::CommandBufferBeginInfo());
        return commands;
    }

    vk::raii::Context context;
    std::vector<std::string> messages;
    vk::raii::Instance instance = nullptr;
    vk::raii::DebugUtilsMessengerEXT messenger = nullptr;
    vk::raii::PhysicalDevice physicalDevice = nullptr;
    vk::raii::Device device = nullptr;
    vk::raii::Queue queue = nullptr;
    vk::raii::CommandPool pool = nullptr;
    uint32_t queueFamily = 0;
    DunlinVulkanFeatures enabled = {};

  private:
    void createDevice() {
        const auto wanted = dunlin::vulkanRequirements();
        std::vector<const char*> extensions;
        for (const char* name :
             std::span(wanted->recommendedDeviceExtensions, wanted->recommendedDeviceExtensionCount)) {
            for (const auto& offered : physicalDevice.enumerateDeviceExtensionProperties()) {
                if (std::strcmp(offered.extensionName, name) == 0) extensions.push_back(name);
            }
        }
        const auto offered =
            physicalDevice.getFeatures2<vk::PhysicalDeviceFeatures2, vk::PhysicalDevice16BitStorageFeatures,
                                        vk::PhysicalDeviceShaderFloat16Int8Features,
                                        vk::PhysicalDeviceTimelineSemaphoreFeatures>();
        auto& storage = offered.get<vk::PhysicalDevice16BitStorageFeatures>();
        auto& float16 = offered.get<vk::PhysicalDeviceShaderFloat16Int8Features>();
        auto& timeline = offered.get<vk::PhysicalDeviceTimelineSemaphoreFeatures>();
        enabled = {storage.storageBuffer16BitAccess, float16.shaderFloat16, timeline.timelineSemaphore};

        vk::StructureChain<vk::DeviceCreateInfo, vk::PhysicalDevice16BitStorageFeatures,
                           vk::PhysicalDeviceShaderFloat16Int8Features, vk::PhysicalDeviceTimelineSemaphoreFeatures>
            chain;
        chain.get<vk::PhysicalDevice16BitStorageFeatures>().storageBuffer16BitAccess = storage.storageBuffer16BitAccess;
        chain.get<vk::PhysicalDeviceShaderFloat16Int8Features>().shaderFloat16 = float16.shaderFloat16;
        chain.get<vk::PhysicalDeviceTimelineSemaphoreFeatures>().timelineSemaphore = timeline.timelineSemaphore;

        const auto families = physicalDevice.getQueueFamilyProperties();
        while (!(families.at(queueFamily).queueFlags & vk::QueueFlags(wanted->queueFlags))) ++queueFamily;
        const float priority = 1;
        const vk::DeviceQueueCreateInfo queueInfo({}, queueFamily, 1, &priority);
        auto& info = chain.get<vk::DeviceCreateInfo>();
        info.setQueueCreateInfos(queueInfo);
        info.setPEnabledExtensionNames(extensions);
        device = vk::raii::Device(physicalDevice, info);
        queue = device.getQueue(queueFamily, 0);
        pool = vk::raii::CommandPool(device, {vk::CommandPoolCreateFlagBits::eResetCommandBuffer, queueFamily});
    }

    vk::raii::DeviceMemory allocate(const vk::MemoryRequirements& needs, vk::MemoryPropertyFlags properties) {
        const auto types = physicalDevice.getMemoryProperties();
        uint32_t index = 0;
        while (!(needs.memoryTypeBits & 1u << index) ||
               (types.memoryTypes[index].propertyFlags & properties) != properties) {
            ++index;
        }
        return {device, {needs.size, index}};
    }

    static void changeLayout(const vk::raii::CommandBuffer& commands, vk::Image image, vk::ImageLayout from,
                             vk::ImageLayout to) {
        const bool isUpload = to == vk::ImageLayout::eTransferDstOptimal;
        using Access = vk::AccessFlagBits;
        using Stage = vk::PipelineStageFlagBits;
        const vk::ImageMemoryBarrier barrier(isUpload ? vk::AccessFlags() : Access::eTransferWrite,
                                             isUpload ? Access::eTransferWrite : Access::eShaderRead, from, to,
                                             VK_QUEUE_FAMILY_IGNORED, VK_QUEUE_FAMILY_IGNORED, image,
                                             {vk::ImageAspectFlagBits::eColor, 0, 1, 0, 1});
        commands.pipelineBarrier(isUpload ? Stage::eTopOfPipe : Stage::eTransfer,
                                 isUpload ? Stage::eTransfer : Stage::eComputeShader, {}, {}, {}, barrier);
    }
};

}  // namespace application
