// dunlin.h: version, names, errors, and devices.
#include "dunlin/dunlin.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "dunlin/dunlin_vulkan.h"
#include "models/registry.h"
#include "runtime/api_support.h"
#include "runtime/cpu/host_memory.h"
#include "runtime/cpu/processor.h"
#include "runtime/cpu/threads.h"

namespace dunlin::api {

static_assert(static_cast<int>(StatusCode::Ok) == DUNLIN_SUCCESS);
static_assert(static_cast<int>(StatusCode::InvalidArgument) == DUNLIN_ERROR_INVALID_ARGUMENT);
static_assert(static_cast<int>(StatusCode::UnknownName) == DUNLIN_ERROR_UNKNOWN_NAME);
static_assert(static_cast<int>(StatusCode::Unsupported) == DUNLIN_ERROR_UNSUPPORTED);
static_assert(static_cast<int>(StatusCode::DoesNotFit) == DUNLIN_ERROR_DOES_NOT_FIT);
static_assert(static_cast<int>(StatusCode::BadFile) == DUNLIN_ERROR_BAD_FILE);
static_assert(static_cast<int>(StatusCode::OutOfHostMemory) == DUNLIN_ERROR_OUT_OF_HOST_MEMORY);
static_assert(static_cast<int>(StatusCode::OutOfDeviceMemory) == DUNLIN_ERROR_OUT_OF_DEVICE_MEMORY);
static_assert(static_cast<int>(StatusCode::DeviceLost) == DUNLIN_ERROR_DEVICE_LOST);
static_assert(static_cast<int>(StatusCode::DeviceError) == DUNLIN_ERROR_DEVICE);
static_assert(static_cast<int>(StatusCode::Cancelled) == DUNLIN_ERROR_CANCELLED);
static_assert(kMaxBatch == DUNLIN_MAX_BATCH);
static_assert(kMinInputSide == DUNLIN_MIN_INPUT_SIDE && kMaxInputSide == DUNLIN_MAX_INPUT_SIDE);
static_assert(vulkan::kMaxPictureSide == DUNLIN_MAX_PICTURE_SIDE);

void copyText(std::string_view text, char* destination, size_t size) {
    size_t length = std::min(text.size(), size - 1);
    const auto continues = [&](size_t at) { return (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80; };
    if (length < text.size()) {
        while (length > 0 && continues(length)) --length;
    }
    if (length > 0) std::memcpy(destination, text.data(), length);
    destination[length] = '\0';
}

DunlinStatus report(const Status& status, DunlinError* error) {
    if (error) copyText(status.message(), error->message);
    return static_cast<DunlinStatus>(status.code());
}

Status checkPresent(const void* pointer, const char* name) {
    return pointer ? Status() : error(StatusCode::InvalidArgument, "%s is NULL, which it must not be", name);
}

Status checkHead(const void* structure, DunlinStructureType type, const char* name,
                 std::initializer_list<DunlinStructureType> extensions) {
    DUNLIN_TRY(checkPresent(structure, name));
    const auto* head = static_cast<const StructureHead*>(structure);
    if (head->sType != type) {
        return error(StatusCode::InvalidArgument, "sType of %s is %d, but must be %d", name,
                     static_cast<int>(head->sType), static_cast<int>(type));
    }
    for (const void* next = head->pNext; next; next = static_cast<const StructureHead*>(next)->pNext) {
        const DunlinStructureType extension = static_cast<const StructureHead*>(next)->sType;
        if (std::ranges::find(extensions, extension) == extensions.end()) {
            return error(StatusCode::InvalidArgument, "a structure with sType %d does not extend %s",
                         static_cast<int>(extension), name);
        }
    }
    return {};
}

const void* findExtension(const void* next, DunlinStructureType type) {
    while (next && static_cast<const StructureHead*>(next)->sType != type) {
        next = static_cast<const StructureHead*>(next)->pNext;
    }
    return next;
}

namespace {

constexpr const char* kFeatureNames[] = {"fp16", "timelineSemaphore", "timestamps", "memoryBudget",
                                         "cooperativeMatrix"};

DunlinDeviceType deviceType(const vulkan::Capabilities& capabilities) {
    if (capabilities.isSoftware()) return DUNLIN_DEVICE_TYPE_SOFTWARE_VULKAN;
    switch (capabilities.type) {
        case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
            return DUNLIN_DEVICE_TYPE_DISCRETE_GPU;
        case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
            return DUNLIN_DEVICE_TYPE_INTEGRATED_GPU;
        case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
            return DUNLIN_DEVICE_TYPE_VIRTUAL_GPU;
        case VK_PHYSICAL_DEVICE_TYPE_CPU:
            return DUNLIN_DEVICE_TYPE_SOFTWARE_VULKAN;
        default:
            return DUNLIN_DEVICE_TYPE_OTHER;
    }
}

uint32_t featureBits(const vulkan::Capabilities& capabilities, const vulkan::Features& features) {
    uint32_t bits = 0;
    if (features.fp16()) bits |= DUNLIN_FEATURE_FP16;
    if (features.timelineSemaphore) bits |= DUNLIN_FEATURE_TIMELINE_SEMAPHORE;
    if (capabilities.timestampValidBits > 0) bits |= DUNLIN_FEATURE_TIMESTAMPS;
    if (capabilities.memoryBudgetExtension) bits |= DUNLIN_FEATURE_MEMORY_BUDGET;
    if (features.cooperativeMatrix) bits |= DUNLIN_FEATURE_COOPERATIVE_MATRIX;
    return bits;
}

void fillInfo(const vulkan::Capabilities& capabilities, const vulkan::Features& features, const DeviceLimits& limits,
              const std::string& id, DunlinDeviceInfo& info) {
    copyText(id, info.id);
    copyText(capabilities.name, info.name);
    const bool named = !capabilities.driverName.empty() && !capabilities.driverInfo.empty();
    copyText(capabilities.driverName + (named ? ", " : "") + capabilities.driverInfo, info.driver);
    copyText(capabilities.reason, info.reason);
    info.type = deviceType(capabilities);
    info.usable = capabilities.usable;
    info.apiVersion = capabilities.apiVersion;
    info.vendorId = capabilities.vendorId;
    info.deviceId = capabilities.deviceId;
    info.features = featureBits(capabilities, features);
    info.threads = 0;
    info.subgroupSize = limits.subgroupSize;
    info.maxWorkgroupInvocations = limits.maxWorkgroupInvocations;
    info.sharedMemoryBytes = limits.sharedMemoryBytes;
    info.maxStorageBufferRange = limits.maxStorageBufferRange;
    info.maxAllocationBytes = limits.maxAllocationBytes;
    info.memoryBytes = capabilities.deviceHeapBytes;
    info.memoryBudgetBytes = limits.memoryBudgetBytes;
}

void fillCpuInfo(int threads, DunlinDeviceInfo& info) {
    info = defaultsOf<DunlinDeviceInfo>(DUNLIN_STRUCTURE_TYPE_DEVICE_INFO);
    copyText("cpu", info.id);
    copyText(processorName(), info.name);
    copyText(vectorsInUse(), info.driver);
    info.type = DUNLIN_DEVICE_TYPE_CPU;
    info.usable = 1;
    info.threads = static_cast<uint32_t>(threads);
    info.memoryBytes = machineMemoryBytes();
    info.memoryBudgetBytes = availableHostBytes().value_or(0);
}

void notify(const DunlinDeviceOptions& options, DunlinMessageSeverity severity, const std::string& text) {
    if (options.messageCallback) options.messageCallback(options.messageUserData, severity, text.c_str());
}

// No loader or no driver: no Vulkan devices, which is no error.
Result<std::vector<vulkan::ListedDevice>> listVulkanDevices() {
    auto listed = vulkan::VulkanDevice::list();
    if (!listed.ok() && listed.status().code() == StatusCode::Unsupported) return std::vector<vulkan::ListedDevice>();
    return listed;
}

std::string vulkanId(int index) {
    return "vulkan:" + std::to_string(index);
}

Status noSuchDevice(const std::string& id, const std::vector<vulkan::ListedDevice>& devices) {
    std::string known = "cpu";
    for (const vulkan::ListedDevice& device : devices) known += ", " + vulkanId(device.index);
    return error(StatusCode::UnknownName, "there is no device '%s'; this machine has %s", id.c_str(), known.c_str());
}

// Which Vulkan device an id means; -1 for the CPU.
Result<int> chooseVulkanDevice(const std::string& id) {
    if (id == "cpu") return -1;
    DUNLIN_ASSIGN(const std::vector<vulkan::ListedDevice> devices, listVulkanDevices());
    const int best = vulkan::bestDevice(devices);
    const auto find = [&](auto&& matches) { return std::ranges::find_if(devices, matches); };
    if (id.empty()) {
        const auto found = find([&](const auto& device) { return device.index == best; });
        return found == devices.end() || found->capabilities.isSoftware() ? -1 : best;
    }
    if (id == "vulkan") {
        if (best >= 0) return best;
        if (devices.empty()) return noSuchDevice(id, devices);
        return error(StatusCode::Unsupported, "no Vulkan device is usable; %s is not because %s",
                     devices[0].capabilities.name.c_str(), devices[0].capabilities.reason.c_str());
    }
    const auto found = find([&](const auto& device) { return vulkanId(device.index) == id; });
    if (found == devices.end()) return noSuchDevice(id, devices);
    if (!found->capabilities.usable) {
        return error(StatusCode::Unsupported, "%s (%s) is not usable: %s", id.c_str(), found->capabilities.name.c_str(),
                     found->capabilities.reason.c_str());
    }
    return found->index;
}

vulkan::Features enabledFeatures(const DunlinVulkanFeatures& features) {
    vulkan::Features enabled;
    enabled.storageBuffer16 = features.storageBuffer16BitAccess;
    enabled.shaderFloat16 = features.shaderFloat16;
    enabled.timelineSemaphore = features.timelineSemaphore;
    return enabled;
}

Status borrow(const DunlinDeviceOptions& options, const DunlinVulkanBorrowedDevice& borrowed, Device& device) {
    if (options.id || options.validation) {
        return error(StatusCode::InvalidArgument, "%s cannot be chosen for a borrowed device",
                     options.id ? "an id" : "validation");
    }
    if (!borrowed.lockQueue != !borrowed.unlockQueue) {
        return error(StatusCode::InvalidArgument, "%s is NULL, but the other queue lock callback is not",
                     borrowed.lockQueue ? "unlockQueue" : "lockQueue");
    }
    DUNLIN_TRY(checkPresent(borrowed.instance, "DunlinVulkanBorrowedDevice::instance"));
    DUNLIN_TRY(checkPresent(borrowed.physicalDevice, "DunlinVulkanBorrowedDevice::physicalDevice"));
    DUNLIN_TRY(checkPresent(borrowed.device, "DunlinVulkanBorrowedDevice::device"));
    DUNLIN_TRY(checkPresent(borrowed.queue, "DunlinVulkanBorrowedDevice::queue"));
    vulkan::BorrowedDevice plain;
    plain.getInstanceProcAddr = borrowed.getInstanceProcAddr;
    plain.instance = borrowed.instance;
    plain.physicalDevice = borrowed.physicalDevice;
    plain.device = borrowed.device;
    plain.queueFamily = borrowed.queueFamily;
    plain.queue = borrowed.queue;
    plain.enabled = enabledFeatures(borrowed.enabledFeatures);
    if (borrowed.lockQueue) {
        plain.lockQueue = [=] { borrowed.lockQueue(borrowed.queueLockUserData, borrowed.queue); };
        plain.unlockQueue = [=] { borrowed.unlockQueue(borrowed.queueLockUserData, borrowed.queue); };
    }
    if (borrowed.allocationCallbacks) {
        device.allocator = *borrowed.allocationCallbacks;
        plain.allocator = &*device.allocator;
    }
    DUNLIN_ASSIGN(device.vulkan, vulkan::VulkanDevice::borrow(plain));
    device.id = "vulkan";
    return {};
}

// The N of "vulkan:N"; nothing for other ids.
std::optional<int> indexOf(std::string_view id) {
    constexpr std::string_view kPrefix = "vulkan:";
    if (!id.starts_with(kPrefix)) return std::nullopt;
    int index = 0;
    const char* const end = id.data() + id.size();
    const auto [stop, failure] = std::from_chars(id.data() + kPrefix.size(), end, index);
    const bool isIndex = failure == std::errc() && stop == end && vulkanId(index) == id;
    return isIndex ? std::optional(index) : std::nullopt;
}

Status createOwned(const DunlinDeviceOptions& options, Device& device) {
    const std::string id = textOrEmpty(options.id);
    // What is named is not looked for: a list of the devices takes as long as opening one.
    const std::optional<int> named = indexOf(id);
    int index = named.value_or(-1);
    if (!named) {
        DUNLIN_ASSIGN(index, chooseVulkanDevice(id));
    }
    if (index < 0) {
        device.id = "cpu";
        return {};
    }
    vulkan::DeviceOptions plain;
    plain.index = index;
    plain.validation = options.validation;
    if (options.messageCallback) {
        plain.onMessage = [callback = options.messageCallback,
                           userData = options.messageUserData](const vulkan::ValidationMessage& message) {
            const bool isError = message.severity & VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
            callback(userData, isError ? DUNLIN_MESSAGE_ERROR : DUNLIN_MESSAGE_WARNING, message.text.c_str());
        };
    }
    auto created = vulkan::VulkanDevice::create(plain);
    // The list's sentence says which devices there are.
    if (!created.ok() && named) DUNLIN_TRY(chooseVulkanDevice(id).status());
    DUNLIN_ASSIGN(device.vulkan, std::move(created));
    device.id = vulkanId(index);
    return {};
}

Status createBackend(const DunlinDeviceOptions& options, Device& device) {
    if (!device.vulkan) return {};
    vulkan::NoticeListener listener;
    if (options.messageCallback) {
        listener = [callback = options.messageCallback, userData = options.messageUserData](
                       vulkan::NoticeSeverity severity, const std::string& text) {
            const bool isInfo = severity == vulkan::NoticeSeverity::Info;
            callback(userData, isInfo ? DUNLIN_MESSAGE_INFO : DUNLIN_MESSAGE_WARNING, text.c_str());
        };
    }
    const std::string folder = textOrEmpty(options.cacheDirectory);
    DUNLIN_ASSIGN(device.backend, vulkan::VulkanBackend::create(device.vulkan, folder, listener));
    tuning::VerdictSources sources;
    sources.shipped = {static_cast<const std::byte*>(options.tuningCacheData), options.tuningCacheDataBytes};
    sources.shippedPath = textOrEmpty(options.tuningCache);
    sources.folder = folder;
    device.tuner = std::make_unique<tuning::Tuner>(*device.backend, sources, std::move(listener));
    return {};
}

// By id. Where the caller chose none, a GPU that fails is no reason to have no device; but who asks for validation
// wants to hear of it.
Status createById(const DunlinDeviceOptions& options, Device& device) {
    Status status = createOwned(options, device);
    if (status.ok()) status = createBackend(options, device);
    if (status.ok() || options.id || options.validation) return status;
    notify(options, DUNLIN_MESSAGE_WARNING, "the CPU is used, since no GPU could be opened: " + status.message());
    device.tuner.reset();
    device.backend.reset();
    device.vulkan.reset();
    device.id = "cpu";
    return {};
}

Status create(const DunlinDeviceOptions& options, Device& device) {
    if (options.threads > static_cast<uint32_t>(kMaxThreads)) {
        return error(StatusCode::InvalidArgument, "%u threads were asked for, at most %d are possible", options.threads,
                     kMaxThreads);
    }
    if (options.tuningCacheDataBytes > 0)
        DUNLIN_TRY(checkPresent(options.tuningCacheData, "DunlinDeviceOptions::tuningCacheData"));
    DUNLIN_ASSIGN(device.threads, resolveThreads(static_cast<int>(options.threads)));
    const void* borrowed = findExtension(options.pNext, DUNLIN_STRUCTURE_TYPE_VULKAN_BORROWED_DEVICE);
    if (!borrowed) return createById(options, device);
    DUNLIN_TRY(borrow(options, *static_cast<const DunlinVulkanBorrowedDevice*>(borrowed), device));
    return createBackend(options, device);
}

}  // namespace
}  // namespace dunlin::api

using namespace dunlin;
using namespace dunlin::api;

uint32_t dunlinGetVersion(void) {
    return DUNLIN_VERSION_MAJOR << 22 | DUNLIN_VERSION_MINOR << 12 | DUNLIN_VERSION_PATCH;
}

const char* dunlinGetStatusName(DunlinStatus status) {
    switch (status) {
        case DUNLIN_SUCCESS:
            return "success";
        case DUNLIN_ERROR_INVALID_ARGUMENT:
            return "invalid argument";
        case DUNLIN_ERROR_UNKNOWN_NAME:
            return "unknown name";
        case DUNLIN_ERROR_UNSUPPORTED:
            return "unsupported";
        case DUNLIN_ERROR_DOES_NOT_FIT:
            return "does not fit";
        case DUNLIN_ERROR_BAD_FILE:
            return "bad file";
        case DUNLIN_ERROR_OUT_OF_HOST_MEMORY:
            return "out of host memory";
        case DUNLIN_ERROR_OUT_OF_DEVICE_MEMORY:
            return "out of device memory";
        case DUNLIN_ERROR_DEVICE_LOST:
            return "device lost";
        case DUNLIN_ERROR_DEVICE:
            return "device error";
        case DUNLIN_ERROR_CANCELLED:
            return "cancelled";
        case DUNLIN_STATUS_MAX_ENUM:
            break;
    }
    return "unknown status";
}

const char* dunlinGetFeatureName(uint32_t feature) {
    for (size_t i = 0; i < std::size(kFeatureNames); ++i) {
        if (feature == 1u << i) return kFeatureNames[i];
    }
    return nullptr;
}

const char* dunlinGetDeviceTypeName(DunlinDeviceType type) {
    switch (type) {
        case DUNLIN_DEVICE_TYPE_CPU:
            return "cpu";
        case DUNLIN_DEVICE_TYPE_DISCRETE_GPU:
            return "discrete-gpu";
        case DUNLIN_DEVICE_TYPE_INTEGRATED_GPU:
            return "integrated-gpu";
        case DUNLIN_DEVICE_TYPE_VIRTUAL_GPU:
            return "virtual-gpu";
        case DUNLIN_DEVICE_TYPE_SOFTWARE_VULKAN:
            return "software-vulkan";
        case DUNLIN_DEVICE_TYPE_OTHER:
            break;
        case DUNLIN_DEVICE_TYPE_MAX_ENUM:
            break;
    }
    return "other";
}

DunlinStatus dunlinEnumerateDevices(uint32_t* count, DunlinDeviceInfo* devices, DunlinError* error) {
    return guarded(error, [&]() -> Status {
        DUNLIN_TRY(checkPresent(count, "count"));
        // Whatever keeps the Vulkan devices from being listed, the CPU is there.
        const auto vulkanDevices = listVulkanDevices();
        const std::vector<vulkan::ListedDevice> listed =
            vulkanDevices.ok() ? *vulkanDevices : std::vector<vulkan::ListedDevice>();
        const auto fill = [&](uint32_t i, DunlinDeviceInfo& info) {
            if (i == listed.size()) return fillCpuInfo(defaultThreadCount(), info);
            const vulkan::Capabilities& capabilities = listed[i].capabilities;
            fillInfo(capabilities, capabilities.features, capabilities.limits, vulkanId(listed[i].index), info);
        };
        return enumerate(listed.size() + 1, count, devices, DUNLIN_STRUCTURE_TYPE_DEVICE_INFO, "DunlinDeviceInfo",
                         fill);
    });
}

DunlinStatus dunlinCreateDevice(const DunlinDeviceOptions* options, DunlinDevice* device, DunlinError* error) {
    return guarded(error, [&]() -> Status {
        DUNLIN_TRY(checkPresent(device, "device"));
        *device = nullptr;
        const auto defaults = defaultsOf<DunlinDeviceOptions>(DUNLIN_STRUCTURE_TYPE_DEVICE_OPTIONS);
        const DunlinDeviceOptions& chosen = options ? *options : defaults;
        DUNLIN_TRY(checkHead(&chosen, DUNLIN_STRUCTURE_TYPE_DEVICE_OPTIONS, "DunlinDeviceOptions",
                             {DUNLIN_STRUCTURE_TYPE_VULKAN_BORROWED_DEVICE}));
        auto created = std::make_shared<Device>();
        DUNLIN_TRY(create(chosen, *created));
        *device = new DunlinDevice_T{std::move(created)};
        return {};
    });
}

void dunlinDestroyDevice(DunlinDevice device) {
    delete device;
}

DunlinStatus dunlinGetDeviceInfo(DunlinDevice device, DunlinDeviceInfo* info, DunlinError* error) {
    return guarded(error, [&]() -> Status {
        DUNLIN_TRY(checkPresent(device, "device"));
        DUNLIN_TRY(checkHead(info, DUNLIN_STRUCTURE_TYPE_DEVICE_INFO, "DunlinDeviceInfo"));
        const Device& opened = *device->device;
        if (opened.vulkan) {
            DeviceLimits limits = opened.vulkan->limits();
            limits.memoryBudgetBytes = opened.vulkan->availableBytes();  // now, not when it was opened
            fillInfo(opened.vulkan->capabilities(), opened.vulkan->enabled(), limits, opened.id, *info);
        } else {
            fillCpuInfo(opened.threads, *info);
        }
        return {};
    });
}
