// Descriptor sets, one a dispatch, and the texel buffer views that they point to.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <tuple>
#include <vector>

#include "runtime/vulkan/pipelines.h"

namespace dunlin::vulkan {

// What one binding of one dispatch points to: a range of a buffer, or an image.
struct BoundResource {
    VkBuffer buffer = VK_NULL_HANDLE;
    uint64_t offsetBytes = 0, sizeBytes = 0;
    VkImageView image = VK_NULL_HANDLE;
    VkImageLayout layout = VK_IMAGE_LAYOUT_UNDEFINED;
};

// Descriptor sets from one pool. Movable; must not outlive the device. Not thread-safe.
class DescriptorSets {
  public:
    DescriptorSets() = default;
    // Set i is for a dispatch of pipelines[i]; all of them are allocated here and live as long as this object.
    static Result<DescriptorSets> create(const VulkanDevice& device, std::span<const Pipeline* const> pipelines);
    ~DescriptorSets() { reset(); }
    DescriptorSets(DescriptorSets&& other) noexcept { *this = std::move(other); }
    DescriptorSets& operator=(DescriptorSets&& other) noexcept;
    void reset();

    VkDescriptorSet operator[](size_t index) const { return sets_[index]; }

    // Points binding `binding` of set `index` to `resource`. The set must not be in use by the device. Only texel
    // buffers may create an object (a view, kept until this object goes, and shared by equal ranges).
    Status write(size_t index, uint32_t binding, const BoundResource& resource);

  private:
    using ViewKey = std::tuple<VkBuffer, uint64_t, uint64_t, VkFormat>;
    Result<VkBufferView> view(const ViewKey& key);

    const VulkanDevice* device_ = nullptr;
    VkDescriptorPool pool_ = VK_NULL_HANDLE;
    std::vector<VkDescriptorSet> sets_;
    std::vector<Variant> variants_;
    std::map<ViewKey, VkBufferView> views_;
};

}  // namespace dunlin::vulkan
