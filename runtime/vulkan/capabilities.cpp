#include "runtime/vulkan/capabilities.h"

#include <algorithm>
#include <cstring>

#include "runtime/vulkan/matrix_support.h"
#include "runtime/vulkan/quirks.h"

namespace dunlin::vulkan {
namespace {

// With each of these a Vulkan 1.1 device gets what later versions have in the core.
constexpr const char* kRecommendedDeviceExtensions[] = {
    VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME,
    VK_KHR_TIMELINE_SEMAPHORE_EXTENSION_NAME,
    VK_EXT_MEMORY_BUDGET_EXTENSION_NAME,
};

// What Vulkan 1.1 guarantees, and the kernels are written for.
constexpr uint32_t kMinInvocations = 128;
constexpr uint32_t kMinSharedMemoryBytes = 16384;

DeviceFamily familyOf(const VkPhysicalDeviceProperties& properties, VkDriverId driver) {
    if (properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU || driver == VK_DRIVER_ID_MESA_LLVMPIPE ||
        driver == VK_DRIVER_ID_GOOGLE_SWIFTSHADER) {
        return DeviceFamily::CpuDriver;
    }
    switch (properties.vendorID) {
        case 0x10DE:
            return DeviceFamily::Nvidia;
        case 0x1002:
            return DeviceFamily::Amd;
        case 0x8086:
            return DeviceFamily::Intel;
        case 0x5143:
            return DeviceFamily::Adreno;
        case 0x13B5:
            return DeviceFamily::Mali;
        case 0x1010:
            return DeviceFamily::PowerVr;
        case 0x106B:
            return DeviceFamily::Apple;
        default:
            return DeviceFamily::Unknown;
    }
}

void readExtensions(const InstanceFunctions& functions, VkPhysicalDevice physicalDevice, Capabilities& result) {
    uint32_t count = 0;
    if (functions.EnumerateDeviceExtensionProperties(physicalDevice, nullptr, &count, nullptr) != VK_SUCCESS) return;
    std::vector<VkExtensionProperties> extensions(count);
    functions.EnumerateDeviceExtensionProperties(physicalDevice, nullptr, &count, extensions.data());
    for (uint32_t i = 0; i < count; ++i) result.extensions.push_back(extensions[i].extensionName);
    result.memoryBudgetExtension = result.hasExtension(VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
}

void readProperties(const InstanceFunctions& functions, VkPhysicalDevice physicalDevice, Capabilities& result) {
    VkPhysicalDeviceMaintenance4Properties maintenance4{};
    maintenance4.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES;
    VkPhysicalDeviceDriverProperties driver{};
    driver.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES;
    VkPhysicalDeviceMaintenance3Properties maintenance3{};
    maintenance3.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES;
    VkPhysicalDeviceSubgroupProperties subgroup{};
    subgroup.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES;
    subgroup.pNext = &maintenance3;
    VkPhysicalDeviceProperties2 properties{};
    properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
    properties.pNext = &subgroup;
    const auto chainIf = [&](const char* extension, auto& structure) {
        if (!result.hasExtension(extension)) return;
        structure.pNext = properties.pNext;
        properties.pNext = &structure;
    };
    chainIf(VK_KHR_DRIVER_PROPERTIES_EXTENSION_NAME, driver);
    chainIf(VK_KHR_MAINTENANCE_4_EXTENSION_NAME, maintenance4);
    functions.GetPhysicalDeviceProperties2(physicalDevice, &properties);

    const VkPhysicalDeviceProperties& core = properties.properties;
    result.driverName = driver.driverName;
    result.driverInfo = driver.driverInfo;
    result.driverId = driver.driverID;
    result.timestampPeriodNs = core.limits.timestampPeriod;
    result.nonCoherentAtomBytes = std::max<uint64_t>(1, core.limits.nonCoherentAtomSize);

    DeviceLimits& limits = result.limits;
    limits.family = familyOf(core, driver.driverID);
    limits.maxStorageBufferRange = core.limits.maxStorageBufferRange;
    limits.maxTexelBufferElements = core.limits.maxTexelBufferElements;
    limits.offsetAlignment = std::max<uint64_t>(
        {16, core.limits.minStorageBufferOffsetAlignment, core.limits.minTexelBufferOffsetAlignment});
    limits.maxWorkgroupInvocations = core.limits.maxComputeWorkGroupInvocations;
    std::copy_n(core.limits.maxComputeWorkGroupSize, 3, limits.maxWorkgroupSize.begin());
    std::copy_n(core.limits.maxComputeWorkGroupCount, 3, limits.maxWorkgroupCount.begin());
    limits.sharedMemoryBytes = core.limits.maxComputeSharedMemorySize;
    limits.subgroupSize = std::max(1u, subgroup.subgroupSize);
    if (maintenance3.maxMemoryAllocationSize > 0) limits.maxAllocationBytes = maintenance3.maxMemoryAllocationSize;
    if (maintenance4.maxBufferSize > 0) {
        limits.maxAllocationBytes = std::min<uint64_t>(limits.maxAllocationBytes, maintenance4.maxBufferSize);
    }
}

void readFeatures(const InstanceFunctions& functions, VkPhysicalDevice physicalDevice, Capabilities& result) {
    VkPhysicalDeviceTimelineSemaphoreFeatures timeline{};
    timeline.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES;
    VkPhysicalDeviceShaderFloat16Int8Features float16{};
    float16.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES;
    VkPhysicalDevice16BitStorageFeatures storage16{};
    storage16.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES;
    VkPhysicalDeviceFeatures2 features{};
    features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    features.pNext = &storage16;
    if (result.hasExtension(VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME)) {
        float16.pNext = features.pNext;
        features.pNext = &float16;
    }
    if (result.hasExtension(VK_KHR_TIMELINE_SEMAPHORE_EXTENSION_NAME)) {
        timeline.pNext = features.pNext;
        features.pNext = &timeline;
    }
    functions.GetPhysicalDeviceFeatures2(physicalDevice, &features);
    result.features.storageBuffer16 = storage16.storageBuffer16BitAccess == VK_TRUE;
    result.features.shaderFloat16 = float16.shaderFloat16 == VK_TRUE;
    result.features.timelineSemaphore = timeline.timelineSemaphore == VK_TRUE;
    result.limits.fp16 = result.features.fp16();
    result.limits.matrix = queryMatrixShape(functions, physicalDevice, result);
    result.features.cooperativeMatrix = result.limits.matrix.rows > 0;
}

// A family with graphics too comes first: an application that renders can then share the queue that it was given here.
bool readQueueFamily(const InstanceFunctions& functions, VkPhysicalDevice physicalDevice, Capabilities& result) {
    uint32_t count = 0;
    functions.GetPhysicalDeviceQueueFamilyProperties(physicalDevice, &count, nullptr);
    std::vector<VkQueueFamilyProperties> families(count);
    functions.GetPhysicalDeviceQueueFamilyProperties(physicalDevice, &count, families.data());
    const VkQueueFlags preferences[] = {VK_QUEUE_COMPUTE_BIT | VK_QUEUE_GRAPHICS_BIT, VK_QUEUE_COMPUTE_BIT};
    for (VkQueueFlags wanted : preferences) {
        for (uint32_t i = 0; i < count; ++i) {
            if ((families[i].queueFlags & wanted) != wanted || families[i].queueCount == 0) continue;
            result.computeQueueFamily = i;
            result.timestampValidBits = families[i].timestampValidBits;
            return true;
        }
    }
    return false;
}

void readMemory(const InstanceFunctions& functions, VkPhysicalDevice physicalDevice, Capabilities& result) {
    VkPhysicalDeviceMemoryProperties2 memory{};
    memory.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2;
    functions.GetPhysicalDeviceMemoryProperties2(physicalDevice, &memory);
    result.memory = memory.memoryProperties;
    for (uint32_t i = 0; i < result.memory.memoryHeapCount; ++i) {
        const VkMemoryHeap& heap = result.memory.memoryHeaps[i];
        if (heap.flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) {
            result.deviceHeapBytes = std::max<uint64_t>(result.deviceHeapBytes, heap.size);
        }
    }
    result.limits.memoryBudgetBytes = availableDeviceBytes(functions, physicalDevice, result);
}

void judge(Capabilities& result, bool hasComputeQueue) {
    const DeviceLimits& limits = result.limits;
    const auto refuse = [&](const char* format, auto... values) {
        result.usable = false;
        result.reason = error(StatusCode::Unsupported, format, values...).message();
    };
    result.usable = true;
    if (!hasComputeQueue) return refuse("%s", "no queue family has VK_QUEUE_COMPUTE_BIT");
    if (limits.maxWorkgroupInvocations < kMinInvocations) {
        return refuse("%u invocations a workgroup, %u are needed", limits.maxWorkgroupInvocations, kMinInvocations);
    }
    if (limits.sharedMemoryBytes < kMinSharedMemoryBytes) {
        return refuse("%u bytes of shared memory, %u are needed", limits.sharedMemoryBytes, kMinSharedMemoryBytes);
    }
    if (limits.family == DeviceFamily::CpuDriver) {
        result.reason = "software driver: the cpu device is faster";
    } else {
        result.reason = limits.fp16 ? "fp32 and fp16" : "fp32 only: no 16-bit storage or float16 arithmetic";
    }
}

}  // namespace

bool Capabilities::hasExtension(const char* extension) const {
    return std::find(extensions.begin(), extensions.end(), extension) != extensions.end();
}

Capabilities queryCapabilities(const InstanceFunctions& functions, VkPhysicalDevice physicalDevice) {
    Capabilities result;
    VkPhysicalDeviceProperties properties{};
    functions.GetPhysicalDeviceProperties(physicalDevice, &properties);
    result.name = properties.deviceName;
    result.type = properties.deviceType;
    result.apiVersion = properties.apiVersion;
    result.driverVersion = properties.driverVersion;
    result.vendorId = properties.vendorID;
    result.deviceId = properties.deviceID;
    std::copy_n(properties.pipelineCacheUUID, VK_UUID_SIZE, result.pipelineCacheUuid.begin());
    if (properties.apiVersion < VK_API_VERSION_1_1) {
        result.limits.family = familyOf(properties, static_cast<VkDriverId>(0));
        result.reason = error(StatusCode::Unsupported, "Vulkan %u.%u, 1.1 is needed",
                              VK_API_VERSION_MAJOR(properties.apiVersion), VK_API_VERSION_MINOR(properties.apiVersion))
                            .message();
        return result;
    }
    readExtensions(functions, physicalDevice, result);
    readProperties(functions, physicalDevice, result);
    readFeatures(functions, physicalDevice, result);
    const bool hasComputeQueue = readQueueFamily(functions, physicalDevice, result);
    readMemory(functions, physicalDevice, result);
    applyQuirks(result);
    judge(result, hasComputeQueue);
    return result;
}

uint64_t availableDeviceBytes(const InstanceFunctions& functions, VkPhysicalDevice physicalDevice,
                              const Capabilities& capabilities) {
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget{};
    budget.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT;
    VkPhysicalDeviceMemoryProperties2 memory{};
    memory.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2;
    if (capabilities.memoryBudgetExtension) memory.pNext = &budget;
    functions.GetPhysicalDeviceMemoryProperties2(physicalDevice, &memory);
    uint64_t available = 0, largestHeapBytes = 0;
    for (uint32_t i = 0; i < memory.memoryProperties.memoryHeapCount; ++i) {
        const VkMemoryHeap& heap = memory.memoryProperties.memoryHeaps[i];
        // Of the largest heap: chooseMemoryType() takes that one.
        if (!(heap.flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) || heap.size <= largestHeapBytes) continue;
        largestHeapBytes = heap.size;
        uint64_t bytes = heap.size;
        if (capabilities.memoryBudgetExtension && budget.heapBudget[i] > 0) {
            const uint64_t left =
                budget.heapBudget[i] > budget.heapUsage[i] ? budget.heapBudget[i] - budget.heapUsage[i] : 0;
            bytes = std::min(bytes, left);
        }
        available = bytes;
    }
    return available;
}

Requirements requirements() {
    Requirements result;
    result.recommendedDeviceExtensions = kRecommendedDeviceExtensions;
    result.recommendedFeatures.storageBuffer16 = true;
    result.recommendedFeatures.shaderFloat16 = true;
    result.recommendedFeatures.timelineSemaphore = true;
    return result;
}

}  // namespace dunlin::vulkan
