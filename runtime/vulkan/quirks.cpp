#include "runtime/vulkan/quirks.h"

#include <algorithm>

#include "runtime/vulkan/capabilities.h"

namespace dunlin::vulkan {
namespace {

// Vulkan guarantees this much; a smaller figure is a reporting bug.
constexpr uint64_t kGuaranteedStorageBufferRange = uint64_t{1} << 27;

bool reportsNoStorageRange(const Capabilities& capabilities) {
    return capabilities.limits.maxStorageBufferRange < kGuaranteedStorageBufferRange;
}
void guaranteeStorageRange(DeviceLimits& limits) {
    limits.maxStorageBufferRange = kGuaranteedStorageBufferRange;
}

bool isLlvmpipe(const Capabilities& capabilities) {
    return capabilities.driverId == VK_DRIVER_ID_MESA_LLVMPIPE || capabilities.name.starts_with("llvmpipe");
}
void keepAllocationsBelow2GiB(DeviceLimits& limits) {
    limits.maxAllocationBytes = std::min<uint64_t>(limits.maxAllocationBytes, INT32_MAX);
}

constexpr Quirk kQuirks[] = {
    // maxStorageBufferRange is reported as 0.
    {"guaranteed-storage-range", "https://github.com/KhronosGroup/MoltenVK/issues/1245", reportsNoStorageRange,
     guaranteeStorageRange},
    // Buffer offsets pass through signed 32-bit integers inside Mesa's Gallium.
    {"signed-buffer-sizes", "https://github.com/gfx-rs/wgpu/pull/2796", isLlvmpipe, keepAllocationsBelow2GiB},
};

}  // namespace

std::span<const Quirk> quirks() {
    return kQuirks;
}

void applyQuirks(Capabilities& capabilities) {
    for (const Quirk& quirk : quirks()) {
        if (!quirk.applies(capabilities)) continue;
        quirk.apply(capabilities.limits);
        capabilities.quirks.push_back(quirk.name);
    }
}

}  // namespace dunlin::vulkan
