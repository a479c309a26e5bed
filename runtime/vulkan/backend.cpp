#include "runtime/vulkan/backend.h"

#include <algorithm>

#include "runtime/plan/lower.h"

namespace dunlin::vulkan {
namespace {

// How much of the time of a first session the upload takes; compilation is the rest.
constexpr float kUploadShare = 0.3f;

std::function<bool(float)> partOf(const std::function<bool(float)>& progress, float begin, float end) {
    if (!progress) return {};
    return [=](float done) { return progress(begin + done * (end - begin)); };
}

SessionOptions withDefaults(SessionOptions options, const PreprocessSpec& spec) {
    if (options.height == 0) options.height = spec.inputHeight;
    if (options.width == 0) options.width = spec.inputWidth;
    return options;
}

// What a session's memory consists of besides the network's own, and how much there may be in all.
struct MemoryBudget {
    uint64_t totalBytes = 0;
    uint64_t weightBytes = 0;       // as they lie on the device
    uint64_t tightWeightBytes = 0;  // as the lowering counts them
    uint64_t residentBytes = 0;     // of weightBytes, already on the device
    uint64_t stagingBytes = 0;
};

MemoryBudget budgetFor(const VulkanDevice& device, const std::vector<Constant>& constants, const Graph& graph,
                       const DeviceModel* resident, const VulkanSessionOptions& options) {
    MemoryBudget budget;
    for (const Constant& constant : constants) budget.tightWeightBytes += constant.sizeBytes;
    const DeviceModel::Need need = DeviceModel::needOf(constants, resident, device.limits());
    budget.weightBytes = need.totalBytes;
    budget.residentBytes = need.residentBytes;
    budget.stagingBytes = stagingBytes(graph.shape(graph.input()), options);
    budget.totalBytes = std::min(device.availableBytes() + budget.residentBytes, options.memoryLimitBytes);
    return budget;
}

// The lowering counts tight weights and one slot: a slot's share of what the rest leaves.
uint64_t slotBudgetBytes(const MemoryBudget& budget, uint64_t unusedBytes, int slots) {
    const uint64_t sharedBytes = budget.weightBytes + budget.stagingBytes + unusedBytes;
    const uint64_t leftBytes = budget.totalBytes > sharedBytes ? budget.totalBytes - sharedBytes : 0;
    return budget.tightWeightBytes + leftBytes / static_cast<uint64_t>(slots);
}

Result<LoweredNetwork> lowerWithin(const VulkanDevice& device, const Graph& graph, const SessionOptions& options,
                                   uint64_t budgetBytes) {
    DeviceLimits limits = device.limits();
    limits.memoryBudgetBytes = budgetBytes;
    return lowerNetwork(graph, options, limits);
}

// In the largest micro-batches that fit.
Result<LoweredNetwork> lowerToFit(const VulkanDevice& device, const Graph& graph, const MemoryBudget& budget,
                                  const VulkanSessionOptions& options) {
    const auto checkFits = [&](const LoweredNetwork& lowered) {
        return VulkanSession::checkFits(device, lowered.program, lowered.memory, budget.weightBytes,
                                        budget.residentBytes, options);
    };
    DUNLIN_ASSIGN(LoweredNetwork lowered, lowerWithin(device, graph, options.session, UINT64_MAX));
    Status status = checkFits(lowered);
    if (status.ok()) return lowered;
    const bool splittable = options.session.batch > 1 && budget.stagingBytes <= device.limits().maxAllocationBytes;
    if (status.code() != StatusCode::DoesNotFit || !splittable) return status;
    // Smaller micro-batches have more dispatches, and so more bindings that are not used.
    uint64_t countedBytes = 0, neededBytes = unusedBytes(lowered.program, device.limits());
    while (!status.ok() && neededBytes > countedBytes) {
        countedBytes = neededBytes;
        Result<LoweredNetwork> smaller =
            lowerWithin(device, graph, options.session, slotBudgetBytes(budget, countedBytes, options.slots));
        if (!smaller.ok()) {
            return smaller.status().withContext("as a slot's share of the " + std::to_string(budget.totalBytes) +
                                                " bytes that the session may use");
        }
        lowered = *std::move(smaller);
        status = checkFits(lowered);
        neededBytes = unusedBytes(lowered.program, device.limits());
    }
    DUNLIN_TRY(status);
    return lowered;
}

}  // namespace

Result<std::unique_ptr<VulkanBackend>> VulkanBackend::create(std::shared_ptr<VulkanDevice> device,
                                                             const std::filesystem::path& cacheFolder,
                                                             NoticeListener notify) {
    std::unique_ptr<VulkanBackend> backend(new VulkanBackend());
    DUNLIN_ASSIGN(backend->pipelines_, Pipelines::create(*device, cacheFolder, std::move(notify)));
    backend->device_ = std::move(device);
    return backend;
}

std::shared_ptr<const DeviceModel> VulkanBackend::findModel(const ModelKey& key) const {
    const auto found = models_.find(key);
    return found == models_.end() ? nullptr : found->second.lock();
}

std::shared_ptr<const DeviceModel> VulkanBackend::findOtherSize(const ModelKey& key) const {
    for (const auto& [other, weights] : models_) {
        if (other.model != key.model || other.precision != key.precision) continue;
        if (auto living = weights.lock()) return living;
    }
    return nullptr;
}

Result<std::shared_ptr<const DeviceModel>> VulkanBackend::uploadModel(const ModelKey& key,
                                                                      const std::shared_ptr<const ModelData>& model,
                                                                      const Graph& graph, const DeviceModel* otherSize,
                                                                      const SessionOptions& options) {
    DUNLIN_ASSIGN(std::shared_ptr<const DeviceModel> uploaded,
                  DeviceModel::create(device_, model, graph, options.precision, otherSize,
                                      partOf(options.progress, 0, kUploadShare)));
    std::erase_if(models_, [](const auto& entry) { return entry.second.expired(); });
    models_[key] = uploaded;
    return uploaded;
}

VulkanBackend::Wanted VulkanBackend::complete(const ModelData& model, const VulkanSessionOptions& options) {
    Wanted wanted = {options, {}};
    SessionOptions& session = wanted.options.session;
    session = withDefaults(session, model.preprocess);
    wanted.input = {session.batch, session.height, session.width, 3};
    return wanted;
}

Result<LoweredNetwork> VulkanBackend::lower(const ModelData& model, const VulkanSessionOptions& options) {
    const Wanted wanted = complete(model, options);
    DUNLIN_ASSIGN(const Graph graph, model.buildGraph(wanted.input));
    const std::lock_guard lock(creationMutex_);
    const std::vector<Constant> constants = constantsOf(graph, wanted.options.session.precision);
    const std::shared_ptr<const DeviceModel> resident = findResident(keyOf(model, wanted.options, constants));
    const MemoryBudget budget = budgetFor(*device_, constants, graph, resident.get(), wanted.options);
    return lowerToFit(*device_, graph, budget, wanted.options);
}

VulkanBackend::ModelKey VulkanBackend::keyOf(const ModelData& model, const VulkanSessionOptions& options,
                                             const std::vector<Constant>& constants) {
    ModelKey key = {&model, options.session.precision, {}};
    for (const Constant& constant : constants) key.packing += constant.identity + "\n";
    return key;
}

// Of this size, or of another, which shares most with it.
std::shared_ptr<const DeviceModel> VulkanBackend::findResident(const ModelKey& key) const {
    std::shared_ptr<const DeviceModel> weights = findModel(key);
    return weights ? weights : findOtherSize(key);
}

Result<std::unique_ptr<VulkanSession>> VulkanBackend::createSession(std::shared_ptr<const ModelData> model,
                                                                    const VulkanSessionOptions& options) {
    Wanted wanted = complete(*model, options);
    SessionOptions& session = wanted.options.session;
    DUNLIN_ASSIGN(const Graph graph, model->buildGraph(wanted.input));

    const std::lock_guard lock(creationMutex_);
    const std::vector<Constant> constants = constantsOf(graph, session.precision);
    const ModelKey key = keyOf(*model, wanted.options, constants);
    std::shared_ptr<const DeviceModel> weights = findModel(key);
    const std::shared_ptr<const DeviceModel> resident = findResident(key);
    const MemoryBudget budget = budgetFor(*device_, constants, graph, resident.get(), wanted.options);
    DUNLIN_ASSIGN(LoweredNetwork lowered, lowerToFit(*device_, graph, budget, wanted.options));
    if (!weights) {
        DUNLIN_ASSIGN(weights, uploadModel(key, model, graph, resident.get(), session));
        session.progress = partOf(session.progress, kUploadShare, 1);
    }
    return VulkanSession::create(device_, pipelines_, std::move(weights), std::move(lowered.program),
                                 std::move(lowered.memory), wanted.options);
}

}  // namespace dunlin::vulkan
