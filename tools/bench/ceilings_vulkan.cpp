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

// What submitted commands use. It ends with whoever holds it, not with the function that made it.
class Kept {
  public:
    template <typename Object>
    Object& operator()(Object object) {
        auto kept = std::make_shared<Object>(std::move(object));
        objects_.push_back(kept);
        return *kept;
    }
    void clear() { objects_.clear(); }

  private:
    std::vector<std::shared_ptr<void>> objects_;
};

// Takes all measurements of one device, one after the other. Holds all that the device works with, and the device: once
// the device is lost, it must not be destroyed (see measureVulkanCeilings).
class VulkanCeilings {
  public:
    VulkanCeilings(std::shared_ptr<const vulkan::VulkanDevice> device, tuning::SubmissionClock clock)
        : owner_(std::move(device)), device_(*owner_), clock_(std::move(clock)) {
        // A software driver's samples are as much longer as it is slower.
        if (device_.capabilities().isSoftware()) sampling_ = {10e6, 150e6};
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
    Result<double> arithmetic(const ArithmeticProgram& program);
    bool hasFastDotProducts() const;
    Status measureInt8();
    Status measureMatrix();
    Result<double> matrixRate(const VkCooperativeMatrixPropertiesKHR& shape);
    Result<std::vector<uint32_t>> firstWords(const Buffer& buffer, size_t count);
    Status allocateHalves();
    Status prepareBandwidth();
    Status measureBandwidth();
    Result<const Probe*> copyProbe(uint64_t setBytes, bool texels);
    Probe::Work copyWork(uint64_t setBytes, uint32_t passes) const;
    Status checkCopies();
    Status measureDispatches();

    void notice(const std::string& text);
    Status orNotice(const char* what, const Status& status);
    Status warmUp();
    Status measureRates();

    std::shared_ptr<const vulkan::VulkanDevice> owner_;  // first: destroyed last
    const vulkan::VulkanDevice& device_;
    tuning::SubmissionClock clock_;
    Sampling sampling_;
    Kept kept_;
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

void keepBest(std::optional<double>& best, double rate) {
    best = std::max(best.value_or(0), rate);
}

void VulkanCeilings::notice(const std::string& text) {
    std::vector<std::string>& notices = result_.notices;
    if (std::ranges::find(notices, text) == notices.end()) notices.push_back(text);
}

// What fails leaves the rest of the ceilings to be measured, unless the device is lost.
Status VulkanCeilings::orNotice(const char* what, const Status& status) {
    if (status.ok() || status.code() == StatusCode::DeviceLost) return status;
    notice(std::string(what) + ": " + status.message());
    return Status();
}

// Operations a second.
Result<double> VulkanCeilings::arithmetic(const ArithmeticProgram& program) {
    kept_.clear();
    DUNLIN_ASSIGN(Probe created, Probe::create(device_, program.code, {kStorage}, {workgroupSize()}));
    Probe& probe = kept_(std::move(created));
    const double invocations = static_cast<double>(workgroups()) * workgroupSize();
    const uint64_t resultBytes = uint64_t{workgroups()} * workgroupSize() * 4;
    DUNLIN_ASSIGN(Buffer allocated, Buffer::create(device_, resultBytes, kUsage, MemoryUse::Device));
    DUNLIN_TRY(probe.bind(0, kept_(std::move(allocated)), resultBytes));
    DUNLIN_ASSIGN(const double ns, roundNs(probe, {{0, program.numbers[0], program.numbers[1]}, workgroups()}, 0));
    return invocations * program.operations / ns * 1e9;
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
    const bool hasDot = device_.instruments().integerDotProduct;
    if (hasDot && !hasFastDotProducts()) {
        notice("int8: the device has dot products, but makes them of other instructions");
    }
    if (!hasDot) {
        notice(
            "int8: the device has no dot products (VK_KHR_shader_integer_dot_product); its rate is that of plain "
            "arithmetic on bytes");
    }
    DUNLIN_ASSIGN(const double rate, arithmetic(int8Program(hasDot)));
    keepBest(result_.int8, rate);
    return Status();
}

Result<double> VulkanCeilings::matrixRate(const VkCooperativeMatrixPropertiesKHR& shape) {
    const MatrixProgram program = matrixProgram();
    const DeviceLimits& limits = device_.limits();
    const uint32_t whole = std::min(workgroupSize(), 4 * limits.subgroupSize) / limits.subgroupSize;
    const uint32_t size = std::max(1u, whole) * limits.subgroupSize;
    kept_.clear();
    DUNLIN_ASSIGN(Probe created, Probe::create(device_, program.code, {kStorage, kStorage},
                                               {size, shape.MSize, shape.NSize, shape.KSize}));
    Probe& probe = kept_(std::move(created));
    const uint64_t sumBytes = uint64_t{workgroups()} * (size + 1) * 4;
    const uint64_t factorCount = uint64_t{shape.KSize} * (shape.MSize + shape.NSize);
    std::vector<uint16_t> factors;
    for (uint64_t i = 0; i < factorCount; ++i) {
        factors.push_back(toHalf((i * 7 % 3 == 0 ? -1.0f : 1.0f) * (0.01f + 0.0001f * static_cast<float>(i % 64))));
    }
    factors.resize((factorCount + 7) / 8 * 8);
    DUNLIN_ASSIGN(Buffer sumBuffer, Buffer::create(device_, sumBytes, kUsage, MemoryUse::Device));
    const Buffer& sums = kept_(std::move(sumBuffer));
    DUNLIN_ASSIGN(Buffer allocated, Buffer::create(device_, factors.size() * 2, kUsage, MemoryUse::Device));
    const Buffer& factorBuffer = kept_(std::move(allocated));
    DUNLIN_ASSIGN(vulkan::Uploader createdUploader, vulkan::Uploader::create(device_, factors.size() * 2));
    vulkan::Uploader& uploader = kept_(std::move(createdUploader));
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
    const double products = program.products * workgroups() * subgroups;
    return products * 2 * shape.MSize * shape.NSize * shape.KSize / ns * 1e9;
}

Result<std::vector<uint32_t>> VulkanCeilings::firstWords(const Buffer& buffer, size_t count) {
    const uint64_t bytes = count * sizeof(uint32_t);
    DUNLIN_ASSIGN(Buffer allocated,
                  Buffer::create(device_, bytes, VK_BUFFER_USAGE_TRANSFER_DST_BIT, MemoryUse::Readback));
    const Buffer& readback = kept_(std::move(allocated));
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
    if (!device_.enabled().cooperativeMatrix || !query) return Status();
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
        const Result<double> rate = matrixRate(shape);
        const std::string name = "a cooperative matrix of " + std::to_string(shape.MSize) + "x" +
                                 std::to_string(shape.NSize) + "x" + std::to_string(shape.KSize);
        DUNLIN_TRY(orNotice(name.c_str(), rate.status()));
        if (rate.ok()) keepBest(result_.matrix, *rate);
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
    notice("bandwidth: working sets end at " + std::to_string(2 * source_.sizeBytes()) +
           " bytes, by the device's memory or limits");
    return Status();
}

Result<const Probe*> VulkanCeilings::copyProbe(uint64_t setBytes, bool texels) {
    const std::span<const uint32_t> code = texels ? std::span<const uint32_t>(k_copy_texel) : k_copy;
    DUNLIN_ASSIGN(Probe created,
                  Probe::create(device_, code, {kStorage, texels ? kTexels : kStorage}, {kCopyWorkgroup}));
    Probe& probe = kept_(std::move(created));
    DUNLIN_TRY(probe.bind(0, target_, setBytes / 2));
    DUNLIN_TRY(probe.bind(1, source_, setBytes / 2));
    return &probe;
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
    DUNLIN_ASSIGN(vulkan::Uploader created, vulkan::Uploader::create(device_, kSetBytes));
    vulkan::Uploader& uploader = kept_(std::move(created));
    DUNLIN_TRY(uploader.write(source_, 0, std::as_bytes(std::span(words))));
    DUNLIN_TRY(uploader.finish());
    for (const bool texels : {false, true}) {
        DUNLIN_ASSIGN(const Probe* probe, copyProbe(kSetBytes, texels));
        DUNLIN_TRY(clock_.run([&](VkCommandBuffer commands) {
            device_.functions().CmdFillBuffer(commands, target_.handle(), 0, kSetBytes / 2, 0);
            vulkan::recordBarrier(device_, commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT,
                                  VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT);
            probe->record(commands, copyWork(kSetBytes, kPasses));
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

Status VulkanCeilings::prepareBandwidth() {
    DUNLIN_TRY(allocateHalves());
    if (source_.sizeBytes() == 0) return Status();
    DUNLIN_TRY(checkCopies());
    return clock_.run([&](VkCommandBuffer commands) {
        device_.functions().CmdFillBuffer(commands, source_.handle(), 0, VK_WHOLE_SIZE, 0x12345678);
        vulkan::recordBarrier(device_, commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT,
                              VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_READ_BIT);
    });
}

Status VulkanCeilings::measureBandwidth() {
    if (source_.sizeBytes() == 0) return Status();
    constexpr size_t kPassesWord = 1;
    const Sampling all = sampling_;
    sampling_.budgetNs = all.budgetNs / 5;  // of many points, on warm clocks
    const std::vector<uint64_t> sets = workingSets(2 * source_.sizeBytes());
    result_.bandwidth.resize(sets.size());
    for (size_t i = 0; i < sets.size(); ++i) {
        kept_.clear();
        DUNLIN_ASSIGN(const Probe* probe, copyProbe(sets[i], false));
        DUNLIN_ASSIGN(double ns, roundNs(*probe, copyWork(sets[i], 0), kPassesWord));
        if (sets[i] / 2 / kElementBytes <= device_.limits().maxTexelBufferElements) {
            DUNLIN_ASSIGN(const Probe* texelProbe, copyProbe(sets[i], true));
            DUNLIN_ASSIGN(const double texelNs, roundNs(*texelProbe, copyWork(sets[i], 0), kPassesWord));
            ns = std::min(ns, texelNs);
        }
        BandwidthPoint& point = result_.bandwidth[i];
        point.workingSetBytes = sets[i];
        point.bytesPerSecond = std::max(point.bytesPerSecond, static_cast<double>(sets[i]) / ns * 1e9);
    }
    sampling_ = all;
    return Status();
}

Status VulkanCeilings::measureDispatches() {
    constexpr uint32_t kDispatches = 1000, kSize = 64, kSamples = 10;
    kept_.clear();
    DUNLIN_ASSIGN(Buffer allocated, Buffer::create(device_, kSize * 4, kUsage, MemoryUse::Device));
    const Buffer& results = kept_(std::move(allocated));
    DUNLIN_ASSIGN(Probe createdEmpty, Probe::create(device_, k_tiny_empty, {kStorage}, {kSize}));
    Probe& empty = kept_(std::move(createdEmpty));
    DUNLIN_ASSIGN(Probe createdWriting, Probe::create(device_, k_tiny, {kStorage}, {kSize}));
    Probe& writing = kept_(std::move(createdWriting));
    DUNLIN_TRY(empty.bind(0, results, kSize * 4));
    DUNLIN_TRY(writing.bind(0, results, kSize * 4));
    for (const bool barriers : {false, true}) {
        const Probe& probe = barriers ? writing : empty;
        double& best = barriers ? result_.barrierNs : result_.dispatchNs;
        for (uint32_t i = 0; i < kSamples; ++i) {
            DUNLIN_ASSIGN(const double ns, clock_.timeNs([&](VkCommandBuffer commands) {
                probe.record(commands, {{1}, 1, kDispatches, barriers});
            }));
            best = best == 0 ? ns / kDispatches : std::min(best, ns / kDispatches);
        }
    }
    for (uint32_t i = 0; i < kSamples; ++i) {
        DUNLIN_ASSIGN(const double ns, clock_.submissionNs());
        result_.submitNs = result_.submitNs == 0 ? ns : std::min(result_.submitNs, ns);
    }
    return Status();
}

// A device that idled begins slowly: its clocks rise while it works.
Status VulkanCeilings::warmUp() {
    const Sampling all = sampling_;
    const int times = device_.capabilities().isSoftware() ? 1 : 3;
    sampling_.budgetNs = 100e6;
    for (int i = 0; i < times; ++i) DUNLIN_TRY(arithmetic(fmaProgram(/* fp16= */ false)).status());
    sampling_ = all;
    return Status();
}

Status VulkanCeilings::measureRates() {
    DUNLIN_ASSIGN(const double fp32, arithmetic(fmaProgram(/* fp16= */ false)));
    keepBest(result_.fp32, fp32);
    if (device_.enabled().fp16()) {
        const Result<double> fp16 = arithmetic(fmaProgram(/* fp16= */ true));
        DUNLIN_TRY(orNotice("fp16", fp16.status()));
        if (fp16.ok()) keepBest(result_.fp16, *fp16);
    }
    DUNLIN_TRY(orNotice("int8", measureInt8()));
    return orNotice("matrix", measureMatrix());
}

Result<Ceilings> VulkanCeilings::measure() {
    constexpr int kPasses = 2;  // apart from each other, and the best is kept: other programs disturb some of it
    DUNLIN_TRY(warmUp());
    DUNLIN_TRY(prepareBandwidth());
    for (int pass = 0; pass < kPasses; ++pass) {
        DUNLIN_TRY(measureRates());
        DUNLIN_TRY(measureBandwidth());
        DUNLIN_TRY(measureDispatches());
    }
    if (!clock_.usesGpuClock()) {
        notice("ceilings: the queue has no timestamps; times are the wall clock's, less the cost of a submission");
    }
    return std::move(result_);
}

}  // namespace

ArithmeticProgram fmaProgram(bool fp16) {
    constexpr double kOperations = 2 * 128;  // fma.comp
    const uint32_t half = std::bit_cast<uint32_t>(0.5f);
    const std::span<const uint32_t> code = fp16 ? std::span<const uint32_t>(k_fma_fp16) : k_fma;
    return {code, {half, half}, kOperations};
}

ArithmeticProgram int8Program(bool dot) {
    constexpr double kOperations = 8 * 32;  // int8.comp
    const std::span<const uint32_t> code = dot ? std::span<const uint32_t>(k_int8_dot) : k_int8;
    return {code, {0x03fd05fb, 0x12345678}, kOperations};
}

MatrixProgram matrixProgram() {
    return {k_matrix, 4};  // matrix.comp
}

Result<Ceilings> measureVulkanCeilings(std::shared_ptr<const vulkan::VulkanDevice> device) {
    DUNLIN_ASSIGN(tuning::SubmissionClock clock, tuning::SubmissionClock::create(*device));
    auto measurement = std::make_unique<VulkanCeilings>(std::move(device), std::move(clock));
    Result<Ceilings> result = measurement->measure();
    // What was submitted may still run, and use all that the measurement holds. To destroy that would be wrong, and to
    // wait for the device, as its destructor does, might take for ever. So it stays until the process ends.
    if (result.status().code() == StatusCode::DeviceLost) (void)measurement.release();
    return result;
}

}  // namespace dunlin::bench
