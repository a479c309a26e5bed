// Kernel cases on a device.
#pragma once

#include "runtime/tuning/dispatch_runner.h"
#include "runtime/tuning/kernel_case.h"

namespace dunlin::tuning {

// A runner of the form with the case's data. The pipeline is that of form.dispatch.variant, or a foreign one with its
// layout; it and the device must outlive the runner, the rest need not. Errors as DispatchRunner::create().
Result<std::unique_ptr<DispatchRunner>> createRunner(const vulkan::VulkanDevice& device,
                                                     const vulkan::Pipeline& pipeline, const KernelCase& problem,
                                                     const CaseData& data, const FormedCase& form);
// One that reads zeros, pictures too: to time the form where what it computes does not matter, without the oracle.
Result<std::unique_ptr<DispatchRunner>> createRunnerOfZeros(const vulkan::VulkanDevice& device,
                                                            const vulkan::Pipeline& pipeline, const KernelCase& problem,
                                                            const FormedCase& form);

}  // namespace dunlin::tuning
