#include "tools/bench/target.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "runtime/cpu/processor.h"
#include "runtime/cpu/threads.h"
#include "tools/dunlin/internals.h"
#include "tools/dunlin/output.h"
#include "tools/dunlin/vulkan_choice.h"

namespace dunlin::bench {
namespace {

using cli::Failure;
using Json = nlohmann::ordered_json;

Outcome<Target> openCpu(const MeasureOptions& options) {
    DUNLIN_CLI_ASSIGN(const int threads, cli::outcomeOf(resolveThreads(static_cast<int>(options.threads))));
    return Target{"cpu", processorName(), nullptr, static_cast<uint32_t>(threads), false};
}

Outcome<Target> openVulkan(int index, const MeasureOptions& options, bool robust) {
    vulkan::DeviceOptions request;
    request.index = index;
    request.validation = options.validation;
    request.instruments = true;
    request.robustBufferAccess = robust;
    if (options.timeoutSeconds > 0) request.timeoutNs = static_cast<uint64_t>(options.timeoutSeconds * 1e9);
    DUNLIN_CLI_ASSIGN(const std::shared_ptr<vulkan::VulkanDevice> device,
                      cli::outcomeOf(vulkan::VulkanDevice::create(request)));
    const vulkan::Capabilities& capabilities = device->capabilities();
    return Target{fmt::format("vulkan:{}", index), capabilities.name, device, 0, capabilities.isSoftware()};
}

// Indices of Vulkan devices, and kCpu, in the order asked for.
constexpr int kCpu = -1;

Outcome<std::vector<int>> chooseDevices(const MeasureOptions& options, bool vulkanOnly) {
    std::vector<int> chosen;
    for (const std::string& device : options.devices) {
        if (device == "cpu" && vulkanOnly) {
            return Failure{ExitStatus::WrongUse,
                           "shaders do not run on the cpu: --device takes vulkan or vulkan:N here"};
        }
        int index = kCpu;
        if (device != "cpu") {
            DUNLIN_CLI_ASSIGN(index, cli::vulkanIndex(device));
        }
        if (std::find(chosen.begin(), chosen.end(), index) == chosen.end()) chosen.push_back(index);
    }
    if (!chosen.empty()) return chosen;
    if (vulkanOnly) {
        DUNLIN_CLI_ASSIGN(const int best, cli::vulkanIndex("vulkan"));
        return std::vector<int>{best};
    }
    const int gpu = cli::realGpuIndex();
    if (gpu < 0 && !options.quiet) cli::printError("there is no real GPU: the CPU is measured (--device chooses)");
    return std::vector<int>{gpu < 0 ? kCpu : gpu};
}

const char* typeName(const vulkan::Capabilities& capabilities) {
    if (capabilities.isSoftware()) return "software";
    switch (capabilities.type) {
        case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
            return "discrete";
        case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
            return "integrated";
        case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
            return "virtual";
        case VK_PHYSICAL_DEVICE_TYPE_CPU:
            return "software";
        default:
            return "other";
    }
}

}  // namespace

Outcome<Precision> Target::precision(DunlinPrecision wanted) const {
    const bool hasFp16 = device && device->limits().fp16;
    if (wanted == DUNLIN_PRECISION_FP16 && !hasFp16) {
        return Failure{ExitStatus::WrongUse, fmt::format("fp16 is not supported by {} ({})", id, name)};
    }
    const bool automatic = wanted == DUNLIN_PRECISION_AUTO && hasFp16 && !software;
    return wanted == DUNLIN_PRECISION_FP16 || automatic ? Precision::Fp16 : Precision::Fp32;
}

Outcome<std::vector<Target>> openTargets(const MeasureOptions& options, bool vulkanOnly, bool robust) {
    DUNLIN_CLI_ASSIGN(const std::vector<int> devices, chooseDevices(options, vulkanOnly));
    std::vector<Target> targets;
    for (int index : devices) {
        DUNLIN_CLI_ASSIGN(Target target, index == kCpu ? openCpu(options) : openVulkan(index, options, robust));
        targets.push_back(std::move(target));
    }
    return targets;
}

cli::Check checkValidation(const Target& target, size_t seen) {
    if (target.isCpu()) return {};
    const std::vector<vulkan::ValidationMessage> messages = target.device->validationMessages();
    if (messages.size() <= seen) return {};
    return Failure{ExitStatus::DeviceFailed,
                   fmt::format("{}: the validation layer said {} things, first: {}: {}", target.id,
                               messages.size() - seen, messages[seen].id, messages[seen].text)};
}

Json identityOf(const Target& target) {
    if (target.isCpu()) {
        return {{"id", target.id}, {"name", target.name}, {"type", "cpu"}, {"threads", target.threads}};
    }
    const vulkan::Capabilities& capabilities = target.device->capabilities();
    return {{"id", target.id},
            {"name", capabilities.name},
            {"type", typeName(capabilities)},
            {"driver", capabilities.driverName},
            {"driverVersion", capabilities.driverInfo.empty() ? fmt::format("{:#x}", capabilities.driverVersion)
                                                              : capabilities.driverInfo},
            {"apiVersion", cli::formatVulkanVersion(capabilities.apiVersion)},
            {"vendorId", capabilities.vendorId},
            {"deviceId", capabilities.deviceId}};
}

}  // namespace dunlin::bench
