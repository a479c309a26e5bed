// Graph to Program: which kernels, fused how, over which ranges.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/plan/dispatch_builders.h"
#include "runtime/plan/fusion.h"
#include "runtime/plan/limits.h"
#include "runtime/plan/memory_plan.h"
#include "runtime/plan/outputs.h"
#include "runtime/plan/program.h"
#include "runtime/status.h"

namespace dunlin {

// Where a dispatch comes from: enough to build it in another form, and to compute on the host what it should write.
struct DispatchOrigin {
    KernelCall call;  // its operands name tensors of the program
    KernelForm form;
    KernelForm defaultForm;  // kernel_forms.h's, with the load path that the device's buffers allow
    Extent extent;
    std::optional<Step> step;  // the part of the graph that it computes; nothing for preprocess, head and export
};

struct LoweredNetwork {
    Program program;
    MemoryPlan memory;                    // at the device's offsetAlignment
    std::vector<DispatchOrigin> origins;  // one for each dispatch
    // What SessionOptions::forms says that this device cannot run, a sentence each.
    std::vector<std::string> ignoredForms;
};

// No network should have more than 32, and each further kind of input adds one.
constexpr size_t kManyPipelines = 30;

// Pure. DoesNotFit or Unsupported where the device cannot run the network at this size; UnknownName for a tap that does
// not exist.
Result<LoweredNetwork> lowerNetwork(const Graph& graph, const SessionOptions& options, const DeviceLimits& limits);
// One line a dispatch, as print() of its program has it, with its form and whether that is the default.
std::string print(const LoweredNetwork& network);
// Its program.
Result<Program> lower(const Graph& graph, const SessionOptions& options, const DeviceLimits& limits);

}  // namespace dunlin
