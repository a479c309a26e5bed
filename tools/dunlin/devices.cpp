// dunlin devices: what there is to run on.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tools/dunlin/commands.h"
#include "tools/dunlin/library.h"
#include "tools/dunlin/output.h"

namespace dunlin::cli {
namespace {

using Json = nlohmann::ordered_json;

// Every feature that this version of the library knows, and whether the device has it.
std::vector<std::pair<std::string, bool>> featuresOf(const DunlinDeviceInfo& device) {
    std::vector<std::pair<std::string, bool>> features;
    for (uint32_t bit = 1; const char* name = dunlinGetFeatureName(bit); bit <<= 1) {
        features.emplace_back(name, (device.features & bit) != 0);
    }
    return features;
}

Json jsonOf(const DunlinDeviceInfo& device) {
    Json json = {{"id", device.id},
                 {"name", device.name},
                 {"type", dunlinGetDeviceTypeName(device.type)},
                 {"driver", device.driver},
                 {"apiVersion", device.apiVersion ? Json(formatVulkanVersion(device.apiVersion)) : Json()},
                 {"usable", device.usable != 0},
                 {"reason", device.reason},
                 {"features", Json::object()}};
    for (const auto& [name, present] : featuresOf(device)) json["features"][name] = present;
    if (device.type == DUNLIN_DEVICE_TYPE_CPU) {
        json["threads"] = device.threads;
        return json;
    }
    json["vendorId"] = device.vendorId;
    json["deviceId"] = device.deviceId;
    json["limits"] = {{"subgroupSize", device.subgroupSize},
                      {"maxWorkgroupInvocations", device.maxWorkgroupInvocations},
                      {"sharedMemoryBytes", device.sharedMemoryBytes},
                      {"maxStorageBufferRange", device.maxStorageBufferRange},
                      {"maxAllocationBytes", device.maxAllocationBytes},
                      {"memoryBytes", device.memoryBytes},
                      {"memoryBudgetBytes", device.memoryBudgetBytes}};
    return json;
}

void print(const DunlinDeviceInfo& device) {
    std::string features;
    for (const auto& [name, present] : featuresOf(device)) {
        if (present) features += (features.empty() ? "" : ", ") + name;
    }
    Table table({{""}, {""}});
    table.addRow({"type", dunlinGetDeviceTypeName(device.type)});
    table.addRow({"driver", device.driver});
    table.addRow(
        {"usable", fmt::format("{}{}{}", device.usable ? "yes" : "no", *device.reason ? ": " : "", device.reason)});
    if (device.type == DUNLIN_DEVICE_TYPE_CPU) {
        table.addRow({"threads", std::to_string(device.threads)});
    } else {
        table.addRow({"Vulkan", formatVulkanVersion(device.apiVersion)});
        table.addRow(
            {"memory", fmt::format("{}, {} to be used, {} in one allocation", formatBytes(device.memoryBytes),
                                   formatBytes(device.memoryBudgetBytes), formatBytes(device.maxAllocationBytes))});
        table.addRow({"buffer range", formatBytes(device.maxStorageBufferRange)});
        table.addRow({"workgroup",
                      fmt::format("{} invocations, {} shared memory, subgroups of {}", device.maxWorkgroupInvocations,
                                  formatBytes(device.sharedMemoryBytes), device.subgroupSize)});
    }
    table.addRow({"features", features.empty() ? "none" : features});
    printOut("{}  {}\n{}\n", device.id, device.name, table.text(2));
}

}  // namespace

Outcome<ExitStatus> devices(const DevicesOptions& options) {
    DUNLIN_CLI_ASSIGN(const std::vector<DunlinDeviceInfo> list, outcomeOf(Device::list()));
    Json document = {{"devices", Json::array()}};
    for (const DunlinDeviceInfo& device : list) {
        if (options.json) {
            document["devices"].push_back(jsonOf(device));
        } else {
            print(device);
        }
    }
    if (options.json) printJson(document);
    return ExitStatus::Done;
}

}  // namespace dunlin::cli
