// The blocking run of a session: host pictures or tensors through slot 0.
#include <algorithm>
#include <cstring>

#include "runtime/vulkan/session_slot.h"

namespace dunlin::vulkan {
namespace {

constexpr size_t kColours = 3;

Status checkPicture(const PixelView& picture) {
    const int side = static_cast<int>(kMaxPictureSide);
    if (picture.width < 1 || picture.height < 1 || picture.width > side || picture.height > side) {
        return error(StatusCode::InvalidArgument, "a picture of %dx%d pixels: sides must be 1 to %d", picture.width,
                     picture.height, side);
    }
    if (picture.pixels && picture.rowBytes >= static_cast<size_t>(picture.width) * 4) return Status();
    return error(StatusCode::InvalidArgument, "a picture of %dx%d pixels has rows of %zu bytes, or no pixels",
                 picture.width, picture.height, picture.rowBytes);
}

uint64_t bytesOf(const PixelView& picture) {
    return static_cast<uint64_t>(picture.width) * static_cast<uint64_t>(picture.height) * 4;
}

bool samePictures(const std::vector<PixelSource>& a, const std::vector<PixelSource>& b) {
    return std::ranges::equal(a, b, [](const PixelSource& x, const PixelSource& y) {
        return x.buffer == y.buffer && x.offsetBytes == y.offsetBytes && x.width == y.width && x.height == y.height;
    });
}

}  // namespace

Status VulkanSession::run(const HostInput& input, std::span<std::byte> output) {
    if (output.size() < program_.outputBytes) {
        return error(StatusCode::InvalidArgument, "room for %zu bytes of output, %llu are needed", output.size(),
                     static_cast<unsigned long long>(program_.outputBytes));
    }
    std::vector<PixelSource> staged;
    DUNLIN_TRY(stage(input, &staged));
    Slot& slot = *slots_[0];
    // The commands of the last run will do where its source lay alike.
    if (!slot.recordedByRun || !slot.recorded || !samePictures(staged, stagedPictures_)) {
        VulkanInput source;
        if (staged.empty()) source.tensor.buffer = staging_.handle();
        source.pixels = staged;
        slot.recordedByRun = false;
        DUNLIN_TRY(recordOwn(slot, source, {}));
        slot.recordedByRun = true;
        stagedPictures_ = std::move(staged);
    }
    VkSubmitInfo submission{};
    submission.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
    submission.commandBufferCount = 1;
    submission.pCommandBuffers = &slot.commands;
    DUNLIN_TRY(device_->submitAndWait(submission, slot.fence));
    return readOutput(0, output);
}

// Host input into staging_. `pictures` are then its sources; none means a tensor at offset 0.
Status VulkanSession::stage(const HostInput& input, std::vector<PixelSource>* pictures) {
    const Shape& network = program_.input;
    if (input.pictures.empty() == input.tensor.empty()) {
        return error(StatusCode::InvalidArgument, "either pictures or a tensor must be given");
    }
    if (!input.tensor.empty()) return stageTensor(input.tensor);
    if (input.pictures.size() != static_cast<size_t>(network.n)) {
        return error(StatusCode::InvalidArgument, "%zu pictures for a batch of %d", input.pictures.size(), network.n);
    }
    uint64_t largestBytes = 0, totalBytes = 0;
    for (const PixelView& picture : input.pictures) {
        DUNLIN_TRY(checkPicture(picture));
        largestBytes = std::max(largestBytes, bytesOf(picture));
        totalBytes += bytesOf(picture);
    }
    const DeviceLimits& limits = device_->limits();
    const bool inRange = largestBytes + limits.offsetAlignment <= limits.maxStorageBufferRange;
    const uint64_t roomBytes = totalBytes <= staging_.sizeBytes() ? totalBytes : stagingRoomBytes();
    if (inRange && totalBytes <= roomBytes) return stagePictures(input.pictures, pictures);
    if (options_.inputKinds & kInputTensors) return stagePreprocessed(input.pictures);
    constexpr const char* kNoTensors = "and the session was not created for tensors, so that the CPU could shrink them";
    const auto print = [](uint64_t bytes) { return static_cast<unsigned long long>(bytes); };
    if (inRange) {
        return error(StatusCode::DoesNotFit, "pictures need %llu bytes of device memory, %llu are left, %s",
                     print(totalBytes), print(roomBytes), kNoTensors);
    }
    return error(StatusCode::DoesNotFit,
                 "a picture of %llu bytes is over the device's limit of %llu (maxStorageBufferRange), %s",
                 print(largestBytes), print(limits.maxStorageBufferRange), kNoTensors);
}

// How large the staging buffer may become.
uint64_t VulkanSession::stagingRoomBytes() const {
    const uint64_t ownBytes = staging_.allocatedBytes(), otherBytes = deviceBytes() - ownBytes;
    const uint64_t limitBytes = options_.memoryLimitBytes > otherBytes ? options_.memoryLimitBytes - otherBytes : 0;
    return std::min({limitBytes, device_->availableBytes() + ownBytes, device_->limits().maxAllocationBytes});
}

Status VulkanSession::stagePictures(std::span<const PixelView> pictures, std::vector<PixelSource>* sources) {
    uint64_t totalBytes = 0;
    for (const PixelView& picture : pictures) totalBytes += bytesOf(picture);
    DUNLIN_TRY(ensureStaging(totalBytes));
    uint64_t offsetBytes = 0;
    for (const PixelView& picture : pictures) {
        const size_t rowBytes = static_cast<size_t>(picture.width) * 4;
        std::byte* target = staging_.mapped() + offsetBytes;
        for (int y = 0; y < picture.height; ++y, target += rowBytes) {
            std::memcpy(target, picture.pixels + static_cast<size_t>(y) * picture.rowBytes, rowBytes);
        }
        sources->push_back({staging_.handle(), offsetBytes, static_cast<uint32_t>(picture.width),
                            static_cast<uint32_t>(picture.height), 0});
        offsetBytes += bytesOf(picture);
    }
    return staging_.flush(0, totalBytes);
}

Status VulkanSession::stageTensor(std::span<const float> tensor) {
    const size_t needed = static_cast<size_t>(program_.input.pixelCount()) * kColours;
    if (tensor.size() != needed) {
        return error(StatusCode::InvalidArgument, "a tensor of %zu elements for an input of %zu", tensor.size(),
                     needed);
    }
    DUNLIN_TRY(ensureStaging(tensor.size_bytes()));
    std::memcpy(staging_.mapped(), tensor.data(), tensor.size_bytes());
    return staging_.flush(0, tensor.size_bytes());
}

// On the CPU, which computes the same to a 255th of a pixel's range.
Status VulkanSession::stagePreprocessed(std::span<const PixelView> pictures) {
    const Shape& network = program_.input;
    const size_t planeElements = static_cast<size_t>(network.h) * static_cast<size_t>(network.w);
    std::vector<float> pixels(planeElements * kColours), tensor;
    tensor.reserve(static_cast<size_t>(network.n) * pixels.size());
    for (const PixelView& picture : pictures) {
        preprocess(model_->model().preprocess, picture, network.w, network.h, kColours, pixels);
        for (size_t colour = 0; colour < kColours; ++colour) {
            for (size_t i = 0; i < planeElements; ++i) tensor.push_back(pixels[i * kColours + colour]);
        }
    }
    return stageTensor(tensor);
}

// Grows by half at least, where there is room, so that a row of growing pictures does not allocate for each.
Status VulkanSession::ensureStaging(uint64_t sizeBytes) {
    if (sizeBytes <= staging_.sizeBytes()) return Status();
    const uint64_t grownBytes = staging_.sizeBytes() + staging_.sizeBytes() / 2;
    if (sizeBytes < grownBytes) sizeBytes = std::max(sizeBytes, std::min(grownBytes, stagingRoomBytes() / 16 * 16));
    slots_[0]->recorded = false;  // its sets point to the old buffer
    staging_.reset();
    DUNLIN_TRY(checkBudget(*device_, sizeBytes, "host pictures"));
    DUNLIN_ASSIGN(staging_, Buffer::create(*device_, sizeBytes, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT, MemoryUse::Upload));
    return Status();
}

}  // namespace dunlin::vulkan
