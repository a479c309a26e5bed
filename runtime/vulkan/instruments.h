// What measurements ask of a device and networks do not: statistics of compiled shaders, one clock for host and device,
// and arithmetic that only the ceilings use.
#pragma once

#include <vector>

#include "runtime/vulkan/capabilities.h"

namespace dunlin::vulkan {

struct Instruments {
    bool pipelineStatistics = false;    // VK_KHR_pipeline_executable_properties
    bool calibratedTimestamps = false;  // VK_KHR_calibrated_timestamps or its EXT form: GetCalibratedTimestampsEXT
    bool integerDotProduct = false;     // VK_KHR_shader_integer_dot_product: of packed int8, too
};

// What a physical device has. Thread-safe.
Instruments queryInstruments(const InstanceFunctions& functions, VkPhysicalDevice physicalDevice,
                             const Capabilities& capabilities);

// For VkDeviceCreateInfo.
std::vector<const char*> extensionsOf(const Instruments& instruments, const Capabilities& capabilities);
class InstrumentFeatures {
  public:
    explicit InstrumentFeatures(const Instruments& instruments);
    // Before whatever is chained already. This object must outlive the use of `features`.
    void chainTo(VkPhysicalDeviceFeatures2& features);

  private:
    Instruments instruments_;
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executables_{};
    VkPhysicalDeviceShaderIntegerDotProductFeatures dotProduct_{};
};

// The functions of what is enabled on `device`.
void loadInstrumentFunctions(const InstanceFunctions& instance, VkDevice device, const Instruments& instruments,
                             DeviceFunctions& functions);

}  // namespace dunlin::vulkan
