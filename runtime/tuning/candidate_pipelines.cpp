#include "runtime/tuning/candidate_pipelines.h"

namespace dunlin::tuning {

Result<const vulkan::Pipeline*> CandidatePipelines::get(const Variant& variant, bool isKept) {
    if (isKept) kept_.insert(variant);
    if (kept_.contains(variant)) return pipelines_.get(variant);
    if (const auto found = own_.find(variant); found != own_.end()) return found->second.get();
    DUNLIN_ASSIGN(const std::vector<uint32_t> code, unpackSpirv(variant));
    DUNLIN_ASSIGN(vulkan::OwnedPipeline pipeline, pipelines_.createForeign(variant, code));
    return own_.emplace(variant, std::move(pipeline)).first->second.get();
}

}  // namespace dunlin::tuning
