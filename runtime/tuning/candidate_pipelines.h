// Pipelines of forms that may lose: they live as long as the tuning, and not in the driver's cache.
#pragma once

#include <map>
#include <set>

#include "runtime/vulkan/pipelines.h"

namespace dunlin::tuning {

// Not thread-safe. Must not outlive the pipelines, nor be destroyed while the device uses what it gave.
class CandidatePipelines {
  public:
    explicit CandidatePipelines(vulkan::Pipelines& pipelines) : pipelines_(pipelines) {}

    // With `isKept`, that of sessions, which stays; else one of its own, unless the first is there already. Valid as
    // long as this object. Errors as Pipelines::get().
    Result<const vulkan::Pipeline*> get(const Variant& variant, bool isKept);

  private:
    vulkan::Pipelines& pipelines_;
    std::set<Variant> kept_;
    std::map<Variant, vulkan::OwnedPipeline> own_;
};

}  // namespace dunlin::tuning
