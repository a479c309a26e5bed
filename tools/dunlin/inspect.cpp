// dunlin inspect: what becomes of a network, without running it.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "models/model.h"
#include "runtime/plan/hazards.h"
#include "runtime/plan/kernels.h"
#include "runtime/plan/lower.h"
#include "runtime/plan/memory_plan.h"
#include "runtime/plan/prepack.h"
#include "runtime/tuning/tuner.h"
#include "tools/dunlin/commands.h"
#include "tools/dunlin/inside_model.h"
#include "tools/dunlin/internals.h"
#include "tools/dunlin/network_text.h"
#include "tools/dunlin/output.h"
#include "tools/dunlin/vulkan_choice.h"

namespace dunlin::cli {
namespace {

using Json = nlohmann::ordered_json;

// The device that a program is made for.
struct PlanningDevice {
    std::string id = "cpu", name = "the least that Vulkan 1.1 guarantees";
    DeviceLimits limits;
    bool software = true;
    std::shared_ptr<vulkan::VulkanDevice> vulkan = nullptr;
};

Outcome<PlanningDevice> openVulkan(int index, bool validation) {
    vulkan::DeviceOptions options;
    options.index = index;
    options.validation = validation;
    DUNLIN_CLI_ASSIGN(const std::shared_ptr<vulkan::VulkanDevice> device,
                      outcomeOf(vulkan::VulkanDevice::create(options)));
    const vulkan::Capabilities& capabilities = device->capabilities();
    return PlanningDevice{fmt::format("vulkan:{}", index), capabilities.name, device->limits(),
                          capabilities.isSoftware(), device};
}

// By the rules of --device. The CPU has no program of its own: it stands for the smallest device that there may be.
Outcome<PlanningDevice> choosePlanningDevice(const CommonOptions& options) {
    if (options.device == "cpu") return PlanningDevice{};
    if (options.device.empty()) {
        const int gpu = realGpuIndex();
        return gpu >= 0 ? openVulkan(gpu, options.validation) : PlanningDevice{};
    }
    DUNLIN_CLI_ASSIGN(const int index, vulkanIndex(options.device));
    return openVulkan(index, options.validation);
}

Outcome<Precision> choosePrecision(DunlinPrecision wanted, const PlanningDevice& device) {
    if (wanted == DUNLIN_PRECISION_FP16 && !device.limits.fp16) {
        return Failure{ExitStatus::WrongUse, fmt::format("fp16 is not supported by {} ({})", device.id, device.name)};
    }
    const bool automatic = wanted == DUNLIN_PRECISION_AUTO && device.limits.fp16 && !device.software;
    return wanted == DUNLIN_PRECISION_FP16 || automatic ? Precision::Fp16 : Precision::Fp32;
}

// Everything that is known of a network on a device.
struct Inspected {
    std::shared_ptr<const Model> model;
    PlanningDevice device;
    Graph graph;
    LoweredNetwork lowered;
    tuning::TuningReport tuning;
    std::vector<bool> barrierBefore;

    const Program& program() const { return lowered.program; }
    const MemoryPlan& memory() const { return lowered.memory; }
    size_t barriers() const {
        return static_cast<size_t>(std::count(barrierBefore.begin(), barrierBefore.end(), true));
    }
    // Of one image.
    uint64_t macs() const { return static_cast<uint64_t>(multiplyAdds(graph) / program().input.n); }
    uint64_t packedBytes() const {
        uint64_t bytes = 0;
        for (const Constant& constant : constantsOf(graph, program().precision)) bytes += constant.sizeBytes;
        return bytes;
    }
    std::map<std::string, size_t> kernels() const {
        std::map<std::string, size_t> counts;
        for (const Dispatch& dispatch : program().dispatches) ++counts[row(dispatch.variant.kernel).name];
        return counts;
    }
};

// The forms that a session would have. Without --tune, what the cache says; the CPU has none.
Outcome<tuning::Tuned> tune(const Model& model, const PlanningDevice& device, const SessionOptions& session,
                            const CommonOptions& common) {
    if (!device.vulkan) return tuning::Tuned();
    const auto hear = [&](vulkan::NoticeSeverity severity, const std::string& text) {
        if (severity == vulkan::NoticeSeverity::Warning && !common.quiet) printError(text);
    };
    DUNLIN_CLI_ASSIGN(const std::unique_ptr<vulkan::VulkanBackend> backend,
                      outcomeOf(vulkan::VulkanBackend::create(device.vulkan, common.cacheDirectory, hear)));
    tuning::Tuner tuner(*backend, {{}, {}, common.cacheDirectory}, hear);
    ProgressBar progress("tuning", !common.quiet && common.tuneSeconds > 0);
    vulkan::VulkanSessionOptions options;
    options.session = session;
    options.session.progress = [&](float share) {
        progress.update(share);
        return true;
    };
    const std::shared_ptr<const ModelData> data(std::shared_ptr<const void>(), &model.data);
    return outcomeOf(tuner.tune(data, options, common.tuneSeconds * 1000));
}

Outcome<Inspected> inspectModel(const InspectOptions& options) {
    DUNLIN_CLI_ASSIGN(const std::shared_ptr<const Model> model,
                      openInside(options.model, options.common.cacheDirectory));
    DUNLIN_CLI_ASSIGN(PlanningDevice device, choosePlanningDevice(options.common));

    const PreprocessSpec& preprocess = model->data.preprocess;
    SessionOptions session;
    session.batch = static_cast<int>(options.batch);
    session.height = options.size.height ? static_cast<int>(options.size.height) : preprocess.inputHeight;
    session.width = options.size.width ? static_cast<int>(options.size.width) : preprocess.inputWidth;
    if (options.fusion == DUNLIN_FUSION_MAX) session.fusion = FusionLevel::Max;
    DUNLIN_CLI_ASSIGN(session.precision, choosePrecision(options.common.precision, device));
    DUNLIN_CLI_ASSIGN(Graph graph,
                      outcomeOf(model->data.buildGraph({session.batch, session.height, session.width, 3})));
    DUNLIN_CLI_ASSIGN(const tuning::Tuned tuned, tune(*model, device, session, options.common));
    session.forms = tuned.forms;
    DUNLIN_CLI_ASSIGN(LoweredNetwork lowered, outcomeOf(lowerNetwork(graph, session, device.limits)));
    std::vector<bool> barrierBefore = planBarriers(lowered.program, lowered.memory);
    return Inspected{model,        std::move(device),       std::move(graph), std::move(lowered),
                     tuned.report, std::move(barrierBefore)};
}

// The whole program is recorded into one command buffer and submitted at once: that is what the recorder does.
constexpr int kSubmits = 1;

Json summaryJson(const Inspected& network) {
    Json kernels = Json::object();
    for (const auto& [name, count] : network.kernels()) kernels[name] = count;
    return {{"model", network.model->architecture.name},
            {"weights", network.model->weightsDescription},
            {"device", network.device.id},
            {"precision", network.program().precision == Precision::Fp16 ? "fp16" : "fp32"},
            {"batch", network.program().input.n},
            {"input", {3, network.program().input.h, network.program().input.w}},
            {"classes", network.model->data.classes},
            {"parameters", parameterCount(network.graph)},
            {"macs", network.macs()},
            {"weightsBytes", network.model->weightsBytes},
            {"packedWeightsBytes", network.packedBytes()},
            {"dispatches", network.program().dispatches.size()},
            {"barriers", network.barriers()},
            {"submits", kSubmits},
            {"pipelines", countPipelines(network.program())},
            {"tuning",
             {{"problems", network.tuning.problems},
              {"tuned", network.tuning.tuned},
              {"formsTried", network.tuning.formsTried},
              {"formsRejected", network.tuning.formsRejected},
              {"seconds", network.tuning.milliseconds / 1e3}}},
            {"microBatch", network.program().microBatch},
            {"arenaBytes", network.memory().arenaBytes},
            {"arenaLowerBoundBytes", network.memory().lowerBoundBytes},
            {"kernels", kernels}};
}

std::string summaryText(const Inspected& network) {
    const Model& model = *network.model;
    const Program& program = network.program();
    std::string kernels;
    for (const auto& [name, count] : network.kernels())
        kernels += fmt::format("{}{} {}", kernels.empty() ? "" : ", ", count, name);
    const double ratio = network.memory().lowerBoundBytes ? static_cast<double>(network.memory().arenaBytes) /
                                                                static_cast<double>(network.memory().lowerBoundBytes)
                                                          : 1.0;
    Table table({{""}, {""}});
    table.addRow({"network", fmt::format("{} ({})", model.architecture.name, model.architecture.family)});
    table.addRow({"weights", fmt::format("{}, {}; packed {}", model.weightsDescription, formatBytes(model.weightsBytes),
                                         formatBytes(network.packedBytes()))});
    table.addRow({"planned for", fmt::format("{} ({}), {}", network.device.id, network.device.name,
                                             program.precision == Precision::Fp16 ? "fp16" : "fp32")});
    table.addRow({"input", fmt::format("{} image{} of {}x{}", program.input.n, program.input.n == 1 ? "" : "s",
                                       program.input.h, program.input.w)});
    table.addRow({"classes", std::to_string(model.data.classes)});
    table.addRow({"parameters", formatCount(static_cast<uint64_t>(parameterCount(network.graph)))});
    table.addRow({"multiply-adds", formatCount(network.macs()) + " an image"});
    table.addRow({"dispatches", fmt::format("{}: {}", program.dispatches.size(), kernels)});
    table.addRow({"barriers", std::to_string(network.barriers())});
    table.addRow({"submits", std::to_string(kSubmits)});
    table.addRow({"pipelines", std::to_string(countPipelines(program))});
    if (network.tuning.tuned > 0) {
        const std::string now =
            network.tuning.measured == 0
                ? ""
                : fmt::format("; now {} forms in {:.1f} s, {} of them wrong", network.tuning.formsTried,
                              network.tuning.milliseconds / 1e3, network.tuning.formsRejected);
        table.addRow({"tuned", fmt::format("{} of {} problems{}", network.tuning.tuned, network.tuning.problems, now)});
    }
    table.addRow(
        {"arena", fmt::format("{}, {:.2f} times its lower bound", formatBytes(network.memory().arenaBytes), ratio)});
    return table.text();
}

Json linesJson(const std::string& text) {
    Json lines = Json::array();
    for (size_t begin = 0; begin < text.size();) {
        const size_t end = std::min(text.find('\n', begin), text.size());
        if (end > begin) lines.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return lines;
}

}  // namespace

Outcome<ExitStatus> inspect(const InspectOptions& options) {
    DUNLIN_CLI_ASSIGN(const Inspected network, inspectModel(options));
    std::vector<std::pair<const char*, std::string>> parts;
    if (options.graph) parts.emplace_back("graph", graphText(network.graph));
    if (options.program) parts.emplace_back("program", print(network.lowered));
    if (options.plan) parts.emplace_back("plan", planText(network.program(), network.memory(), network.barrierBefore));
    if (options.common.json) {
        Json document = summaryJson(network);
        for (const auto& [name, text] : parts) document[name] = linesJson(text);
        printJson(document);
        return ExitStatus::Done;
    }
    if (parts.empty()) parts.emplace_back("summary", summaryText(network));
    for (size_t i = 0; i < parts.size(); ++i) printOut("{}{}", i ? "\n" : "", parts[i].second);
    return ExitStatus::Done;
}

}  // namespace dunlin::cli
