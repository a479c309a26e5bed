/* Dunlin inside a Vulkan application: what to enable before vkCreateDevice, a borrowed device, images and buffers as
 * inputs, and recording into the application's command buffers. Needs C99 or C++11 and the Vulkan headers; the rules at
 * the top of dunlin.h hold here too.
 *
 * The order of calls:
 *
 *     dunlinGetVulkanRequirements   before vkCreateInstance and vkCreateDevice
 *     dunlinCreateDevice            with DunlinVulkanBorrowedDevice in its pNext
 *     dunlinCreateSession           the slow call: the only one that compiles or uploads
 *
 * and then, each frame, dunlinRecord: the network's dispatches go into a command buffer that the application submits.
 * Or, instead of that,
 *
 *     dunlinBindSlot                once for each slot: which input and output its own command buffer uses
 *     dunlinSubmit                  each frame: submits that command buffer
 *
 * Slots are frames in flight: each has its own activations, descriptor sets and command buffer. A slot is idle until
 * commands that use it are submitted, and again when they have finished. Different slots of a session may be in flight
 * at once, on one queue or several; the calls themselves need external synchronization like all calls on a session.
 *
 * All functions below return DUNLIN_ERROR_UNSUPPORTED for a session on the CPU. */
#ifndef DUNLIN_VULKAN_H
#define DUNLIN_VULKAN_H

#include <vulkan/vulkan_core.h>

#include "dunlin.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Requirements ---------------------------------------------------------------------------------------- */

/* Features by name, as they are called in VkPhysicalDeviceFeatures2 and the structures that extend it. */
typedef struct DunlinVulkanFeatures {
    VkBool32 storageBuffer16BitAccess; /* VkPhysicalDevice16BitStorageFeatures; with the next: DUNLIN_FEATURE_FP16 */
    VkBool32 shaderFloat16;            /* VkPhysicalDeviceShaderFloat16Int8Features */
    VkBool32 timelineSemaphore;        /* VkPhysicalDeviceTimelineSemaphoreFeatures */
} DunlinVulkanFeatures;

/* What Dunlin wants of an instance and a device. Required is what it does not run without; recommended is what makes it
 * faster or gives it DUNLIN_FEATUREs, where the device supports it. Recommended extensions include those that
 * recommended features need on Vulkan 1.1. sType: DUNLIN_STRUCTURE_TYPE_VULKAN_REQUIREMENTS. Filled by the library;
 * lists are static. */
typedef struct DunlinVulkanRequirements {
    DunlinStructureType sType;
    void* pNext;
    uint32_t minApiVersion;  /* of VkApplicationInfo::apiVersion and of the physical device: VK_API_VERSION_1_1 */
    VkQueueFlags queueFlags; /* of the queue family: VK_QUEUE_COMPUTE_BIT */
    uint32_t requiredInstanceExtensionCount;
    const char* const* requiredInstanceExtensions;
    uint32_t recommendedInstanceExtensionCount;
    const char* const* recommendedInstanceExtensions;
    uint32_t requiredDeviceExtensionCount;
    const char* const* requiredDeviceExtensions;
    uint32_t recommendedDeviceExtensionCount;
    const char* const* recommendedDeviceExtensions;
    DunlinVulkanFeatures requiredFeatures;
    DunlinVulkanFeatures recommendedFeatures;
} DunlinVulkanRequirements;

/* Needs no Vulkan loader. */
DUNLIN_API DunlinStatus dunlinGetVulkanRequirements(DunlinVulkanRequirements* requirements, DunlinError* error);

/* ---- Borrowed device ------------------------------------------------------------------------------------- */

/* Brackets every use of `queue` by the library. Called from the thread that made the call. */
typedef void (*DunlinQueueLockCallback)(void* userData, VkQueue queue);

/* Extends DunlinDeviceOptions: use the application's device. Its handles must stay valid until the DunlinDevice and all
 * its sessions are destroyed; Dunlin never destroys them. sType: DUNLIN_STRUCTURE_TYPE_VULKAN_BORROWED_DEVICE */
typedef struct DunlinVulkanBorrowedDevice {
    DunlinStructureType sType;
    const void* pNext;
    PFN_vkGetInstanceProcAddr getInstanceProcAddr; /* NULL: the system's Vulkan loader is opened */
    VkInstance instance;                           /* VkApplicationInfo::apiVersion is at least VK_API_VERSION_1_1 */
    VkPhysicalDevice physicalDevice;
    VkDevice device;
    /* The queue that dunlinCreateSession and dunlinRun submit to, and its family, which has VK_QUEUE_COMPUTE_BIT.
     * dunlinRecord's command buffers may be submitted to any queue of this family. */
    uint32_t queueFamily;
    VkQueue queue;
    /* What was enabled at vkCreateDevice: Dunlin uses no feature that is not named here. */
    DunlinVulkanFeatures enabledFeatures;
    /* Optional, both or none: vkQueueSubmit needs external synchronization, so if the application uses the same queue
     * from another thread it locks it in these. They and their user data stay valid as long as the device does. */
    DunlinQueueLockCallback lockQueue;
    DunlinQueueLockCallback unlockQueue;
    void* queueLockUserData;
    /* Optional: used for every object that Dunlin creates on this device. What it points to is copied; its user data
     * must stay valid as long as the device does. */
    const VkAllocationCallbacks* allocationCallbacks;
} DunlinVulkanBorrowedDevice;

/* ---- Inputs and outputs ---------------------------------------------------------------------------------- */

/* A rectangle of an image, in texels. */
typedef struct DunlinVulkanImage {
    VkImageView view;     /* 2D, one mip level, a format that can be sampled as float; usage includes SAMPLED */
    VkImageLayout layout; /* at execution: SHADER_READ_ONLY_OPTIMAL or GENERAL */
    VkExtent2D extent;    /* of the view's mip level */
    VkRect2D region;      /* the part that counts as the picture; all zero: the whole */
    /* The view's format is an _SRGB one, so that sampling decodes: networks were trained on encoded colours, so they
     * are encoded again. Must agree with the format. */
    VkBool32 isSrgb;
} DunlinVulkanImage;

/* A range of a buffer with usage STORAGE_BUFFER that holds pictures or a tensor; see DunlinVulkanInput. */
typedef struct DunlinVulkanPixels {
    VkBuffer buffer;
    VkDeviceSize offset; /* bytes, a multiple of 4 */
    uint32_t width;      /* pixels, RGBA8, red first */
    uint32_t height;
    uint32_t rowPixels; /* from one row to the next. 0: width */
} DunlinVulkanPixels;

/* Exactly one of the three. The kind must be among the session's inputKinds: IMAGE, PICTURES or TENSOR.
 * sType: DUNLIN_STRUCTURE_TYPE_VULKAN_INPUT */
typedef struct DunlinVulkanInput {
    DunlinStructureType sType;
    const void* pNext;
    uint32_t imageCount; /* the session's batch, or 0 */
    const DunlinVulkanImage* images;
    uint32_t pixelsCount; /* the session's batch, or 0 */
    const DunlinVulkanPixels* pixels;
    VkBuffer tensor; /* STORAGE_BUFFER: batch * 3 * height * width float32, NCHW, normalised; or VK_NULL_HANDLE */
    VkDeviceSize tensorOffset; /* bytes, a multiple of 4 */
} DunlinVulkanInput;

/* Where outputs go: DunlinSessionInfo::outputBytes from `offset` on, laid out as dunlinGetOutputInfo says. The buffer
 * has usage STORAGE_BUFFER. sType: DUNLIN_STRUCTURE_TYPE_VULKAN_OUTPUT */
typedef struct DunlinVulkanOutput {
    DunlinStructureType sType;
    const void* pNext;
    VkBuffer buffer;     /* VK_NULL_HANDLE: the slot's own, see dunlinGetSlotOutputBuffer */
    VkDeviceSize offset; /* bytes, a multiple of 256 */
} DunlinVulkanOutput;

/* The slot's own output buffer of DunlinSessionInfo::outputBytes, with usage STORAGE_BUFFER and TRANSFER_SRC; belongs
 * to the session. */
DUNLIN_API DunlinStatus dunlinGetSlotOutputBuffer(DunlinSession session, uint32_t slot, VkBuffer* buffer,
                                                  DunlinError* error);

/* Copies the slot's own output buffer to the host, after the device has finished and made it visible to the host
 * (dunlinSubmit does; with dunlinRecord the application does). No wait, no submit. `output` as for dunlinRun. */
DUNLIN_API DunlinStatus dunlinReadSlotOutput(DunlinSession session, uint32_t slot, void* output, size_t outputBytes,
                                             DunlinError* error);

/* ---- Recording ------------------------------------------------------------------------------------------- */

/* Records the network, or the dispatches [firstDispatch, firstDispatch + dispatchCount) of it, into a command buffer in
 * the recording state, outside a render pass, of a pool of the device's queue family. dispatchCount 0: all from
 * firstDispatch on. DunlinSessionInfo::dispatches is the whole. `output` is optional: the slot's own buffer. To keep a
 * frame budget, the ranges of one run are recorded in order, all with the same slot, input and output, into command
 * buffers that run in that order on one queue; the dependencies between them are recorded too.
 *
 * No submit, no wait, no allocation of device memory. It binds compute pipelines, descriptor sets and push constants,
 * and disturbs those of the compute bind point. The command buffer may be submitted again and again, one after the
 * other.
 *
 * At the beginning, the application makes sure by barriers or semaphores that
 *   - what wrote the input is available and visible to VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_READ_BIT;
 *     images are in the layout named in the input;
 *   - what used the output range before has finished: an execution dependency to COMPUTE_SHADER, and after writes a
 *     memory dependency to VK_ACCESS_SHADER_WRITE_BIT;
 *   - the slot is idle, or its last use comes earlier on the same queue with an execution and memory dependency from
 *     COMPUTE_SHADER, SHADER_WRITE to COMPUTE_SHADER, SHADER_READ | SHADER_WRITE in between.
 * At the end, outputs were written by COMPUTE_SHADER, SHADER_WRITE, and the application makes them visible to whoever
 * reads them (the host: VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT). Images are still in their layout; nothing
 * is transferred between queue families.
 *
 * A call with firstDispatch 0 writes the slot's descriptor sets, so the slot must be idle then, and what was recorded
 * for it before is invalid from then on. The input's and output's handles must stay valid until the commands have
 * finished. */
DUNLIN_API DunlinStatus dunlinRecord(DunlinSession session, VkCommandBuffer commandBuffer, uint32_t slot,
                                     const DunlinVulkanInput* input, const DunlinVulkanOutput* output,
                                     uint32_t firstDispatch, uint32_t dispatchCount, DunlinError* error);

/* Fixes the input and output (optional: the slot's own buffer) of the slot's own command buffer, for dunlinSubmit. The
 * slot must be idle. Records into an existing pool. dunlinRun uses slot 0 and undoes what was bound to it. */
DUNLIN_API DunlinStatus dunlinBindSlot(DunlinSession session, uint32_t slot, const DunlinVulkanInput* input,
                                       const DunlinVulkanOutput* output, DunlinError* error);

typedef struct DunlinVulkanSemaphore {
    VkSemaphore semaphore;
    uint64_t value; /* timeline semaphores (DUNLIN_FEATURE_TIMELINE_SEMAPHORE); binary ones: 0 */
} DunlinVulkanSemaphore;

/* sType: DUNLIN_STRUCTURE_TYPE_VULKAN_SUBMIT */
typedef struct DunlinVulkanSubmit {
    DunlinStructureType sType;
    const void* pNext;
    VkQueue queue;      /* of the device's queue family; VK_NULL_HANDLE: the device's own queue */
    uint32_t slot;      /* idle, with dunlinBindSlot called */
    uint32_t waitCount; /* waited for at VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT */
    const DunlinVulkanSemaphore* waits;
    uint32_t signalCount;
    const DunlinVulkanSemaphore* signals;
    VkFence fence; /* optional */
} DunlinVulkanSubmit;

/* One vkQueueSubmit of the slot's command buffer, and nothing else: no wait, no recording. The semaphores, or the order
 * of earlier submissions with barriers, give the guarantees that dunlinRecord asks for at both ends; the slot's command
 * buffer also makes the outputs available to the host. The queue lock callbacks are called only for the device's own
 * queue. */
DUNLIN_API DunlinStatus dunlinSubmit(DunlinSession session, const DunlinVulkanSubmit* submit, DunlinError* error);

#ifdef __cplusplus
}
#endif

#endif
