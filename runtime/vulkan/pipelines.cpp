#include "runtime/vulkan/pipelines.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>

#include "runtime/processors.h"
#include "runtime/vulkan/cache_file.h"
#include "shaders/include/params.h"

namespace dunlin::vulkan {
namespace {

Result<VkDescriptorSetLayout> createSetLayout(const VulkanDevice& device, std::span<const VkDescriptorType> types) {
    std::vector<VkDescriptorSetLayoutBinding> bindings;
    for (VkDescriptorType type : types) {
        VkDescriptorSetLayoutBinding one{};
        one.binding = static_cast<uint32_t>(bindings.size());
        one.descriptorType = type;
        one.descriptorCount = 1;
        one.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT;
        bindings.push_back(one);
    }
    VkDescriptorSetLayoutCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO;
    info.bindingCount = static_cast<uint32_t>(bindings.size());
    info.pBindings = bindings.data();
    VkDescriptorSetLayout layout = VK_NULL_HANDLE;
    DUNLIN_TRY(check(device.functions().CreateDescriptorSetLayout(device.handle(), &info, device.allocator(), &layout),
                     "vkCreateDescriptorSetLayout"));
    return layout;
}

Result<VkPipelineLayout> createPipelineLayout(const VulkanDevice& device, VkDescriptorSetLayout set,
                                              uint32_t pushConstantBytes) {
    VkPushConstantRange push{VK_SHADER_STAGE_COMPUTE_BIT, 0, pushConstantBytes};
    VkPipelineLayoutCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO;
    info.setLayoutCount = 1;
    info.pSetLayouts = &set;
    info.pushConstantRangeCount = pushConstantBytes > 0 ? 1 : 0;
    info.pPushConstantRanges = &push;
    VkPipelineLayout layout = VK_NULL_HANDLE;
    DUNLIN_TRY(check(device.functions().CreatePipelineLayout(device.handle(), &info, device.allocator(), &layout),
                     "vkCreatePipelineLayout"));
    return layout;
}

Status checkVariant(const VulkanDevice& device, const Variant& variant) {
    if (variant.precision == Precision::Fp16 && !device.enabled().fp16()) {
        return error(StatusCode::Unsupported,
                     "fp16 needs storageBuffer16BitAccess and shaderFloat16, which are not enabled on %s",
                     device.capabilities().name.c_str());
    }
    if (variant.method == Method::Matrix && !device.enabled().cooperativeMatrix) {
        return error(StatusCode::Unsupported, "%s needs cooperative matrices, which are not enabled on %s",
                     moduleName(variant).c_str(), device.capabilities().name.c_str());
    }
    const DeviceLimits& limits = device.limits();
    const uint32_t invocations = variant.constants[0];
    const uint32_t most = std::min(limits.maxWorkgroupInvocations, limits.maxWorkgroupSize[0]);
    if (invocations == 0 || invocations > most) {
        return error(StatusCode::Unsupported, "%s has %u invocations a workgroup, the device's limit is %u",
                     moduleName(variant).c_str(), invocations, most);
    }
    return Status();
}

}  // namespace

VkDescriptorType descriptorType(const BindingRow& binding, const Variant& variant) {
    switch (binding.kind) {
        case BindingKind::Activation:
        case BindingKind::Weights:
            return variant.load == LoadPath::Texel ? VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER
                                                   : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
        case BindingKind::TexelNative:
            return VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER;
        case BindingKind::Storage:
            return VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
        case BindingKind::Image:  // the source of preprocess: an image or a buffer, by module
            return variant.tileX == params::kSourceImage ? VK_DESCRIPTOR_TYPE_SAMPLED_IMAGE
                                                         : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
    }
    return VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
}

VkFormat texelFormat(const BindingRow& binding, const Variant& variant) {
    if (descriptorType(binding, variant) != VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER) return VK_FORMAT_UNDEFINED;
    const bool fp32 = variant.precision == Precision::Fp32;
    return fp32 ? VK_FORMAT_R32G32B32A32_SFLOAT : VK_FORMAT_R16G16B16A16_SFLOAT;
}

Result<std::unique_ptr<Pipelines>> Pipelines::create(const VulkanDevice& device,
                                                     const std::filesystem::path& cacheFolder, NoticeListener notify) {
    std::unique_ptr<Pipelines> pipelines(new Pipelines(device));
    pipelines->notify_ = std::move(notify);
    std::optional<std::vector<std::byte>> payload;
    if (!cacheFolder.empty()) {
        pipelines->key_ = PipelineCacheKey::of(device.capabilities());
        pipelines->cacheFile_ = cacheFolder / cacheFileName("pipelines", pipelines->key_, "bin");
        payload = readPipelineCache(pipelines->cacheFile_, pipelines->key_);
        pipelines->loadedFromFile_ = payload.has_value();
        std::error_code absent;
        if (!payload && pipelines->notify_ && std::filesystem::exists(pipelines->cacheFile_, absent)) {
            pipelines->notify_(NoticeSeverity::Info,
                               "the pipeline cache " + pipelines->cacheFile_.string() +
                                   " is of another driver or version, or damaged, and is rebuilt");
        }
    }
    VkPipelineCacheCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO;
    if (payload) {
        info.initialDataSize = payload->size();
        info.pInitialData = payload->data();
    }
    DUNLIN_TRY(
        check(device.functions().CreatePipelineCache(device.handle(), &info, device.allocator(), &pipelines->cache_),
              "vkCreatePipelineCache"));
    return pipelines;
}

Pipelines::~Pipelines() {
    const DeviceFunctions& vk = device_.functions();
    for (auto& [variant, entry] : pipelines_) {
        const VkPipeline handle = entry->pipeline.handle;
        if (handle) vk.DestroyPipeline(device_.handle(), handle, device_.allocator());
    }
    for (auto& [key, layout] : pipelineLayouts_) {
        vk.DestroyPipelineLayout(device_.handle(), layout, device_.allocator());
    }
    for (auto& [types, layout] : setLayouts_) {
        vk.DestroyDescriptorSetLayout(device_.handle(), layout, device_.allocator());
    }
    if (cache_) vk.DestroyPipelineCache(device_.handle(), cache_, device_.allocator());
}

size_t Pipelines::count() const {
    const std::lock_guard lock(mutex_);
    return pipelines_.size();
}

Status Pipelines::addLayouts(Pipeline& pipeline) {
    const KernelRow& kernel = row(pipeline.variant.kernel);
    std::vector<VkDescriptorType> types;
    for (const BindingRow& binding : kernel.bindings) types.push_back(descriptorType(binding, pipeline.variant));
    // Their places first, so that no layout is lost where there is no memory for one.
    VkDescriptorSetLayout& set = setLayouts_[types];
    if (!set) {
        DUNLIN_ASSIGN(set, createSetLayout(device_, types));
    }
    VkPipelineLayout& layout = pipelineLayouts_[{set, kernel.pushConstantBytes}];
    if (!layout) {
        DUNLIN_ASSIGN(layout, createPipelineLayout(device_, set, kernel.pushConstantBytes));
    }
    pipeline.setLayout = set;
    pipeline.layout = layout;
    return Status();
}

// The variant's entry, complete or, where `isNew`, for the caller to compile.
Result<Pipelines::Entry*> Pipelines::findOrBegin(const Variant& variant, bool* isNew) {
    std::unique_lock lock(mutex_);
    auto found = pipelines_.find(variant);
    while (found != pipelines_.end() && found->second->isCompiling) {
        compiled_.wait(lock);
        found = pipelines_.find(variant);  // gone where another thread failed to compile it
    }
    *isNew = found == pipelines_.end();
    if (!*isNew) return found->second.get();
    DUNLIN_TRY(checkVariant(device_, variant));
    auto entry = std::make_unique<Entry>();
    entry->pipeline.variant = variant;
    DUNLIN_TRY(addLayouts(entry->pipeline));
    return pipelines_.emplace(variant, std::move(entry)).first->second.get();
}

// Ends an entry's compilation on every way out, exceptions too: other threads may wait for it.
class Pipelines::Compilation {
  public:
    Compilation(Pipelines& owner, Entry& entry) : owner_(owner), entry_(entry) {}
    Compilation(const Compilation&) = delete;
    Compilation& operator=(const Compilation&) = delete;
    void succeed() { hasSucceeded_ = true; }
    ~Compilation() {
        const std::lock_guard lock(owner_.mutex_);
        entry_.isCompiling = false;
        if (hasSucceeded_) {
            owner_.changed_ = true;
        } else {
            const Variant variant = entry_.pipeline.variant;
            owner_.pipelines_.erase(variant);
        }
        owner_.compiled_.notify_all();
    }

  private:
    Pipelines& owner_;
    Entry& entry_;
    bool hasSucceeded_ = false;
};

Status Pipelines::compileNew(Entry& entry) {
    Compilation compilation(*this, entry);
    const Variant& variant = entry.pipeline.variant;
    DUNLIN_ASSIGN(const std::vector<uint32_t> code, unpackSpirv(variant));
    const Status status = compile(entry.pipeline, code, cache_);
    if (!status.ok()) return status.withContext(moduleName(variant));
    compilation.succeed();
    return Status();
}

Result<const Pipeline*> Pipelines::get(const Variant& variant) {
    bool isNew = false;
    DUNLIN_ASSIGN(Entry* const entry, findOrBegin(variant, &isNew));
    if (isNew) DUNLIN_TRY(compileNew(*entry));
    return &entry->pipeline;
}

namespace {

// Variants that are taken by one thread after the other.
struct SharedWork {
    SharedWork(Pipelines& owner, std::span<const Variant> all) : pipelines(owner), variants(all) {}

    // Does the next one that is left; false where there is none. Throws nothing: it ends what helpers do.
    bool doNext() noexcept {
        const size_t index = next++;
        if (isStopped || index >= variants.size()) return false;
        Status status;
        std::exception_ptr exception;
        try {
            const Result<const Pipeline*> pipeline = pipelines.get(variants[index]);
            status = pipeline.status();
        } catch (...) {
            exception = std::current_exception();
        }
        const std::lock_guard lock(mutex);
        if (exception || !status.ok()) {
            isStopped = true;
            if (index < failedIndex) {
                failedIndex = index;
                failure = std::move(status);
                thrown = exception;
            }
        }
        ++doneCount;
        progressed.notify_all();
        return true;
    }

    Pipelines& pipelines;
    std::span<const Variant> variants;
    std::atomic<size_t> next = 0;
    std::atomic<bool> isStopped = false;
    std::mutex mutex;  // of what follows
    std::condition_variable progressed;
    size_t doneCount = 0, failedIndex = SIZE_MAX;
    // Of the first variant that failed: one of the two.
    Status failure;
    std::exception_ptr thrown;
};

// Threads that share the work; at the end of their life it is stopped and they are waited for.
class Helpers {
  public:
    Helpers(SharedWork& work, size_t count) : work_(work) {
        try {
            threads_.reserve(count);
            while (threads_.size() < count)
                threads_.emplace_back([&work] {
                    while (work.doNext()) {
                    }
                });
        } catch (const std::exception&) {
            // No more threads or memory: those that there are do it.
        }
    }
    Helpers(const Helpers&) = delete;
    Helpers& operator=(const Helpers&) = delete;
    ~Helpers() {
        work_.isStopped = true;
        for (std::thread& thread : threads_) thread.join();
    }

  private:
    SharedWork& work_;
    std::vector<std::thread> threads_;
};

// The calling thread's part: works, waits, and reports each variant once.
Status workAndReport(SharedWork& work, const std::function<bool(size_t)>& progress) {
    size_t reported = 0;
    while (reported < work.variants.size()) {
        const bool worked = work.doNext();
        size_t done = 0;
        {
            std::unique_lock lock(work.mutex);
            if (!worked) work.progressed.wait(lock, [&] { return work.doneCount > reported || work.isStopped; });
            if (work.isStopped) return work.failure;
            done = work.doneCount;
        }
        while (reported < done) {
            if (++reported; !progress || progress(reported)) continue;
            work.isStopped = true;
            return error(StatusCode::Cancelled, "cancelled after %zu of %zu pipelines", reported, work.variants.size());
        }
    }
    return Status();
}

// A telephone has a few fast cores, and needs them for more than this.
size_t mostCompileThreads(DeviceFamily family) {
    const bool isMobile =
        family == DeviceFamily::Adreno || family == DeviceFamily::Mali || family == DeviceFamily::PowerVr;
    return std::min<size_t>(static_cast<size_t>(usableProcessors()), isMobile ? 4 : 16);
}

}  // namespace

Status Pipelines::prepare(std::span<const Variant> variants, const std::function<bool(size_t)>& progress) {
    const size_t threads =
        device_.allocator() ? 1 : std::min(mostCompileThreads(device_.limits().family), variants.size());
    SharedWork work(*this, variants);
    Status status;
    {
        const Helpers helpers(work, threads > 0 ? threads - 1 : 0);
        status = workAndReport(work, progress);
    }
    // A variant before the one that stopped the work may have failed only now.
    if (work.thrown) std::rethrow_exception(work.thrown);
    return work.failure.ok() ? status : work.failure;
}

Result<OwnedPipeline> Pipelines::createForeign(const Variant& variant, std::span<const uint32_t> code) {
    auto pipeline = std::make_unique<Pipeline>();
    pipeline->variant = variant;
    DUNLIN_TRY(checkVariant(device_, variant));
    {
        const std::lock_guard lock(mutex_);
        DUNLIN_TRY(addLayouts(*pipeline));
    }
    DUNLIN_TRY(compile(*pipeline, code, VK_NULL_HANDLE));
    return OwnedPipeline(pipeline.release(), PipelineDeleter{&device_});
}

void PipelineDeleter::operator()(const Pipeline* pipeline) const {
    if (pipeline->handle) device->functions().DestroyPipeline(device->handle(), pipeline->handle, device->allocator());
    delete pipeline;
}

Status Pipelines::compile(Pipeline& pipeline, std::span<const uint32_t> code, VkPipelineCache cache) {
    const DeviceFunctions& vk = device_.functions();
    VkShaderModuleCreateInfo moduleInfo{};
    moduleInfo.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO;
    moduleInfo.codeSize = code.size_bytes();
    moduleInfo.pCode = code.data();
    VkShaderModule module = VK_NULL_HANDLE;
    DUNLIN_TRY(check(vk.CreateShaderModule(device_.handle(), &moduleInfo, device_.allocator(), &module),
                     "vkCreateShaderModule"));

    std::array<uint32_t, kMaxConstants + 2> values{};
    std::ranges::copy(pipeline.variant.constants, values.begin());
    values[constant_id::kTileX] = pipeline.variant.tileX;
    values[constant_id::kTileY] = pipeline.variant.tileY;
    std::array<VkSpecializationMapEntry, values.size()> entries{};
    for (uint32_t id = 0; id < entries.size(); ++id) entries[id] = {id, id * 4, 4};
    VkSpecializationInfo constants{};
    constants.mapEntryCount = static_cast<uint32_t>(entries.size());
    constants.pMapEntries = entries.data();
    constants.dataSize = sizeof(values);
    constants.pData = values.data();
    VkComputePipelineCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO;
    const bool keepStatistics = device_.instruments().pipelineStatistics && cacheFile_.empty();
    if (keepStatistics) info.flags = VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR;
    info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
    info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
    info.stage.module = module;
    info.stage.pName = "main";
    info.stage.pSpecializationInfo = &constants;
    VkPipelineShaderStageRequiredSubgroupSizeCreateInfo subgroups{};
    subgroups.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO;
    if (pipeline.variant.method == Method::Matrix) {
        subgroups.requiredSubgroupSize = pipeline.variant.constants[constant_id::kMatrixSubgroup];
        info.stage.flags = VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT;
        info.stage.pNext = &subgroups;
    }
    info.layout = pipeline.layout;
    const VkResult result =
        vk.CreateComputePipelines(device_.handle(), cache, 1, &info, device_.allocator(), &pipeline.handle);
    vk.DestroyShaderModule(device_.handle(), module, device_.allocator());
    return check(result, "vkCreateComputePipelines");
}

bool Pipelines::save() {
    const std::lock_guard lock(mutex_);
    if (cacheFile_.empty()) return false;
    if (!changed_ && (loadedFromFile_ || saved_)) return true;
    if (writeFile()) {
        changed_ = false;
        saved_ = true;
        return true;
    }
    if (notify_ && !saveFailed_) {
        notify_(NoticeSeverity::Warning, "the pipeline cache " + cacheFile_.string() +
                                             " could not be written: every start compiles all pipelines");
    }
    saveFailed_ = true;  // once is enough; later sessions try again in silence
    return false;
}

bool Pipelines::writeFile() const {
    const DeviceFunctions& vk = device_.functions();
    size_t sizeBytes = 0;
    if (vk.GetPipelineCacheData(device_.handle(), cache_, &sizeBytes, nullptr) != VK_SUCCESS) return false;
    std::vector<std::byte> payload(sizeBytes);
    if (vk.GetPipelineCacheData(device_.handle(), cache_, &sizeBytes, payload.data()) != VK_SUCCESS) return false;
    payload.resize(sizeBytes);
    return writePipelineCache(cacheFile_, key_, payload);
}

}  // namespace dunlin::vulkan
