// A model's weights on a device, folded, packed and uploaded once for all sessions of a precision.
#pragma once

#include <functional>
#include <memory>
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
    // memory holds no more than one of them and a staging chunk. With `base`, the same model for another input size,
    // only constants that depend on the size are uploaded; the rest is shared. `progress` gets 0..1; false cancels.
    static Result<std::shared_ptr<const DeviceModel>> create(std::shared_ptr<const VulkanDevice> device,
                                                             std::shared_ptr<const ModelData> model, const Graph& graph,
                                                             Precision precision,
                                                             std::shared_ptr<const DeviceModel> base = nullptr,
                                                             const std::function<bool(float)>& progress = {});

    // Device bytes of these constants, each aligned to the device's offsetAlignment.
    static uint64_t packedBytes(const std::vector<Constant>& constants, const DeviceLimits& limits);

    const ModelData& model() const { return *model_; }
    Precision precision() const { return precision_; }
    // By Tensor::constantIndex.
    const Range& constant(int index) const { return ranges_[static_cast<size_t>(index)]; }
    size_t constantCount() const { return ranges_.size(); }
    size_t bufferCount() const { return buffers_.size(); }
    uint64_t deviceBytes() const;  // with those that are shared

  private:
    DeviceModel() = default;
    bool isShared(const Constant& constant) const { return base_ && !constant.perInputSize; }
    Status allocate(const std::vector<Constant>& constants);
    Status upload(const Graph& graph, const std::vector<Constant>& constants,
                  const std::function<bool(float)>& progress);

    std::shared_ptr<const VulkanDevice> device_;  // first, so that it goes last
    std::shared_ptr<const ModelData> model_;
    std::shared_ptr<const DeviceModel> base_;  // null: all constants are this one's own
    Precision precision_ = Precision::Fp32;
    std::vector<Buffer> buffers_;
    std::vector<size_t> bufferOf_;  // by constant, if it is not shared
    std::vector<Range> ranges_;
};

}  // namespace dunlin::vulkan
