#include "runtime/vulkan/instruments.h"

namespace dunlin::vulkan {
namespace {

// Null where the device has neither form.
const char* calibratedTimestampsExtension(const Capabilities& capabilities) {
    for (const char* extension :
         {VK_KHR_CALIBRATED_TIMESTAMPS_EXTENSION_NAME, VK_EXT_CALIBRATED_TIMESTAMPS_EXTENSION_NAME}) {
        if (capabilities.hasExtension(extension)) return extension;
    }
    return nullptr;
}

}  // namespace

InstrumentFeatures::InstrumentFeatures(const Instruments& instruments) : instruments_(instruments) {
    executables_.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR;
    executables_.pipelineExecutableInfo = VK_TRUE;
    dotProduct_.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES;
    dotProduct_.shaderIntegerDotProduct = VK_TRUE;
}

void InstrumentFeatures::chainTo(VkPhysicalDeviceFeatures2& features) {
    const auto chainIf = [&](bool wanted, auto& structure) {
        if (!wanted) return;
        structure.pNext = features.pNext;
        features.pNext = &structure;
    };
    chainIf(instruments_.pipelineStatistics, executables_);
    chainIf(instruments_.integerDotProduct, dotProduct_);
}

Instruments queryInstruments(const InstanceFunctions& functions, VkPhysicalDevice physicalDevice,
                             const Capabilities& capabilities) {
    Instruments result;
    result.calibratedTimestamps = calibratedTimestampsExtension(capabilities) != nullptr;
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executables{};
    executables.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR;
    VkPhysicalDeviceShaderIntegerDotProductFeatures dotProduct{};
    dotProduct.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES;
    VkPhysicalDeviceFeatures2 features{};
    features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    const auto chainIf = [&](const char* extension, auto& structure) {
        if (!capabilities.hasExtension(extension)) return;
        structure.pNext = features.pNext;
        features.pNext = &structure;
    };
    chainIf(VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME, executables);
    chainIf(VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME, dotProduct);
    functions.GetPhysicalDeviceFeatures2(physicalDevice, &features);
    result.pipelineStatistics = executables.pipelineExecutableInfo == VK_TRUE;
    result.integerDotProduct = dotProduct.shaderIntegerDotProduct == VK_TRUE;
    return result;
}

std::vector<const char*> extensionsOf(const Instruments& instruments, const Capabilities& capabilities) {
    std::vector<const char*> extensions;
    if (instruments.pipelineStatistics) extensions.push_back(VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME);
    if (instruments.calibratedTimestamps) extensions.push_back(calibratedTimestampsExtension(capabilities));
    if (instruments.integerDotProduct) extensions.push_back(VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME);
    return extensions;
}

void loadInstrumentFunctions(const InstanceFunctions& instance, VkDevice device, const Instruments& instruments,
                             DeviceFunctions& functions) {
    const auto load = [&](const char* name) { return instance.GetDeviceProcAddr(device, name); };
    if (instruments.pipelineStatistics) {
        functions.GetPipelineExecutablePropertiesKHR =
            reinterpret_cast<PFN_vkGetPipelineExecutablePropertiesKHR>(load("vkGetPipelineExecutablePropertiesKHR"));
        functions.GetPipelineExecutableStatisticsKHR =
            reinterpret_cast<PFN_vkGetPipelineExecutableStatisticsKHR>(load("vkGetPipelineExecutableStatisticsKHR"));
    }
    if (instruments.calibratedTimestamps) {
        const PFN_vkVoidFunction khr = load("vkGetCalibratedTimestampsKHR");
        functions.GetCalibratedTimestampsEXT =
            reinterpret_cast<PFN_vkGetCalibratedTimestampsEXT>(khr ? khr : load("vkGetCalibratedTimestampsEXT"));
    }
}

}  // namespace dunlin::vulkan
