// The pipelines that networks need on a device, as plain data: what shader_cost compiles.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/plan/limits.h"
#include "runtime/plan/program.h"
#include "tools/dunlin/outcome.h"

namespace dunlin::shader_cost {

// Why a pipeline is compiled; the first that applies.
enum class Use : uint8_t {
    Default,    // a default plan has it
    MaxFusion,  // only plans of the fewest dispatches have it
    Candidate,  // tuning may try it
};
const char* name(Use use);

struct ListedPipeline {
    Variant variant;
    Use use = Use::Default;
    std::vector<std::string> networks;  // that have it, by the use; in order
};

// Those of one or two networks of each family, at their own input sizes, batch 1 and 8, with a map exported and every
// kind of source; formula weights. Candidates are the forms of kernels with tiles, for the layers of two networks at
// batch 1. Ordered by use, then by variant.
cli::Outcome<std::vector<ListedPipeline>> listPipelines(const DeviceLimits& limits, Precision precision);

}  // namespace dunlin::shader_cost
