#include "tools/bench/probe.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "runtime/vulkan/recorder.h"

namespace dunlin::bench {

using vulkan::check;

Result<Probe> Probe::create(const vulkan::VulkanDevice& device, std::span<const uint32_t> code,
                            std::vector<VkDescriptorType> bindings, std::vector<uint32_t> constants) {
    Probe probe;
    probe.device_ = &device;
    probe.bindings_ = std::move(bindings);
    DUNLIN_TRY(probe.createLayouts());
    DUNLIN_TRY(probe.createPipeline(code, constants));
    DUNLIN_TRY(probe.createSet());
    return probe;
}

Probe::~Probe() {
    if (!device_) return;
    const vulkan::DeviceFunctions& vk = device_->functions();
    const VkDevice device = device_->handle();
    const VkAllocationCallbacks* allocator = device_->allocator();
    if (pool_) vk.DestroyDescriptorPool(device, pool_, allocator);
    for (VkBufferView view : views_) vk.DestroyBufferView(device, view, allocator);
    if (pipeline_) vk.DestroyPipeline(device, pipeline_, allocator);
    if (layout_) vk.DestroyPipelineLayout(device, layout_, allocator);
    if (setLayout_) vk.DestroyDescriptorSetLayout(device, setLayout_, allocator);
}

Probe& Probe::operator=(Probe&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(bindings_, other.bindings_);
    std::swap(setLayout_, other.setLayout_);
    std::swap(layout_, other.layout_);
    std::swap(pipeline_, other.pipeline_);
    std::swap(pool_, other.pool_);
    std::swap(set_, other.set_);
    std::swap(views_, other.views_);
    return *this;
}

Status Probe::createLayouts() {
    std::vector<VkDescriptorSetLayoutBinding> bindings;
    for (VkDescriptorType type : bindings_) {
        bindings.push_back(
            {static_cast<uint32_t>(bindings.size()), type, 1, VK_SHADER_STAGE_COMPUTE_BIT, /* samplers= */ nullptr});
    }
    VkDescriptorSetLayoutCreateInfo set{};
    set.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO;
    set.bindingCount = static_cast<uint32_t>(bindings.size());
    set.pBindings = bindings.data();
    const vulkan::DeviceFunctions& vk = device_->functions();
    DUNLIN_TRY(check(vk.CreateDescriptorSetLayout(device_->handle(), &set, device_->allocator(), &setLayout_),
                     "vkCreateDescriptorSetLayout"));
    const VkPushConstantRange push = {VK_SHADER_STAGE_COMPUTE_BIT, 0, kPushWords * sizeof(uint32_t)};
    VkPipelineLayoutCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO;
    info.setLayoutCount = 1;
    info.pSetLayouts = &setLayout_;
    info.pushConstantRangeCount = 1;
    info.pPushConstantRanges = &push;
    return check(vk.CreatePipelineLayout(device_->handle(), &info, device_->allocator(), &layout_),
                 "vkCreatePipelineLayout");
}

Status Probe::createPipeline(std::span<const uint32_t> code, std::span<const uint32_t> constants) {
    const vulkan::DeviceFunctions& vk = device_->functions();
    VkShaderModuleCreateInfo moduleInfo{};
    moduleInfo.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO;
    moduleInfo.codeSize = code.size_bytes();
    moduleInfo.pCode = code.data();
    VkShaderModule module = VK_NULL_HANDLE;
    DUNLIN_TRY(check(vk.CreateShaderModule(device_->handle(), &moduleInfo, device_->allocator(), &module),
                     "vkCreateShaderModule"));
    std::vector<VkSpecializationMapEntry> entries;
    for (uint32_t id = 0; id < constants.size(); ++id) entries.push_back({id, id * 4, 4});
    VkSpecializationInfo specialization{};
    specialization.mapEntryCount = static_cast<uint32_t>(entries.size());
    specialization.pMapEntries = entries.data();
    specialization.dataSize = constants.size_bytes();
    specialization.pData = constants.data();
    VkComputePipelineCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO;
    info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
    info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
    info.stage.module = module;
    info.stage.pName = "main";
    info.stage.pSpecializationInfo = &specialization;
    info.layout = layout_;
    const VkResult result =
        vk.CreateComputePipelines(device_->handle(), VK_NULL_HANDLE, 1, &info, device_->allocator(), &pipeline_);
    vk.DestroyShaderModule(device_->handle(), module, device_->allocator());
    return check(result, "vkCreateComputePipelines");
}

Status Probe::createSet() {
    const vulkan::DeviceFunctions& vk = device_->functions();
    std::vector<VkDescriptorPoolSize> sizes;
    for (VkDescriptorType type : bindings_) sizes.push_back({type, 1});
    VkDescriptorPoolCreateInfo pool{};
    pool.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO;
    pool.maxSets = 1;
    pool.poolSizeCount = static_cast<uint32_t>(sizes.size());
    pool.pPoolSizes = sizes.data();
    DUNLIN_TRY(check(vk.CreateDescriptorPool(device_->handle(), &pool, device_->allocator(), &pool_),
                     "vkCreateDescriptorPool"));
    VkDescriptorSetAllocateInfo allocation{};
    allocation.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO;
    allocation.descriptorPool = pool_;
    allocation.descriptorSetCount = 1;
    allocation.pSetLayouts = &setLayout_;
    return check(vk.AllocateDescriptorSets(device_->handle(), &allocation, &set_), "vkAllocateDescriptorSets");
}

Status Probe::bind(uint32_t binding, const vulkan::Buffer& buffer, uint64_t sizeBytes) {
    const vulkan::DeviceFunctions& vk = device_->functions();
    VkBufferView view = VK_NULL_HANDLE;
    if (bindings_[binding] == VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER) {
        VkBufferViewCreateInfo info{};
        info.sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO;
        info.buffer = buffer.handle();
        info.format = VK_FORMAT_R32G32B32A32_UINT;
        info.range = sizeBytes;
        DUNLIN_TRY(
            check(vk.CreateBufferView(device_->handle(), &info, device_->allocator(), &view), "vkCreateBufferView"));
        views_.push_back(view);
    }
    const VkDescriptorBufferInfo range = {buffer.handle(), 0, sizeBytes};
    VkWriteDescriptorSet write{};
    write.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
    write.dstSet = set_;
    write.dstBinding = binding;
    write.descriptorCount = 1;
    write.descriptorType = bindings_[binding];
    write.pBufferInfo = &range;
    write.pTexelBufferView = &view;
    vk.UpdateDescriptorSets(device_->handle(), 1, &write, 0, nullptr);
    return Status();
}

void Probe::record(VkCommandBuffer commands, const Work& work) const {
    const vulkan::DeviceFunctions& vk = device_->functions();
    vk.CmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline_);
    vk.CmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, layout_, 0, 1, &set_, 0, nullptr);
    vk.CmdPushConstants(commands, layout_, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(work.push), work.push.data());
    for (uint32_t i = 0; i < work.dispatches; ++i) {
        if (i > 0 && work.barriers) {
            vulkan::recordBarrier(*device_, commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
                                  VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                                  VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
        }
        vk.CmdDispatch(commands, work.workgroups, 1, 1);
    }
}

Result<double> fastestRoundNs(const Sampling& sampling, const std::function<Result<double>(uint32_t)>& timeNs) {
    constexpr uint32_t kMaxRounds = 1u << 24;
    constexpr double kMaxGrowth = 8;  // never far past the goal: watchdogs end what takes seconds
    constexpr int kEnough = 5;        // samples in a row that became no better
    uint32_t rounds = 1;
    double spentNs = 0, bestNs = 0;  // of all samples; of a round
    for (int noBetter = 0; noBetter < kEnough && (spentNs < sampling.budgetNs || bestNs == 0);) {
        DUNLIN_ASSIGN(const double ns, timeNs(rounds));
        spentNs += ns;
        // Too short to be trusted; also later, where only a disturbance made the first samples long enough.
        if (ns < sampling.sampleNs / 2 && rounds < kMaxRounds) {
            const double growth = std::clamp(sampling.sampleNs / std::max(ns, 1.0), 2.0, kMaxGrowth);
            rounds = static_cast<uint32_t>(std::min<double>(kMaxRounds, std::ceil(rounds * growth)));
            continue;
        }
        const double roundNs = std::max(ns, 1.0) / rounds;
        noBetter = bestNs == 0 || roundNs < bestNs * 0.99 ? 1 : noBetter + 1;
        bestNs = bestNs == 0 ? roundNs : std::min(bestNs, roundNs);
    }
    return bestNs;
}

}  // namespace dunlin::bench
