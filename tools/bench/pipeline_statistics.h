// What a driver says of the shader that it compiled: registers, spills, instructions, whatever it counts.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "runtime/vulkan/device.h"

namespace dunlin::bench {

// {name: number} by the driver's own names, in its order; empty where the device has no Instruments::pipelineStatistics
// or the driver counts nothing. `pipeline` was created to keep its statistics (vulkan::Pipelines says when). Flags are
// 0 or 1.
Result<nlohmann::ordered_json> pipelineStatistics(const vulkan::VulkanDevice& device, VkPipeline pipeline);

}  // namespace dunlin::bench
