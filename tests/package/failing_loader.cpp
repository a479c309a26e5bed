// A Vulkan loader for tests: the real one, whose devices say that they are GPUs, and which fails where
// DUNLIN_FAILING_CALL says. Found before the real one through LD_LIBRARY_PATH.
#include <dlfcn.h>
#include <vulkan/vulkan.h>

#include <cstdlib>
#include <cstring>

namespace {

PFN_vkGetInstanceProcAddr realLoader() {
    void* library = dlopen(DUNLIN_REAL_LOADER, RTLD_NOW | RTLD_LOCAL);
    return library ? reinterpret_cast<PFN_vkGetInstanceProcAddr>(dlsym(library, "vkGetInstanceProcAddr")) : nullptr;
}

PFN_vkGetPhysicalDeviceProperties2 g_getProperties2 = nullptr;

VKAPI_ATTR void VKAPI_CALL propertiesOfAGpu(VkPhysicalDevice device, VkPhysicalDeviceProperties2* properties) {
    g_getProperties2(device, properties);
    properties->properties.deviceType = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
    properties->properties.vendorID = 0x10de;
    for (auto* next = static_cast<VkBaseOutStructure*>(properties->pNext); next; next = next->pNext) {
        if (next->sType != VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES) continue;
        reinterpret_cast<VkPhysicalDeviceDriverProperties*>(next)->driverID = VK_DRIVER_ID_NVIDIA_PROPRIETARY;
    }
}

VKAPI_ATTR void VKAPI_CALL coreProperties(VkPhysicalDevice device, VkPhysicalDeviceProperties* properties) {
    VkPhysicalDeviceProperties2 all{};
    all.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
    propertiesOfAGpu(device, &all);
    *properties = all.properties;
}

VKAPI_ATTR VkResult VKAPI_CALL failInstance(const VkInstanceCreateInfo*, const VkAllocationCallbacks*, VkInstance*) {
    return VK_ERROR_OUT_OF_HOST_MEMORY;
}
VKAPI_ATTR VkResult VKAPI_CALL failDevice(VkPhysicalDevice, const VkDeviceCreateInfo*, const VkAllocationCallbacks*,
                                          VkDevice*) {
    return VK_ERROR_INITIALIZATION_FAILED;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) PFN_vkVoidFunction VKAPI_CALL
vkGetInstanceProcAddr(VkInstance instance, const char* name) {
    const PFN_vkGetInstanceProcAddr real = realLoader();
    const char* failing = std::getenv("DUNLIN_FAILING_CALL");
    if (!real) return nullptr;
    if (failing && std::strcmp(failing, name) == 0) {
        if (std::strcmp(name, "vkCreateInstance") == 0) return reinterpret_cast<PFN_vkVoidFunction>(failInstance);
        if (std::strcmp(name, "vkCreateDevice") == 0) return reinterpret_cast<PFN_vkVoidFunction>(failDevice);
    }
    if (instance && !g_getProperties2) {
        g_getProperties2 =
            reinterpret_cast<PFN_vkGetPhysicalDeviceProperties2>(real(instance, "vkGetPhysicalDeviceProperties2"));
    }
    if (instance && std::strcmp(name, "vkGetPhysicalDeviceProperties2") == 0) {
        return reinterpret_cast<PFN_vkVoidFunction>(propertiesOfAGpu);
    }
    if (instance && std::strcmp(name, "vkGetPhysicalDeviceProperties") == 0) {
        return reinterpret_cast<PFN_vkVoidFunction>(coreProperties);
    }
    return real(instance, name);
}
