// Small compute programs that measure what a device can do.
#pragma once

#include <array>
#include <functional>
#include <span>
#include <vector>

#include "runtime/tuning/submission_clock.h"

namespace dunlin::bench {

// One program with its bindings. Movable; must not outlive the device. Not thread-safe.
class Probe {
  public:
    static constexpr size_t kPushWords = 4;
    // `constants`: specialization constants from id 0 on, of which 0 is the workgroup's size. A texel buffer is read as
    // four uints.
    static Result<Probe> create(const vulkan::VulkanDevice& device, std::span<const uint32_t> code,
                                std::vector<VkDescriptorType> bindings, std::vector<uint32_t> constants);
    ~Probe();
    Probe(Probe&& other) noexcept { *this = std::move(other); }
    Probe& operator=(Probe&& other) noexcept;

    // The buffer's first bytes. Not while it runs.
    Status bind(uint32_t binding, const vulkan::Buffer& buffer, uint64_t sizeBytes);

    struct Work {
        std::array<uint32_t, kPushWords> push{};
        uint32_t workgroups = 1;
        uint32_t dispatches = 1;
        bool barriers = false;  // between dispatches
    };
    void record(VkCommandBuffer commands, const Work& work) const;

    VkPipeline pipeline() const { return pipeline_; }

  private:
    Probe() = default;
    Status createLayouts();
    Status createPipeline(std::span<const uint32_t> code, std::span<const uint32_t> constants);
    Status createSet();

    const vulkan::VulkanDevice* device_ = nullptr;
    std::vector<VkDescriptorType> bindings_;
    VkDescriptorSetLayout setLayout_ = VK_NULL_HANDLE;
    VkPipelineLayout layout_ = VK_NULL_HANDLE;
    VkPipeline pipeline_ = VK_NULL_HANDLE;
    VkDescriptorPool pool_ = VK_NULL_HANDLE;
    VkDescriptorSet set_ = VK_NULL_HANDLE;
    std::vector<VkBufferView> views_;
};

// How long one sample should take, and all samples of one number together.
struct Sampling {
    double sampleNs = 4e6;
    double budgetNs = 200e6;
};

// Finds out how many rounds make a sample, then takes samples until they become no better or the budget is spent:
// clocks rise under load. Nanoseconds of one round, the best of them.
Result<double> fastestRoundNs(const Sampling& sampling, const std::function<Result<double>(uint32_t rounds)>& timeNs);

}  // namespace dunlin::bench
