#include "tests/vulkan/miscompiling_vulkan.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "runtime/plan/kernels.h"

namespace dunlin::test {
namespace {

using Words = std::vector<uint32_t>;

// A right pipeline that is exchanged for a wrong one when it is bound.
struct Twin {
    VkPipeline wrong = VK_NULL_HANDLE;
    int rightBinds = 0, binds = 0;
};

std::mutex g_mutex;  // of what follows: pipelines are compiled on several threads
std::map<VkShaderModule, Words> g_modules;
std::map<VkPipeline, Twin> g_twins;

PFN_vkGetDeviceProcAddr g_getDeviceProcAddr = nullptr;
PFN_vkCreateShaderModule g_vkCreateShaderModule = nullptr;
PFN_vkDestroyShaderModule g_vkDestroyShaderModule = nullptr;
PFN_vkCreateComputePipelines g_vkCreateComputePipelines = nullptr;
PFN_vkDestroyPipeline g_vkDestroyPipeline = nullptr;
PFN_vkCmdBindPipeline g_vkCmdBindPipeline = nullptr;

// The same module, valid as before, but for sums, which become differences, and fused multiply-adds, whose operands are
// exchanged.
Words miscompile(Words words) {
    constexpr uint32_t kExtInst = 12, kFAdd = 129, kFSub = 131, kFma = 50;
    constexpr size_t kHeaderWords = 5;
    for (size_t at = kHeaderWords; at < words.size(); at += words[at] >> 16) {
        const uint32_t opcode = words[at] & 0xffff, count = words[at] >> 16;
        if (opcode == kFAdd) {
            words[at] = count << 16 | kFSub;
        }
        if (opcode == kExtInst && words[at + 4] == kFma) {
            std::swap(words[at + 5], words[at + 7]);
        }
    }
    return words;
}

// Every module of the library, with the variant it is for, but for tiles, which are specialization constants.
std::map<Words, Variant> libraryModules() {
    std::map<Words, Variant> modules;
    Variant variant;
    for (const KernelRow& kernel : kernelTable()) {
        variant.kernel = kernel.kernel;
        for (const Precision precision : {Precision::Fp32, Precision::Fp16}) {
            variant.precision = precision;
            for (const LoadPath load : {LoadPath::Texel, LoadPath::Storage}) {
                variant.load = load;
                const auto add = [&](const std::array<uint8_t, 2>& tile, Method method) {
                    variant.tileX = tile[0];
                    variant.tileY = tile[1];
                    variant.method = method;
                    modules.try_emplace(*unpackSpirv(variant), variant);
                };
                for (const auto& tile : kernel.tiles) add(tile, Method::Registers);
                for (const MethodRow& way : kernel.methods)
                    if (isCompiled(way.method, variant.precision, load)) add(way.tile, way.method);
            }
        }
    }
    return modules;
}

// Which of the library's variants a pipeline is of.
std::optional<Variant> variantOf(const VkComputePipelineCreateInfo& info) {
    const auto module = g_modules.find(info.stage.module);
    const VkSpecializationInfo* constants = info.stage.pSpecializationInfo;
    if (module == g_modules.end() || !constants) return std::nullopt;
    static const std::map<Words, Variant> known = libraryModules();
    const auto found = known.find(module->second);
    if (found == known.end()) return std::nullopt;
    Variant variant = found->second;
    const auto* values = static_cast<const uint32_t*>(constants->pData);
    std::copy_n(values, variant.constants.size(), variant.constants.begin());
    variant.tileX = static_cast<uint8_t>(values[constant_id::kTileX]);
    variant.tileY = static_cast<uint8_t>(values[constant_id::kTileY]);
    return variant;
}

VKAPI_ATTR VkResult VKAPI_CALL createShaderModule(VkDevice device, const VkShaderModuleCreateInfo* info,
                                                  const VkAllocationCallbacks* allocator, VkShaderModule* module) {
    const VkResult result = g_vkCreateShaderModule(device, info, allocator, module);
    const std::lock_guard lock(g_mutex);
    if (result == VK_SUCCESS) g_modules[*module] = Words(info->pCode, info->pCode + info->codeSize / sizeof(uint32_t));
    return result;
}
VKAPI_ATTR void VKAPI_CALL destroyShaderModule(VkDevice device, VkShaderModule module,
                                               const VkAllocationCallbacks* allocator) {
    {
        const std::lock_guard lock(g_mutex);
        g_modules.erase(module);
    }
    g_vkDestroyShaderModule(device, module, allocator);
}

VkResult createWrong(VkDevice device, VkPipelineCache cache, VkComputePipelineCreateInfo info,
                     const VkAllocationCallbacks* allocator, VkPipeline* pipeline) {
    const Words wrong = miscompile(g_modules.at(info.stage.module));
    VkShaderModuleCreateInfo moduleInfo{};
    moduleInfo.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO;
    moduleInfo.codeSize = wrong.size() * sizeof(uint32_t);
    moduleInfo.pCode = wrong.data();
    VkResult result = g_vkCreateShaderModule(device, &moduleInfo, allocator, &info.stage.module);
    if (result != VK_SUCCESS) return result;
    result = g_vkCreateComputePipelines(device, cache, 1, &info, allocator, pipeline);
    g_vkDestroyShaderModule(device, info.stage.module, allocator);
    return result;
}

VKAPI_ATTR VkResult VKAPI_CALL createComputePipelines(VkDevice device, VkPipelineCache cache, uint32_t count,
                                                      const VkComputePipelineCreateInfo* infos,
                                                      const VkAllocationCallbacks* allocator, VkPipeline* pipelines) {
    const std::lock_guard lock(g_mutex);
    for (uint32_t i = 0; i < count; ++i) {
        const std::optional<Variant> variant = variantOf(infos[i]);
        const Miscompilation fault =
            variant && miscompilingVulkan().compile ? miscompilingVulkan().compile(*variant) : Miscompilation();
        VkResult result = VK_SUCCESS;
        if (fault.isWrong && fault.rightBinds == 0) {
            result = createWrong(device, cache, infos[i], allocator, &pipelines[i]);
        } else {
            result = g_vkCreateComputePipelines(device, cache, 1, &infos[i], allocator, &pipelines[i]);
        }
        if (result != VK_SUCCESS) return result;
        if (!fault.isWrong) continue;
        ++miscompilingVulkan().miscompiled;
        if (fault.rightBinds == 0) continue;
        Twin& twin = g_twins[pipelines[i]] = {VK_NULL_HANDLE, fault.rightBinds, 0};
        result = createWrong(device, cache, infos[i], allocator, &twin.wrong);
        if (result != VK_SUCCESS) return result;
    }
    return VK_SUCCESS;
}
VKAPI_ATTR void VKAPI_CALL destroyPipeline(VkDevice device, VkPipeline pipeline,
                                           const VkAllocationCallbacks* allocator) {
    const std::lock_guard lock(g_mutex);
    if (const auto twin = g_twins.find(pipeline); twin != g_twins.end()) {
        g_vkDestroyPipeline(device, twin->second.wrong, allocator);
        g_twins.erase(twin);
    }
    g_vkDestroyPipeline(device, pipeline, allocator);
}

VKAPI_ATTR void VKAPI_CALL cmdBindPipeline(VkCommandBuffer commands, VkPipelineBindPoint point, VkPipeline pipeline) {
    const std::lock_guard lock(g_mutex);
    if (const auto found = g_twins.find(pipeline); found != g_twins.end()) {
        Twin& twin = found->second;
        const int late = twin.binds++ - twin.rightBinds;
        if (late >= 0 && late % 2 == 0) pipeline = twin.wrong;
    }
    g_vkCmdBindPipeline(commands, point, pipeline);
}

// The wrapper of `name` if there is one, which remembers the real function.
PFN_vkVoidFunction wrap(const char* name, PFN_vkVoidFunction real) {
    if (!real) return nullptr;
#define WRAPPED(function, wrapper)                             \
    if (std::strcmp(name, #function) == 0) {                   \
        g_##function = reinterpret_cast<PFN_##function>(real); \
        return reinterpret_cast<PFN_vkVoidFunction>(wrapper);  \
    }
    WRAPPED(vkCreateShaderModule, createShaderModule)
    WRAPPED(vkDestroyShaderModule, destroyShaderModule)
    WRAPPED(vkCreateComputePipelines, createComputePipelines)
    WRAPPED(vkDestroyPipeline, destroyPipeline)
    WRAPPED(vkCmdBindPipeline, cmdBindPipeline)
    return real;
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL getDeviceProcAddr(VkDevice device, const char* name) {
    return wrap(name, g_getDeviceProcAddr(device, name));
}

}  // namespace

MiscompilingVulkan& miscompilingVulkan() {
    static MiscompilingVulkan vulkan;
    return vulkan;
}

PFN_vkVoidFunction VKAPI_CALL miscompilingGetInstanceProcAddr(VkInstance instance, const char* name) {
    const PFN_vkVoidFunction real = miscompilingVulkan().real(instance, name);
    if (std::strcmp(name, "vkGetDeviceProcAddr") == 0) {
        g_getDeviceProcAddr = reinterpret_cast<PFN_vkGetDeviceProcAddr>(real);
        return reinterpret_cast<PFN_vkVoidFunction>(getDeviceProcAddr);
    }
    return wrap(name, real);
}

}  // namespace dunlin::test
