// The library's objects as the commands want them: opened by the common options, with errors as failures.
// Nothing but the public interface.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "dunlin/dunlin.hpp"
#include "tools/dunlin/commands.h"
#include "tools/dunlin/exit_status.h"
#include "tools/dunlin/outcome.h"

namespace dunlin::cli {

inline Failure failureOf(const Error& error) {
    return {exitStatusOf(error.status), error.message};
}

// The value, or the failure that the error is.
template <typename T>
Outcome<T> outcomeOf(Expected<T> expected) {
    if (!expected) return failureOf(expected.error());
    return *std::move(expected);
}

// What a device and the validation layer say: warnings and errors go to stderr, and errors are counted.
class DeviceMessages {
  public:
    explicit DeviceMessages(bool quiet) : quiet_(quiet) {}
    static void receive(void* self, DunlinMessageSeverity severity, const char* text);
    // DeviceFailed where the validation layer has found errors.
    Check check() const;

  private:
    const bool quiet_;
    std::atomic<int> errors_ = 0;
};

struct OpenedDevice {
    std::unique_ptr<DeviceMessages> messages;  // outlives the device
    Device device;
    DunlinDeviceInfo info;
};

// The device of --device; a notice on stderr where the CPU takes the place of a GPU by default.
Outcome<OpenedDevice> openDevice(const CommonOptions& options);

struct OpenedModel {
    Model model;
    DunlinModelInfo info;
};
// A pulled model of this name in the cache goes before an architecture without weights.
Outcome<OpenedModel> openModel(const ModelChoice& choice, const std::string& cacheDirectory);

struct OpenedSession {
    Session session;
    DunlinSessionInfo info;
};
// The slow call, with a progress bar. `options.precision` and `options.progress` are set from the common options.
Outcome<OpenedSession> openSession(const OpenedDevice& device, const OpenedModel& model, const CommonOptions& common,
                                   SessionOptions options);

// Of --tune.
uint32_t tuningBudgetMs(const CommonOptions& common);
// What --tune came to, in one sentence.
std::string tuningText(const DunlinSessionInfo& info);
const char* precisionName(DunlinPrecision precision);  // "fp32"

}  // namespace dunlin::cli
