// shader_cost: what the driver's compiler makes of the pipelines that networks need. tools/shader-cost runs it for
// several GPUs, none of which has to be there.
//
//   shader_cost [--json]
//
// On the best device that there is, which must count as RADV does. Exit status 0; 1 where a pipeline of a default plan
// spills registers; others as the command's (exit_status.h).
#include <cstdio>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>

#include "runtime/plan/kernels.h"
#include "runtime/vulkan/pipelines.h"
#include "tools/bench/pipeline_statistics.h"
#include "tools/bench/shader_cost/cost_table.h"
#include "tools/dunlin/internals.h"

namespace dunlin::shader_cost {
namespace {

using cli::ExitStatus;

struct Device {
    std::shared_ptr<vulkan::VulkanDevice> device;
    DeviceLimits limits;
};

cli::Outcome<Device> openDevice() {
    vulkan::DeviceOptions options;
    options.instruments = true;
    DUNLIN_CLI_ASSIGN(std::shared_ptr<vulkan::VulkanDevice> device,
                      cli::outcomeOf(vulkan::VulkanDevice::create(options)));
    DeviceLimits limits = device->limits();
    limits.memoryBudgetBytes = UINT64_MAX;  // a driver without hardware has no memory, and plans need none
    return Device{std::move(device), limits};
}

cli::Outcome<std::vector<CompiledPipeline>> compileAll(const Device& opened) {
    DUNLIN_CLI_ASSIGN(const std::unique_ptr<vulkan::Pipelines> pipelines,
                      cli::outcomeOf(vulkan::Pipelines::create(*opened.device)));
    std::vector<CompiledPipeline> compiled;
    for (const Precision precision : {Precision::Fp32, Precision::Fp16}) {
        if (precision == Precision::Fp16 && !opened.limits.fp16) continue;
        DUNLIN_CLI_ASSIGN(const std::vector<ListedPipeline> listed, listPipelines(opened.limits, precision));
        for (const ListedPipeline& one : listed) {
            DUNLIN_CLI_ASSIGN(const vulkan::Pipeline* pipeline, cli::outcomeOf(pipelines->get(one.variant)));
            DUNLIN_CLI_ASSIGN(const nlohmann::ordered_json statistics,
                              cli::outcomeOf(bench::pipelineStatistics(*opened.device, pipeline->handle)));
            DUNLIN_CLI_ASSIGN(const Cost cost, costOf(statistics));
            compiled.push_back({one, cost});
        }
    }
    return compiled;
}

bool reportSpills(std::span<const CompiledPipeline> pipelines) {
    bool any = false;
    for (const CompiledPipeline& pipeline : pipelines) {
        if (pipeline.listed.use != Use::Default || !pipeline.cost.spills()) continue;
        any = true;
        std::fprintf(stderr,
                     "shader_cost: %s, which %s has by default, spills %u registers and takes %u bytes of scratch\n",
                     describe(pipeline.listed.variant).c_str(), pipeline.listed.networks.front().c_str(),
                     pipeline.cost.spilledVectors + pipeline.cost.spilledScalars, pipeline.cost.scratchBytes);
    }
    return any;
}

cli::Outcome<ExitStatus> run(bool asJson) {
    DUNLIN_CLI_ASSIGN(Device device, openDevice());
    // Never freed: without hardware RADV crashes when it waits for the queue of a device that is destroyed.
    const Device& opened = *new Device(std::move(device));
    DUNLIN_CLI_ASSIGN(const std::vector<CompiledPipeline> pipelines, compileAll(opened));
    const vulkan::Capabilities& capabilities = opened.device->capabilities();
    const std::string driver = capabilities.driverName + " " + capabilities.driverInfo;
    const std::string text = asJson ? json(capabilities.name, driver, pipelines).dump(1) + "\n"
                                    : markdown(capabilities.name, driver, pipelines);
    std::fputs(text.c_str(), stdout);
    return reportSpills(pipelines) ? ExitStatus::No : ExitStatus::Done;
}

}  // namespace
}  // namespace dunlin::shader_cost

int main(int argc, char** argv) {
    const bool asJson = argc == 2 && std::strcmp(argv[1], "--json") == 0;
    if (argc > 1 && !asJson) {
        std::fputs("shader_cost: the only option is --json\n", stderr);
        return static_cast<int>(dunlin::cli::ExitStatus::WrongUse);
    }
    const auto status = dunlin::shader_cost::run(asJson);
    if (status.ok()) return static_cast<int>(*status);
    std::fprintf(stderr, "shader_cost: %s\n", status.failure().message.c_str());
    return static_cast<int>(status.failure().status);
}
