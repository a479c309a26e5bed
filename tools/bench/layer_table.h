// The layers that kernels are measured on: the distinct ones of real networks, made from the registry.
#pragma once

#include <vector>

#include "runtime/tuning/kernel_case.h"
#include "tools/bench/commands.h"

namespace dunlin::bench {

// Every layer of the networks that the options choose, by the default plan and by that of the fewest dispatches, with
// the map `features` exported; formula weights. WrongUse for an architecture or a family that does not exist, and where
// a network does not take the size.
Outcome<std::vector<tuning::KernelCase>> layerTable(const LayerChoice& options, Precision precision,
                                                    const DeviceLimits& limits);

// Whether a formed case is asked for: its id fits one of the filters, and its kernel is one of those named.
bool isChosen(const KernelBenchOptions& options, const tuning::KernelCase& problem, const tuning::FormedCase& form);
// WrongUse for the name of a kernel that does not exist.
cli::Check checkKernelNames(const std::vector<std::string>& names);

}  // namespace dunlin::bench
