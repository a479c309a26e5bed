// Which of a device's cooperative matrices are taken, and when none. The device is made up.
#include "runtime/vulkan/matrix_support.h"

#include <gtest/gtest.h>

#include <cstring>

namespace dunlin::vulkan {
namespace {

struct Made {
    std::vector<VkCooperativeMatrixPropertiesKHR> shapes;
    bool hasMatrices = true, hasMemoryModel = true, hasFullSubgroups = true;
    uint32_t smallestSubgroup = 32, largestSubgroup = 64;
    VkShaderStageFlags subgroupStages = VK_SHADER_STAGE_COMPUTE_BIT;
};
Made g_made;  // the functions have no argument for it

template <typename Structure>
Structure* find(void* chain, VkStructureType type) {
    for (auto* at = static_cast<VkBaseOutStructure*>(chain); at; at = at->pNext) {
        if (at->sType == type) return reinterpret_cast<Structure*>(at);
    }
    return nullptr;
}

VKAPI_ATTR void VKAPI_CALL getFeatures(VkPhysicalDevice, VkPhysicalDeviceFeatures2* features) {
    void* chain = features->pNext;
    auto* matrix = find<VkPhysicalDeviceCooperativeMatrixFeaturesKHR>(
        chain, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR);
    auto* model = find<VkPhysicalDeviceVulkanMemoryModelFeatures>(
        chain, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES);
    auto* subgroups = find<VkPhysicalDeviceSubgroupSizeControlFeatures>(
        chain, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES);
    ASSERT_TRUE(matrix && model && subgroups);
    matrix->cooperativeMatrix = g_made.hasMatrices;
    model->vulkanMemoryModel = g_made.hasMemoryModel;
    subgroups->subgroupSizeControl = VK_TRUE;
    subgroups->computeFullSubgroups = g_made.hasFullSubgroups;
}

VKAPI_ATTR void VKAPI_CALL getProperties(VkPhysicalDevice, VkPhysicalDeviceProperties2* properties) {
    auto* sizes = find<VkPhysicalDeviceSubgroupSizeControlProperties>(
        properties->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES);
    ASSERT_TRUE(sizes);
    sizes->minSubgroupSize = g_made.smallestSubgroup;
    sizes->maxSubgroupSize = g_made.largestSubgroup;
    sizes->requiredSubgroupSizeStages = g_made.subgroupStages;
}

VKAPI_ATTR VkResult VKAPI_CALL getShapes(VkPhysicalDevice, uint32_t* count, VkCooperativeMatrixPropertiesKHR* shapes) {
    if (shapes) std::copy_n(g_made.shapes.begin(), *count, shapes);
    *count = static_cast<uint32_t>(g_made.shapes.size());
    return VK_SUCCESS;
}

constexpr auto kHalf = VK_COMPONENT_TYPE_FLOAT16_KHR;
constexpr auto kSingle = VK_COMPONENT_TYPE_FLOAT32_KHR;

VkCooperativeMatrixPropertiesKHR shapeOf(uint32_t rows, uint32_t columns, uint32_t inner,
                                         VkComponentTypeKHR sums = kSingle, VkScopeKHR scope = VK_SCOPE_SUBGROUP_KHR) {
    VkCooperativeMatrixPropertiesKHR shape{};
    shape.sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;
    shape.MSize = rows;
    shape.NSize = columns;
    shape.KSize = inner;
    shape.AType = shape.BType = kHalf;
    shape.CType = shape.ResultType = sums;
    shape.scope = scope;
    return shape;
}

class MatrixSupport : public ::testing::Test {
  protected:
    void SetUp() override {
        g_made = {};
        functions_.GetPhysicalDeviceFeatures2 = getFeatures;
        functions_.GetPhysicalDeviceProperties2 = getProperties;
        functions_.GetPhysicalDeviceCooperativeMatrixPropertiesKHR = getShapes;
        for (const char* extension : matrixExtensions()) capabilities_.extensions.push_back(extension);
        capabilities_.features.storageBuffer16 = capabilities_.features.shaderFloat16 = true;
    }
    MatrixShape shape() const { return queryMatrixShape(functions_, VK_NULL_HANDLE, capabilities_); }

    InstanceFunctions functions_{};
    Capabilities capabilities_;
};

TEST_F(MatrixSupport, isTheLargestShapeThatAddsUpHalvesInFloat32) {
    // as an NVIDIA driver lists them
    g_made.shapes = {shapeOf(16, 8, 8),   shapeOf(16, 8, 16),         shapeOf(16, 16, 16),
                     shapeOf(16, 16, 16), shapeOf(16, 16, 16, kHalf), shapeOf(16, 16, 32)};
    g_made.smallestSubgroup = g_made.largestSubgroup = 32;
    EXPECT_EQ(shape(), (MatrixShape{16, 16, 16, 32}));
    // as an Intel driver does
    g_made.shapes = {shapeOf(8, 16, 16, kHalf), shapeOf(8, 16, 16)};
    g_made.smallestSubgroup = 8;
    EXPECT_EQ(shape(), (MatrixShape{8, 16, 16, 32}));
}

TEST_F(MatrixSupport, takesTheSubgroupNearestTo32) {
    g_made.shapes = {shapeOf(16, 16, 16)};
    EXPECT_EQ(shape().subgroupSize, 32u);  // of 32 to 64
    g_made.smallestSubgroup = 64;
    EXPECT_EQ(shape().subgroupSize, 64u);
    g_made.smallestSubgroup = g_made.largestSubgroup = 8;
    EXPECT_EQ(shape().subgroupSize, 8u);
}

TEST_F(MatrixSupport, isNothingWhereNoShapeFits) {
    constexpr VkScopeKHR kWorkgroupScope = static_cast<VkScopeKHR>(2);
    g_made.shapes = {shapeOf(16, 16, 16, kHalf), shapeOf(16, 16, 16, kSingle, kWorkgroupScope), shapeOf(32, 32, 16),
                     shapeOf(12, 16, 16)};
    EXPECT_EQ(shape(), MatrixShape{});
    g_made.shapes.clear();
    EXPECT_EQ(shape(), MatrixShape{});
}

TEST_F(MatrixSupport, isNothingWhereAnythingIsMissingThatItNeeds) {
    const auto without = [&](auto change) {
        SetUp();
        g_made.shapes = {shapeOf(16, 16, 16)};
        change();
        return shape();
    };
    EXPECT_EQ(without([] {}), (MatrixShape{16, 16, 16, 32}));
    EXPECT_EQ(without([] { g_made.hasMatrices = false; }), MatrixShape{});
    EXPECT_EQ(without([] { g_made.hasMemoryModel = false; }), MatrixShape{});
    EXPECT_EQ(without([] { g_made.hasFullSubgroups = false; }), MatrixShape{});
    EXPECT_EQ(without([] { g_made.subgroupStages = VK_SHADER_STAGE_FRAGMENT_BIT; }), MatrixShape{});
    EXPECT_EQ(without([&] { capabilities_.extensions.clear(); }), MatrixShape{});
    EXPECT_EQ(without([&] { capabilities_.features.shaderFloat16 = false; }), MatrixShape{});
    EXPECT_EQ(without([&] { functions_.GetPhysicalDeviceCooperativeMatrixPropertiesKHR = nullptr; }), MatrixShape{});
}

}  // namespace
}  // namespace dunlin::vulkan
