// Graph to Program: which kernels, fused how, over which ranges.
#pragma once

#include "runtime/plan/limits.h"
#include "runtime/plan/outputs.h"
#include "runtime/plan/program.h"
#include "runtime/status.h"

namespace dunlin {

// Pure. DoesNotFit or Unsupported where the device cannot run the network at this size; UnknownName for a tap that does
// not exist.
Result<Program> lower(const Graph& graph, const SessionOptions& options, const DeviceLimits& limits);

}  // namespace dunlin
