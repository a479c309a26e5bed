#include "runtime/vulkan/matrix_support.h"

#include <algorithm>

namespace dunlin::vulkan {
namespace {

bool fits(const VkCooperativeMatrixPropertiesKHR& shape) {
    const auto isSide = [](uint32_t side) { return side == 8 || side == 16; };
    return shape.AType == VK_COMPONENT_TYPE_FLOAT16_KHR && shape.BType == VK_COMPONENT_TYPE_FLOAT16_KHR &&
           shape.CType == VK_COMPONENT_TYPE_FLOAT32_KHR && shape.ResultType == VK_COMPONENT_TYPE_FLOAT32_KHR &&
           shape.scope == VK_SCOPE_SUBGROUP_KHR && isSide(shape.MSize) && isSide(shape.NSize) && isSide(shape.KSize);
}

// The largest of those that fit, the first of equal ones.
MatrixShape largestShape(const std::vector<VkCooperativeMatrixPropertiesKHR>& shapes) {
    MatrixShape largest;
    for (const VkCooperativeMatrixPropertiesKHR& shape : shapes) {
        const uint32_t products = shape.MSize * shape.NSize * shape.KSize;
        if (!fits(shape) || products <= largest.rows * largest.columns * largest.inner) continue;
        largest = {shape.MSize, shape.NSize, shape.KSize, 0};
    }
    return largest;
}

std::vector<VkCooperativeMatrixPropertiesKHR> shapesOf(const InstanceFunctions& functions,
                                                       VkPhysicalDevice physicalDevice) {
    const auto query = functions.GetPhysicalDeviceCooperativeMatrixPropertiesKHR;
    uint32_t count = 0;
    if (!query || query(physicalDevice, &count, nullptr) != VK_SUCCESS) return {};
    VkCooperativeMatrixPropertiesKHR empty{};
    empty.sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;
    std::vector<VkCooperativeMatrixPropertiesKHR> shapes(count, empty);
    const VkResult result = query(physicalDevice, &count, shapes.data());
    if (result != VK_SUCCESS && result != VK_INCOMPLETE) return {};
    shapes.resize(count);
    return shapes;
}

// Zero where compute pipelines cannot ask for one.
uint32_t subgroupSize(const InstanceFunctions& functions, VkPhysicalDevice physicalDevice) {
    constexpr uint32_t kUsual = 32;
    VkPhysicalDeviceSubgroupSizeControlProperties sizes{};
    sizes.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES;
    VkPhysicalDeviceProperties2 properties{};
    properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
    properties.pNext = &sizes;
    functions.GetPhysicalDeviceProperties2(physicalDevice, &properties);
    if (!(sizes.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT)) return 0;
    return std::min(std::max(kUsual, sizes.minSubgroupSize), sizes.maxSubgroupSize);
}

}  // namespace

MatrixFeatures::MatrixFeatures() {
    matrix_.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR;
    matrix_.cooperativeMatrix = VK_TRUE;
    memoryModel_.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES;
    memoryModel_.vulkanMemoryModel = VK_TRUE;
    subgroups_.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES;
    subgroups_.subgroupSizeControl = VK_TRUE;
    subgroups_.computeFullSubgroups = VK_TRUE;
}

void MatrixFeatures::chainTo(VkPhysicalDeviceFeatures2& features) {
    matrix_.pNext = &memoryModel_;
    memoryModel_.pNext = &subgroups_;
    subgroups_.pNext = features.pNext;
    features.pNext = &matrix_;
}

std::vector<const char*> matrixExtensions() {
    return {VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME, VK_KHR_VULKAN_MEMORY_MODEL_EXTENSION_NAME,
            VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME};
}

MatrixShape queryMatrixShape(const InstanceFunctions& functions, VkPhysicalDevice physicalDevice,
                             const Capabilities& capabilities) {
    const std::vector<const char*> extensions = matrixExtensions();
    const bool hasExtensions =
        std::ranges::all_of(extensions, [&](const char* extension) { return capabilities.hasExtension(extension); });
    if (!hasExtensions || !capabilities.features.fp16()) return {};
    MatrixFeatures has;
    VkPhysicalDeviceFeatures2 features{};
    features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    has.chainTo(features);
    functions.GetPhysicalDeviceFeatures2(physicalDevice, &features);
    if (!has.matrix_.cooperativeMatrix || !has.memoryModel_.vulkanMemoryModel) return {};
    if (!has.subgroups_.subgroupSizeControl || !has.subgroups_.computeFullSubgroups) return {};
    MatrixShape shape = largestShape(shapesOf(functions, physicalDevice));
    if (shape.rows > 0) shape.subgroupSize = subgroupSize(functions, physicalDevice);
    return shape.subgroupSize > 0 ? shape : MatrixShape{};
}

}  // namespace dunlin::vulkan
