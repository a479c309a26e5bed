#include "runtime/tuning/case_runner.h"

#include "shaders/include/params.h"

namespace dunlin::tuning {

Result<std::unique_ptr<DispatchRunner>> createRunner(const vulkan::VulkanDevice& device,
                                                     const vulkan::Pipeline& pipeline, const KernelCase& problem,
                                                     const CaseData& data, const FormedCase& form) {
    RunnerPicture picture;
    const bool takesTensor = form.form.tileX == params::kSourceTensor;
    picture.pixels = takesTensor ? data.planes : data.picture;
    picture.width = data.pictureWidth;
    picture.height = data.pictureHeight;
    picture.spec = &problem.network->preprocess;
    const bool hasPicture = problem.kernel() == Kernel::Preprocess;
    return DispatchRunner::create(device, pipeline, form.dispatch, form.tensorBytes, data.contents,
                                  hasPicture ? &picture : nullptr);
}

}  // namespace dunlin::tuning
