// What a physical device can do, read once; and what Dunlin wants enabled, before a device exists.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/plan/limits.h"
#include "runtime/vulkan/functions.h"

namespace dunlin::vulkan {

// What is there (of a physical device) or what was enabled (of a device).
struct Features {
    bool storageBuffer16 = false;    // VkPhysicalDevice16BitStorageFeatures::storageBuffer16BitAccess
    bool shaderFloat16 = false;      // VkPhysicalDeviceShaderFloat16Int8Features::shaderFloat16
    bool timelineSemaphore = false;  // VkPhysicalDeviceTimelineSemaphoreFeatures::timelineSemaphore
    // Everything that Method::Matrix needs (matrix_support.h). Dunlin enables it on devices of its own only.
    bool cooperativeMatrix = false;
    bool fp16() const { return storageBuffer16 && shaderFloat16; }
};

struct Capabilities {
    std::string name;        // "llvmpipe (LLVM 15.0.6, 256 bits)"
    std::string driverName;  // "llvmpipe", with VK_KHR_driver_properties; else empty
    std::string driverInfo;  // "Mesa 22.3.6 (LLVM 15.0.6)"
    VkDriverId driverId = static_cast<VkDriverId>(0);
    VkPhysicalDeviceType type = VK_PHYSICAL_DEVICE_TYPE_OTHER;
    uint32_t apiVersion = 0, driverVersion = 0;
    uint32_t vendorId = 0, deviceId = 0;
    std::array<uint8_t, VK_UUID_SIZE> pipelineCacheUuid{};

    Features features;
    bool memoryBudgetExtension = false;  // VK_EXT_memory_budget: budgets are live, not the heap's size
    uint32_t computeQueueFamily = 0;     // one with graphics too is preferred
    uint32_t timestampValidBits = 0;     // of computeQueueFamily; 0: no timestamps
    float timestampPeriodNs = 1;
    uint64_t nonCoherentAtomBytes = 1;
    uint64_t deviceHeapBytes = 0;  // of the heap that activations and weights live in
    VkPhysicalDeviceMemoryProperties memory{};
    std::vector<std::string> extensions;  // of the device

    // Planning numbers, as if every supported feature were enabled; quirks applied.
    DeviceLimits limits;
    std::vector<std::string> quirks;  // names of those that were applied
    bool usable = false;
    std::string reason;  // why not, or what is missing: one sentence

    // A software driver: the CPU backend is faster.
    bool isSoftware() const { return limits.family == DeviceFamily::CpuDriver; }
    bool hasExtension(const char* extension) const;
};

// Never fails: what cannot be used says so in `usable` and `reason`. Thread-safe.
Capabilities queryCapabilities(const InstanceFunctions& functions, VkPhysicalDevice physicalDevice);

// The heap that device-local memory comes from, now: VK_EXT_memory_budget's budget less what this process uses, or the
// heap's size where the extension is missing.
uint64_t availableDeviceBytes(const InstanceFunctions& functions, VkPhysicalDevice physicalDevice,
                              const Capabilities& capabilities);

// To be read before vkCreateInstance and vkCreateDevice. Nothing is required beyond Vulkan 1.1 and a queue family with
// VK_QUEUE_COMPUTE_BIT; what is recommended should be enabled where it is there.
struct Requirements {
    uint32_t minApiVersion = VK_API_VERSION_1_1;
    std::span<const char* const> requiredInstanceExtensions;     // empty
    std::span<const char* const> recommendedInstanceExtensions;  // empty
    std::span<const char* const> requiredDeviceExtensions;       // empty
    std::span<const char* const> recommendedDeviceExtensions;
    Features requiredFeatures;     // none
    Features recommendedFeatures;  // all but cooperativeMatrix
};
Requirements requirements();

}  // namespace dunlin::vulkan
