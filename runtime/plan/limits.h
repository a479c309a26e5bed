// What the planners need to know of a device: plain numbers, so that they run without one.
#pragma once

#include <array>
#include <cstdint>

namespace dunlin {

// Families of drivers whose best kernel forms differ. Only defaults hang on it, never results.
enum class DeviceFamily { Unknown, CpuDriver, Nvidia, Amd, Intel, Adreno, Mali, PowerVr, Apple };

// What a device's matrix units multiply at once: rows x inner by inner x columns numbers of float16, summed up in
// float32 by one subgroup (VK_KHR_cooperative_matrix). Each is 8 or 16. All zero: none.
struct MatrixShape {
    uint32_t rows = 0, columns = 0, inner = 0;
    uint32_t subgroupSize = 0;  // which pipelines must ask for
    bool operator==(const MatrixShape&) const = default;
};

// Filled from VkPhysicalDeviceLimits and what was enabled; the defaults are the least that Vulkan 1.1 guarantees.
struct DeviceLimits {
    DeviceFamily family = DeviceFamily::Unknown;
    uint64_t maxStorageBufferRange = uint64_t{1} << 27;
    uint64_t maxTexelBufferElements = 65536;
    uint64_t offsetAlignment = 256;  // of every binding: storage and texel buffer alignment, at least 16
    uint32_t maxWorkgroupInvocations = 128;
    std::array<uint32_t, 3> maxWorkgroupSize = {128, 128, 64};
    std::array<uint32_t, 3> maxWorkgroupCount = {65535, 65535, 65535};
    uint32_t sharedMemoryBytes = 16384;
    uint32_t subgroupSize = 1;
    bool fp16 = false;  // 16-bit storage buffers and float16 arithmetic, both enabled
    MatrixShape matrix;
    uint64_t memoryBudgetBytes = UINT64_MAX;   // of the heap that activations and weights live in
    uint64_t maxAllocationBytes = UINT64_MAX;  // of one allocation
};

}  // namespace dunlin
