// Vulkan between a session and the driver that counts what lives, and fails the k-th call that can fail.
#pragma once

#include <vulkan/vulkan.h>

#include <map>
#include <mutex>
#include <string>

namespace dunlin::test {

// One for the process: Vulkan's function pointers carry no state. Reset before use.
struct FaultyVulkan {
    // Passes through to this one, which must be set first.
    PFN_vkGetInstanceProcAddr real = nullptr;

    int failCall = 0;  // 1: the next call that can fail; 0: none
    VkResult failure = VK_SUCCESS;
    std::string failOnly;          // count only calls of this function; empty: all that can fail
    std::string failAlways;        // every call of this function fails too, uncounted; empty: none
    bool hidesTimestamps = false;  // of all queue families
    bool dropsDispatches = false;  // as they are recorded
    bool stopsClock = false;       // queries give zeros

    std::mutex mutex;                 // of what follows: pipelines are compiled on several threads
    int calls = 0;                    // that could fail, since reset
    std::string failed;               // the function that was made to fail
    std::map<std::string, int> live;  // objects by type

    void reset(int call = 0, VkResult result = VK_SUCCESS, const std::string& only = {}) {
        failCall = call;
        failure = result;
        failOnly = only;
        failAlways.clear();
        hidesTimestamps = stopsClock = dropsDispatches = false;
        calls = 0;
        failed.clear();
    }
    void count(const char* type, int change) {
        const std::lock_guard lock(mutex);
        live[type] += change;
    }
    int liveObjects() const {
        int total = 0;
        for (const auto& [type, count] : live) total += count;
        return total;
    }
    std::string describeLive() const {
        std::string text;
        for (const auto& [type, count] : live) {
            if (count != 0) text += type + ": " + std::to_string(count) + "; ";
        }
        return text;
    }
};

FaultyVulkan& faultyVulkan();

// To be given as getInstanceProcAddr.
PFN_vkVoidFunction VKAPI_CALL faultyGetInstanceProcAddr(VkInstance instance, const char* name);

}  // namespace dunlin::test
