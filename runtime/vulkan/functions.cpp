#include "runtime/vulkan/functions.h"

#if defined(_WIN32)
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace dunlin::vulkan {
namespace {

#if defined(_WIN32)
constexpr const char* kLibraries[] = {"vulkan-1.dll"};
#elif defined(__APPLE__)
constexpr const char* kLibraries[] = {"libvulkan.1.dylib", "libvulkan.dylib", "libMoltenVK.dylib"};
#elif defined(__ANDROID__)
constexpr const char* kLibraries[] = {"libvulkan.so"};
#else
constexpr const char* kLibraries[] = {"libvulkan.so.1", "libvulkan.so"};
#endif

// The loader is never closed: some drivers have threads, and destructors of the application's threads, that outlive the
// last device and would then run code that is no longer there. Opening it again gives the same handle.
#if defined(_WIN32)
void* openLibrary(const char* file, std::string* reason) {
    HMODULE module = LoadLibraryA(file);
    if (!module) *reason = std::string(file) + ": error " + std::to_string(GetLastError());
    return module;
}
void* findSymbol(void* library, const char* symbol) {
    return reinterpret_cast<void*>(GetProcAddress(static_cast<HMODULE>(library), symbol));
}
#else
void* openLibrary(const char* file, std::string* reason) {
    void* handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!handle) *reason = dlerror();
    return handle;
}
void* findSymbol(void* library, const char* symbol) {
    return dlsym(library, symbol);
}
#endif

Status openLoader(GlobalFunctions* functions) {
    std::string firstReason;
    for (const char* file : kLibraries) {
        std::string reason;
        void* library = openLibrary(file, &reason);
        if (firstReason.empty()) firstReason = reason;
        if (!library) continue;
        void* symbol = findSymbol(library, "vkGetInstanceProcAddr");
        if (!symbol) return error(StatusCode::Unsupported, "%s has no vkGetInstanceProcAddr", file);
        functions->getInstanceProcAddr = reinterpret_cast<PFN_vkGetInstanceProcAddr>(symbol);
        return Status();
    }
    return error(StatusCode::Unsupported, "no Vulkan loader: %s", firstReason.c_str());
}

}  // namespace

Result<GlobalFunctions> loadGlobalFunctions(PFN_vkGetInstanceProcAddr getInstanceProcAddr) {
    GlobalFunctions functions;
    functions.getInstanceProcAddr = getInstanceProcAddr;
    if (!getInstanceProcAddr) DUNLIN_TRY(openLoader(&functions));
    const auto load = [&](const char* symbol) { return functions.getInstanceProcAddr(nullptr, symbol); };
    functions.EnumerateInstanceVersion =
        reinterpret_cast<PFN_vkEnumerateInstanceVersion>(load("vkEnumerateInstanceVersion"));
#define LOAD(name)                                                     \
    functions.name = reinterpret_cast<PFN_vk##name>(load("vk" #name)); \
    if (!functions.name) return error(StatusCode::Unsupported, "the Vulkan loader has no vk" #name);
    DUNLIN_VK_GLOBAL_FUNCTIONS(LOAD)
#undef LOAD
    return functions;
}

Result<InstanceFunctions> loadInstanceFunctions(PFN_vkGetInstanceProcAddr getInstanceProcAddr, VkInstance instance) {
    InstanceFunctions functions;
    functions.getInstanceProcAddr = getInstanceProcAddr;
#define LOAD(name)                                                                              \
    functions.name = reinterpret_cast<PFN_vk##name>(getInstanceProcAddr(instance, "vk" #name)); \
    if (!functions.name)                                                                        \
        return error(StatusCode::Unsupported, "the Vulkan instance has no vk" #name " (1.1 is needed)");
    DUNLIN_VK_INSTANCE_FUNCTIONS(LOAD)
#undef LOAD
    functions.CreateDebugUtilsMessengerEXT = reinterpret_cast<PFN_vkCreateDebugUtilsMessengerEXT>(
        getInstanceProcAddr(instance, "vkCreateDebugUtilsMessengerEXT"));
    functions.DestroyDebugUtilsMessengerEXT = reinterpret_cast<PFN_vkDestroyDebugUtilsMessengerEXT>(
        getInstanceProcAddr(instance, "vkDestroyDebugUtilsMessengerEXT"));
    const auto oneOf = [&](const char* name, const char* otherName) {
        const PFN_vkVoidFunction function = getInstanceProcAddr(instance, name);
        return function ? function : getInstanceProcAddr(instance, otherName);
    };
    functions.GetPhysicalDeviceCalibrateableTimeDomainsEXT =
        reinterpret_cast<PFN_vkGetPhysicalDeviceCalibrateableTimeDomainsEXT>(
            oneOf("vkGetPhysicalDeviceCalibrateableTimeDomainsKHR", "vkGetPhysicalDeviceCalibrateableTimeDomainsEXT"));
    functions.GetPhysicalDeviceCooperativeMatrixPropertiesKHR =
        reinterpret_cast<PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR>(
            getInstanceProcAddr(instance, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR"));
    return functions;
}

Result<DeviceFunctions> loadDeviceFunctions(const InstanceFunctions& instance, VkDevice device) {
    DeviceFunctions functions;
#define LOAD(name)                                                                                   \
    functions.name = reinterpret_cast<PFN_vk##name>(instance.GetDeviceProcAddr(device, "vk" #name)); \
    if (!functions.name) return error(StatusCode::Unsupported, "the Vulkan device has no vk" #name);
    DUNLIN_VK_DEVICE_FUNCTIONS(LOAD)
#undef LOAD
    return functions;
}

const char* name(VkResult result) {
    switch (result) {
#define CASE(code) \
    case code:     \
        return #code;
        CASE(VK_SUCCESS)
        CASE(VK_NOT_READY)
        CASE(VK_TIMEOUT)
        CASE(VK_INCOMPLETE)
        CASE(VK_ERROR_OUT_OF_HOST_MEMORY)
        CASE(VK_ERROR_OUT_OF_DEVICE_MEMORY)
        CASE(VK_ERROR_INITIALIZATION_FAILED)
        CASE(VK_ERROR_DEVICE_LOST)
        CASE(VK_ERROR_MEMORY_MAP_FAILED)
        CASE(VK_ERROR_LAYER_NOT_PRESENT)
        CASE(VK_ERROR_EXTENSION_NOT_PRESENT)
        CASE(VK_ERROR_FEATURE_NOT_PRESENT)
        CASE(VK_ERROR_INCOMPATIBLE_DRIVER)
        CASE(VK_ERROR_TOO_MANY_OBJECTS)
        CASE(VK_ERROR_FORMAT_NOT_SUPPORTED)
        CASE(VK_ERROR_FRAGMENTED_POOL)
        CASE(VK_ERROR_OUT_OF_POOL_MEMORY)
        CASE(VK_ERROR_FRAGMENTATION)
        CASE(VK_ERROR_INVALID_SHADER_NV)
#undef CASE
        default:
            return "an unknown VkResult";
    }
}

Status check(VkResult result, const char* call) {
    if (result == VK_SUCCESS) return Status();
    StatusCode code = StatusCode::DeviceError;
    switch (result) {
        case VK_ERROR_OUT_OF_HOST_MEMORY:
            code = StatusCode::OutOfHostMemory;
            break;
        case VK_ERROR_OUT_OF_DEVICE_MEMORY:
        case VK_ERROR_OUT_OF_POOL_MEMORY:
        case VK_ERROR_FRAGMENTED_POOL:
            code = StatusCode::OutOfDeviceMemory;
            break;
        case VK_ERROR_DEVICE_LOST:
            code = StatusCode::DeviceLost;
            break;
        case VK_ERROR_LAYER_NOT_PRESENT:
        case VK_ERROR_EXTENSION_NOT_PRESENT:
        case VK_ERROR_FEATURE_NOT_PRESENT:
        case VK_ERROR_INCOMPATIBLE_DRIVER:
            code = StatusCode::Unsupported;
            break;
        default:
            break;
    }
    return error(code, "%s failed with %s (%d)", call, name(result), static_cast<int>(result));
}

}  // namespace dunlin::vulkan
