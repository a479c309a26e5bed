// Sessions on a Vulkan device, with what they share: pipelines, and each model's weights.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "runtime/plan/lower.h"
#include "runtime/vulkan/session.h"

namespace dunlin::vulkan {

// Thread-safe. Sessions keep alive what they need of it, and may outlive it.
class VulkanBackend {
  public:
    // `cacheFolder` empty: pipelines are not kept on disk. `notify`, optional, hears of that cache.
    static Result<std::unique_ptr<VulkanBackend>> create(std::shared_ptr<VulkanDevice> device,
                                                         const std::filesystem::path& cacheFolder = {},
                                                         NoticeListener notify = {});

    // The slow call: lowers and plans for the options' size, uploads the weights unless a living session of this model
    // and precision has them, compiles pipelines. DoesNotFit, with need and limit, before anything is allocated. One at
    // a time: other threads wait, so `progress` must not create a session.
    Result<std::unique_ptr<VulkanSession>> createSession(std::shared_ptr<const ModelData> model,
                                                         const VulkanSessionOptions& options);

    // What createSession() would record for these options as things are, with where each dispatch comes from. Nothing
    // is compiled or allocated. Errors as createSession().
    Result<LoweredNetwork> lower(const ModelData& model, const VulkanSessionOptions& options);

    const std::shared_ptr<VulkanDevice>& device() const { return device_; }
    Pipelines& pipelines() const { return *pipelines_; }

  private:
    struct ModelKey {
        const ModelData* model;
        Precision precision;
        std::string packing;  // the identities of all constants, which may differ between input sizes
        auto operator<=>(const ModelKey&) const = default;
    };
    // Options with the model's own sizes where none were given, and the network's input.
    struct Wanted {
        VulkanSessionOptions options;
        Shape input;
    };
    VulkanBackend() = default;
    static Wanted complete(const ModelData& model, const VulkanSessionOptions& options);
    static ModelKey keyOf(const ModelData& model, const VulkanSessionOptions& options,
                          const std::vector<Constant>& constants);
    std::shared_ptr<const DeviceModel> findResident(const ModelKey& key) const;
    std::shared_ptr<const DeviceModel> findModel(const ModelKey& key) const;
    std::shared_ptr<const DeviceModel> findOtherSize(const ModelKey& key) const;
    Result<std::shared_ptr<const DeviceModel>> uploadModel(const ModelKey& key,
                                                           const std::shared_ptr<const ModelData>& model,
                                                           const Graph& graph, const DeviceModel* otherSize,
                                                           const SessionOptions& options);

    std::shared_ptr<VulkanDevice> device_;
    std::shared_ptr<Pipelines> pipelines_;
    // Held while a session is created: two do not upload the same weights, nor count on the same free memory.
    std::mutex creationMutex_;
    std::map<ModelKey, std::weak_ptr<const DeviceModel>> models_;
};

}  // namespace dunlin::vulkan
