#include "tools/dunlin/library.h"

#include <fmt/format.h>

#include <cmath>

#include "tools/dunlin/model_place.h"
#include "tools/dunlin/output.h"

namespace dunlin::cli {

void DeviceMessages::receive(void* self, DunlinMessageSeverity severity, const char* text) {
    DeviceMessages& messages = *static_cast<DeviceMessages*>(self);
    if (severity >= DUNLIN_MESSAGE_ERROR) ++messages.errors_;
    if (severity >= DUNLIN_MESSAGE_ERROR || (severity == DUNLIN_MESSAGE_WARNING && !messages.quiet_)) printError(text);
}

Check DeviceMessages::check() const {
    const int errors = errors_;
    if (errors == 0) return {};
    return Failure{ExitStatus::DeviceFailed,
                   fmt::format("the device reported {} error{}", errors, errors == 1 ? "" : "s")};
}

Outcome<OpenedDevice> openDevice(const CommonOptions& options) {
    DeviceOptions deviceOptions;
    deviceOptions.id = options.device;
    deviceOptions.threads = options.threads;
    deviceOptions.validation = options.validation;
    deviceOptions.cacheDirectory = options.cacheDirectory;
    auto messages = std::make_unique<DeviceMessages>(options.quiet);
    deviceOptions.messageCallback = DeviceMessages::receive;
    deviceOptions.messageUserData = messages.get();
    DUNLIN_CLI_ASSIGN(Device device, outcomeOf(Device::create(deviceOptions)));
    DUNLIN_CLI_ASSIGN(const DunlinDeviceInfo info, outcomeOf(device.info()));
    if (options.device.empty() && info.type == DUNLIN_DEVICE_TYPE_CPU && !options.quiet) {
        printError("no GPU that can be used, so this runs on the CPU (`dunlin devices` tells more)");
    }
    return OpenedDevice{std::move(messages), std::move(device), info};
}

Outcome<OpenedModel> openModel(const ModelChoice& choice, const std::string& cacheDirectory) {
    const ModelPlace place = placeOf(choice, cacheDirectory);
    ModelOptions options;
    options.architecture = choice.architecture;
    options.weights = choice.weights;
    options.weightsData = place.weights;
    options.config = place.config;
    Outcome<Model> opened = outcomeOf(Model::open(place.name, options));
    if (!opened.ok()) return withHint(opened.failure(), choice, cacheDirectory);
    Model model = *std::move(opened);
    DUNLIN_CLI_ASSIGN(const DunlinModelInfo info, outcomeOf(model.info()));
    return OpenedModel{std::move(model), info};
}

Outcome<OpenedSession> openSession(const OpenedDevice& device, const OpenedModel& model, const CommonOptions& common,
                                   SessionOptions options) {
    ProgressBar progress("preparing", !common.quiet);
    options.precision = common.precision;
    options.tuningBudgetMs = tuningBudgetMs(common);
    options.progress = [&progress](float share) {
        progress.update(share);
        return true;
    };
    DUNLIN_CLI_ASSIGN(Session session, outcomeOf(Session::create(device.device, model.model, options)));
    DUNLIN_CLI_ASSIGN(const DunlinSessionInfo info, outcomeOf(session.info()));
    if (common.tuneSeconds > 0 && !common.quiet) {
        progress.clear();
        printError(tuningText(info));
    }
    return OpenedSession{std::move(session), info};
}

uint32_t tuningBudgetMs(const CommonOptions& common) {
    return static_cast<uint32_t>(std::lround(common.tuneSeconds * 1000));
}

std::string tuningText(const DunlinSessionInfo& info) {
    if (info.dispatches == 0) return "there is nothing to tune on the CPU";
    return fmt::format("{} of {} kernel problems are tuned: {} forms tried in {:.1f} s, {} of them wrong",
                       info.tunedProblems, info.tuningProblems, info.tuningFormsTried, info.tuningMs / 1e3,
                       info.tuningFormsRejected);
}

const char* precisionName(DunlinPrecision precision) {
    return precision == DUNLIN_PRECISION_FP16 ? "fp16" : "fp32";
}

}  // namespace dunlin::cli
