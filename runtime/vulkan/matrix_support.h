// Cooperative matrices (VK_KHR_cooperative_matrix): what a device has of them, and how they are enabled.
#pragma once

#include <vector>

#include "runtime/vulkan/capabilities.h"

namespace dunlin::vulkan {

// What DeviceLimits::matrix is on this device: 16 by 16 by 16 where it has that, else its largest shape of 8s and 16s
// whose factors are float16 and whose sums are float32, by a subgroup of 32 or of what comes nearest. None where
// anything is missing that Method::Matrix needs: the extension, Vulkan's memory model, or a subgroup size that a
// pipeline can ask for. Reads the capabilities' extensions and features. Thread-safe.
MatrixShape queryMatrixShape(const InstanceFunctions& functions, VkPhysicalDevice physicalDevice,
                             const Capabilities& capabilities);

// For VkDeviceCreateInfo, on a device that has a matrix shape.
std::vector<const char*> matrixExtensions();
class MatrixFeatures {
  public:
    MatrixFeatures();
    // Before whatever is chained already. This object must outlive the use of `features`.
    void chainTo(VkPhysicalDeviceFeatures2& features);

  private:
    friend MatrixShape queryMatrixShape(const InstanceFunctions&, VkPhysicalDevice, const Capabilities&);
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrix_{};
    VkPhysicalDeviceVulkanMemoryModelFeatures memoryModel_{};
    VkPhysicalDeviceSubgroupSizeControlFeatures subgroups_{};
};

}  // namespace dunlin::vulkan
