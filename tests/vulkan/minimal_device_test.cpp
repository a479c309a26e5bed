// The least that Vulkan 1.1 guarantees: a device without optional features and extensions, with the smallest limits and
// no coherent memory. The driver below is the real one; only what it says of itself is made smaller.
#include <cstring>

#include "runtime/vulkan/backend.h"
#include "tests/vulkan/application.h"
#include "tests/vulkan/small_network.h"
#include "tests/vulkan/vulkan_fixture.h"

namespace dunlin::vulkan {
namespace {

PFN_vkGetInstanceProcAddr g_getInstanceProcAddr = nullptr;
PFN_vkGetPhysicalDeviceProperties2 g_getProperties = nullptr;
PFN_vkGetPhysicalDeviceMemoryProperties2 g_getMemory = nullptr;

VKAPI_ATTR void VKAPI_CALL minimalProperties(VkPhysicalDevice device, VkPhysicalDeviceProperties2* properties) {
    g_getProperties(device, properties);
    VkPhysicalDeviceLimits& limits = properties->properties.limits;
    limits.maxStorageBufferRange = 1u << 27;
    limits.maxTexelBufferElements = 65536;
    limits.minStorageBufferOffsetAlignment = limits.minTexelBufferOffsetAlignment = 256;
    limits.nonCoherentAtomSize = 256;
    limits.maxComputeWorkGroupInvocations = 128;
    limits.maxComputeSharedMemorySize = 16384;
    const uint32_t size[] = {128, 128, 64}, count[] = {65535, 65535, 65535};
    std::memcpy(limits.maxComputeWorkGroupSize, size, sizeof(size));
    std::memcpy(limits.maxComputeWorkGroupCount, count, sizeof(count));
}

VKAPI_ATTR void VKAPI_CALL incoherentMemory(VkPhysicalDevice device, VkPhysicalDeviceMemoryProperties2* memory) {
    g_getMemory(device, memory);
    for (VkMemoryType& type : memory->memoryProperties.memoryTypes) {
        type.propertyFlags &= ~VkMemoryPropertyFlags{VK_MEMORY_PROPERTY_HOST_COHERENT_BIT};
    }
}

VKAPI_ATTR VkResult VKAPI_CALL noExtensions(VkPhysicalDevice, const char*, uint32_t* count, VkExtensionProperties*) {
    *count = 0;
    return VK_SUCCESS;
}

PFN_vkVoidFunction VKAPI_CALL minimalGetInstanceProcAddr(VkInstance instance, const char* name) {
    const PFN_vkVoidFunction real = g_getInstanceProcAddr(instance, name);
    if (std::strcmp(name, "vkGetPhysicalDeviceProperties2") == 0) {
        g_getProperties = reinterpret_cast<PFN_vkGetPhysicalDeviceProperties2>(real);
        return reinterpret_cast<PFN_vkVoidFunction>(minimalProperties);
    }
    if (std::strcmp(name, "vkGetPhysicalDeviceMemoryProperties2") == 0) {
        g_getMemory = reinterpret_cast<PFN_vkGetPhysicalDeviceMemoryProperties2>(real);
        return reinterpret_cast<PFN_vkVoidFunction>(incoherentMemory);
    }
    if (std::strcmp(name, "vkEnumerateDeviceExtensionProperties") == 0) {
        return reinterpret_cast<PFN_vkVoidFunction>(noExtensions);
    }
    return real;
}

class MinimalDeviceTest : public test::VulkanTest {
  protected:
    void SetUp() override {
        VulkanTest::SetUp();
        if (!device_) return;
        g_getInstanceProcAddr = device_->instanceFunctions().getInstanceProcAddr;
        BorrowedDevice handles = test::handlesOf(*device_);
        handles.getInstanceProcAddr = minimalGetInstanceProcAddr;
        handles.enabled = {};
        auto minimal = VulkanDevice::borrow(handles);
        ASSERT_TRUE(minimal.ok()) << minimal.status().message();
        minimal_ = *std::move(minimal);
        auto backend = VulkanBackend::create(minimal_);
        ASSERT_TRUE(backend.ok()) << backend.status().message();
        backend_ = *std::move(backend);
    }
    void TearDown() override {
        backend_.reset();
        minimal_.reset();
        VulkanTest::TearDown();
    }

    std::shared_ptr<VulkanDevice> minimal_;
    std::unique_ptr<VulkanBackend> backend_;
};

TEST_F(MinimalDeviceTest, isUsableForFp32Only) {
    EXPECT_TRUE(minimal_->capabilities().usable);
    EXPECT_FALSE(minimal_->limits().fp16);
    VulkanSessionOptions options;
    options.session.precision = Precision::Fp16;
    EXPECT_EQ(backend_->createSession(test::smallModel(), options).status().code(), StatusCode::Unsupported);
}

TEST_F(MinimalDeviceTest, givesTheOraclesLogits) {
    // 160 x 160: the first maps have more elements than the smallest texel buffer
    constexpr int kSide = 160;
    for (const char* name : {"mobilenetv2_100", "mobilenetv3_small_100"}) {
        const auto model = test::registryModel(name);
        VulkanSessionOptions options;
        options.session.height = options.session.width = kSide;
        const auto session = backend_->createSession(model, options);
        ASSERT_TRUE(session.ok()) << name << ": " << session.status().message();
        const std::vector<float> tensor = formulaInput(1, kSide, kSide);
        std::vector<std::byte> output((*session)->outputBytes());
        HostInput input;
        input.tensor = tensor;
        const Status status = (*session)->run(input, output);
        ASSERT_TRUE(status.ok()) << status.message();
        const std::vector<float> expected = test::oracleLogits(*model, {1, kSide, kSide, 3}, tensor);
        EXPECT_LT(test::relativeError(test::floatsOf(output, (*session)->outputs()[0]), expected), 1e-3) << name;
    }
}

TEST_F(MinimalDeviceTest, noVariantExceedsItsLimits) {
    for (const char* name : {"mobilenetv1_100", "mobilenetv2_140", "mobilenetv3_large_100"}) {
        const auto model = test::registryModel(name);
        const auto session = backend_->createSession(model, {});
        ASSERT_TRUE(session.ok()) << name << ": " << session.status().message();
        for (const Dispatch& dispatch : (*session)->program().dispatches) {
            const auto& constants = dispatch.variant.constants;
            EXPECT_LE(constants[0], 128u) << dispatch.name;
            for (uint32_t count : dispatch.workgroups) EXPECT_LE(count, 65535u) << dispatch.name;
            const auto rows = row(dispatch.variant.kernel).bindings;
            int storageBuffers = 0;
            for (size_t i = 0; i < rows.size(); ++i) {
                const VkDescriptorType type = descriptorType(rows[i], dispatch.variant);
                storageBuffers += type == VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
                if (type == VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER) {
                    EXPECT_LE(dispatch.bindings[i].sizeBytes, 65536u * 16u) << dispatch.name;
                }
                EXPECT_EQ(dispatch.bindings[i].offsetBytes % 256, 0u) << dispatch.name;
            }
            EXPECT_LE(storageBuffers, 4) << dispatch.name;
        }
    }
}

TEST_F(MinimalDeviceTest, memoryThatIsNotCoherentIsFlushed) {
    auto buffer = Buffer::create(*minimal_, 1000, VK_BUFFER_USAGE_TRANSFER_SRC_BIT, MemoryUse::Upload);
    ASSERT_TRUE(buffer.ok()) << buffer.status().message();
    // ranges that are no multiples of the atom, in the middle and to the end; the validation layer checks what is
    // passed on
    EXPECT_TRUE(buffer->flush(10, 20).ok());
    EXPECT_TRUE(buffer->flush(999, 1).ok());
    EXPECT_TRUE(buffer->invalidate(300, 700).ok());
    EXPECT_TRUE(buffer->flush(0, 0).ok());
}

}  // namespace
}  // namespace dunlin::vulkan
