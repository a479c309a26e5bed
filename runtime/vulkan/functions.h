// Vulkan's functions, loaded at run time: nothing links to libvulkan, so a machine without it still runs on the CPU.
// One table an instance and one a device, so that several applications' devices live side by side.
#pragma once

#include <vulkan/vulkan.h>

#include <string>

#include "runtime/status.h"
#include "runtime/vulkan/newer_vulkan.h"

namespace dunlin::vulkan {

#define DUNLIN_VK_GLOBAL_FUNCTIONS(X)       \
    X(CreateInstance)                       \
    X(EnumerateInstanceExtensionProperties) \
    X(EnumerateInstanceLayerProperties)

#define DUNLIN_VK_INSTANCE_FUNCTIONS(X)       \
    X(DestroyInstance)                        \
    X(EnumeratePhysicalDevices)               \
    X(GetPhysicalDeviceProperties)            \
    X(GetPhysicalDeviceProperties2)           \
    X(GetPhysicalDeviceFeatures2)             \
    X(GetPhysicalDeviceMemoryProperties2)     \
    X(GetPhysicalDeviceFormatProperties)      \
    X(GetPhysicalDeviceQueueFamilyProperties) \
    X(EnumerateDeviceExtensionProperties)     \
    X(CreateDevice)                           \
    X(GetDeviceProcAddr)

#define DUNLIN_VK_DEVICE_FUNCTIONS(X) \
    X(DestroyDevice)                  \
    X(DeviceWaitIdle)                 \
    X(GetDeviceQueue)                 \
    X(QueueSubmit)                    \
    X(QueueWaitIdle)                  \
    X(AllocateMemory)                 \
    X(FreeMemory)                     \
    X(MapMemory)                      \
    X(UnmapMemory)                    \
    X(FlushMappedMemoryRanges)        \
    X(InvalidateMappedMemoryRanges)   \
    X(CreateBuffer)                   \
    X(DestroyBuffer)                  \
    X(GetBufferMemoryRequirements)    \
    X(BindBufferMemory)               \
    X(CreateBufferView)               \
    X(DestroyBufferView)              \
    X(CreateShaderModule)             \
    X(DestroyShaderModule)            \
    X(CreateDescriptorSetLayout)      \
    X(DestroyDescriptorSetLayout)     \
    X(CreatePipelineLayout)           \
    X(DestroyPipelineLayout)          \
    X(CreatePipelineCache)            \
    X(DestroyPipelineCache)           \
    X(GetPipelineCacheData)           \
    X(CreateComputePipelines)         \
    X(DestroyPipeline)                \
    X(CreateDescriptorPool)           \
    X(DestroyDescriptorPool)          \
    X(AllocateDescriptorSets)         \
    X(UpdateDescriptorSets)           \
    X(CreateCommandPool)              \
    X(DestroyCommandPool)             \
    X(AllocateCommandBuffers)         \
    X(BeginCommandBuffer)             \
    X(EndCommandBuffer)               \
    X(ResetCommandBuffer)             \
    X(CreateFence)                    \
    X(DestroyFence)                   \
    X(ResetFences)                    \
    X(GetFenceStatus)                 \
    X(WaitForFences)                  \
    X(CreateQueryPool)                \
    X(DestroyQueryPool)               \
    X(GetQueryPoolResults)            \
    X(CmdResetQueryPool)              \
    X(CmdWriteTimestamp)              \
    X(CmdBindPipeline)                \
    X(CmdBindDescriptorSets)          \
    X(CmdPushConstants)               \
    X(CmdDispatch)                    \
    X(CmdPipelineBarrier)             \
    X(CmdCopyBuffer)                  \
    X(CmdFillBuffer)                  \
    X(CreateImage)                    \
    X(DestroyImage)                   \
    X(GetImageMemoryRequirements)     \
    X(BindImageMemory)                \
    X(CreateImageView)                \
    X(DestroyImageView)               \
    X(CmdCopyBufferToImage)

// Of extensions that only measurements ask for (DeviceOptions::instruments): null unless enabled.
#define DUNLIN_VK_INSTRUMENT_FUNCTIONS(X) \
    X(GetPipelineExecutablePropertiesKHR) \
    X(GetPipelineExecutableStatisticsKHR) \
    X(GetCalibratedTimestampsEXT)

#define DUNLIN_VK_MEMBER(name) PFN_vk##name name = nullptr;

// What can be called without an instance.
struct GlobalFunctions {
    PFN_vkGetInstanceProcAddr getInstanceProcAddr = nullptr;
    PFN_vkEnumerateInstanceVersion EnumerateInstanceVersion = nullptr;  // null on a Vulkan 1.0 loader
    DUNLIN_VK_GLOBAL_FUNCTIONS(DUNLIN_VK_MEMBER)
};

struct InstanceFunctions {
    PFN_vkGetInstanceProcAddr getInstanceProcAddr = nullptr;
    DUNLIN_VK_INSTANCE_FUNCTIONS(DUNLIN_VK_MEMBER)
    PFN_vkCreateDebugUtilsMessengerEXT CreateDebugUtilsMessengerEXT = nullptr;    // null unless enabled
    PFN_vkDestroyDebugUtilsMessengerEXT DestroyDebugUtilsMessengerEXT = nullptr;  // null unless enabled
    // Null where no driver of the instance has the extension.
    PFN_vkGetPhysicalDeviceCalibrateableTimeDomainsEXT GetPhysicalDeviceCalibrateableTimeDomainsEXT = nullptr;
    PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR GetPhysicalDeviceCooperativeMatrixPropertiesKHR = nullptr;
};

struct DeviceFunctions {
    DUNLIN_VK_DEVICE_FUNCTIONS(DUNLIN_VK_MEMBER)
    DUNLIN_VK_INSTRUMENT_FUNCTIONS(DUNLIN_VK_MEMBER)
};

#undef DUNLIN_VK_MEMBER

// Opens the system's Vulkan loader, or uses the caller's `getInstanceProcAddr` if it is not null. Unsupported where
// there is no loader, with what the dynamic linker said.
Result<GlobalFunctions> loadGlobalFunctions(PFN_vkGetInstanceProcAddr getInstanceProcAddr = nullptr);
// Unsupported where a Vulkan 1.1 function is missing: the instance was created for Vulkan 1.0.
Result<InstanceFunctions> loadInstanceFunctions(PFN_vkGetInstanceProcAddr getInstanceProcAddr, VkInstance instance);
Result<DeviceFunctions> loadDeviceFunctions(const InstanceFunctions& functions, VkDevice device);

// "VK_ERROR_DEVICE_LOST"
const char* name(VkResult result);
// A failed call as a Status: "vkAllocateMemory of 12 bytes failed with VK_ERROR_OUT_OF_DEVICE_MEMORY". `call` says what
// failed. VK_SUCCESS gives an ok status.
Status check(VkResult result, const char* call);

}  // namespace dunlin::vulkan
