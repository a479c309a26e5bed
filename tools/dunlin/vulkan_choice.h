// Which Vulkan device --device means, for the commands that look inside.
#pragma once

#include <string>

#include "tools/dunlin/outcome.h"

namespace dunlin::cli {

// The index of "vulkan" or "vulkan:N" in VulkanDevice::list(). WrongUse where there is no such device.
Outcome<int> vulkanIndex(const std::string& device);

// What no --device means: the index of the best real GPU, or -1: the CPU.
int realGpuIndex();

}  // namespace dunlin::cli
