#include "tools/bench/pipeline_statistics.h"

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace dunlin::bench {
namespace {

using Json = nlohmann::ordered_json;

Json valueOf(const VkPipelineExecutableStatisticKHR& statistic) {
    switch (statistic.format) {
        case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR:
            return statistic.value.b32 ? 1 : 0;
        case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR:
            return statistic.value.i64;
        case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR:
            return statistic.value.u64;
        default:
            return statistic.value.f64;
    }
}

// Of one of the pipeline's executables, each name behind `prefix`.
Status addStatistics(const vulkan::VulkanDevice& device, VkPipeline pipeline, uint32_t executable,
                     const std::string& prefix, Json& result) {
    const vulkan::DeviceFunctions& vk = device.functions();
    VkPipelineExecutableInfoKHR info{};
    info.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR;
    info.pipeline = pipeline;
    info.executableIndex = executable;
    uint32_t count = 0;
    DUNLIN_TRY(vulkan::check(vk.GetPipelineExecutableStatisticsKHR(device.handle(), &info, &count, nullptr),
                             "vkGetPipelineExecutableStatisticsKHR"));
    VkPipelineExecutableStatisticKHR empty{};
    empty.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR;
    std::vector<VkPipelineExecutableStatisticKHR> statistics(count, empty);
    DUNLIN_TRY(vulkan::check(vk.GetPipelineExecutableStatisticsKHR(device.handle(), &info, &count, statistics.data()),
                             "vkGetPipelineExecutableStatisticsKHR"));
    statistics.resize(count);
    for (const VkPipelineExecutableStatisticKHR& statistic : statistics) {
        // RADV: names of the shader rather than amounts, and more than a double holds.
        if (std::string_view(statistic.name).ends_with("hash") || std::string_view(statistic.name) == "Hash") continue;
        result[prefix + statistic.name] = valueOf(statistic);
    }
    return Status();
}

}  // namespace

Result<Json> pipelineStatistics(const vulkan::VulkanDevice& device, VkPipeline pipeline) {
    Json result = Json::object();
    const vulkan::DeviceFunctions& vk = device.functions();
    if (!device.instruments().pipelineStatistics) return result;
    if (!vk.GetPipelineExecutablePropertiesKHR || !vk.GetPipelineExecutableStatisticsKHR) return result;
    VkPipelineInfoKHR info{};
    info.sType = VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR;
    info.pipeline = pipeline;
    uint32_t count = 0;
    DUNLIN_TRY(vulkan::check(vk.GetPipelineExecutablePropertiesKHR(device.handle(), &info, &count, nullptr),
                             "vkGetPipelineExecutablePropertiesKHR"));
    VkPipelineExecutablePropertiesKHR empty{};
    empty.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR;
    std::vector<VkPipelineExecutablePropertiesKHR> executables(count, empty);
    DUNLIN_TRY(vulkan::check(vk.GetPipelineExecutablePropertiesKHR(device.handle(), &info, &count, executables.data()),
                             "vkGetPipelineExecutablePropertiesKHR"));
    for (uint32_t i = 0; i < count; ++i) {
        const std::string prefix = count > 1 ? std::string(executables[i].name) + ": " : "";
        DUNLIN_TRY(addStatistics(device, pipeline, i, prefix, result));
    }
    return result;
}

}  // namespace dunlin::bench
