// Compute pipelines by variant, and the driver's cache of them on disk.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/plan/kernels.h"
#include "runtime/vulkan/device.h"

namespace dunlin::vulkan {

// How a binding of a kernel is described to Vulkan.
VkDescriptorType descriptorType(const BindingRow& binding, const Variant& variant);
// The format of a texel buffer binding; VK_FORMAT_UNDEFINED for other bindings.
VkFormat texelFormat(const BindingRow& binding, const Variant& variant);

struct Pipeline {
    VkPipeline handle = VK_NULL_HANDLE;
    VkPipelineLayout layout = VK_NULL_HANDLE;
    VkDescriptorSetLayout setLayout = VK_NULL_HANDLE;  // set 0, bindings in the order of the kernel's row
    Variant variant;
};

// Destroys the pipeline, not its layouts.
struct PipelineDeleter {
    const VulkanDevice* device = nullptr;
    void operator()(const Pipeline* pipeline) const;
};
using OwnedPipeline = std::unique_ptr<const Pipeline, PipelineDeleter>;

enum class NoticeSeverity { Info, Warning };
// Hears what went other than wished but is no error; from whatever thread caused it, and must not call back.
using NoticeListener = std::function<void(NoticeSeverity severity, const std::string& text)>;

// What a cache file must have been made by.
struct PipelineCacheKey {
    uint32_t vendorId = 0, deviceId = 0, driverVersion = 0;
    std::array<uint8_t, VK_UUID_SIZE> pipelineCacheUuid{};
    uint64_t shaderHash = 0;  // of all embedded SPIR-V, and kPlannerVersion
    static PipelineCacheKey of(const Capabilities& capabilities);
};

// The pipelines of one device, created on first use and shared by whoever asks for the same variant. With a folder, the
// driver's pipeline cache is read from it at creation and written by save(); a file that is foreign, cut or damaged
// counts as absent (a notice of Info), and a folder that cannot be written costs only time (one Warning). Thread-safe.
// Must not outlive the device.
//
// Without a folder, on a device with Instruments::pipelineStatistics, pipelines are compiled so that the driver keeps
// its statistics of them. With one they are not: drivers compile, or cache, pipelines with statistics apart from the
// others, and the file is that of normal runs.
class Pipelines {
  public:
    // `cacheFolder` empty: no file. Fails only where Vulkan fails.
    static Result<std::unique_ptr<Pipelines>> create(const VulkanDevice& device,
                                                     const std::filesystem::path& cacheFolder = {},
                                                     NoticeListener notify = {});
    ~Pipelines();
    Pipelines(const Pipelines&) = delete;
    Pipelines& operator=(const Pipelines&) = delete;

    // The pointer stays valid as long as this object. Slow on first use: the driver compiles. Threads that ask for
    // different variants compile them at the same time; of those that ask for the same one, one compiles.
    Result<const Pipeline*> get(const Variant& variant);
    // get() of each, on several threads at once: as many as the process may use processors, at most 16, and 4 on the
    // devices of telephones. `progress`, optional, is called on the calling thread after each of
    // the variants, with how many are there; where it returns false the rest is left: Cancelled. Of several failures
    // the first variant's is returned. With an allocator of the application's only the calling thread works, since its
    // callbacks may know but one. What `progress` throws, and std::bad_alloc of any thread, goes on to the caller once
    // no thread works any more.
    Status prepare(std::span<const Variant> variants, const std::function<bool(size_t)>& progress = {});
    // A pipeline from other SPIR-V than the library's, with the variant's layout and specialization constants; never in
    // the cache or the file. It must not outlive this object. Its bindings, push constants and capabilities must fit
    // the layout and the device: the driver is not asked to survive what does not.
    Result<OwnedPipeline> createForeign(const Variant& variant, std::span<const uint32_t> code);
    size_t count() const;

    // Writes the cache file if pipelines were created since it was read or written. False where there is no file or it
    // could not be written.
    bool save();
    bool loadedFromFile() const { return loadedFromFile_; }
    const std::filesystem::path& cacheFile() const { return cacheFile_; }

  private:
    explicit Pipelines(const VulkanDevice& device) : device_(device) {}
    struct Entry {
        Pipeline pipeline;
        bool isCompiling = true;
    };
    class Compilation;
    Result<Entry*> findOrBegin(const Variant& variant, bool* isNew);
    Status compileNew(Entry& entry);
    Status addLayouts(Pipeline& pipeline);
    Status compile(Pipeline& pipeline, std::span<const uint32_t> code, VkPipelineCache cache);
    bool writeFile() const;

    const VulkanDevice& device_;
    mutable std::mutex mutex_;          // of all below but what create() sets; not held while the driver compiles
    std::condition_variable compiled_;  // an entry has ceased to be compiling, or is gone
    PipelineCacheKey key_;
    std::filesystem::path cacheFile_;
    NoticeListener notify_;
    bool loadedFromFile_ = false, saved_ = false, saveFailed_ = false;
    bool changed_ = false;  // since the file was read or written
    VkPipelineCache cache_ = VK_NULL_HANDLE;
    std::map<std::vector<VkDescriptorType>, VkDescriptorSetLayout> setLayouts_;
    std::map<std::pair<VkDescriptorSetLayout, uint32_t>, VkPipelineLayout> pipelineLayouts_;  // by push constant bytes
    std::map<Variant, std::unique_ptr<Entry>> pipelines_;
};

// The payload of a cache file, or nothing where it is absent, foreign, cut or damaged.
std::optional<std::vector<std::byte>> readPipelineCache(const std::filesystem::path& file, const PipelineCacheKey& key);
// By replaceCacheFile(). False on failure.
bool writePipelineCache(const std::filesystem::path& file, const PipelineCacheKey& key,
                        std::span<const std::byte> payload);

}  // namespace dunlin::vulkan
