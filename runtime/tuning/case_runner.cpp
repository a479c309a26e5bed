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

Result<std::unique_ptr<DispatchRunner>> createRunnerOfZeros(const vulkan::VulkanDevice& device,
                                                            const vulkan::Pipeline& pipeline, const KernelCase& problem,
                                                            const FormedCase& form) {
    constexpr int kPictureSide = 320;
    CaseData data;
    for (const Binding& binding : form.dispatch.bindings) {
        if (binding.tensor >= 0 && !binding.write)
            data.contents[binding.tensor].resize(form.tensorBytes.at(binding.tensor));
    }
    const Shape& input = problem.network->lowered.program.input;
    data.pictureWidth = data.pictureHeight = kPictureSide;
    data.picture.resize(size_t{4} * kPictureSide * kPictureSide);
    data.planes.resize(static_cast<size_t>(input.h) * static_cast<size_t>(input.w) * 3 * sizeof(float));
    return createRunner(device, pipeline, problem, data, form);
}

}  // namespace dunlin::tuning
