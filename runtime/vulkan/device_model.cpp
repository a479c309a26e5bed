#include "runtime/vulkan/device_model.h"

#include <algorithm>

namespace dunlin::vulkan {
namespace {

// Weights of published networks fit one such buffer; beyond it, several are easier on the driver's allocator.
constexpr uint64_t kMaxBufferBytes = uint64_t{256} << 20;

}  // namespace

Result<std::shared_ptr<const DeviceModel>> DeviceModel::create(std::shared_ptr<const VulkanDevice> device,
                                                               std::shared_ptr<const ModelData> model,
                                                               const Graph& graph, Precision precision,
                                                               std::shared_ptr<const DeviceModel> base,
                                                               const std::function<bool(float)>& progress) {
    std::shared_ptr<DeviceModel> result(new DeviceModel());
    result->device_ = std::move(device);
    result->model_ = std::move(model);
    result->precision_ = precision;
    result->base_ = std::move(base);
    const std::vector<Constant> constants = constantsOf(graph, precision);
    DUNLIN_TRY(result->allocate(constants));
    DUNLIN_TRY(result->upload(graph, constants, progress));
    return std::shared_ptr<const DeviceModel>(std::move(result));
}

uint64_t DeviceModel::packedBytes(const std::vector<Constant>& constants, const DeviceLimits& limits) {
    uint64_t total = 0;
    for (const Constant& constant : constants) total += roundUp(constant.sizeBytes, limits.offsetAlignment);
    return total;
}

uint64_t DeviceModel::deviceBytes() const {
    uint64_t total = base_ ? base_->deviceBytes() : 0;
    for (const Buffer& buffer : buffers_) total += buffer.allocatedBytes();
    return total;
}

// Fills buffer after buffer, in the constants' order.
Status DeviceModel::allocate(const std::vector<Constant>& constants) {
    const DeviceLimits& limits = device_->limits();
    std::vector<uint64_t> bufferBytes;
    for (size_t i = 0; i < constants.size(); ++i) {
        const Constant& constant = constants[i];
        bufferOf_.push_back(0);
        if (isShared(constant)) {
            ranges_.push_back(base_->constant(static_cast<int>(i)));
            continue;
        }
        const uint64_t sizeBytes = roundUp(constant.sizeBytes, limits.offsetAlignment);
        const uint64_t maxBytes = std::min(kMaxBufferBytes, limits.maxAllocationBytes);
        if (bufferBytes.empty() || bufferBytes.back() + sizeBytes > maxBytes) bufferBytes.push_back(0);
        bufferOf_.back() = bufferBytes.size() - 1;
        ranges_.push_back({VK_NULL_HANDLE, bufferBytes.back(), constant.sizeBytes});
        bufferBytes.back() += sizeBytes;
    }
    constexpr VkBufferUsageFlags kUsage = VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_STORAGE_BUFFER_BIT |
                                          VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT;
    for (uint64_t sizeBytes : bufferBytes) {
        DUNLIN_ASSIGN(Buffer buffer, Buffer::create(*device_, sizeBytes, kUsage, MemoryUse::Device));
        buffers_.push_back(std::move(buffer));
    }
    for (size_t i = 0; i < ranges_.size(); ++i) {
        if (!isShared(constants[i])) ranges_[i].buffer = buffers_[bufferOf_[i]].handle();
    }
    return Status();
}

Status DeviceModel::upload(const Graph& graph, const std::vector<Constant>& constants,
                           const std::function<bool(float)>& progress) {
    uint64_t totalBytes = 0, doneBytes = 0;
    for (const Constant& constant : constants) totalBytes += isShared(constant) ? 0 : constant.sizeBytes;
    if (totalBytes == 0) return Status();
    const uint64_t chunkBytes =
        std::min(Uploader::kChunkBytes, roundUp<uint64_t>(std::max<uint64_t>(totalBytes, 16), 16));
    DUNLIN_ASSIGN(Uploader uploader, Uploader::create(*device_, chunkBytes));
    std::vector<std::byte> packed;
    for (size_t i = 0; i < constants.size(); ++i) {
        const Constant& constant = constants[i];
        if (isShared(constant)) continue;
        DUNLIN_ASSIGN(const FoldedWeights folded, constantWeights(graph, constant, *model_->weights));
        packed.assign(constant.sizeBytes, std::byte{0});
        prepack(graph, constant, folded, precision_, packed);
        DUNLIN_TRY(uploader.write(buffers_[bufferOf_[i]], ranges_[i].offsetBytes, packed));
        doneBytes += constant.sizeBytes;
        if (progress && !progress(static_cast<float>(doneBytes) / static_cast<float>(totalBytes))) {
            return error(StatusCode::Cancelled, "cancelled after %zu of %zu layers were uploaded", i + 1,
                         constants.size());
        }
    }
    return uploader.finish();
}

}  // namespace dunlin::vulkan
