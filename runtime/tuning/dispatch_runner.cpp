#include "runtime/tuning/dispatch_runner.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "runtime/tuning/source_image.h"
#include "runtime/tuning/submission_clock.h"
#include "runtime/vulkan/interop.h"
#include "runtime/vulkan/memory.h"
#include "runtime/vulkan/recorder.h"

namespace dunlin::tuning {
namespace {

using vulkan::Buffer;
using vulkan::MemoryUse;

constexpr std::byte kUnwritten{0xff};
constexpr uint32_t kUnwrittenWord = 0xffffffff;
constexpr uint32_t kPreprocessSource = 0;  // the position in the preprocess kernel's row
// Before and behind what is written, and of what is bound without a use: a stray write of a few elements lands here.
constexpr uint64_t kGuardBytes = 4096, kUnusedBytes = 65536;
constexpr VkBufferUsageFlags kTensorUsage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT |
                                            VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT |
                                            VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;

unsigned long long print(uint64_t value) {
    return value;
}

uint64_t roundUpTo(uint64_t value, uint64_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

Status checkBindings(const Dispatch& dispatch, const std::map<TensorId, uint64_t>& tensorBytes,
                     const std::map<TensorId, std::vector<std::byte>>& contents) {
    const size_t expected = row(dispatch.variant.kernel).bindings.size();
    if (dispatch.bindings.size() != expected) {
        return error(StatusCode::InvalidArgument, "%s has %zu bindings, and its kernel %zu", dispatch.name.c_str(),
                     dispatch.bindings.size(), expected);
    }
    for (size_t i = 0; i < expected; ++i) {
        const Binding& binding = dispatch.bindings[i];
        if (binding.tensor < 0) continue;
        const auto size = tensorBytes.find(binding.tensor);
        const uint64_t has = size == tensorBytes.end() ? 0 : size->second;
        if (binding.offsetBytes + binding.sizeBytes > has) {
            return error(StatusCode::InvalidArgument, "binding %zu reaches to byte %llu of tensor %d, which has %llu",
                         i, print(binding.offsetBytes + binding.sizeBytes), binding.tensor, print(has));
        }
        const auto content = contents.find(binding.tensor);
        const bool isGiven = content != contents.end();
        if (isGiven == binding.write) {
            return error(StatusCode::InvalidArgument, "tensor %d of binding %zu is %s", binding.tensor, i,
                         isGiven ? "written, so it cannot have contents" : "read, and has no contents");
        }
        if (isGiven && content->second.size() > has) {
            return error(StatusCode::InvalidArgument, "tensor %d has %llu bytes, and its contents %zu", binding.tensor,
                         print(has), content->second.size());
        }
    }
    return Status();
}

Status checkPicture(const Dispatch& dispatch, const RunnerPicture* picture) {
    if (!picture) return error(StatusCode::InvalidArgument, "%s has no picture to read", dispatch.name.c_str());
    const auto params = dispatch.push.as<params::PreprocessParams>();
    const bool isTensor = dispatch.variant.tileX == params::kSourceTensor;
    if (!isTensor && !picture->spec) {
        return error(StatusCode::InvalidArgument, "%s has no preprocessing specification", dispatch.name.c_str());
    }
    const uint64_t needed = isTensor
                                ? uint64_t{3} * params.outWidth * params.outHeight * sizeof(float)
                                : static_cast<uint64_t>(picture->width) * static_cast<uint64_t>(picture->height) * 4;
    if (picture->pixels.size() == needed && needed > 0) return Status();
    return error(StatusCode::InvalidArgument, "a source of %dx%d has %zu bytes instead of %llu", picture->width,
                 picture->height, picture->pixels.size(), print(needed));
}

class VulkanDispatchRunner final : public DispatchRunner {
  public:
    VulkanDispatchRunner(const vulkan::VulkanDevice& device, const vulkan::Pipeline& pipeline, const Dispatch& dispatch,
                         SubmissionClock clock)
        : device_(device), pipeline_(pipeline), dispatch_(dispatch), clock_(std::move(clock)) {}

    Status createTensors(const std::map<TensorId, uint64_t>& tensorBytes,
                         const std::map<TensorId, std::vector<std::byte>>& contents);
    Status bind(const RunnerPicture* picture);

    Result<std::map<TensorId, std::vector<std::byte>>> run() override;
    Result<double> timeNs(uint32_t repeats) override;
    bool usesGpuClock() const override { return clock_.usesGpuClock(); }

  private:
    // A range of a buffer that is filled before a run and looked at after it; only [begin, end) of it may be written.
    struct Watched {
        uint32_t binding;
        TensorId tensor;  // negative: none, the binding has no use
        VkBuffer buffer;
        uint64_t offset, sizeBytes, begin, end, readbackOffset;
    };

    void watch(Watched watched);
    Status checkGuards() const;
    Status bindPicture(const RunnerPicture& picture);
    void recordState(VkCommandBuffer commands, size_t set) const;
    void recordDispatch(VkCommandBuffer commands) const;
    void recordReadback(VkCommandBuffer commands) const;

    const vulkan::VulkanDevice& device_;
    const vulkan::Pipeline& pipeline_;
    const Dispatch dispatch_;
    const uint64_t guardBytes_ = roundUpTo(kGuardBytes, device_.limits().offsetAlignment);
    const uint64_t unusedBytes_ = roundUpTo(kUnusedBytes, device_.limits().offsetAlignment);
    PushConstants push_ = dispatch_.push;
    std::map<TensorId, Buffer> tensors_;
    std::vector<Watched> watched_;
    uint64_t readbackBytes_ = 0;
    Buffer readback_, unused_, pixels_;
    SourceImage image_;
    // kExactSet has what the program binds. In kWideSet what is written reaches on over its guard: drivers that check
    // bounds would keep a stray write from being seen.
    static constexpr size_t kExactSet = 0, kWideSet = 1;
    vulkan::DescriptorSets sets_;
    SubmissionClock clock_;
};

Status VulkanDispatchRunner::createTensors(const std::map<TensorId, uint64_t>& tensorBytes,
                                           const std::map<TensorId, std::vector<std::byte>>& contents) {
    DUNLIN_ASSIGN(vulkan::Uploader uploader, vulkan::Uploader::create(device_));
    for (uint32_t i = 0; i < dispatch_.bindings.size(); ++i) {
        const Binding& binding = dispatch_.bindings[i];
        if (binding.tensor < 0 || tensors_.contains(binding.tensor)) continue;
        const uint64_t sizeBytes = tensorBytes.at(binding.tensor);
        const uint64_t bufferBytes = binding.write ? 2 * guardBytes_ + roundUpTo(sizeBytes, 16) : sizeBytes;
        DUNLIN_ASSIGN(Buffer buffer, Buffer::create(device_, bufferBytes, kTensorUsage, MemoryUse::Device));
        if (binding.write) {
            watch({i, binding.tensor, buffer.handle(), 0, bufferBytes, guardBytes_, guardBytes_ + sizeBytes, 0});
        } else {
            std::vector<std::byte> bytes = contents.at(binding.tensor);
            bytes.resize(std::max<uint64_t>(16, roundUpTo(sizeBytes, 16)), kUnwritten);
            DUNLIN_TRY(uploader.write(buffer, 0, bytes));
        }
        tensors_.emplace(binding.tensor, std::move(buffer));
    }
    return uploader.finish();
}

void VulkanDispatchRunner::watch(Watched watched) {
    watched.readbackOffset = readbackBytes_;
    readbackBytes_ += watched.sizeBytes;
    watched_.push_back(watched);
}

Status VulkanDispatchRunner::bind(const RunnerPicture* picture) {
    const vulkan::Pipeline* pipelines[] = {&pipeline_, &pipeline_};
    DUNLIN_ASSIGN(sets_, vulkan::DescriptorSets::create(device_, pipelines));
    // What the variant does not use is bound to bytes of its own, so that nothing seems to depend on it.
    DUNLIN_ASSIGN(unused_,
                  Buffer::create(device_, unusedBytes_ * dispatch_.bindings.size(), kTensorUsage, MemoryUse::Device));
    for (uint32_t i = 0; i < dispatch_.bindings.size(); ++i) {
        const Binding& binding = dispatch_.bindings[i];
        if (binding.tensor >= 0) {
            const uint64_t offset = binding.offsetBytes + (binding.write ? guardBytes_ : 0);
            const uint64_t most = device_.limits().maxStorageBufferRange;
            const uint64_t wide = binding.write ? std::min(binding.sizeBytes + guardBytes_, most) : binding.sizeBytes;
            const VkBuffer buffer = tensors_.at(binding.tensor).handle();
            DUNLIN_TRY(sets_.write(kExactSet, i, {buffer, offset, binding.sizeBytes}));
            DUNLIN_TRY(sets_.write(kWideSet, i, {buffer, offset, wide}));
        } else if (dispatch_.variant.kernel == Kernel::Preprocess && i == kPreprocessSource) {
            DUNLIN_TRY(bindPicture(*picture));
        } else {
            const uint64_t offset = i * unusedBytes_;
            watch({i, binding.tensor, unused_.handle(), offset, unusedBytes_, 0, 0, 0});
            for (const size_t set : {kExactSet, kWideSet}) {
                DUNLIN_TRY(sets_.write(set, i, {unused_.handle(), offset, kUnusedBytes}));
            }
        }
    }
    DUNLIN_ASSIGN(readback_,
                  Buffer::create(device_, readbackBytes_, VK_BUFFER_USAGE_TRANSFER_DST_BIT, MemoryUse::Readback));
    return Status();
}

Status VulkanDispatchRunner::bindPicture(const RunnerPicture& picture) {
    const auto lowered = dispatch_.push.as<params::PreprocessParams>();
    const Shape network = {1, static_cast<int>(lowered.outHeight), static_cast<int>(lowered.outWidth), 3};
    const auto width = static_cast<uint32_t>(picture.width), height = static_cast<uint32_t>(picture.height);
    const uint32_t kind = dispatch_.variant.tileX;
    vulkan::VulkanInput input;
    vulkan::ImageSource image;
    vulkan::PixelSource pixels;
    if (kind == params::kSourceImage) {
        DUNLIN_ASSIGN(image_, SourceImage::create(device_, width, height, picture.pixels));
        image.view = image_.view();
        image.layout = VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL;
        image.width = width;
        image.height = height;
        input.images = {&image, 1};
    } else {
        DUNLIN_ASSIGN(pixels_, Buffer::create(device_, picture.pixels.size(), kTensorUsage, MemoryUse::Device));
        DUNLIN_ASSIGN(vulkan::Uploader uploader, vulkan::Uploader::create(device_));
        DUNLIN_TRY(uploader.write(pixels_, 0, picture.pixels));
        DUNLIN_TRY(uploader.finish());
        pixels = {pixels_.handle(), 0, width, height};
        if (kind == params::kSourcePixels) input.pixels = {&pixels, 1};
        if (kind == params::kSourceTensor) input.tensor.buffer = pixels_.handle();
    }
    DUNLIN_TRY(vulkan::checkInput(input, network, vulkan::kAllInputs, device_.limits()).status());
    const PreprocessSpec spec = picture.spec ? *picture.spec : PreprocessSpec();
    const vulkan::BoundSource source =
        vulkan::bindSource(input, 0, network, spec, device_.limits().offsetAlignment, lowered);
    push_ = PushConstants::of(source.params);
    DUNLIN_TRY(sets_.write(kExactSet, kPreprocessSource, source.resource));
    return sets_.write(kWideSet, kPreprocessSource, source.resource);
}

void VulkanDispatchRunner::recordState(VkCommandBuffer commands, size_t set) const {
    const vulkan::DeviceFunctions& vk = device_.functions();
    const VkDescriptorSet descriptors = sets_[set];
    vk.CmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline_.handle);
    vk.CmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline_.layout, 0, 1, &descriptors, 0,
                             nullptr);
    if (push_.size > 0) {
        vk.CmdPushConstants(commands, pipeline_.layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, push_.size, push_.bytes.data());
    }
}

void VulkanDispatchRunner::recordDispatch(VkCommandBuffer commands) const {
    const auto& [x, y, z] = dispatch_.workgroups;
    device_.functions().CmdDispatch(commands, x, y, z);
}

void VulkanDispatchRunner::recordReadback(VkCommandBuffer commands) const {
    vulkan::recordBarrier(device_, commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
                          VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_READ_BIT);
    for (const Watched& watched : watched_) {
        const VkBufferCopy region = {watched.offset, watched.readbackOffset, watched.sizeBytes};
        device_.functions().CmdCopyBuffer(commands, watched.buffer, readback_.handle(), 1, &region);
    }
    vulkan::recordBarrier(device_, commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT,
                          VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
}

Result<std::map<TensorId, std::vector<std::byte>>> VulkanDispatchRunner::run() {
    // The host's copy too: what no device writes must not be taken for the last run's result.
    std::memset(readback_.mapped(), std::to_integer<int>(kUnwritten), readback_.sizeBytes());
    DUNLIN_TRY(readback_.flush(0, readback_.sizeBytes()));
    DUNLIN_TRY(clock_.run([&](VkCommandBuffer commands) {
        for (const Watched& watched : watched_) {
            device_.functions().CmdFillBuffer(commands, watched.buffer, watched.offset, watched.sizeBytes,
                                              kUnwrittenWord);
        }
        vulkan::recordBarrier(device_, commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT,
                              VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                              VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
        recordState(commands, kWideSet);
        recordDispatch(commands);
        recordReadback(commands);
    }));
    DUNLIN_TRY(readback_.invalidate(0, readback_.sizeBytes()));
    DUNLIN_TRY(checkGuards());
    std::map<TensorId, std::vector<std::byte>> result;
    for (const Watched& watched : watched_) {
        if (watched.tensor < 0) continue;
        const std::byte* bytes = readback_.mapped() + watched.readbackOffset;
        result.emplace(watched.tensor, std::vector<std::byte>(bytes + watched.begin, bytes + watched.end));
    }
    return result;
}

Status VulkanDispatchRunner::checkGuards() const {
    const auto isUnwritten = [](std::byte byte) { return byte == kUnwritten; };
    for (const Watched& watched : watched_) {
        const std::byte* bytes = readback_.mapped() + watched.readbackOffset;
        if (std::all_of(bytes, bytes + watched.begin, isUnwritten) &&
            std::all_of(bytes + watched.end, bytes + watched.sizeBytes, isUnwritten)) {
            continue;
        }
        const char* name = row(dispatch_.variant.kernel).bindings[watched.binding].name;
        return watched.tensor >= 0
                   ? error(StatusCode::InvalidArgument, "wrote outside of binding %u (%s)", watched.binding, name)
                   : error(StatusCode::InvalidArgument, "wrote to binding %u (%s), which has no use here",
                           watched.binding, name);
    }
    return Status();
}

Result<double> VulkanDispatchRunner::timeNs(uint32_t repeats) {
    if (repeats < 1 || repeats > kMaxRepeats) {
        return error(StatusCode::InvalidArgument, "%u repeats; 1 to %u are possible", repeats, kMaxRepeats);
    }
    DUNLIN_ASSIGN(const double totalNs, clock_.timeNs([&](VkCommandBuffer commands) {
        recordState(commands, kExactSet);
        for (uint32_t i = 0; i < repeats; ++i) {
            if (i > 0) {
                vulkan::recordBarrier(device_, commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                                      VK_ACCESS_SHADER_WRITE_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                                      VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
            }
            recordDispatch(commands);
        }
    }));
    return totalNs / repeats;
}

}  // namespace

Result<std::unique_ptr<DispatchRunner>> DispatchRunner::create(
    const vulkan::VulkanDevice& device, const vulkan::Pipeline& pipeline, const Dispatch& dispatch,
    const std::map<TensorId, uint64_t>& tensorBytes, const std::map<TensorId, std::vector<std::byte>>& contents,
    const RunnerPicture* picture) {
    DUNLIN_TRY(checkBindings(dispatch, tensorBytes, contents));
    if (dispatch.variant.kernel == Kernel::Preprocess) DUNLIN_TRY(checkPicture(dispatch, picture));
    uint64_t totalBytes = picture ? picture->pixels.size() : 0;
    for (const auto& [tensor, bytes] : tensorBytes) totalBytes += bytes;
    DUNLIN_TRY(vulkan::checkBudget(device, totalBytes, "the tensors of one dispatch"));
    DUNLIN_ASSIGN(SubmissionClock clock, SubmissionClock::create(device));
    auto runner = std::make_unique<VulkanDispatchRunner>(device, pipeline, dispatch, std::move(clock));
    DUNLIN_TRY(runner->createTensors(tensorBytes, contents));
    DUNLIN_TRY(runner->bind(picture));
    return std::unique_ptr<DispatchRunner>(std::move(runner));
}

Result<uint32_t> repeatsFor(DispatchRunner& runner, double sampleNs) {
    constexpr uint32_t kMax = DispatchRunner::kMaxRepeats;
    DUNLIN_ASSIGN(const double coldNs, runner.timeNs(1));
    uint32_t repeats = 1;
    double totalNs = coldNs;
    // The first one may have taken much longer than those that follow; and short samples are mostly noise.
    while (true) {
        DUNLIN_ASSIGN(const double oneNs, runner.timeNs(repeats));
        totalNs = oneNs * repeats;
        const double wanted = totalNs > 0 ? std::ceil(repeats * sampleNs / totalNs) : kMax;
        const auto next = static_cast<uint32_t>(std::clamp<double>(wanted, 1, kMax));
        if (totalNs >= sampleNs / 4 || next <= repeats) return next;
        repeats = std::min(next, repeats * 16);  // a single one may be far too short to tell
    }
}

}  // namespace dunlin::tuning
