#include "runtime/plan/lower.h"

#include <algorithm>
#include <utility>

#include "runtime/plan/block_fusion.h"
#include "runtime/plan/fusion.h"
#include "runtime/plan/lower_steps.h"
#include "runtime/plan/prepack.h"

namespace dunlin {
namespace {

// Equal micro-batches, largest first: as many images as keep every activation within one buffer range.
std::vector<int> microBatches(const Graph& graph, const DeviceLimits& limits, Precision precision) {
    const int batch = graph.shape(graph.input()).n;
    uint64_t largestImageBytes = 1;
    for (const Value& value : graph.values()) {
        const auto pixels = static_cast<uint64_t>(value.shape.h) * static_cast<uint64_t>(value.shape.w);
        const auto padded = static_cast<uint64_t>(roundUp(value.shape.c, kChannelGroup));
        largestImageBytes =
            std::max(largestImageBytes, pixels * padded * static_cast<uint64_t>(elementSize(precision)));
    }
    std::vector<int> sizes;
    for (int size = batch; size >= 1; --size) {
        const bool fits = static_cast<uint64_t>(size) * largestImageBytes <= limits.maxStorageBufferRange;
        if (batch % size == 0 && (fits || size == 1)) sizes.push_back(size);
    }
    return sizes;
}

Status checkRequest(const SessionOptions& options, const DeviceLimits& limits) {
    if (options.precision == Precision::Fp16 && !limits.fp16) {
        return error(StatusCode::Unsupported,
                     "fp16 needs 16-bit storage buffers and float16 arithmetic, and the device does not have both");
    }
    return {};
}

// The steps of a network: as they are lowered by default, and as a table of forms may choose among.
struct Steps {
    std::vector<Step> usual, joined;
};

// In micro-batches of this size.
Result<LoweredNetwork> lowerMicroBatches(const Graph& graph, const Steps& steps, const std::vector<ValueId>& taps,
                                         const SessionOptions& options, const DeviceLimits& limits, int microBatch) {
    bool storageOnly = false;
    Result<LoweredNetwork> network = lowerSteps({graph, steps.usual, taps, options, limits, microBatch});
    if (network.ok() && countPipelines(network->program) > kManyPipelines) {
        Result<LoweredNetwork> other = lowerSteps({graph, steps.usual, taps, options, limits, microBatch, true});
        storageOnly = other.ok() && countPipelines(other->program) < countPipelines(network->program);
        if (storageOnly) network = std::move(other);
    }
    if (!network.ok() || !options.forms || options.forms->empty()) return network;
    // The defaults stay what they are without the table.
    const std::vector<Step>& chosen = options.forms->fusedBlocks.empty() ? steps.usual : steps.joined;
    return lowerSteps({graph, chosen, taps, options, limits, microBatch, storageOnly, options.forms.get()});
}

}  // namespace

Result<LoweredNetwork> lowerNetwork(const Graph& graph, const SessionOptions& options, const DeviceLimits& limits) {
    DUNLIN_TRY(checkRequest(options, limits));
    std::vector<ValueId> taps;
    for (const std::string& name : options.taps) {
        DUNLIN_ASSIGN(const ValueId value, graph.findTap(name));
        taps.push_back(value);
    }
    Steps steps;
    DUNLIN_ASSIGN(steps.usual, fuse(graph, taps));
    if (options.fusion == FusionLevel::Max || (options.forms && !options.forms->fusedBlocks.empty()))
        steps.joined = fuseBlocks(graph, steps.usual, taps);
    if (options.fusion == FusionLevel::Max) steps.usual = steps.joined;

    uint64_t constantBytes = 0;
    for (const Constant& constant : constantsOf(graph, options.precision)) constantBytes += constant.sizeBytes;

    constexpr double kMiB = 1024.0 * 1024.0;
    const Shape& input = graph.shape(graph.input());
    Status tooLarge;  // why the smallest micro-batch, tried last, does not fit
    for (int microBatch : microBatches(graph, limits, options.precision)) {
        Result<LoweredNetwork> network = lowerMicroBatches(graph, steps, taps, options, limits, microBatch);
        if (!network.ok() && network.status().code() != StatusCode::DoesNotFit) return network;
        tooLarge = network.status();
        if (!network.ok()) continue;
        network->memory = planMemory(network->program, limits.offsetAlignment);
        const uint64_t arenaBytes = network->memory.arenaBytes;
        const bool arenaTooLarge = arenaBytes > limits.maxAllocationBytes;
        const uint64_t needBytes =
            arenaTooLarge ? arenaBytes : arenaBytes + constantBytes + network->program.outputBytes;
        const uint64_t limitBytes = arenaTooLarge ? limits.maxAllocationBytes : limits.memoryBudgetBytes;
        if (needBytes <= limitBytes) return network;
        tooLarge = error(
            StatusCode::DoesNotFit, "a batch of %d at %dx%d needs %.1f MiB of device memory, and the limit is %.1f MiB",
            input.n, input.h, input.w, static_cast<double>(needBytes) / kMiB, static_cast<double>(limitBytes) / kMiB);
    }
    return tooLarge;
}

Result<Program> lower(const Graph& graph, const SessionOptions& options, const DeviceLimits& limits) {
    DUNLIN_ASSIGN(LoweredNetwork network, lowerNetwork(graph, options, limits));
    return std::move(network.program);
}

}  // namespace dunlin
