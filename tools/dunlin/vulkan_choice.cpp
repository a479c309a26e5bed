#include "tools/dunlin/vulkan_choice.h"

#include <fmt/format.h>

#include <charconv>
#include <string_view>

#include "runtime/vulkan/device.h"
#include "tools/dunlin/internals.h"

namespace dunlin::cli {

Outcome<int> vulkanIndex(const std::string& device) {
    constexpr std::string_view kNumbered = "vulkan:";
    DUNLIN_CLI_ASSIGN(const std::vector<vulkan::ListedDevice> devices, outcomeOf(vulkan::VulkanDevice::list()));
    int index = vulkan::bestDevice(devices);
    if (device.starts_with(kNumbered)) {
        const std::string_view number = std::string_view(device).substr(kNumbered.size());
        const auto [end, bad] = std::from_chars(number.data(), number.data() + number.size(), index);
        if (bad != std::errc() || index >= static_cast<int>(devices.size())) index = -1;
    }
    if (index >= 0) return index;
    return Failure{ExitStatus::WrongUse,
                   fmt::format("there is no usable device {} among {} Vulkan devices", device, devices.size())};
}

int realGpuIndex() {
    const Result<std::vector<vulkan::ListedDevice>> devices = vulkan::VulkanDevice::list();
    const int best = devices.ok() ? vulkan::bestDevice(*devices) : -1;
    const bool isGpu = best >= 0 && !(*devices)[static_cast<size_t>(best)].capabilities.isSoftware();
    return isGpu ? best : -1;
}

}  // namespace dunlin::cli
