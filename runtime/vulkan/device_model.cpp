#include "runtime/vulkan/device_model.h"

#include <algorithm>
#include <set>

namespace dunlin::vulkan {
namespace {

// Weights of published networks fit one such buffer; beyond it, several are easier on the driver's allocator.
constexpr uint64_t kMaxBufferBytes = uint64_t{256} << 20;

}  // namespace

Result<std::shared_ptr<const DeviceModel>> DeviceModel::create(std::shared_ptr<const VulkanDevice> device,
                                                               std::shared_ptr<const ModelData> model,
                                                               const Graph& graph, Precision precision,
                                                               const DeviceModel* other,
                                                               const std::function<bool(float)>& progress) {
    std::shared_ptr<DeviceModel> result(new DeviceModel());
    result->device_ = std::move(device);
    result->model_ = std::move(model);
    result->precision_ = precision;
    const std::vector<Constant> constants = constantsOf(graph, precision);
    DUNLIN_ASSIGN(const std::vector<size_t> own, result->allocate(constants, other));
    DUNLIN_TRY(result->upload(graph, constants, own, progress));
    return std::shared_ptr<const DeviceModel>(std::move(result));
}

DeviceModel::Need DeviceModel::needOf(const std::vector<Constant>& constants, const DeviceModel* other,
                                      const DeviceLimits& limits) {
    Need need;
    std::set<const Buffer*> shared;
    for (const Constant& constant : constants) {
        const bool isShared = other && other->indexOf_.contains(constant.identity);
        if (isShared) shared.insert(other->bufferOf_[other->indexOf_.at(constant.identity)].get());
        if (!isShared) need.totalBytes += roundUp(constant.sizeBytes, limits.offsetAlignment);
    }
    for (const Buffer* buffer : shared) need.residentBytes += buffer->allocatedBytes();
    need.totalBytes += need.residentBytes;
    return need;
}

uint64_t DeviceModel::deviceBytes() const {
    std::set<const Buffer*> buffers;
    for (const auto& buffer : bufferOf_) buffers.insert(buffer.get());
    uint64_t total = 0;
    for (const Buffer* buffer : buffers) total += buffer->allocatedBytes();
    return total;
}

// Fills buffer after buffer, in the constants' order, with those that are not shared; returns these.
Result<std::vector<size_t>> DeviceModel::allocate(const std::vector<Constant>& constants, const DeviceModel* other) {
    const DeviceLimits& limits = device_->limits();
    const uint64_t maxBytes = std::min(kMaxBufferBytes, limits.maxAllocationBytes);
    std::vector<uint64_t> bufferBytes;
    std::vector<size_t> own, placedIn;
    for (size_t i = 0; i < constants.size(); ++i) {
        const Constant& constant = constants[i];
        indexOf_[constant.identity] = i;
        if (other) {
            if (const auto found = other->indexOf_.find(constant.identity); found != other->indexOf_.end()) {
                bufferOf_.push_back(other->bufferOf_[found->second]);
                ranges_.push_back(other->ranges_[found->second]);
                continue;
            }
        }
        const uint64_t sizeBytes = roundUp(constant.sizeBytes, limits.offsetAlignment);
        if (bufferBytes.empty() || bufferBytes.back() + sizeBytes > maxBytes) bufferBytes.push_back(0);
        own.push_back(i);
        placedIn.push_back(bufferBytes.size() - 1);
        bufferOf_.emplace_back();
        ranges_.push_back({VK_NULL_HANDLE, bufferBytes.back(), constant.sizeBytes});
        bufferBytes.back() += sizeBytes;
    }
    constexpr VkBufferUsageFlags kUsage = VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_STORAGE_BUFFER_BIT |
                                          VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT;
    std::vector<std::shared_ptr<Buffer>> buffers;
    for (uint64_t sizeBytes : bufferBytes) {
        DUNLIN_ASSIGN(Buffer buffer, Buffer::create(*device_, sizeBytes, kUsage, MemoryUse::Device));
        buffers.push_back(std::make_shared<Buffer>(std::move(buffer)));
    }
    for (size_t k = 0; k < own.size(); ++k) {
        bufferOf_[own[k]] = buffers[placedIn[k]];
        ranges_[own[k]].buffer = buffers[placedIn[k]]->handle();
    }
    return own;
}

Status DeviceModel::upload(const Graph& graph, const std::vector<Constant>& constants, const std::vector<size_t>& own,
                           const std::function<bool(float)>& progress) {
    uint64_t totalBytes = 0, doneBytes = 0;
    for (size_t i : own) totalBytes += constants[i].sizeBytes;
    if (own.empty()) return Status();
    const uint64_t chunkBytes =
        std::min(Uploader::kChunkBytes, roundUp<uint64_t>(std::max<uint64_t>(totalBytes, 16), 16));
    DUNLIN_ASSIGN(Uploader uploader, Uploader::create(*device_, chunkBytes));
    std::vector<std::byte> packed;
    for (size_t i : own) {
        const Constant& constant = constants[i];
        DUNLIN_ASSIGN(const FoldedWeights folded, constantWeights(graph, constant, *model_->weights));
        packed.assign(constant.sizeBytes, std::byte{0});
        prepack(graph, constant, folded, precision_, packed);
        DUNLIN_TRY(uploader.write(*bufferOf_[i], ranges_[i].offsetBytes, packed));
        doneBytes += constant.sizeBytes;
        if (progress && !progress(static_cast<float>(doneBytes) / static_cast<float>(totalBytes))) {
            return error(StatusCode::Cancelled, "cancelled after %zu of %zu layers were uploaded", i + 1,
                         constants.size());
        }
    }
    return uploader.finish();
}

}  // namespace dunlin::vulkan
