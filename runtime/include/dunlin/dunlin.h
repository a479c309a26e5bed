/* Dunlin: vision networks on Vulkan compute, and on the CPU where there is no usable Vulkan.
 *
 * This header is the reference documentation of the library. It needs C99 or C++11 and no other header of this project;
 * what takes or gives Vulkan objects (a borrowed VkDevice, VkImage inputs, recording into a command buffer) is in
 * dunlin_vulkan.h, and a C++20 skin over both is in dunlin.hpp.
 *
 *     device (dunlinCreateDevice)   a Vulkan device, created or borrowed, or the CPU
 *     model (dunlinOpenModel)       an architecture and its weights; knows nothing of devices
 *     session (dunlinCreateSession) a model compiled for a device, input size, batch and precision: the slow call
 *     dunlinRun                     pictures or a tensor in, logits and the likeliest classes out; blocks
 *
 * Rules that hold everywhere:
 *
 * Errors. Every function that can fail returns DunlinStatus and takes an optional DunlinError, which receives one
 * sentence with the actual value and the limit. On failure nothing else is written unless a comment says so, and
 * handles are set to NULL. The library throws nothing, prints nothing, never aborts and has no state outside its
 * objects. A NULL for a pointer that is not called optional gives DUNLIN_ERROR_INVALID_ARGUMENT.
 *
 * Structures. The caller sets sType to the value that is named beside the structure, in those that are filled by the
 * library too; a wrong sType is DUNLIN_ERROR_INVALID_ARGUMENT. pNext chains extensions of the structure; a structure
 * that does not belong into a chain is DUNLIN_ERROR_INVALID_ARGUMENT rather than ignored. All other fields may be zero,
 * which means the default that the field's comment names: `DunlinSessionOptions options =
 * {DUNLIN_STRUCTURE_TYPE_SESSION_OPTIONS};` is complete. Everything that a structure or an argument points to is
 * borrowed for the call only, unless a comment says otherwise.
 *
 * Strings are UTF-8 and end with 0.
 *
 * Threads. Functions may be called from any thread. DunlinModel and DunlinDevice may be used by several threads at
 * once; a DunlinSession by one at a time (external synchronization). Destroying an object while another thread uses it
 * is an error of the caller.
 *
 * Lifetimes. A session keeps what it needs of its model and device: these may be destroyed before it, and their
 * resources go with the last session. Only what was borrowed (VkDevice, callbacks, user data) must outlive the
 * sessions. Destroying NULL does nothing. */
#ifndef DUNLIN_H
#define DUNLIN_H

#include <stddef.h>
#include <stdint.h>

#if defined(DUNLIN_STATIC)
#define DUNLIN_API
#elif defined(_WIN32)
#if defined(DUNLIN_BUILDING)
#define DUNLIN_API __declspec(dllexport)
#else
#define DUNLIN_API __declspec(dllimport)
#endif
#else
#define DUNLIN_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define DUNLIN_VERSION_MAJOR 0
#define DUNLIN_VERSION_MINOR 1
#define DUNLIN_VERSION_PATCH 0

/* Version of the library that is linked, which may be newer than this header: major << 22 | minor << 12 | patch, as
 * Vulkan's. Within a major version other than 0, what was compiled against an older header keeps working. */
DUNLIN_API uint32_t dunlinGetVersion(void);

/* Limits of what can be asked for. Those of a device are in DunlinDeviceInfo. */
#define DUNLIN_MAX_BATCH 64      /* images a run */
#define DUNLIN_MIN_INPUT_SIDE 32 /* pixels, of a network's input */
#define DUNLIN_MAX_INPUT_SIDE 1024
#define DUNLIN_MAX_PICTURE_SIDE 16384 /* pixels, of a picture that is given */

/* ---- Status ---------------------------------------------------------------------------------------------- */

typedef enum DunlinStatus {
    DUNLIN_SUCCESS = 0,
    DUNLIN_ERROR_INVALID_ARGUMENT = 1, /* the request makes no sense: sizes, option names, ranges */
    DUNLIN_ERROR_UNKNOWN_NAME = 2,     /* no such architecture, device, output or shipped model */
    DUNLIN_ERROR_UNSUPPORTED = 3,      /* makes sense, but not on this device or in this build */
    DUNLIN_ERROR_DOES_NOT_FIT = 4, /* would exceed the device's or the caller's memory limit; nothing was allocated */
    DUNLIN_ERROR_BAD_FILE = 5,     /* absent, cut, hostile or not of the promised format */
    DUNLIN_ERROR_OUT_OF_HOST_MEMORY = 6,
    DUNLIN_ERROR_OUT_OF_DEVICE_MEMORY = 7, /* the device could not allocate what should have fitted */
    DUNLIN_ERROR_DEVICE_LOST = 8,          /* destroy the sessions and the device; models stay good for a new device */
    DUNLIN_ERROR_DEVICE = 9,               /* any other failure that the driver reported */
    DUNLIN_ERROR_CANCELLED = 10,           /* the progress callback asked for it */
    DUNLIN_STATUS_MAX_ENUM = 0x7FFFFFFF
} DunlinStatus;

/* The sentence that goes with a status. Belongs to the caller, so that errors of several threads do not mix. Written by
 * every call that it is given to: empty on success. A longer sentence is cut after a whole character. */
#define DUNLIN_ERROR_MESSAGE_SIZE 512
typedef struct DunlinError {
    char message[DUNLIN_ERROR_MESSAGE_SIZE];
} DunlinError;

/* "bad file" for DUNLIN_ERROR_BAD_FILE; "unknown status" for a number that is none. Static. */
DUNLIN_API const char* dunlinGetStatusName(DunlinStatus status);

/* ---- Common types ---------------------------------------------------------------------------------------- */

/* 0 is false, everything else is true. */
typedef uint32_t DunlinBool;

/* The type of a structure, first in each. Numbers from 1000 on are declared by dunlin_vulkan.h. */
typedef enum DunlinStructureType {
    DUNLIN_STRUCTURE_TYPE_DEVICE_INFO = 1,
    DUNLIN_STRUCTURE_TYPE_DEVICE_OPTIONS = 2,
    DUNLIN_STRUCTURE_TYPE_ARCHITECTURE_INFO = 3,
    DUNLIN_STRUCTURE_TYPE_MODEL_OPTIONS = 4,
    DUNLIN_STRUCTURE_TYPE_MODEL_INFO = 5,
    DUNLIN_STRUCTURE_TYPE_SESSION_OPTIONS = 6,
    DUNLIN_STRUCTURE_TYPE_SESSION_INFO = 7,
    DUNLIN_STRUCTURE_TYPE_OUTPUT_INFO = 8,
    DUNLIN_STRUCTURE_TYPE_HOST_INPUT = 9,
    DUNLIN_STRUCTURE_TYPE_VULKAN_REQUIREMENTS = 1000,
    DUNLIN_STRUCTURE_TYPE_VULKAN_BORROWED_DEVICE = 1001,
    DUNLIN_STRUCTURE_TYPE_VULKAN_INPUT = 1002,
    DUNLIN_STRUCTURE_TYPE_VULKAN_OUTPUT = 1003,
    DUNLIN_STRUCTURE_TYPE_VULKAN_SUBMIT = 1004,
    DUNLIN_STRUCTURE_TYPE_MAX_ENUM = 0x7FFFFFFF
} DunlinStructureType;

/* Of storage and arithmetic. Fp16 accumulates reductions in float32; inputs and outputs are float32 in either. */
typedef enum DunlinPrecision {
    DUNLIN_PRECISION_AUTO = 0, /* Fp16 on a real GPU that has DUNLIN_FEATURE_FP16, else Fp32 */
    DUNLIN_PRECISION_FP32 = 1,
    DUNLIN_PRECISION_FP16 = 2, /* DUNLIN_ERROR_UNSUPPORTED on the CPU and where DUNLIN_FEATURE_FP16 is absent */
    DUNLIN_PRECISION_MAX_ENUM = 0x7FFFFFFF
} DunlinPrecision;

typedef enum DunlinInterpolation {
    DUNLIN_INTERPOLATION_BILINEAR = 0, /* both antialiased, as Pillow's */
    DUNLIN_INTERPOLATION_BICUBIC = 1,
    DUNLIN_INTERPOLATION_MAX_ENUM = 0x7FFFFFFF
} DunlinInterpolation;

typedef enum DunlinElementType {
    DUNLIN_ELEMENT_TYPE_FLOAT32 = 0,
    DUNLIN_ELEMENT_TYPE_UINT32 = 1,
    DUNLIN_ELEMENT_TYPE_MAX_ENUM = 0x7FFFFFFF
} DunlinElementType;

typedef enum DunlinMessageSeverity {
    DUNLIN_MESSAGE_INFO = 0, /* for example: the pipeline cache was of another driver and is rebuilt */
    DUNLIN_MESSAGE_WARNING = 1,
    DUNLIN_MESSAGE_ERROR = 2, /* for example: a validation error */
    DUNLIN_MESSAGE_MAX_ENUM = 0x7FFFFFFF
} DunlinMessageSeverity;

/* What the device or the validation layer has to say. `text` is valid during the call. May be called from any thread
 * that uses the device, and from threads of the driver; must not call back into the library. */
typedef void (*DunlinMessageCallback)(void* userData, DunlinMessageSeverity severity, const char* text);

/* Progress of a slow call, from 0 to 1 and never falling, on the calling thread. Returning 0 cancels: the call cleans
 * up and returns DUNLIN_ERROR_CANCELLED. Locks are held meanwhile: must not call back into the library. */
typedef DunlinBool (*DunlinProgressCallback)(void* userData, float progress);

typedef struct DunlinDevice_T* DunlinDevice;
typedef struct DunlinModel_T* DunlinModel;
typedef struct DunlinSession_T* DunlinSession;

/* ---- Devices --------------------------------------------------------------------------------------------- */

typedef enum DunlinDeviceType {
    DUNLIN_DEVICE_TYPE_CPU = 0, /* Dunlin's CPU backend: no Vulkan involved */
    DUNLIN_DEVICE_TYPE_DISCRETE_GPU = 1,
    DUNLIN_DEVICE_TYPE_INTEGRATED_GPU = 2,
    DUNLIN_DEVICE_TYPE_VIRTUAL_GPU = 3,
    DUNLIN_DEVICE_TYPE_SOFTWARE_VULKAN = 4, /* a Vulkan driver that computes on the CPU */
    DUNLIN_DEVICE_TYPE_OTHER = 5,
    DUNLIN_DEVICE_TYPE_MAX_ENUM = 0x7FFFFFFF
} DunlinDeviceType;

/* Optional features that change what a device can do here or how fast. None is needed for Fp32. */
typedef enum DunlinFeature {
    DUNLIN_FEATURE_FP16 = 0x1,               /* 16-bit storage buffers and float16 arithmetic: DUNLIN_PRECISION_FP16 */
    DUNLIN_FEATURE_TIMELINE_SEMAPHORE = 0x2, /* dunlinSubmit can wait for and signal timeline semaphores */
    DUNLIN_FEATURE_TIMESTAMPS = 0x4,         /* GPU times can be measured on the compute queue */
    DUNLIN_FEATURE_MEMORY_BUDGET = 0x8,      /* memoryBudgetBytes is the driver's present figure, not the heap's size */
    DUNLIN_FEATURE_COOPERATIVE_MATRIX = 0x10, /* matrix units, as tuning may use them; never on a borrowed device */
    DUNLIN_FEATURE_MAX_ENUM = 0x7FFFFFFF
} DunlinFeature;

/* "fp16" for DUNLIN_FEATURE_FP16; NULL for a number that is no single feature. Features are the bits from 1 upwards
 * without gaps, so a loop over bits until NULL lists all that this version knows. Static. */
DUNLIN_API const char* dunlinGetFeatureName(uint32_t feature);
/* "discrete-gpu" for DUNLIN_DEVICE_TYPE_DISCRETE_GPU; "other" for a number that is no type. Static. */
DUNLIN_API const char* dunlinGetDeviceTypeName(DunlinDeviceType type);

/* sType: DUNLIN_STRUCTURE_TYPE_DEVICE_INFO. Filled by the library. */
typedef struct DunlinDeviceInfo {
    DunlinStructureType sType;
    void* pNext;
    char id[32];      /* what DunlinDeviceOptions::id takes: "cpu", "vulkan:0"; "vulkan" for a borrowed device */
    char name[256];   /* "AMD Radeon RX 6800 XT", or the processor's */
    char driver[512]; /* name and version as the driver gives them; of the CPU, the vectors in use: "AVX2" */
    char reason[512]; /* one sentence: why it is usable with what restriction, or why it is not; may be empty */
    DunlinDeviceType type;
    DunlinBool usable;
    uint32_t apiVersion; /* Vulkan's encoding (major << 22 | minor << 12 | patch); 0 for the CPU */
    uint32_t vendorId;   /* PCI ids, or Khronos' vendor ids; 0 for the CPU */
    uint32_t deviceId;
    uint32_t features;     /* bits of DunlinFeature. Enumerated: what it supports; of a DunlinDevice: what is enabled */
    uint32_t threads;      /* the CPU's: as set, or by default; else 0 */
    uint32_t subgroupSize; /* invocations; 0 for the CPU, as all limits below */
    uint32_t maxWorkgroupInvocations;
    uint32_t sharedMemoryBytes;
    uint64_t maxStorageBufferRange; /* bytes that one binding can cover; larger tensors are processed in parts */
    uint64_t maxAllocationBytes;
    uint64_t memoryBytes;       /* of the heap that weights and activations live in */
    uint64_t memoryBudgetBytes; /* how much of it sessions may use now; 0 if unknown, which only the CPU's can be */
} DunlinDeviceInfo;

/* Every Vulkan device that the loader shows, in its order ("vulkan:0" is the first, unusable ones keep their number),
 * then the CPU, which is always there and usable. A machine whose Vulkan loader or driver is absent or fails has the
 * CPU only; that is no error.
 *
 * With `devices` NULL, *count receives the number; else *count is how many elements `devices` has (set sType in each)
 * and receives how many were written. A list that is too short gets the first ones, and DUNLIN_SUCCESS. Opens and
 * closes a Vulkan instance, so it takes milliseconds. */
DUNLIN_API DunlinStatus dunlinEnumerateDevices(uint32_t* count, DunlinDeviceInfo* devices, DunlinError* error);

/* sType: DUNLIN_STRUCTURE_TYPE_DEVICE_OPTIONS. May be extended by DunlinVulkanBorrowedDevice. */
typedef struct DunlinDeviceOptions {
    DunlinStructureType sType;
    const void* pNext;
    /* NULL: a real GPU where there is a usable one, else the CPU; a GPU that cannot be opened is a warning to
     * messageCallback (with `validation` it is the error that it is with an id). "cpu"; "vulkan": the best Vulkan
     * device, real GPUs before software; "vulkan:N": the one with this id. Must be NULL with a borrowed device. */
    const char* id;
    /* The CPU only: threads that a run may use, at most 256. 0: as many as the process may use. More than the
     * processors that the process may use are not started. */
    uint32_t threads;
    /* Loads VK_LAYER_KHRONOS_validation with synchronization validation (DUNLIN_ERROR_UNSUPPORTED where it is not
     * installed) and passes what it says to messageCallback. Slow. Has no effect on the CPU; must be 0 with a borrowed
     * device, whose instance is the caller's. */
    DunlinBool validation;
    /* A folder for compiled pipelines and what tuning found out (DunlinSessionOptions::tuningBudgetMs), created when
     * needed; files of other drivers or versions in it are ignored and replaced. NULL: nothing is read or written.
     * Several processes may share one. Failing to write is a message, no error. */
    const char* cacheDirectory;
    /* Optional, with its user data; both must stay valid until the device and its sessions are destroyed. */
    DunlinMessageCallback messageCallback;
    void* messageUserData;
    /* What tuning found out elsewhere, shipped with an application: a file "tuning-....json" as it is written to
     * cacheDirectory, or a folder of them, of which the one with this device's name is taken. Read once, never written;
     * what cacheDirectory says goes before it. A file of another device, driver version or version of the library's
     * shaders, and one that is absent or damaged, is ignored with a message, as are forms in it that the
     * library itself would not try. The others are taken as they are by sessions without a tuningBudgetMs: where this
     * device's driver gets one wrong, so is the session. So trust the file as much as the library, and make it on such
     * a device. A session with a tuningBudgetMs verifies its forms before it takes them, as far as the time suffices.
     * NULL: none. */
    const char* tuningCache;
    /* The content of such a file, where it is in memory already; not needed after the call. NULL: none. */
    const void* tuningCacheData;
    uint64_t tuningCacheDataBytes;
} DunlinDeviceOptions;

/* `options` is optional: all defaults. Errors: UNKNOWN_NAME for an id that does not exist, with those that do;
 * UNSUPPORTED for a device that is not usable, with the reason. */
DUNLIN_API DunlinStatus dunlinCreateDevice(const DunlinDeviceOptions* options, DunlinDevice* device,
                                           DunlinError* error);

/* Releases the caller's hold; see Lifetimes. What was borrowed is never destroyed. */
DUNLIN_API void dunlinDestroyDevice(DunlinDevice device);

DUNLIN_API DunlinStatus dunlinGetDeviceInfo(DunlinDevice device, DunlinDeviceInfo* info, DunlinError* error);

/* ---- Models ---------------------------------------------------------------------------------------------- */

/* sType: DUNLIN_STRUCTURE_TYPE_ARCHITECTURE_INFO. Filled by the library; its strings are static. */
typedef struct DunlinArchitectureInfo {
    DunlinStructureType sType;
    void* pNext;
    const char* name;     /* timm's: "mobilenetv3_large_100" */
    const char* family;   /* "MobileNetV3" */
    uint64_t parameters;  /* trainable, with 1000 classes */
    uint64_t macs;        /* multiply-adds of one image of the default size: convolutions, linear layers, and
                           * attention's two products */
    uint32_t inputHeight; /* pixels, what weights of it are trained for; 3 channels */
    uint32_t inputWidth;
} DunlinArchitectureInfo;

/* The architectures by name; of most, weights are published. Other widths of the MobileNets ("mobilenetv2_060") can be
 * opened too. `count` and `architectures` as for dunlinEnumerateDevices. */
DUNLIN_API DunlinStatus dunlinEnumerateArchitectures(uint32_t* count, DunlinArchitectureInfo* architectures,
                                                     DunlinError* error);

/* sType: DUNLIN_STRUCTURE_TYPE_MODEL_OPTIONS */
typedef struct DunlinModelOptions {
    DunlinStructureType sType;
    const void* pNext;
    /* NULL: from config.json, else recognised from the names and shapes of the tensors. Wanted where `name` is a file
     * whose architecture shall not be guessed; must be NULL or the same where `name` is an architecture. */
    const char* architecture;
    /* Where the numbers come from if `name` is an architecture: the path of a .safetensors or .pth file, or "synthetic"
     * for weights computed by a formula from each tensor's name and shape, which need no download and recognise
     * nothing. */
    const char* weights;
    /* A JSON object like config.json's model_args, applied over it: "{\"channel_multiplier\": 0.75}". NULL: none. */
    const char* modelArguments;
    /* The content of a .safetensors or .pth file, where it is in memory already (an asset, a resource of the program);
     * NULL: none. It is not copied: it must stay as it is until the model and its sessions are destroyed. `name` is
     * then only what messages and DunlinModelInfo::weights call it, `weights` must be NULL, and no file is looked at.
     */
    const void* weightsData;
    uint64_t weightsDataBytes;
    /* The text of the config.json that belongs to weightsData. NULL: none; must be NULL without weightsData. */
    const char* config;
} DunlinModelOptions;

/* `name` is an architecture, a weights file as published (.safetensors, PyTorch's .pth), or a folder as published on
 * the hub (config.json and model.safetensors). What ends in .safetensors or .pth or contains a slash is a path, the
 * rest a name. No conversion is needed: tensor names of timm and torchvision, and of Hugging Face's transformers for
 * MobileViT, are understood. The number of classes comes from the classifier's shape; preprocessing from
 * preprocessor_config.json and config.json, else from the naming scheme, else from the network (timm's first published
 * weights). Where tensors fit several published preprocessings, the network's is taken: torchvision's ResNets have
 * timm's names, so weights of torchvision need a config.json beside them that says how their pictures are prepared
 * ({"interpolation": "bilinear", "crop_pct": 0.875, "input_size": [3, 224, 224]}).
 *
 * Files stay memory-mapped while the model lives and must not be changed meanwhile. Nothing in a checkpoint is
 * executed. `options` is optional. The model is immutable.
 *
 * Errors: UNKNOWN_NAME for a name, with the nearest ones; BAD_FILE for a file that is absent, damaged, hostile, or
 * whose tensors do not match the architecture, with the first few that are missing, extra or of another shape. */
DUNLIN_API DunlinStatus dunlinOpenModel(const char* name, const DunlinModelOptions* options, DunlinModel* model,
                                        DunlinError* error);

/* Releases the caller's hold; see Lifetimes. */
DUNLIN_API void dunlinDestroyModel(DunlinModel model);

/* sType: DUNLIN_STRUCTURE_TYPE_MODEL_INFO. Filled by the library; its strings live as long as the model. */
typedef struct DunlinModelInfo {
    DunlinStructureType sType;
    void* pNext;
    const char* architecture;
    const char* family;
    const char* weights;   /* the file's path, "synthetic", or the name that was given to weightsData */
    uint64_t weightsBytes; /* of the file; of a formula: what its tensors have as float32 */
    uint64_t parameters;   /* trainable */
    uint64_t macs;         /* multiply-adds of one image of the default size */
    uint32_t classes;      /* length of the logits, background included */
    uint32_t labelOffset;  /* 1 where class 0 is "background" and class i is ImageNet's i - 1; else 0 */
    uint32_t labelCount;   /* 0 where the files have no labels, else `classes` */
    uint32_t inputHeight;  /* the default of DunlinSessionOptions: pixels */
    uint32_t inputWidth;
    /* How pictures become inputs: the short side (with squash, each side) is resized to inputSide / cropFraction,
     * antialiased, the centre is taken, and (colour - mean) / deviation is computed on colours in 0..1, red first, or
     * blue first with swapRedBlue. */
    float mean[3];
    float deviation[3];
    double cropFraction;
    DunlinInterpolation interpolation;
    DunlinBool swapRedBlue;
    DunlinBool squash;
} DunlinModelInfo;

DUNLIN_API DunlinStatus dunlinGetModelInfo(DunlinModel model, DunlinModelInfo* info, DunlinError* error);

/* The label of a class, from the model's files; lives as long as the model. NULL where there is none. */
DUNLIN_API const char* dunlinGetModelLabel(DunlinModel model, uint32_t classIndex);

/* ---- Sessions -------------------------------------------------------------------------------------------- */

/* What a session will be given. Each kind costs a pipeline. */
typedef enum DunlinInputKind {
    DUNLIN_INPUT_PICTURES = 0x1, /* RGBA8 pixels, in host memory or a VkBuffer */
    DUNLIN_INPUT_TENSOR = 0x2,   /* float32 NCHW, normalised, in host memory or a VkBuffer */
    DUNLIN_INPUT_IMAGE = 0x4,    /* VkImage; Vulkan devices only */
    DUNLIN_INPUT_MAX_ENUM = 0x7FFFFFFF
} DunlinInputKind;

/* How much of a network runs in one dispatch. Results differ by rounding only. The CPU has but one way. */
typedef enum DunlinFusion {
    DUNLIN_FUSION_DEFAULT = 0, /* what is known to pay, by tuning or else in general */
    DUNLIN_FUSION_MAX = 1,     /* whole blocks where the device allows it: the fewest dispatches, perhaps slower ones */
    DUNLIN_FUSION_MAX_ENUM = 0x7FFFFFFF
} DunlinFusion;

/* sType: DUNLIN_STRUCTURE_TYPE_SESSION_OPTIONS. */
typedef struct DunlinSessionOptions {
    DunlinStructureType sType;
    const void* pNext;
    uint32_t batch;  /* images a run, 1 to DUNLIN_MAX_BATCH. 0: 1 */
    uint32_t height; /* of the network's input, DUNLIN_MIN_INPUT_SIDE to DUNLIN_MAX_INPUT_SIDE. 0: the model's */
    uint32_t width;
    DunlinPrecision precision;
    uint32_t topK;       /* likeliest classes to give; more than there are classes means all. 0: 5 */
    uint32_t slots;      /* frames in flight, 1 to 16; each has its own activations. 0: 1. The CPU has 1 */
    uint32_t inputKinds; /* bits of DunlinInputKind. 0: DUNLIN_INPUT_PICTURES | DUNLIN_INPUT_TENSOR */
    /* Values inside the network to give as outputs. Every network has "features" (the final map or tokens) and
     * "pooled"; those that keep a map have "stride4", "stride8", "stride16", "stride32", what detection and
     * segmentation build on; stages and blocks have timm's names ("blocks.2"). UNKNOWN_NAME lists what there is; a
     * value that fusion removed is said to be so. */
    uint32_t tapCount;
    const char* const* taps;
    uint64_t memoryLimitBytes;       /* of Vulkan device memory for this session. 0: memoryBudgetBytes of the device */
    DunlinProgressCallback progress; /* optional; covers tuning too */
    void* progressUserData;
    DunlinFusion fusion;
    /* Milliseconds that creating the session may spend on tuning, beside what it takes anyway; 0: none. Vulkan devices
     * only. The forms of each kernel (tile, load path, workgroup) are run on the device with random data, compared with
     * a reference in double precision on the CPU and with themselves when repeated, and only those that are right and
     * vary in no bit are timed; the fastest is taken. With DUNLIN_FUSION_DEFAULT, whole blocks in one dispatch are
     * compared with their separate dispatches as well. The dearest layers come first, and what the time does not
     * suffice for keeps its default. Where the default itself is wrong, which a driver's compiler can do, a right form
     * is looked for however long it takes, and a warning says so.
     *
     * What is found out holds for every later session of the device, whatever its network, and is kept in
     * DunlinDeviceOptions::cacheDirectory for later processes: with 0, too, sessions use what is known, which costs
     * nothing. Results of differently tuned sessions differ by rounding. Uses a processor core, the device's queue, and
     * device memory for a few copies of a layer at a time; times mean little while the device does something else.
     * A small network takes tens of seconds on a software driver, most of it compilation; less finds less. */
    uint32_t tuningBudgetMs;
} DunlinSessionOptions;

/* The slow call: plans memory and barriers, compiles pipelines (milliseconds from a warm cache, up to seconds else) and
 * uploads the weights, which sessions of the same model, device and precision share. On a Vulkan device it submits to
 * the device's queue and waits. `options` is optional.
 *
 * Pipelines are compiled by the calling thread and, until the call returns, by threads of its own: together as many as
 * the process may use processors (its affinity mask and its container's quota), at most 16, and 4 on GPUs of
 * telephones; by the calling thread alone on a borrowed device with allocation callbacks. `progress` is called on the
 * calling thread only.
 *
 * Errors: INVALID_ARGUMENT for sizes out of range; UNSUPPORTED for a precision or input kind that the device has not;
 * DOES_NOT_FIT with need and limit before anything is allocated; UNKNOWN_NAME for a tap; CANCELLED; DEVICE where tuning
 * found that no form of a kernel computes rightly on this driver. */
DUNLIN_API DunlinStatus dunlinCreateSession(DunlinDevice device, DunlinModel model, const DunlinSessionOptions* options,
                                            DunlinSession* session, DunlinError* error);

/* Waits for no one: the device must have finished what was recorded or submitted from this session (dunlinRun always
 * has). */
DUNLIN_API void dunlinDestroySession(DunlinSession session);

/* sType: DUNLIN_STRUCTURE_TYPE_SESSION_INFO. Filled by the library. */
typedef struct DunlinSessionInfo {
    DunlinStructureType sType;
    void* pNext;
    uint32_t batch;
    uint32_t height; /* pixels */
    uint32_t width;
    DunlinPrecision precision; /* the one used, never AUTO */
    uint32_t topK;             /* at most the number of classes */
    uint32_t slots;
    uint32_t inputKinds;
    uint32_t outputCount; /* 4 and the taps */
    uint64_t outputBytes; /* of the buffer that holds all outputs */
    uint64_t deviceBytes; /* allocated on the device for this session, shared weights included; the CPU: 0 if unknown */
    uint32_t dispatches;  /* of the network, picture to top-k; 0 on the CPU, as all below */
    uint32_t barriers;
    uint32_t pipelines;
    /* What the dispatches are as problems for tuning, equal ones counted once, and how many of them are tuned: in this
     * session's creation, before it, or by a file. 0 both where nothing was ever tuned for the device. */
    uint32_t tuningProblems;
    uint32_t tunedProblems;
    /* In this session's creation: forms that were run, those of them that were wrong or not repeatable (messageCallback
     * heard which), and the milliseconds it took. */
    uint32_t tuningFormsTried;
    uint32_t tuningFormsRejected;
    uint32_t tuningMs;
} DunlinSessionInfo;

DUNLIN_API DunlinStatus dunlinGetSessionInfo(DunlinSession session, DunlinSessionInfo* info, DunlinError* error);

/* Where an output lies in the output buffer. In this order:
 *   0 "logits"             float32 [batch, 1, 1, classes]
 *   1 "probabilities"      float32 [batch, 1, 1, classes]   softmax of the logits
 *   2 "top_classes"        uint32  [batch, 1, 1, topK]      likeliest first; ties go to the lower class number
 *   3 "top_probabilities"  float32 [batch, 1, 1, topK]
 *   4 ... the taps, in the order asked for: float32 [batch, height, width, channels], vectors with height and width 1.
 * Elements are tight and in row-major order. sType: DUNLIN_STRUCTURE_TYPE_OUTPUT_INFO. Filled by the library. */
typedef struct DunlinOutputInfo {
    DunlinStructureType sType;
    void* pNext;
    const char* name; /* lives as long as the session */
    DunlinElementType type;
    uint32_t shape[4];    /* [images, height, width, channels] */
    uint64_t offsetBytes; /* from the start of the output buffer; a multiple of 256 */
    uint64_t sizeBytes;
} DunlinOutputInfo;

enum {
    DUNLIN_OUTPUT_LOGITS = 0,
    DUNLIN_OUTPUT_PROBABILITIES = 1,
    DUNLIN_OUTPUT_TOP_CLASSES = 2,
    DUNLIN_OUTPUT_TOP_PROBABILITIES = 3,
    DUNLIN_OUTPUT_FIRST_TAP = 4
};

/* `index` is less than DunlinSessionInfo::outputCount. */
DUNLIN_API DunlinStatus dunlinGetOutputInfo(DunlinSession session, uint32_t index, DunlinOutputInfo* info,
                                            DunlinError* error);

/* By name; UNKNOWN_NAME lists the session's outputs. */
DUNLIN_API DunlinStatus dunlinFindOutput(DunlinSession session, const char* name, DunlinOutputInfo* info,
                                         DunlinError* error);

/* One decoded picture in host memory: four bytes a pixel, red first, alpha ignored. sRGB as files have it. */
typedef struct DunlinPicture {
    const uint8_t* pixels;
    uint32_t width; /* pixels, 1 to DUNLIN_MAX_PICTURE_SIDE */
    uint32_t height;
    size_t rowBytes; /* from one row to the next, a multiple of 4. 0: width * 4 */
} DunlinPicture;

/* Either pictures, which are cropped, resized and normalised as DunlinModelInfo says, or a tensor.
 * sType: DUNLIN_STRUCTURE_TYPE_HOST_INPUT */
typedef struct DunlinHostInput {
    DunlinStructureType sType;
    const void* pNext;
    uint32_t pictureCount;         /* the session's batch, or 0 */
    const DunlinPicture* pictures; /* may be of different sizes */
    size_t tensorElements;         /* batch * 3 * height * width, or 0 */
    const float* tensor;           /* NCHW, normalised */
} DunlinHostInput;

/* Runs the network and blocks until the outputs are in `output`, which has at least DunlinSessionInfo::outputBytes and
 * is laid out as dunlinGetOutputInfo says; any alignment. The same input gives the same bits every time. On a Vulkan
 * device it uses slot 0, which must be idle, and submits to the device's queue. On failure the contents of `output` are
 * undefined. */
DUNLIN_API DunlinStatus dunlinRun(DunlinSession session, const DunlinHostInput* input, void* output, size_t outputBytes,
                                  DunlinError* error);

#ifdef __cplusplus
}
#endif

#endif
