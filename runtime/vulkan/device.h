// A Vulkan device to run networks on: the application's, or one of our own.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/vulkan/capabilities.h"
#include "runtime/vulkan/functions.h"
#include "runtime/vulkan/instruments.h"

namespace dunlin::vulkan {

// What the validation layers said of one call.
struct ValidationMessage {
    VkDebugUtilsMessageSeverityFlagBitsEXT severity{};
    std::string id, text;
};

struct DeviceOptions {
    int index = -1;  // in the order of VulkanDevice::list(); -1: the best usable one, a real GPU before a software one
    // Turns on the Khronos validation layer with synchronization validation; Unsupported where it is not installed. A
    // layer from before cooperative matrices (Vulkan 1.3.255) leaves the device without them.
    bool validation = false;
    PFN_vkGetInstanceProcAddr getInstanceProcAddr = nullptr;  // null: the system's loader
    const VkAllocationCallbacks* allocator = nullptr;         // must outlive the device
    // Optional: hears every message of the validation layer as it comes, from whatever thread causes it.
    std::function<void(const ValidationMessage&)> onMessage;
    // Enables what only measurements need, where the device has it: VulkanDevice::instruments() says what it was.
    bool instruments = false;
    // Enables robustBufferAccess, where the device has it: shaders of others cannot reach other memory than that of the
    // buffers bound. May slow every shader.
    bool robustBufferAccess = false;
    // How long submitAndWait() and waitFor() wait. After a timeout the device still runs what was submitted, perhaps
    // for ever: neither the device nor anything made from it may be destroyed, so the process should end (std::_Exit).
    uint64_t timeoutNs = UINT64_MAX;
};

// An application's device. All handles must outlive the VulkanDevice; none of them is ever destroyed by it.
struct BorrowedDevice {
    PFN_vkGetInstanceProcAddr getInstanceProcAddr = nullptr;  // null: the system's loader
    VkInstance instance = VK_NULL_HANDLE;                     // created for Vulkan 1.1 or later
    VkPhysicalDevice physicalDevice = VK_NULL_HANDLE;
    VkDevice device = VK_NULL_HANDLE;
    uint32_t queueFamily = 0;        // with VK_QUEUE_COMPUTE_BIT
    VkQueue queue = VK_NULL_HANDLE;  // of queueFamily, for run() and uploads
    Features enabled;                // what the application enabled on `device`
    // Optional: called around every use of `queue`, which the application then may use from other threads.
    std::function<void()> lockQueue, unlockQueue;
    const VkAllocationCallbacks* allocator = nullptr;
};

struct ListedDevice {
    int index = 0;
    Capabilities capabilities;
};

// Immutable after creation and safe to use from any thread. Destroys what it created, last.
class VulkanDevice {
  public:
    static Result<std::shared_ptr<VulkanDevice>> create(const DeviceOptions& options = {});
    static Result<std::shared_ptr<VulkanDevice>> borrow(const BorrowedDevice& borrowed);
    // Every Vulkan device of this machine, usable or not, in the loader's order. Unsupported where there is no loader
    // or no driver.
    static Result<std::vector<ListedDevice>> list(PFN_vkGetInstanceProcAddr getInstanceProcAddr = nullptr);
    ~VulkanDevice();
    VulkanDevice(const VulkanDevice&) = delete;
    VulkanDevice& operator=(const VulkanDevice&) = delete;

    const DeviceFunctions& functions() const { return functions_; }
    const InstanceFunctions& instanceFunctions() const { return instanceFunctions_; }
    VkInstance instance() const { return instance_; }
    VkPhysicalDevice physicalDevice() const { return physicalDevice_; }
    VkDevice handle() const { return device_; }
    uint32_t queueFamily() const { return queueFamily_; }
    VkQueue queue() const { return queue_; }
    const VkAllocationCallbacks* allocator() const { return allocator_; }

    const Capabilities& capabilities() const { return capabilities_; }
    const Features& enabled() const { return enabled_; }
    // What DeviceOptions::instruments enabled; nothing on a borrowed device.
    const Instruments& instruments() const { return instruments_; }
    // capabilities().limits, narrowed to what is enabled. The memory budget is as it was at creation.
    const DeviceLimits& limits() const { return limits_; }
    // Now.
    uint64_t availableBytes() const { return availableDeviceBytes(instanceFunctions_, physicalDevice_, capabilities_); }

    // One vkQueueSubmit. queue() is locked meanwhile (with the application's callbacks, or our own mutex); another
    // queue of the family is the caller's to synchronise.
    Status submit(VkQueue queue, const VkSubmitInfo& submission, VkFence fence) const;
    // Resets `fence`, submits to queue(), and blocks until it is signalled. Whatever it returns but DeviceLost, the
    // device no longer uses what was submitted. DeviceLost after DeviceOptions::timeoutNs, too.
    Status submitAndWait(const VkSubmitInfo& submission, VkFence fence) const;
    // Blocks until the fence of a submission to queue() is signalled, with the same promise for what was submitted
    // there.
    Status waitFor(VkFence fence) const;

    // Warnings and errors of the validation layer since creation, the first kMaxValidationMessages of them; empty
    // without validation.
    static constexpr size_t kMaxValidationMessages = 1000;
    std::vector<ValidationMessage> validationMessages() const;

  private:
    struct MessageLog;

    VulkanDevice() = default;
    Status createInstance(const DeviceOptions& options);
    Status createMessenger();
    Status choosePhysicalDevice(int index);
    Status createLogicalDevice(const DeviceOptions& options);
    void adoptLimits();
    template <typename Call>
    VkResult whileLocked(Call call) const;

    GlobalFunctions globals_;
    InstanceFunctions instanceFunctions_;
    DeviceFunctions functions_;
    bool ownsInstance_ = false, ownsDevice_ = false;
    VkInstance instance_ = VK_NULL_HANDLE;
    uint32_t validationVersion_ = 0;
    VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
    VkPhysicalDevice physicalDevice_ = VK_NULL_HANDLE;
    VkDevice device_ = VK_NULL_HANDLE;
    uint32_t queueFamily_ = 0;
    VkQueue queue_ = VK_NULL_HANDLE;
    const VkAllocationCallbacks* allocator_ = nullptr;
    Capabilities capabilities_;
    Features enabled_;
    Instruments instruments_;
    uint64_t timeoutNs_ = UINT64_MAX;
    DeviceLimits limits_;
    std::function<void()> lockQueue_, unlockQueue_;
    mutable std::mutex queueMutex_;
    std::unique_ptr<MessageLog> messages_;
};

// The index of the one that VulkanDevice::create() takes, or -1: usable, discrete before integrated before virtual
// before software.
int bestDevice(const std::vector<ListedDevice>& devices);

}  // namespace dunlin::vulkan
