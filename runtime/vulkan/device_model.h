// A model's weights on a device, folded, packed and uploaded once for all sessions of a precision.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/backend.h"
#include "runtime/plan/prepack.h"
#include "runtime/vulkan/memory.h"

namespace dunlin::vulkan {

// Immutable after creation, shared by sessions of several sizes and batches; any thread may read it.
class DeviceModel {
  public:
    struct Range {
        VkBuffer buffer = VK_NULL_HANDLE;
        uint64_t offsetBytes = 0, sizeBytes = 0;
    };

    // `graph` is the model's for one input size. Reads, folds and packs one constant after the other, so that host
    // memory holds no more than one of them and a staging chunk. Constants that `other` has, the same model in the same
    // precision for another input size, are shared with it. `progress` gets 0..1; false cancels.
    static Result<std::shared_ptr<const DeviceModel>> create(std::shared_ptr<const VulkanDevice> device,
                                                             std::shared_ptr<const ModelData> model, const Graph& graph,
                                                             Precision precision, const DeviceModel* other = nullptr,
                                                             const std::function<bool(float)>& progress = {});

    // Device bytes that these constants will take: in all, and what of it is there already, shared with `other`.
    struct Need {
        uint64_t totalBytes = 0, residentBytes = 0;
    };
    static Need needOf(const std::vector<Constant>& constants, const DeviceModel* other, const DeviceLimits& limits);

    const ModelData& model() const { return *model_; }
    Precision precision() const { return precision_; }
    // By Tensor::constantIndex.
    const Range& constant(int index) const { return ranges_[static_cast<size_t>(index)]; }
    uint64_t deviceBytes() const;  // with what is shared

  private:
    DeviceModel() = default;
    Result<std::vector<size_t>> allocate(const std::vector<Constant>& constants, const DeviceModel* other);
    Status upload(const Graph& graph, const std::vector<Constant>& constants, const std::vector<size_t>& own,
                  const std::function<bool(float)>& progress);

    std::shared_ptr<const VulkanDevice> device_;  // first, so that it goes last
    std::shared_ptr<const ModelData> model_;
    Precision precision_ = Precision::Fp32;
    std::map<std::string, size_t> indexOf_;          // by Constant::identity
    std::vector<std::shared_ptr<Buffer>> bufferOf_;  // by constant; several lie in one
    std::vector<Range> ranges_;
};

}  // namespace dunlin::vulkan
