// Buffers, memory types and uploads.
#include "runtime/vulkan/memory.h"

#include <cstring>
#include <numeric>

#include "tests/vulkan/vulkan_fixture.h"

namespace dunlin::vulkan {
namespace {

using MemoryTest = test::VulkanTest;

VkPhysicalDeviceMemoryProperties memoryTypes(std::initializer_list<VkMemoryPropertyFlags> types) {
    VkPhysicalDeviceMemoryProperties memory{};
    for (VkMemoryPropertyFlags flags : types) memory.memoryTypes[memory.memoryTypeCount++].propertyFlags = flags;
    return memory;
}

constexpr VkMemoryPropertyFlags kLocal = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
constexpr VkMemoryPropertyFlags kVisible = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT;
constexpr VkMemoryPropertyFlags kCoherent = VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
constexpr VkMemoryPropertyFlags kCached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;

TEST(MemoryTypes, readbackPrefersCachedMemory) {
    const auto memory = memoryTypes({kLocal, kVisible | kCoherent, kVisible | kCached});
    EXPECT_EQ(chooseMemoryType(memory, 0b111, MemoryUse::Readback), 2);
    EXPECT_EQ(chooseMemoryType(memory, 0b111, MemoryUse::Upload), 1);
    EXPECT_EQ(chooseMemoryType(memory, 0b111, MemoryUse::Device), 0);
}

TEST(MemoryTypes, fallBackToWhatIsNeeded) {
    const auto memory = memoryTypes({kLocal, kVisible | kCoherent});
    EXPECT_EQ(chooseMemoryType(memory, 0b11, MemoryUse::Readback), 1);
    EXPECT_EQ(chooseMemoryType(memory, 0b10, MemoryUse::Device), 1) << "the buffer does not allow type 0";
    EXPECT_EQ(chooseMemoryType(memory, 0b01, MemoryUse::Upload), -1) << "nothing host-visible is allowed";
}

TEST(MemoryTypes, deviceMemoryComesFromTheLargestHeap) {
    // given a card whose small window for the host comes first
    auto memory = memoryTypes({kLocal | kVisible | kCoherent, kLocal, kLocal | kVisible});
    memory.memoryHeapCount = 2;
    memory.memoryHeaps[0].size = 256 << 20;
    memory.memoryHeaps[1].size = uint64_t{8} << 30;
    memory.memoryTypes[1].heapIndex = memory.memoryTypes[2].heapIndex = 1;
    EXPECT_EQ(chooseMemoryType(memory, 0b111, MemoryUse::Device), 1);
    EXPECT_EQ(chooseMemoryType(memory, 0b101, MemoryUse::Device), 2) << "the buffer does not allow type 1";
    EXPECT_EQ(chooseMemoryType(memory, 0b111, MemoryUse::Upload), 0) << "what the host writes needs no large heap";
}

TEST(MemoryTypes, neverUseThoseThatNeedAFeature) {
    const auto memory = memoryTypes({kLocal | VK_MEMORY_PROPERTY_PROTECTED_BIT, kLocal});
    EXPECT_EQ(chooseMemoryType(memory, 0b11, MemoryUse::Device), 1);
}

std::vector<std::byte> pattern(size_t count) {
    std::vector<std::byte> bytes(count);
    for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>((i * 2654435761u) >> 13);
    return bytes;
}

TEST_F(MemoryTest, whatWasUploadedIsReadBack) {
    // given a device-local buffer, and more bytes than one staging chunk holds, in writes that do not end on chunks
    const std::vector<std::byte> bytes = pattern(1000 * 1000);
    auto target = Buffer::create(
        *device_, bytes.size(), VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT, MemoryUse::Device);
    ASSERT_TRUE(target.ok()) << target.status().message();
    auto uploader = Uploader::create(*device_, 65536);
    ASSERT_TRUE(uploader.ok()) << uploader.status().message();
    const std::span<const std::byte> all(bytes);
    constexpr size_t kSplit = 300 * 1000;
    ASSERT_TRUE(uploader->write(*target, 0, all.first(kSplit)).ok());
    ASSERT_TRUE(uploader->write(*target, kSplit, all.subspan(kSplit)).ok());
    ASSERT_TRUE(uploader->finish().ok());

    // when it is copied to host memory
    auto readback = Buffer::create(*device_, bytes.size(), VK_BUFFER_USAGE_TRANSFER_DST_BIT, MemoryUse::Readback);
    ASSERT_TRUE(readback.ok()) << readback.status().message();
    auto runner = CommandRunner::create(*device_);
    ASSERT_TRUE(runner.ok());
    const Status status = runner->run([&](VkCommandBuffer commands) {
        const VkBufferCopy region{0, 0, bytes.size()};
        device_->functions().CmdCopyBuffer(commands, target->handle(), readback->handle(), 1, &region);
    });
    ASSERT_TRUE(status.ok()) << status.message();
    ASSERT_TRUE(readback->invalidate(0, bytes.size()).ok());

    // then it is what was uploaded
    EXPECT_EQ(std::memcmp(readback->mapped(), bytes.data(), bytes.size()), 0);
}

TEST_F(MemoryTest, aBufferOverTheDevicesLimitIsRefusedWithBothFigures) {
    const uint64_t limit = device_->limits().maxAllocationBytes;
    const auto buffer = Buffer::create(*device_, limit + 1, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT, MemoryUse::Device);
    ASSERT_FALSE(buffer.ok());
    EXPECT_EQ(buffer.status().code(), StatusCode::DoesNotFit);
    EXPECT_NE(buffer.status().message().find(std::to_string(limit)), std::string::npos) << buffer.status().message();
}

TEST_F(MemoryTest, theBudgetRefusesMoreThanTheDeviceHas) {
    EXPECT_TRUE(checkBudget(*device_, 4096, "weights").ok());
    const Status status = checkBudget(*device_, UINT64_MAX, "weights");
    EXPECT_EQ(status.code(), StatusCode::DoesNotFit);
    EXPECT_NE(status.message().find("18446744073709551615"), std::string::npos) << status.message();
}

}  // namespace
}  // namespace dunlin::vulkan
