// formsOf and inForm: a case in the forms that its kernel could be run in.
#include "runtime/plan/form_candidates.h"
#include "runtime/plan/kernels.h"
#include "runtime/tuning/kernel_case.h"
#include "shaders/include/params.h"

namespace dunlin::tuning {
namespace {

// What the lowering would choose, with the load path that the device's buffers allow.
KernelForm defaultForm(const KernelCase& problem) {
    KernelForm form = problem.origin().defaultForm;
    if (!hasLoadPath(row(problem.kernel()))) form.load = LoadPath::Storage;
    // Pixels in a buffer, as sessions of the command line have them.
    if (problem.kernel() == Kernel::Preprocess) form.tileX = params::kSourcePixels;
    return form;
}

template <typename Call>
void setSumsBytes(const Call& call, FormedCase& formed) {
    if (!call.sums) return;
    const Shape& shape = call.sums->shape;
    formed.tensorBytes[call.sums->tensor] =
        static_cast<uint64_t>(shape.pixelCount()) * static_cast<uint64_t>(channelGroups(shape.c)) * kFloatGroupBytes;
}

}  // namespace

FormedCase inForm(const KernelCase& problem, const KernelForm& form, const DeviceLimits& limits) {
    const Extent& extent = problem.origin().extent;
    const Program& program = problem.network->lowered.program;
    FormedCase formed;
    formed.form = form;
    formed.variant = formName(problem.kernel(), form);
    formed.id = problem.id + "/" + (problem.precision() == Precision::Fp16 ? "fp16" : "fp32") + "/" + formed.variant;
    const KernelCall call = inFormAlone(problem.origin().call, form, extent);
    formed.dispatch = DispatchBuilder(limits, problem.precision()).build(call, form, extent);
    formed.dispatch.name = program.dispatches[problem.dispatch].name;
    for (const Binding& binding : formed.dispatch.bindings) {
        if (binding.tensor < 0) continue;
        formed.tensorBytes[binding.tensor] = program.tensors[static_cast<size_t>(binding.tensor)].sizeBytes;
    }
    if (const auto* depthwise = std::get_if<DepthwiseCall>(&call)) setSumsBytes(*depthwise, formed);
    if (const auto* block = std::get_if<InvertedResidualCall>(&call)) setSumsBytes(*block, formed);
    return formed;
}

std::vector<FormedCase> formsOf(const KernelCase& problem, const DeviceLimits& limits) {
    const KernelForm usual = defaultForm(problem);
    const DispatchOrigin& origin = problem.origin();
    std::vector<FormedCase> forms;
    for (const KernelForm& form : formCandidates({origin.call, origin.extent, usual, problem.precision(), limits})) {
        forms.push_back(inForm(problem, form, limits));
        forms.back().isDefault = form == usual;
    }
    return forms;
}

}  // namespace dunlin::tuning
