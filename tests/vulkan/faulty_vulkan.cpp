#include "tests/vulkan/faulty_vulkan.h"

#include <cstring>

namespace dunlin::test {
namespace {

// Whether this call is the one to fail.
bool shouldFail(const char* function) {
    FaultyVulkan& faulty = faultyVulkan();
    const std::lock_guard lock(faulty.mutex);
    if (faulty.failAlways == function) return true;
    if (!faulty.failOnly.empty() && faulty.failOnly != function) return false;
    if (++faulty.calls != faulty.failCall) return false;
    faulty.failed = function;
    return true;
}

PFN_vkGetDeviceProcAddr g_getDeviceProcAddr = nullptr;

// Wraps vkCreateX(device, info, allocator, handle) and vkDestroyX(device, handle, allocator).
#define WRAP_OBJECT(type, create, destroy, infoType, handleType)                                               \
    PFN_##create g_##create = nullptr;                                                                         \
    PFN_##destroy g_##destroy = nullptr;                                                                       \
    VKAPI_ATTR VkResult VKAPI_CALL wrapped_##create(VkDevice device, const infoType* info,                     \
                                                    const VkAllocationCallbacks* allocator, handleType* out) { \
        if (shouldFail(#create)) return faultyVulkan().failure;                                                \
        const VkResult result = g_##create(device, info, allocator, out);                                      \
        if (result == VK_SUCCESS) faultyVulkan().count(#type, 1);                                              \
        return result;                                                                                         \
    }                                                                                                          \
    VKAPI_ATTR void VKAPI_CALL wrapped_##destroy(VkDevice device, handleType handle,                           \
                                                 const VkAllocationCallbacks* allocator) {                     \
        if (handle) faultyVulkan().count(#type, -1);                                                           \
        g_##destroy(device, handle, allocator);                                                                \
    }

#define FOR_OBJECTS(X)                                                                                               \
    X(DeviceMemory, vkAllocateMemory, vkFreeMemory, VkMemoryAllocateInfo, VkDeviceMemory)                            \
    X(Buffer, vkCreateBuffer, vkDestroyBuffer, VkBufferCreateInfo, VkBuffer)                                         \
    X(BufferView, vkCreateBufferView, vkDestroyBufferView, VkBufferViewCreateInfo, VkBufferView)                     \
    X(ShaderModule, vkCreateShaderModule, vkDestroyShaderModule, VkShaderModuleCreateInfo, VkShaderModule)           \
    X(SetLayout, vkCreateDescriptorSetLayout, vkDestroyDescriptorSetLayout, VkDescriptorSetLayoutCreateInfo,         \
      VkDescriptorSetLayout)                                                                                         \
    X(PipelineLayout, vkCreatePipelineLayout, vkDestroyPipelineLayout, VkPipelineLayoutCreateInfo, VkPipelineLayout) \
    X(PipelineCache, vkCreatePipelineCache, vkDestroyPipelineCache, VkPipelineCacheCreateInfo, VkPipelineCache)      \
    X(DescriptorPool, vkCreateDescriptorPool, vkDestroyDescriptorPool, VkDescriptorPoolCreateInfo, VkDescriptorPool) \
    X(CommandPool, vkCreateCommandPool, vkDestroyCommandPool, VkCommandPoolCreateInfo, VkCommandPool)                \
    X(Fence, vkCreateFence, vkDestroyFence, VkFenceCreateInfo, VkFence)                                              \
    X(QueryPool, vkCreateQueryPool, vkDestroyQueryPool, VkQueryPoolCreateInfo, VkQueryPool)                          \
    X(Image, vkCreateImage, vkDestroyImage, VkImageCreateInfo, VkImage)                                              \
    X(ImageView, vkCreateImageView, vkDestroyImageView, VkImageViewCreateInfo, VkImageView)

FOR_OBJECTS(WRAP_OBJECT)

// Wraps a function that can fail and creates nothing that is counted.
#define WRAP_CALL(function, parameters, arguments)                 \
    PFN_##function g_##function = nullptr;                         \
    VKAPI_ATTR VkResult VKAPI_CALL wrapped_##function parameters { \
        if (shouldFail(#function)) return faultyVulkan().failure;  \
        return g_##function arguments;                             \
    }

#define FOR_CALLS(X)                                                                                               \
    X(vkBindBufferMemory, (VkDevice d, VkBuffer b, VkDeviceMemory m, VkDeviceSize o), (d, b, m, o))                \
    X(vkMapMemory, (VkDevice d, VkDeviceMemory m, VkDeviceSize o, VkDeviceSize s, VkMemoryMapFlags f, void** p),   \
      (d, m, o, s, f, p))                                                                                          \
    X(vkAllocateDescriptorSets, (VkDevice d, const VkDescriptorSetAllocateInfo* i, VkDescriptorSet* s), (d, i, s)) \
    X(vkAllocateCommandBuffers, (VkDevice d, const VkCommandBufferAllocateInfo* i, VkCommandBuffer* c), (d, i, c)) \
    X(vkBeginCommandBuffer, (VkCommandBuffer c, const VkCommandBufferBeginInfo* i), (c, i))                        \
    X(vkQueueSubmit, (VkQueue q, uint32_t n, const VkSubmitInfo* s, VkFence f), (q, n, s, f))                      \
    X(vkQueueWaitIdle, (VkQueue q), (q))                                                                           \
    X(vkResetFences, (VkDevice d, uint32_t n, const VkFence* f), (d, n, f))

FOR_CALLS(WRAP_CALL)

// These two do their work before they fail, as a driver that runs out of memory or loses the device would.
PFN_vkEndCommandBuffer g_vkEndCommandBuffer = nullptr;
VKAPI_ATTR VkResult VKAPI_CALL wrapped_vkEndCommandBuffer(VkCommandBuffer commands) {
    const VkResult result = g_vkEndCommandBuffer(commands);
    return shouldFail("vkEndCommandBuffer") ? faultyVulkan().failure : result;
}
PFN_vkWaitForFences g_vkWaitForFences = nullptr;
VKAPI_ATTR VkResult VKAPI_CALL wrapped_vkWaitForFences(VkDevice device, uint32_t count, const VkFence* fences,
                                                       VkBool32 all, uint64_t timeout) {
    const VkResult result = g_vkWaitForFences(device, count, fences, all, timeout);
    return shouldFail("vkWaitForFences") ? faultyVulkan().failure : result;
}

PFN_vkCmdDispatch g_vkCmdDispatch = nullptr;
VKAPI_ATTR void VKAPI_CALL wrapped_vkCmdDispatch(VkCommandBuffer commands, uint32_t x, uint32_t y, uint32_t z) {
    if (!faultyVulkan().dropsDispatches) g_vkCmdDispatch(commands, x, y, z);
}

PFN_vkGetPhysicalDeviceQueueFamilyProperties g_vkGetPhysicalDeviceQueueFamilyProperties = nullptr;
VKAPI_ATTR void VKAPI_CALL wrapped_vkGetPhysicalDeviceQueueFamilyProperties(VkPhysicalDevice physicalDevice,
                                                                            uint32_t* count,
                                                                            VkQueueFamilyProperties* families) {
    g_vkGetPhysicalDeviceQueueFamilyProperties(physicalDevice, count, families);
    if (!families || !faultyVulkan().hidesTimestamps) return;
    for (uint32_t i = 0; i < *count; ++i) families[i].timestampValidBits = 0;
}
PFN_vkGetQueryPoolResults g_vkGetQueryPoolResults = nullptr;
VKAPI_ATTR VkResult VKAPI_CALL wrapped_vkGetQueryPoolResults(VkDevice device, VkQueryPool pool, uint32_t first,
                                                             uint32_t count, size_t size, void* data,
                                                             VkDeviceSize stride, VkQueryResultFlags flags) {
    const VkResult result = g_vkGetQueryPoolResults(device, pool, first, count, size, data, stride, flags);
    if (faultyVulkan().stopsClock) std::memset(data, 0, size);
    return result;
}

PFN_vkCreateComputePipelines g_vkCreateComputePipelines = nullptr;
PFN_vkDestroyPipeline g_vkDestroyPipeline = nullptr;
VKAPI_ATTR VkResult VKAPI_CALL wrapped_vkCreateComputePipelines(VkDevice device, VkPipelineCache cache, uint32_t count,
                                                                const VkComputePipelineCreateInfo* infos,
                                                                const VkAllocationCallbacks* allocator,
                                                                VkPipeline* pipelines) {
    if (shouldFail("vkCreateComputePipelines")) {
        for (uint32_t i = 0; i < count; ++i) pipelines[i] = VK_NULL_HANDLE;
        return faultyVulkan().failure;
    }
    const VkResult result = g_vkCreateComputePipelines(device, cache, count, infos, allocator, pipelines);
    if (result == VK_SUCCESS) faultyVulkan().count("Pipeline", static_cast<int>(count));
    return result;
}
VKAPI_ATTR void VKAPI_CALL wrapped_vkDestroyPipeline(VkDevice device, VkPipeline pipeline,
                                                     const VkAllocationCallbacks* allocator) {
    if (pipeline) faultyVulkan().count("Pipeline", -1);
    g_vkDestroyPipeline(device, pipeline, allocator);
}

PFN_vkCreateDevice g_vkCreateDevice = nullptr;
PFN_vkDestroyDevice g_vkDestroyDevice = nullptr;
VKAPI_ATTR VkResult VKAPI_CALL wrapped_vkCreateDevice(VkPhysicalDevice physicalDevice, const VkDeviceCreateInfo* info,
                                                      const VkAllocationCallbacks* allocator, VkDevice* device) {
    if (shouldFail("vkCreateDevice")) return faultyVulkan().failure;
    const VkResult result = g_vkCreateDevice(physicalDevice, info, allocator, device);
    if (result == VK_SUCCESS) ++faultyVulkan().live["Device"];
    return result;
}
VKAPI_ATTR void VKAPI_CALL wrapped_vkDestroyDevice(VkDevice device, const VkAllocationCallbacks* allocator) {
    if (device) --faultyVulkan().live["Device"];
    g_vkDestroyDevice(device, allocator);
}

PFN_vkCreateInstance g_vkCreateInstance = nullptr;
PFN_vkDestroyInstance g_vkDestroyInstance = nullptr;
VKAPI_ATTR VkResult VKAPI_CALL wrapped_vkCreateInstance(const VkInstanceCreateInfo* info,
                                                        const VkAllocationCallbacks* allocator, VkInstance* instance) {
    if (shouldFail("vkCreateInstance")) return faultyVulkan().failure;
    const VkResult result = g_vkCreateInstance(info, allocator, instance);
    if (result == VK_SUCCESS) ++faultyVulkan().live["Instance"];
    return result;
}
VKAPI_ATTR void VKAPI_CALL wrapped_vkDestroyInstance(VkInstance instance, const VkAllocationCallbacks* allocator) {
    if (instance) --faultyVulkan().live["Instance"];
    g_vkDestroyInstance(instance, allocator);
}

// The wrapper of `name` if there is one, which remembers the real function.
PFN_vkVoidFunction wrap(const char* name, PFN_vkVoidFunction real) {
    if (!real) return nullptr;
#define WRAPPED(function)                                                \
    if (std::strcmp(name, #function) == 0) {                             \
        g_##function = reinterpret_cast<PFN_##function>(real);           \
        return reinterpret_cast<PFN_vkVoidFunction>(wrapped_##function); \
    }
#define WRAPPED_OBJECT(type, create, destroy, infoType, handleType) WRAPPED(create) WRAPPED(destroy)
#define WRAPPED_CALL(function, parameters, arguments) WRAPPED(function)
    FOR_OBJECTS(WRAPPED_OBJECT)
    FOR_CALLS(WRAPPED_CALL)
    WRAPPED(vkCmdDispatch)
    WRAPPED(vkEndCommandBuffer)
    WRAPPED(vkWaitForFences)
    WRAPPED(vkGetPhysicalDeviceQueueFamilyProperties)
    WRAPPED(vkGetQueryPoolResults)
    WRAPPED(vkCreateComputePipelines)
    WRAPPED(vkDestroyPipeline)
    WRAPPED(vkCreateDevice)
    WRAPPED(vkDestroyDevice)
    WRAPPED(vkCreateInstance)
    WRAPPED(vkDestroyInstance)
    return real;
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL faultyGetDeviceProcAddr(VkDevice device, const char* name) {
    return wrap(name, g_getDeviceProcAddr(device, name));
}

}  // namespace

FaultyVulkan& faultyVulkan() {
    static FaultyVulkan faulty;
    return faulty;
}

PFN_vkVoidFunction VKAPI_CALL faultyGetInstanceProcAddr(VkInstance instance, const char* name) {
    const PFN_vkVoidFunction real = faultyVulkan().real(instance, name);
    if (std::strcmp(name, "vkGetDeviceProcAddr") == 0) {
        g_getDeviceProcAddr = reinterpret_cast<PFN_vkGetDeviceProcAddr>(real);
        return reinterpret_cast<PFN_vkVoidFunction>(faultyGetDeviceProcAddr);
    }
    return wrap(name, real);
}

}  // namespace dunlin::test
