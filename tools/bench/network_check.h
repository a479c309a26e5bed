// Whether a network's results on a Vulkan device are right, before it is timed: beside the CPU's, which the references
// of the tests hold up.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "runtime/vulkan/backend.h"
#include "tools/bench/model_runs.h"

namespace dunlin::bench {

struct NetworkCheck {
    double maxRelativeError = 0;   // of the logits, over the largest of the CPU's; infinite where one is not finite
    double tolerance = 0;          // for the precision
    bool isDeterministic = false;  // a second run gave the same bits
    bool isRight() const { return maxRelativeError <= tolerance && isDeterministic; }
};

// Of the formula's input (weights/synthetic.h), on the CPU in float32.
Result<std::vector<float>> cpuLogits(const ModelRun& run);

// Makes a session of its own for it. After DeviceLost, `lost` gets what must not be destroyed.
Result<NetworkCheck> checkNetwork(vulkan::VulkanBackend& backend, const ModelRun& run, std::span<const float> expected,
                                  std::shared_ptr<void>& lost);

// The largest error over the largest expected value. Equally long; infinite where something is not finite.
double maxRelativeError(std::span<const float> values, std::span<const float> expected);

}  // namespace dunlin::bench
