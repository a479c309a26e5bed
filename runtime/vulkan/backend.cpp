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

// The device's limits with the budget that one slot has, since the lowering counts one: it takes smaller micro-batches
// where memory is short.
DeviceLimits planningLimits(const VulkanDevice& device, uint64_t weightBytes, bool weightsResident,
                            const VulkanSessionOptions& options) {
    DeviceLimits limits = device.limits();
    const uint64_t residentBytes = weightsResident ? weightBytes : 0;
    const uint64_t budgetBytes = std::min(device.availableBytes() + residentBytes, options.memoryLimitBytes);
    limits.memoryBudgetBytes = budgetBytes;
    if (options.slots > 1 && budgetBytes > weightBytes) {
        limits.memoryBudgetBytes = weightBytes + (budgetBytes - weightBytes) / static_cast<uint64_t>(options.slots);
    }
    return limits;
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
    const uint64_t weightBytes = DeviceModel::packedBytes(constantsOf(graph, session.precision), device_->limits());

    std::unique_lock lock(modelsMutex_);
    std::shared_ptr<const DeviceModel> weights = findModel({model.get(), session.precision});
    const bool resident = weights != nullptr;
    DUNLIN_ASSIGN(Program program, lower(graph, session, planningLimits(*device_, weightBytes, resident, complete)));
    MemoryPlan plan = planMemory(program, device_->limits().offsetAlignment);
    DUNLIN_TRY(VulkanSession::checkFits(*device_, program, plan, weightBytes, resident, complete));
    if (!resident) {
        DUNLIN_ASSIGN(weights, uploadModel(model, graph, session));
        session.progress = partOf(session.progress, kUploadShare, 1);
    }
    lock.unlock();
    return VulkanSession::create(device_, pipelines_, std::move(weights), std::move(program), std::move(plan),
                                 complete);
}

}  // namespace dunlin::vulkan
