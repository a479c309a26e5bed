// Vulkan between a session and a driver whose compiler is wrong about some shaders.
#pragma once

#include <vulkan/vulkan.h>

#include <functional>

#include "runtime/plan/program.h"

namespace dunlin::test {

// What becomes of one variant of the library's.
struct Miscompilation {
    bool isWrong = false;
    // The pipeline computes rightly when it is bound so often; the next time, and then every second time, it does not.
    int rightBinds = 0;
};

// One for the process: Vulkan's function pointers carry no state. Set before the device is borrowed.
struct MiscompilingVulkan {
    // Passes through to this one, which must be set first.
    PFN_vkGetInstanceProcAddr real = nullptr;
    // Asked for each pipeline of a shader that the library has.
    std::function<Miscompilation(const Variant& variant)> compile;
    int miscompiled = 0;  // pipelines so far
};

MiscompilingVulkan& miscompilingVulkan();

// To be given as getInstanceProcAddr.
PFN_vkVoidFunction VKAPI_CALL miscompilingGetInstanceProcAddr(VkInstance instance, const char* name);

}  // namespace dunlin::test
