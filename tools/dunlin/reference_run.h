// Running a reference network on a device. The bridge between the runtime's internals, which build such a network, and
// the public interface, through which it is run as anybody's would be.
#pragma once

#include <functional>
#include <string>

#include "dunlin/dunlin.h"
#include "tools/dunlin/outcome.h"

namespace dunlin::cli {

struct ReferenceVerdict {
    std::string model;
    DunlinPrecision precision = DUNLIN_PRECISION_FP32;  // the one used
    bool finite = false;
    double maxRelativeError = 0;  // largest error over largest reference logit, over all rows
    double bound = 0;
    bool top1Equal = false, top1Counts = false;
    bool pass = false;
};

// What a session for a reference is asked for beside what the reference says.
struct ReferenceRunOptions {
    DunlinPrecision precision = DUNLIN_PRECISION_AUTO;
    DunlinFusion fusion = DUNLIN_FUSION_DEFAULT;
    uint32_t tuningBudgetMs = 0;
};

// Builds the network of a reference file with its formula weights, runs its input at its batch, and compares.
// `progress` is told 0 to 1 while the session is made.
Outcome<ReferenceVerdict> runReference(const std::string& file, DunlinDevice device, const ReferenceRunOptions& options,
                                       const std::function<void(float)>& progress);

// Another architecture that the weights of a model fit as well, which takes pictures differently; empty where there is
// none or the architecture was given.
std::string otherArchitectureOf(DunlinModel model);
// Whose weights these may be instead of timm's, with pictures prepared in another way; empty where there is no doubt.
std::string otherPublisherOf(DunlinModel model);

}  // namespace dunlin::cli
