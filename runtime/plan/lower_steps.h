// The steps of a network as dispatches.
#pragma once

#include <vector>

#include "runtime/plan/form_table.h"
#include "runtime/plan/fusion.h"
#include "runtime/plan/limits.h"
#include "runtime/plan/lower.h"
#include "runtime/plan/outputs.h"
#include "runtime/status.h"

namespace dunlin {

// One way to lower a network. Borrows.
struct StepsToLower {
    const Graph& graph;
    const std::vector<Step>& steps;    // of the graph
    const std::vector<ValueId>& taps;  // of the options
    const SessionOptions& options;     // but for their forms
    const DeviceLimits& limits;
    int microBatch = 1;  // images that go through the network together; divides the batch
    // Texel buffers by no default: fewer pipelines than where some maps are too large for them.
    bool storageOnly = false;
    const FormTable* forms = nullptr;  // null: none
};

// Without a memory plan, and whatever memory it takes. Pure. DoesNotFit where one image's rows of some step are too
// large for the device's buffer ranges; Unsupported where no kernel computes a step.
Result<LoweredNetwork> lowerSteps(const StepsToLower& wanted);

}  // namespace dunlin
