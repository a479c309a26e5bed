#include "runtime/vulkan/device.h"

#include <algorithm>
#include <cstring>

#include "runtime/vulkan/matrix_support.h"

namespace dunlin::vulkan {
namespace {

constexpr const char* kValidationLayer = "VK_LAYER_KHRONOS_validation";
// The specification lets a driver without any device fail in either of two ways.
bool meansNoDriver(VkResult result) {
    return result == VK_ERROR_INCOMPATIBLE_DRIVER || result == VK_ERROR_INITIALIZATION_FAILED;
}

// The version of Vulkan that the layer was written for, or 0 where it is not installed.
uint32_t layerVersion(const GlobalFunctions& globals, const char* layer) {
    uint32_t count = 0;
    if (globals.EnumerateInstanceLayerProperties(&count, nullptr) != VK_SUCCESS) return 0;
    std::vector<VkLayerProperties> layers(count);
    globals.EnumerateInstanceLayerProperties(&count, layers.data());
    const auto found = std::ranges::find_if(
        layers, [&](const VkLayerProperties& one) { return std::strcmp(one.layerName, layer) == 0; });
    return found != layers.end() ? found->specVersion : 0;
}

bool hasInstanceExtension(const GlobalFunctions& globals, const char* layer, const char* extension) {
    // Asked once, with room for more than loaders have: each question makes the loader load and leave every driver.
    uint32_t count = 128;
    std::vector<VkExtensionProperties> extensions(count);
    const VkResult result = globals.EnumerateInstanceExtensionProperties(layer, &count, extensions.data());
    if (result != VK_SUCCESS && result != VK_INCOMPLETE) return false;
    extensions.resize(count);
    return std::any_of(extensions.begin(), extensions.end(), [&](const VkExtensionProperties& one) {
        return std::strcmp(one.extensionName, extension) == 0;
    });
}

Status checkLoaderVersion(const GlobalFunctions& globals) {
    uint32_t version = VK_API_VERSION_1_0;
    if (globals.EnumerateInstanceVersion)
        DUNLIN_TRY(check(globals.EnumerateInstanceVersion(&version), "vkEnumerateInstanceVersion"));
    if (version >= VK_API_VERSION_1_1) return Status();
    return error(StatusCode::Unsupported, "the Vulkan loader is of version %u.%u, 1.1 is needed",
                 VK_API_VERSION_MAJOR(version), VK_API_VERSION_MINOR(version));
}

Result<std::vector<VkPhysicalDevice>> physicalDevices(const InstanceFunctions& functions, VkInstance instance) {
    uint32_t count = 0;
    VkResult result = functions.EnumeratePhysicalDevices(instance, &count, nullptr);
    if (meansNoDriver(result))
        count = 0;
    else
        DUNLIN_TRY(check(result, "vkEnumeratePhysicalDevices"));
    if (count == 0) return error(StatusCode::Unsupported, "no Vulkan driver is installed that has a device");
    std::vector<VkPhysicalDevice> devices(count);
    result = functions.EnumeratePhysicalDevices(instance, &count, devices.data());
    if (result != VK_INCOMPLETE) DUNLIN_TRY(check(result, "vkEnumeratePhysicalDevices"));
    devices.resize(count);
    return devices;
}

std::vector<ListedDevice> describeDevices(const InstanceFunctions& functions,
                                          const std::vector<VkPhysicalDevice>& physicalDevices) {
    std::vector<ListedDevice> devices;
    for (VkPhysicalDevice physicalDevice : physicalDevices) {
        devices.push_back({static_cast<int>(devices.size()), queryCapabilities(functions, physicalDevice)});
    }
    return devices;
}

int rank(const Capabilities& capabilities) {
    if (capabilities.isSoftware()) return 0;
    switch (capabilities.type) {
        case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
            return 4;
        case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
            return 3;
        case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
            return 2;
        default:
            return 1;
    }
}

}  // namespace

struct VulkanDevice::MessageLog {
    std::mutex mutex;
    std::vector<ValidationMessage> messages;
    std::function<void(const ValidationMessage&)> onMessage;

    static VKAPI_ATTR VkBool32 VKAPI_CALL receive(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                                  VkDebugUtilsMessageTypeFlagsEXT,
                                                  const VkDebugUtilsMessengerCallbackDataEXT* data, void* user) {
        auto* log = static_cast<MessageLog*>(user);
        const std::lock_guard lock(log->mutex);
        ValidationMessage message{severity, data->pMessageIdName ? data->pMessageIdName : "", data->pMessage};
        if (log->onMessage) log->onMessage(message);
        if (log->messages.size() < VulkanDevice::kMaxValidationMessages) log->messages.push_back(std::move(message));
        return VK_FALSE;
    }
};

Result<std::shared_ptr<VulkanDevice>> VulkanDevice::create(const DeviceOptions& options) {
    std::shared_ptr<VulkanDevice> device(new VulkanDevice());
    device->allocator_ = options.allocator;
    device->timeoutNs_ = options.timeoutNs;
    DUNLIN_ASSIGN(device->globals_, loadGlobalFunctions(options.getInstanceProcAddr));
    DUNLIN_TRY(checkLoaderVersion(device->globals_));
    DUNLIN_TRY(device->createInstance(options));
    if (device->messages_) device->messages_->onMessage = options.onMessage;
    DUNLIN_TRY(device->choosePhysicalDevice(options.index));
    DUNLIN_TRY(device->createLogicalDevice(options));
    device->adoptLimits();
    return device;
}

Result<std::shared_ptr<VulkanDevice>> VulkanDevice::borrow(const BorrowedDevice& borrowed) {
    if (!borrowed.instance || !borrowed.physicalDevice || !borrowed.device || !borrowed.queue) {
        return error(StatusCode::InvalidArgument,
                     "a borrowed device needs instance, physicalDevice, device and queue; one of them is null");
    }
    if (!borrowed.lockQueue != !borrowed.unlockQueue) {
        return error(StatusCode::InvalidArgument, "lockQueue and unlockQueue must be given together");
    }
    std::shared_ptr<VulkanDevice> device(new VulkanDevice());
    device->allocator_ = borrowed.allocator;
    DUNLIN_ASSIGN(device->globals_, loadGlobalFunctions(borrowed.getInstanceProcAddr));
    DUNLIN_ASSIGN(device->instanceFunctions_,
                  loadInstanceFunctions(device->globals_.getInstanceProcAddr, borrowed.instance));
    device->instance_ = borrowed.instance;
    device->physicalDevice_ = borrowed.physicalDevice;
    device->capabilities_ = queryCapabilities(device->instanceFunctions_, borrowed.physicalDevice);
    const Capabilities& capabilities = device->capabilities_;
    if (!capabilities.usable) {
        return error(StatusCode::Unsupported, "%s: %s", capabilities.name.c_str(), capabilities.reason.c_str());
    }
    uint32_t familyCount = 0;
    device->instanceFunctions_.GetPhysicalDeviceQueueFamilyProperties(borrowed.physicalDevice, &familyCount, nullptr);
    std::vector<VkQueueFamilyProperties> families(familyCount);
    device->instanceFunctions_.GetPhysicalDeviceQueueFamilyProperties(borrowed.physicalDevice, &familyCount,
                                                                      families.data());
    if (borrowed.queueFamily >= familyCount || !(families[borrowed.queueFamily].queueFlags & VK_QUEUE_COMPUTE_BIT)) {
        return error(StatusCode::InvalidArgument, "queue family %u of %u has no VK_QUEUE_COMPUTE_BIT",
                     borrowed.queueFamily, familyCount);
    }
    DUNLIN_ASSIGN(device->functions_, loadDeviceFunctions(device->instanceFunctions_, borrowed.device));
    device->device_ = borrowed.device;
    device->queueFamily_ = borrowed.queueFamily;
    device->capabilities_.timestampValidBits = families[borrowed.queueFamily].timestampValidBits;
    device->queue_ = borrowed.queue;
    device->enabled_ = borrowed.enabled;
    device->lockQueue_ = borrowed.lockQueue;
    device->unlockQueue_ = borrowed.unlockQueue;
    device->adoptLimits();
    return device;
}

VulkanDevice::~VulkanDevice() {
    if (ownsDevice_ && device_) {
        functions_.DeviceWaitIdle(device_);  // fails on a lost device, which may still be destroyed
        functions_.DestroyDevice(device_, allocator_);
    }
    if (messenger_) instanceFunctions_.DestroyDebugUtilsMessengerEXT(instance_, messenger_, allocator_);
    if (ownsInstance_ && instance_) instanceFunctions_.DestroyInstance(instance_, allocator_);
}

Status VulkanDevice::createInstance(const DeviceOptions& options) {
    std::vector<const char*> layers, extensions;
    bool hasValidationFeatures = false;
    if (options.validation) {
        validationVersion_ = layerVersion(globals_, kValidationLayer);
        if (validationVersion_ == 0) {
            return error(StatusCode::Unsupported, "the validation layer %s is not installed", kValidationLayer);
        }
        layers.push_back(kValidationLayer);
        extensions.push_back(VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
        hasValidationFeatures =
            hasInstanceExtension(globals_, kValidationLayer, VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME);
        if (hasValidationFeatures) extensions.push_back(VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME);
    }
    const VkValidationFeatureEnableEXT enabled[] = {VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT};
    VkValidationFeaturesEXT validation{};
    validation.sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT;
    validation.enabledValidationFeatureCount = 1;
    validation.pEnabledValidationFeatures = enabled;
    VkApplicationInfo application{};
    application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
    application.pApplicationName = "dunlin";
    application.pEngineName = "dunlin";
    application.apiVersion = VK_API_VERSION_1_1;
    VkInstanceCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
    if (hasValidationFeatures) info.pNext = &validation;
    info.pApplicationInfo = &application;
    info.enabledLayerCount = static_cast<uint32_t>(layers.size());
    info.ppEnabledLayerNames = layers.data();
    info.enabledExtensionCount = static_cast<uint32_t>(extensions.size());
    info.ppEnabledExtensionNames = extensions.data();

#if defined(__APPLE__)
    // MoltenVK's devices are shown to those who ask for them. Elsewhere nobody asks: the question whether one may makes
    // the loader load every driver, which takes as long as creating the instance.
    constexpr const char* kPortability = VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME;
    if (hasInstanceExtension(globals_, nullptr, kPortability)) {
        extensions.push_back(kPortability);
        info.flags |= VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR;
        info.enabledExtensionCount = static_cast<uint32_t>(extensions.size());
        info.ppEnabledExtensionNames = extensions.data();
    }
#endif
    VkInstance instance = VK_NULL_HANDLE;
    const VkResult result = globals_.CreateInstance(&info, allocator_, &instance);
    if (meansNoDriver(result)) return error(StatusCode::Unsupported, "no Vulkan driver is installed");
    DUNLIN_TRY(check(result, "vkCreateInstance"));
    instance_ = instance;
    Result<InstanceFunctions> functions = loadInstanceFunctions(globals_.getInstanceProcAddr, instance);
    if (!functions.ok()) {
        const auto destroy =
            reinterpret_cast<PFN_vkDestroyInstance>(globals_.getInstanceProcAddr(instance, "vkDestroyInstance"));
        if (destroy) destroy(instance, allocator_);
        instance_ = VK_NULL_HANDLE;
        return functions.status();
    }
    instanceFunctions_ = *std::move(functions);
    ownsInstance_ = true;
    return options.validation ? createMessenger() : Status();
}

Status VulkanDevice::createMessenger() {
    messages_ = std::make_unique<MessageLog>();
    VkDebugUtilsMessengerCreateInfoEXT info{};
    info.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT;
    info.messageSeverity =
        VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
    info.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT;
    info.pfnUserCallback = MessageLog::receive;
    info.pUserData = messages_.get();
    return check(instanceFunctions_.CreateDebugUtilsMessengerEXT(instance_, &info, allocator_, &messenger_),
                 "vkCreateDebugUtilsMessengerEXT");
}

Status VulkanDevice::choosePhysicalDevice(int index) {
    DUNLIN_ASSIGN(const std::vector<VkPhysicalDevice> handles, physicalDevices(instanceFunctions_, instance_));
    const std::vector<ListedDevice> devices = describeDevices(instanceFunctions_, handles);
    const int count = static_cast<int>(devices.size());
    if (index < -1 || index >= count) {
        return error(StatusCode::UnknownName, "there is no Vulkan device %d: this machine has %d, counted from 0",
                     index, count);
    }
    const int chosen = index >= 0 ? index : bestDevice(devices);
    const Capabilities& capabilities = devices[static_cast<size_t>(std::max(chosen, 0))].capabilities;
    if (chosen < 0 || !capabilities.usable) {
        return error(StatusCode::Unsupported, "%s cannot be used: %s", capabilities.name.c_str(),
                     capabilities.reason.c_str());
    }
    physicalDevice_ = handles[static_cast<size_t>(chosen)];
    capabilities_ = capabilities;
    return Status();
}

Status VulkanDevice::createLogicalDevice(const DeviceOptions& options) {
    enabled_ = capabilities_.features;
    // An older layer takes the extension that it does not know for an error.
    constexpr uint32_t kWithMatrices = VK_MAKE_API_VERSION(0, 1, 3, 255);
    if (options.validation && validationVersion_ < kWithMatrices) enabled_.cooperativeMatrix = false;
    if (options.instruments) instruments_ = queryInstruments(instanceFunctions_, physicalDevice_, capabilities_);
    std::vector<const char*> extensions;
    for (const char* extension : requirements().recommendedDeviceExtensions) {
        if (capabilities_.hasExtension(extension)) extensions.push_back(extension);
    }
    // The specification wants it enabled wherever a device has it; the name is not in the stable headers.
    if (capabilities_.hasExtension("VK_KHR_portability_subset")) extensions.push_back("VK_KHR_portability_subset");
    if (enabled_.cooperativeMatrix) {
        for (const char* extension : matrixExtensions()) extensions.push_back(extension);
    }
    for (const char* extension : extensionsOf(instruments_, capabilities_)) extensions.push_back(extension);

    VkPhysicalDeviceFeatures2 features{};
    features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    VkPhysicalDevice16BitStorageFeatures storage16{};
    storage16.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES;
    storage16.storageBuffer16BitAccess = VK_TRUE;
    VkPhysicalDeviceShaderFloat16Int8Features float16{};
    float16.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES;
    float16.shaderFloat16 = VK_TRUE;
    VkPhysicalDeviceTimelineSemaphoreFeatures timeline{};
    timeline.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES;
    timeline.timelineSemaphore = VK_TRUE;
    if (options.robustBufferAccess) {
        VkPhysicalDeviceFeatures2 available{};
        available.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
        instanceFunctions_.GetPhysicalDeviceFeatures2(physicalDevice_, &available);
        features.features.robustBufferAccess = available.features.robustBufferAccess;
    }
    const auto chainIf = [&](bool wanted, auto& structure) {
        if (!wanted) return;
        structure.pNext = features.pNext;
        features.pNext = &structure;
    };
    chainIf(enabled_.storageBuffer16, storage16);
    chainIf(enabled_.shaderFloat16, float16);
    chainIf(enabled_.timelineSemaphore, timeline);
    MatrixFeatures matrixFeatures;
    if (enabled_.cooperativeMatrix) matrixFeatures.chainTo(features);
    InstrumentFeatures instrumentFeatures(instruments_);
    instrumentFeatures.chainTo(features);

    const float priority = 1;
    VkDeviceQueueCreateInfo queue{};
    queue.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
    queue.queueFamilyIndex = capabilities_.computeQueueFamily;
    queue.queueCount = 1;
    queue.pQueuePriorities = &priority;
    VkDeviceCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
    info.pNext = &features;
    info.queueCreateInfoCount = 1;
    info.pQueueCreateInfos = &queue;
    info.enabledExtensionCount = static_cast<uint32_t>(extensions.size());
    info.ppEnabledExtensionNames = extensions.data();
    VkDevice device = VK_NULL_HANDLE;
    DUNLIN_TRY(check(instanceFunctions_.CreateDevice(physicalDevice_, &info, allocator_, &device), "vkCreateDevice"));
    Result<DeviceFunctions> functions = loadDeviceFunctions(instanceFunctions_, device);
    if (!functions.ok()) {
        const auto destroy =
            reinterpret_cast<PFN_vkDestroyDevice>(instanceFunctions_.GetDeviceProcAddr(device, "vkDestroyDevice"));
        if (destroy) destroy(device, allocator_);
        return functions.status();
    }
    functions_ = *std::move(functions);
    loadInstrumentFunctions(instanceFunctions_, device, instruments_, functions_);
    device_ = device;
    ownsDevice_ = true;
    queueFamily_ = capabilities_.computeQueueFamily;
    functions_.GetDeviceQueue(device_, queueFamily_, 0, &queue_);
    return Status();
}

void VulkanDevice::adoptLimits() {
    limits_ = capabilities_.limits;
    limits_.fp16 = enabled_.fp16();
    if (!enabled_.cooperativeMatrix) limits_.matrix = {};
}

template <typename Call>
VkResult VulkanDevice::whileLocked(Call call) const {
    if (!lockQueue_) {
        const std::lock_guard lock(queueMutex_);
        return call();
    }
    lockQueue_();
    const VkResult result = call();
    unlockQueue_();
    return result;
}

Status VulkanDevice::submit(VkQueue queue, const VkSubmitInfo& submission, VkFence fence) const {
    const auto call = [&] { return functions_.QueueSubmit(queue, 1, &submission, fence); };
    return check(queue == queue_ ? whileLocked(call) : call(), "vkQueueSubmit");
}

Status VulkanDevice::submitAndWait(const VkSubmitInfo& submission, VkFence fence) const {
    // Before and not after: whatever went wrong last time, this wait does not return at once.
    DUNLIN_TRY(check(functions_.ResetFences(device_, 1, &fence), "vkResetFences"));
    DUNLIN_TRY(submit(queue_, submission, fence));
    return waitFor(fence);
}

Status VulkanDevice::waitFor(VkFence fence) const {
    const VkResult result = functions_.WaitForFences(device_, 1, &fence, VK_TRUE, timeoutNs_);
    if (result == VK_TIMEOUT) {
        return error(StatusCode::DeviceLost, "what was submitted did not finish within %g s",
                     static_cast<double>(timeoutNs_) * 1e-9);
    }
    // A lost device has nothing to wait for.
    if (result == VK_SUCCESS || result == VK_ERROR_DEVICE_LOST) return check(result, "vkWaitForFences");
    // Out of memory while waiting: the work goes on, so wait the other way.
    const VkResult idle = whileLocked([&] { return functions_.QueueWaitIdle(queue_); });
    if (idle == VK_SUCCESS) return check(result, "vkWaitForFences");
    return error(StatusCode::DeviceLost,
                 "vkWaitForFences failed with %s and vkQueueWaitIdle with %s: what was submitted may still run",
                 name(result), name(idle));
}

std::vector<ValidationMessage> VulkanDevice::validationMessages() const {
    if (!messages_) return {};
    const std::lock_guard lock(messages_->mutex);
    return messages_->messages;
}

Result<std::vector<ListedDevice>> VulkanDevice::list(PFN_vkGetInstanceProcAddr getInstanceProcAddr) {
    VulkanDevice instanceOnly;
    DUNLIN_ASSIGN(instanceOnly.globals_, loadGlobalFunctions(getInstanceProcAddr));
    DUNLIN_TRY(checkLoaderVersion(instanceOnly.globals_));
    DUNLIN_TRY(instanceOnly.createInstance({}));
    DUNLIN_ASSIGN(const std::vector<VkPhysicalDevice> handles,
                  physicalDevices(instanceOnly.instanceFunctions_, instanceOnly.instance_));
    return describeDevices(instanceOnly.instanceFunctions_, handles);
}

int bestDevice(const std::vector<ListedDevice>& devices) {
    int best = -1, bestRank = -1;
    for (const ListedDevice& device : devices) {
        if (!device.capabilities.usable || rank(device.capabilities) <= bestRank) continue;
        best = device.index;
        bestRank = rank(device.capabilities);
    }
    return best;
}

}  // namespace dunlin::vulkan
