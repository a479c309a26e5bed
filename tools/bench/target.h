// The devices that are measured, opened by the rules of --device.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "runtime/graph/tensor.h"
#include "runtime/vulkan/device.h"
#include "tools/bench/commands.h"

namespace dunlin::bench {

struct Target {
    std::string id;                                // "cpu", "vulkan:0"
    std::string name;                              // of the device or the processor
    std::shared_ptr<vulkan::VulkanDevice> device;  // null: the CPU
    uint32_t threads = 0;                          // of the CPU
    bool software = false;                         // a software driver

    bool isCpu() const { return device == nullptr; }
    // WrongUse where the device does not have it.
    Outcome<Precision> precision(DunlinPrecision wanted) const;
};

// Each device once, in the order asked for, opened with the instruments that DeviceOptions::instruments names and
// MeasureOptions::timeoutSeconds. With `vulkanOnly`, cpu is wrong use, and by default the best Vulkan device is taken,
// be it a software driver. `robust`: with DeviceOptions::robustBufferAccess.
Outcome<std::vector<Target>> openTargets(const MeasureOptions& options, bool vulkanOnly, bool robust = false);

// The notice of a document with --validation.
inline constexpr const char* kUnderValidation = "everything ran under the validation layer: times mean nothing";
// The share of a limit from which on the limit is not believed: nothing is faster than what its device can do at most,
// but for the noise of both. The page (report/networks.js) has the same number.
inline constexpr double kCredibleShare = 1.1;

// DeviceFailed, with how much the validation layer said of the target and its first message; with --validation. The
// first `seen` messages are left out.
cli::Check checkValidation(const Target& target, size_t seen = 0);

// A row of a document's devices[]: id, name, type, driver, driverVersion, apiVersion, vendorId, deviceId; for the CPU
// id, name, type "cpu", threads.
nlohmann::ordered_json identityOf(const Target& target);

}  // namespace dunlin::bench
