// The two halves of measureCeilings(). Private to it.
#pragma once

#include "tools/bench/ceilings.h"

namespace dunlin::bench {

Result<Ceilings> measureVulkanCeilings(const vulkan::VulkanDevice& device);
Ceilings measureCpuCeilings(uint32_t threads);

// 16 KiB and its doublings up to `mostBytes`.
std::vector<uint64_t> workingSets(uint64_t mostBytes);

}  // namespace dunlin::bench
