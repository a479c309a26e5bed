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
    bool weightsResident = false;
    uint64_t stagingBytes = 0;
};

MemoryBudget budgetFor(const VulkanDevice& device, const Graph& graph, bool weightsResident,
                       const VulkanSessionOptions& options) {
    const std::vector<Constant> constants = constantsOf(graph, options.session.precision);
    MemoryBudget budget;
    for (const Constant& constant : constants) budget.tightWeightBytes += constant.sizeBytes;
    budget.weightBytes = DeviceModel::packedBytes(constants, device.limits());
    budget.weightsResident = weightsResident;
    budget.stagingBytes = stagingBytes(graph.shape(graph.input()), options);
    const uint64_t residentBytes = weightsResident ? budget.weightBytes : 0;
    budget.totalBytes = std::min(device.availableBytes() + residentBytes, options.memoryLimitBytes);
    return budget;
}

// The lowering counts tight weights and one slot: a slot's share of what the rest leaves.
uint64_t slotBudgetBytes(const MemoryBudget& budget, uint64_t unusedBytes, int slots) {
    const uint64_t sharedBytes = budget.weightBytes + budget.stagingBytes + unusedBytes;
    const uint64_t leftBytes = budget.totalBytes > sharedBytes ? budget.totalBytes - sharedBytes : 0;
    return budget.tightWeightBytes + leftBytes / static_cast<uint64_t>(slots);
}

struct Lowered {
    Program program;
    MemoryPlan plan;
};

Result<Lowered> lowerWithin(const VulkanDevice& device, const Graph& graph, const SessionOptions& options,
                            uint64_t budgetBytes) {
    DeviceLimits limits = device.limits();
    limits.memoryBudgetBytes = budgetBytes;
    DUNLIN_ASSIGN(Program program, lower(graph, options, limits));
    MemoryPlan plan = planMemory(program, limits.offsetAlignment);
    return Lowered{std::move(program), std::move(plan)};
}

// In the largest micro-batches that fit.
Result<Lowered> lowerToFit(const VulkanDevice& device, const Graph& graph, const MemoryBudget& budget,
                           const VulkanSessionOptions& options) {
    const auto checkFits = [&](const Lowered& lowered) {
        return VulkanSession::checkFits(device, lowered.program, lowered.plan, budget.weightBytes,
                                        budget.weightsResident, options);
    };
    DUNLIN_ASSIGN(Lowered lowered, lowerWithin(device, graph, options.session, UINT64_MAX));
    Status status = checkFits(lowered);
    if (status.ok()) return lowered;
    const bool splittable = options.session.batch > 1 && budget.stagingBytes <= device.limits().maxAllocationBytes;
    if (status.code() != StatusCode::DoesNotFit || !splittable) return status;
    // Smaller micro-batches have more dispatches, and so more bindings that are not used.
    uint64_t countedBytes = 0, neededBytes = unusedBytes(lowered.program, device.limits());
    while (!status.ok() && neededBytes > countedBytes) {
        countedBytes = neededBytes;
        Result<Lowered> smaller =
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

std::shared_ptr<const DeviceModel> VulkanBackend::findModel(const ModelKey& key) {
    const auto found = models_.find(key);
    return found == models_.end() ? nullptr : found->second.lock();
}

Result<std::shared_ptr<const DeviceModel>> VulkanBackend::uploadModel(const std::shared_ptr<const ModelData>& model,
                                                                      const Graph& graph,
                                                                      const SessionOptions& options) {
    DUNLIN_ASSIGN(
        std::shared_ptr<const DeviceModel> uploaded,
        DeviceModel::create(device_, model, graph, options.precision, partOf(options.progress, 0, kUploadShare)));
    std::erase_if(models_, [](const auto& entry) { return entry.second.expired(); });
    models_[{model.get(), options.precision}] = uploaded;
    return uploaded;
}

Result<std::unique_ptr<VulkanSession>> VulkanBackend::createSession(std::shared_ptr<const ModelData> model,
                                                                    const VulkanSessionOptions& options) {
    VulkanSessionOptions complete = options;
    complete.session = withDefaults(options.session, model->preprocess);
    SessionOptions& session = complete.session;
    DUNLIN_ASSIGN(const Graph graph, model->buildGraph({session.batch, session.height, session.width, 3}));

    const std::lock_guard lock(creationMutex_);
    std::shared_ptr<const DeviceModel> weights = findModel({model.get(), session.precision});
    const bool resident = weights != nullptr;
    const MemoryBudget budget = budgetFor(*device_, graph, resident, complete);
    DUNLIN_ASSIGN(Lowered lowered, lowerToFit(*device_, graph, budget, complete));
    if (!resident) {
        DUNLIN_ASSIGN(weights, uploadModel(model, graph, session));
        session.progress = partOf(session.progress, kUploadShare, 1);
    }
    return VulkanSession::create(device_, pipelines_, std::move(weights), std::move(lowered.program),
                                 std::move(lowered.plan), complete);
}

}  // namespace dunlin::vulkan
