#include <algorithm>
#include <bit>
#include <cstring>

#include "bench_shaders.h"
#include "runtime/plan/prepack.h"
#include "runtime/vulkan/recorder.h"
#include "tools/bench/ceilings_parts.h"
#include "tools/bench/probe.h"

namespace dunlin::bench {
namespace {

using vulkan::Buffer;
using vulkan::MemoryUse;

constexpr VkDescriptorType kStorage = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
constexpr VkDescriptorType kTexels = VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER;
constexpr VkBufferUsageFlags kUsage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT |
                                      VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
constexpr uint32_t kCopyWorkgroup = 64;  // small, so that small sets are spread over the device
constexpr uint32_t kElementBytes = 16;
constexpr uint32_t kCopyShift = 8 * 37;  // odd in lines of 128 bytes

// Takes all measurements of one device, one after the other.
class VulkanCeilings {
  public:
    VulkanCeilings(const vulkan::VulkanDevice& device, tuning::SubmissionClock clock)
        : device_(device), clock_(std::move(clock)) {
        // A software driver's samples are as much longer as it is slower.
        if (device.capabilities().isSoftware()) sampling_ = {10e6, 300e6};
    }
    Result<Ceilings> measure();

  private:
    // Invocations of a workgroup, and workgroups that fill the largest GPUs several times.
    uint32_t workgroupSize() const {
        const DeviceLimits& limits = device_.limits();
        return std::min({256u, limits.maxWorkgroupInvocations, limits.maxWorkgroupSize[0]});
    }
    uint32_t workgroups() const { return device_.capabilities().isSoftware() ? 64 : 4096; }

    Result<double> roundNs(const Probe& probe, Probe::Work work, size_t roundsWord);
    Result<double> arithmetic(std::span<const uint32_t> code, std::array<uint32_t, 2> numbers, double operations);
    Status measureArithmetic();
    bool hasFastDotProducts() const;
    Status measureInt8();
    Status measureMatrix();
    Result<double> matrixRate(const VkCooperativeMatrixPropertiesKHR& shape);
    Result<std::vector<uint32_t>> firstWords(const Buffer& buffer, size_t count);
    Status allocateHalves();
    Status measureBandwidth();
    Result<Probe> copyProbe(uint64_t setBytes, bool texels);
    Probe::Work copyWork(uint64_t setBytes, uint32_t passes) const;
    Status checkCopies();
    Status measureDispatches();

    const vulkan::VulkanDevice& device_;
    tuning::SubmissionClock clock_;
    Sampling sampling_;
    Buffer target_, source_;  // of copies
    Ceilings result_;
};

// Of one round, where push[roundsWord] counts them.
Result<double> VulkanCeilings::roundNs(const Probe& probe, Probe::Work work, size_t roundsWord) {
    return fastestRoundNs(sampling_, [&](uint32_t rounds) {
        work.push[roundsWord] = rounds;
        return clock_.timeNs([&](VkCommandBuffer commands) { probe.record(commands, work); });
    });
}

// Operations a second of a program that does so many a round and invocation, from two numbers to begin with.
Result<double> VulkanCeilings::arithmetic(std::span<const uint32_t> code, std::array<uint32_t, 2> numbers,
                                          double operations) {
    DUNLIN_ASSIGN(Probe probe, Probe::create(device_, code, {kStorage}, {workgroupSize()}));
    const double invocations = static_cast<double>(workgroups()) * workgroupSize();
    const uint64_t resultBytes = uint64_t{workgroups()} * workgroupSize() * 4;
    DUNLIN_ASSIGN(const Buffer results, Buffer::create(device_, resultBytes, kUsage, MemoryUse::Device));
    DUNLIN_TRY(probe.bind(0, results, resultBytes));
    DUNLIN_ASSIGN(const double ns, roundNs(probe, {{0, numbers[0], numbers[1]}, workgroups()}, 0));
    return invocations * operations / ns * 1e9;
}

Status VulkanCeilings::measureArithmetic() {
    constexpr double kOperations = 2 * 128;  // fma.comp
    const std::array<uint32_t, 2> numbers = {std::bit_cast<uint32_t>(0.5f), std::bit_cast<uint32_t>(0.5f)};
    DUNLIN_ASSIGN(result_.fp32, arithmetic(k_fma, numbers, kOperations));
    if (!device_.enabled().fp16()) return Status();
    DUNLIN_ASSIGN(result_.fp16, arithmetic(k_fma_fp16, numbers, kOperations));
    return Status();
}

bool VulkanCeilings::hasFastDotProducts() const {
    VkPhysicalDeviceShaderIntegerDotProductProperties dot{};
    dot.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_PROPERTIES;
    VkPhysicalDeviceProperties2 properties{};
    properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
    properties.pNext = &dot;
    device_.instanceFunctions().GetPhysicalDeviceProperties2(device_.physicalDevice(), &properties);
    return dot.integerDotProduct4x8BitPackedSignedAccelerated == VK_TRUE;
}

Status VulkanCeilings::measureInt8() {
    constexpr double kOperations = 8 * 32;  // int8.comp
    const std::array<uint32_t, 2> numbers = {0x03fd05fb, 0x12345678};
    const bool hasDot = device_.instruments().integerDotProduct;
    if (hasDot && !hasFastDotProducts()) {
        result_.notices.push_back("int8: the device has dot products, but makes them of other instructions");
    }
    if (!hasDot) {
        result_.notices.push_back(
            "int8: the device has no dot products (VK_KHR_shader_integer_dot_product); its rate is that of plain "
            "arithmetic on bytes");
    }
    const std::span<const uint32_t> code = hasDot ? std::span<const uint32_t>(k_int8_dot) : k_int8;
    DUNLIN_ASSIGN(result_.int8, arithmetic(code, numbers, kOperations));
    return Status();
}

Result<double> VulkanCeilings::matrixRate(const VkCooperativeMatrixPropertiesKHR& shape) {
    constexpr double kChains = 4;  // matrix.comp
    const DeviceLimits& limits = device_.limits();
    const uint32_t whole = std::min(workgroupSize(), 4 * limits.subgroupSize) / limits.subgroupSize;
    const uint32_t size = std::max(1u, whole) * limits.subgroupSize;
    DUNLIN_ASSIGN(Probe probe, Probe::create(device_, k_matrix, {kStorage, kStorage},
                                             {size, shape.MSize, shape.NSize, shape.KSize}));
    const uint64_t sumBytes = uint64_t{workgroups()} * (size + 1) * 4;
    const uint64_t factorCount = uint64_t{shape.KSize} * (shape.MSize + shape.NSize);
    std::vector<uint16_t> factors;
    for (uint64_t i = 0; i < factorCount; ++i) {
        factors.push_back(toHalf((i * 7 % 3 == 0 ? -1.0f : 1.0f) * (0.01f + 0.0001f * static_cast<float>(i % 64))));
    }
    factors.resize((factorCount + 7) / 8 * 8);
    DUNLIN_ASSIGN(const Buffer sums, Buffer::create(device_, sumBytes, kUsage, MemoryUse::Device));
    DUNLIN_ASSIGN(const Buffer factorBuffer, Buffer::create(device_, factors.size() * 2, kUsage, MemoryUse::Device));
    DUNLIN_ASSIGN(vulkan::Uploader uploader, vulkan::Uploader::create(device_));
    DUNLIN_TRY(uploader.write(factorBuffer, 0, std::as_bytes(std::span(factors))));
    DUNLIN_TRY(uploader.finish());
    DUNLIN_TRY(probe.bind(0, sums, sumBytes));
    DUNLIN_TRY(probe.bind(1, factorBuffer, factors.size() * 2));
    DUNLIN_ASSIGN(const double ns, roundNs(probe, {{}, workgroups()}, 0));
    // What matrix.comp counted: a driver may choose smaller subgroups than it says.
    DUNLIN_ASSIGN(const std::vector<uint32_t> counted, firstWords(sums, 1));
    const double subgroups = std::bit_cast<float>(counted.front());
    if (!(subgroups >= 1)) {
        return error(StatusCode::DeviceError, "a workgroup of cooperative matrices counted %g subgroups", subgroups);
    }
    const double products = kChains * workgroups() * subgroups;
    return products * 2 * shape.MSize * shape.NSize * shape.KSize / ns * 1e9;
}

Result<std::vector<uint32_t>> VulkanCeilings::firstWords(const Buffer& buffer, size_t count) {
    const uint64_t bytes = count * sizeof(uint32_t);
    DUNLIN_ASSIGN(const Buffer readback,
                  Buffer::create(device_, bytes, VK_BUFFER_USAGE_TRANSFER_DST_BIT, MemoryUse::Readback));
    DUNLIN_TRY(clock_.run([&](VkCommandBuffer commands) {
        const VkBufferCopy region = {0, 0, bytes};
        device_.functions().CmdCopyBuffer(commands, buffer.handle(), readback.handle(), 1, &region);
        vulkan::recordBarrier(device_, commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT,
                              VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
    }));
    DUNLIN_TRY(readback.invalidate(0, bytes));
    std::vector<uint32_t> words(count);
    std::memcpy(words.data(), readback.mapped(), bytes);
    return words;
}

Status VulkanCeilings::measureMatrix() {
    const auto query = device_.instanceFunctions().GetPhysicalDeviceCooperativeMatrixPropertiesKHR;
    if (!device_.instruments().cooperativeMatrix || !device_.enabled().fp16() || !query) return Status();
    uint32_t count = 0;
    DUNLIN_TRY(vulkan::check(query(device_.physicalDevice(), &count, nullptr),
                             "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR"));
    VkCooperativeMatrixPropertiesKHR empty{};
    empty.sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;
    std::vector<VkCooperativeMatrixPropertiesKHR> shapes(count, empty);
    DUNLIN_TRY(vulkan::check(query(device_.physicalDevice(), &count, shapes.data()),
                             "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR"));
    for (const VkCooperativeMatrixPropertiesKHR& shape : shapes) {
        const bool half = shape.AType == VK_COMPONENT_TYPE_FLOAT16_KHR && shape.BType == VK_COMPONENT_TYPE_FLOAT16_KHR;
        const bool single =
            shape.CType == VK_COMPONENT_TYPE_FLOAT32_KHR && shape.ResultType == VK_COMPONENT_TYPE_FLOAT32_KHR;
        if (!half || !single || shape.scope != VK_SCOPE_SUBGROUP_KHR) continue;
        DUNLIN_ASSIGN(const double rate, matrixRate(shape));
        result_.matrix = std::max(result_.matrix.value_or(0), rate);
    }
    return Status();
}

// As large as the device allows, and memory of which half is left for others.
Status VulkanCeilings::allocateHalves() {
    constexpr uint64_t kMostBytes = uint64_t{128} << 20, kLeastBytes = uint64_t{8} << 10;
    const DeviceLimits& limits = device_.limits();
    uint64_t bytes = kMostBytes;
    while (bytes > limits.maxStorageBufferRange || bytes > limits.maxAllocationBytes ||
           bytes > device_.availableBytes() / 4) {
        bytes /= 2;
    }
    for (; bytes >= kLeastBytes; bytes /= 2) {
        Result<Buffer> target = Buffer::create(device_, bytes, kUsage, MemoryUse::Device);
        Result<Buffer> source = Buffer::create(device_, bytes, kUsage, MemoryUse::Device);
        if (!target.ok() || !source.ok()) continue;
        target_ = *std::move(target);
        source_ = *std::move(source);
        break;
    }
    if (source_.sizeBytes() == kMostBytes) return Status();
    result_.notices.push_back("bandwidth: working sets end at " + std::to_string(2 * source_.sizeBytes()) +
                              " bytes, by the device's memory or limits");
    return Status();
}

Result<Probe> VulkanCeilings::copyProbe(uint64_t setBytes, bool texels) {
    const std::span<const uint32_t> code = texels ? std::span<const uint32_t>(k_copy_texel) : k_copy;
    DUNLIN_ASSIGN(Probe probe, Probe::create(device_, code, {kStorage, texels ? kTexels : kStorage}, {kCopyWorkgroup}));
    DUNLIN_TRY(probe.bind(0, target_, setBytes / 2));
    DUNLIN_TRY(probe.bind(1, source_, setBytes / 2));
    return probe;
}

Probe::Work VulkanCeilings::copyWork(uint64_t setBytes, uint32_t passes) const {
    const auto count = static_cast<uint32_t>(setBytes / 2 / kElementBytes);
    return {{count, passes, kCopyShift}, (count / 4 + kCopyWorkgroup - 1) / kCopyWorkgroup};
}

// That both ways do copy, before they are timed: a program that leaves something out is no measure.
Status VulkanCeilings::checkCopies() {
    constexpr uint64_t kSetBytes = uint64_t{16} << 10;
    constexpr uint32_t kPasses = 3, kWordsPerElement = kElementBytes / 4;
    std::vector<uint32_t> words(kSetBytes / 2 / 4);
    for (uint32_t i = 0; i < words.size(); ++i) words[i] = i * 2654435761u >> 1;
    DUNLIN_ASSIGN(vulkan::Uploader uploader, vulkan::Uploader::create(device_, kSetBytes));
    DUNLIN_TRY(uploader.write(source_, 0, std::as_bytes(std::span(words))));
    DUNLIN_TRY(uploader.finish());
    for (const bool texels : {false, true}) {
        DUNLIN_ASSIGN(const Probe probe, copyProbe(kSetBytes, texels));
        DUNLIN_TRY(clock_.run([&](VkCommandBuffer commands) {
            device_.functions().CmdFillBuffer(commands, target_.handle(), 0, kSetBytes / 2, 0);
            vulkan::recordBarrier(device_, commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT,
                                  VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT);
            probe.record(commands, copyWork(kSetBytes, kPasses));
            vulkan::recordBarrier(device_, commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
                                  VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_READ_BIT);
        }));
        DUNLIN_ASSIGN(const std::vector<uint32_t> copied, firstWords(target_, words.size()));
        for (size_t i = 0; i < words.size(); ++i) {
            const size_t from = (i + size_t{kPasses - 1} * kCopyShift * kWordsPerElement) % words.size();
            if (copied[i] == words[from]) continue;
            return error(StatusCode::DeviceError, "the device copied 0x%08x where 0x%08x was, at word %zu of %zu",
                         copied[i], words[from], i, words.size());
        }
    }
    return Status();
}

Status VulkanCeilings::measureBandwidth() {
    DUNLIN_TRY(allocateHalves());
    if (source_.sizeBytes() == 0) return Status();
    DUNLIN_TRY(checkCopies());
    DUNLIN_TRY(clock_.run([&](VkCommandBuffer commands) {
        device_.functions().CmdFillBuffer(commands, source_.handle(), 0, VK_WHOLE_SIZE, 0x12345678);
        vulkan::recordBarrier(device_, commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT,
                              VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_READ_BIT);
    }));
    constexpr size_t kPassesWord = 1;
    const Sampling all = sampling_;
    sampling_.budgetNs = all.budgetNs / 5;  // of many points, on warm clocks
    for (uint64_t setBytes : workingSets(2 * source_.sizeBytes())) {
        DUNLIN_ASSIGN(const Probe probe, copyProbe(setBytes, false));
        DUNLIN_ASSIGN(double ns, roundNs(probe, copyWork(setBytes, 0), kPassesWord));
        if (setBytes / 2 / kElementBytes <= device_.limits().maxTexelBufferElements) {
            DUNLIN_ASSIGN(const Probe texelProbe, copyProbe(setBytes, true));
            DUNLIN_ASSIGN(const double texelNs, roundNs(texelProbe, copyWork(setBytes, 0), kPassesWord));
            ns = std::min(ns, texelNs);
        }
        result_.bandwidth.push_back({setBytes, static_cast<double>(setBytes) / ns * 1e9});
    }
    sampling_ = all;
    return Status();
}

Status VulkanCeilings::measureDispatches() {
    constexpr uint32_t kDispatches = 1000, kSize = 64, kSamples = 10;
    DUNLIN_ASSIGN(const Buffer results, Buffer::create(device_, kSize * 4, kUsage, MemoryUse::Device));
    DUNLIN_ASSIGN(Probe empty, Probe::create(device_, k_tiny_empty, {kStorage}, {kSize}));
    DUNLIN_ASSIGN(Probe writing, Probe::create(device_, k_tiny, {kStorage}, {kSize}));
    DUNLIN_TRY(empty.bind(0, results, kSize * 4));
    DUNLIN_TRY(writing.bind(0, results, kSize * 4));
    for (const bool barriers : {false, true}) {
        const Probe& probe = barriers ? writing : empty;
        double& best = barriers ? result_.barrierNs : result_.dispatchNs;
        for (uint32_t i = 0; i < kSamples; ++i) {
            DUNLIN_ASSIGN(const double ns, clock_.timeNs([&](VkCommandBuffer commands) {
                probe.record(commands, {{1}, 1, kDispatches, barriers});
            }));
            best = i == 0 ? ns / kDispatches : std::min(best, ns / kDispatches);
        }
    }
    for (uint32_t i = 0; i < kSamples; ++i) {
        DUNLIN_ASSIGN(const double ns, clock_.submissionNs());
        result_.submitNs = i == 0 ? ns : std::min(result_.submitNs, ns);
    }
    return Status();
}

Result<Ceilings> VulkanCeilings::measure() {
    DUNLIN_TRY(measureArithmetic());
    DUNLIN_TRY(measureInt8());
    DUNLIN_TRY(measureMatrix());
    DUNLIN_TRY(measureBandwidth());
    DUNLIN_TRY(measureDispatches());
    if (!clock_.usesGpuClock()) {
        result_.notices.push_back(
            "ceilings: the queue has no timestamps; times are the wall clock's, less the cost of a submission");
    }
    return std::move(result_);
}

}  // namespace

Result<Ceilings> measureVulkanCeilings(const vulkan::VulkanDevice& device) {
    DUNLIN_ASSIGN(tuning::SubmissionClock clock, tuning::SubmissionClock::create(device));
    return VulkanCeilings(device, std::move(clock)).measure();
}

}  // namespace dunlin::bench
