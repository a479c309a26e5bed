#include "runtime/vulkan/descriptors.h"

#include <utility>

namespace dunlin::vulkan {

Result<DescriptorSets> DescriptorSets::create(const VulkanDevice& device, std::span<const Pipeline* const> pipelines) {
    const DeviceFunctions& vk = device.functions();
    DescriptorSets result;
    result.device_ = &device;
    if (pipelines.empty()) return result;

    std::map<VkDescriptorType, uint32_t> counts;
    std::vector<VkDescriptorSetLayout> layouts;
    for (const Pipeline* pipeline : pipelines) {
        for (const BindingRow& binding : row(pipeline->variant.kernel).bindings) {
            ++counts[descriptorType(binding, pipeline->variant)];
        }
        layouts.push_back(pipeline->setLayout);
        result.variants_.push_back(pipeline->variant);
    }
    std::vector<VkDescriptorPoolSize> sizes;
    for (const auto& [type, count] : counts) sizes.push_back({type, count});
    VkDescriptorPoolCreateInfo pool{};
    pool.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO;
    pool.maxSets = static_cast<uint32_t>(layouts.size());
    pool.poolSizeCount = static_cast<uint32_t>(sizes.size());
    pool.pPoolSizes = sizes.data();
    DUNLIN_TRY(check(vk.CreateDescriptorPool(device.handle(), &pool, device.allocator(), &result.pool_),
                     "vkCreateDescriptorPool"));

    VkDescriptorSetAllocateInfo allocation{};
    allocation.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO;
    allocation.descriptorPool = result.pool_;
    allocation.descriptorSetCount = pool.maxSets;
    allocation.pSetLayouts = layouts.data();
    result.sets_.resize(layouts.size());
    DUNLIN_TRY(check(vk.AllocateDescriptorSets(device.handle(), &allocation, result.sets_.data()),
                     "vkAllocateDescriptorSets"));
    return result;
}

DescriptorSets& DescriptorSets::operator=(DescriptorSets&& other) noexcept {
    if (this == &other) return *this;
    reset();
    device_ = std::exchange(other.device_, nullptr);
    pool_ = std::exchange(other.pool_, VkDescriptorPool{VK_NULL_HANDLE});
    sets_ = std::move(other.sets_);
    variants_ = std::move(other.variants_);
    views_ = std::move(other.views_);
    other.sets_.clear();
    other.views_.clear();
    return *this;
}

void DescriptorSets::reset() {
    if (!device_) return;
    const DeviceFunctions& vk = device_->functions();
    if (pool_) vk.DestroyDescriptorPool(device_->handle(), pool_, device_->allocator());
    for (auto& [key, bufferView] : views_) vk.DestroyBufferView(device_->handle(), bufferView, device_->allocator());
    device_ = nullptr;
    pool_ = VK_NULL_HANDLE;
    sets_.clear();
    variants_.clear();
    views_.clear();
}

Result<VkBufferView> DescriptorSets::view(const ViewKey& key) {
    if (const auto found = views_.find(key); found != views_.end()) return found->second;
    VkBufferViewCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO;
    std::tie(info.buffer, info.offset, info.range, info.format) = key;
    VkBufferView created = VK_NULL_HANDLE;
    DUNLIN_TRY(check(device_->functions().CreateBufferView(device_->handle(), &info, device_->allocator(), &created),
                     "vkCreateBufferView"));
    views_.emplace(key, created);
    return created;
}

Status DescriptorSets::write(size_t index, uint32_t binding, const BoundResource& resource) {
    const Variant& variant = variants_[index];
    const BindingRow& bindingRow = row(variant.kernel).bindings[binding];
    VkDescriptorImageInfo image{VK_NULL_HANDLE, resource.image, resource.layout};
    VkDescriptorBufferInfo buffer{resource.buffer, resource.offsetBytes, resource.sizeBytes};
    VkBufferView texels = VK_NULL_HANDLE;
    VkWriteDescriptorSet write{};
    write.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
    write.dstSet = sets_[index];
    write.dstBinding = binding;
    write.descriptorCount = 1;
    write.descriptorType = descriptorType(bindingRow, variant);
    write.pImageInfo = &image;
    write.pBufferInfo = &buffer;
    write.pTexelBufferView = &texels;
    if (write.descriptorType == VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER) {
        DUNLIN_ASSIGN(texels, view({resource.buffer, resource.offsetBytes, resource.sizeBytes,
                                    texelFormat(bindingRow, variant)}));
    }
    device_->functions().UpdateDescriptorSets(device_->handle(), 1, &write, 0, nullptr);
    return Status();
}

}  // namespace dunlin::vulkan
