// Reference results: networks with formula weights, computed in float64 by somebody else. What `dunlin verify` and the
// tests compare with.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "models/model.h"
#include "runtime/graph/tensor.h"
#include "runtime/status.h"

namespace dunlin {

// Statistics of one module's output; its name is a tap where fusion has left it.
struct ReferenceStage {
    std::string name;
    std::vector<int64_t> shape;      // as the file has it: NCHW for maps
    double mean = 0, deviation = 0;  // deviation with n - 1
};

struct ReferenceFile {
    std::string model;      // the architecture's name
    std::string overrides;  // JSON object: model_args over the architecture's own; "{}" where there are none
    Shape input;
    int64_t parameters = 0;
    std::map<std::string, double> runningVarianceScale;
    std::vector<ReferenceStage> stages;       // in the file's order, which is the network's
    std::vector<std::vector<double>> logits;  // one row an image, all equally long
};

// BadFile where it cannot be read, is no such file or contradicts itself.
Result<ReferenceFile> loadReference(const std::filesystem::path& path);

// The network with the weights that the reference was computed with (BadFile where there is no such network, or its
// classes are not those of the logits), and its input, NCHW.
Result<std::shared_ptr<const Model>> openReferenceModel(const ReferenceFile& reference);
std::vector<float> referenceInput(const ReferenceFile& reference);

// The bound on max |error| / max |logit|.
double referenceBound(Precision precision);

struct ReferenceComparison {
    double maxRelativeError =
        0;  // largest error over largest reference logit, over all rows; infinite where not finite
    bool isFinite = true;
    bool top1Equal = true;   // in every row
    bool top1Counts = true;  // every row's margin exceeds twice the bound, so that rounding cannot change its winner
    bool pass = false;       // finite, within the bound, and top1Equal if that counts
};

// `logits`: row after row, as many as the reference has.
ReferenceComparison compareWithReference(const ReferenceFile& reference, std::span<const float> logits,
                                         Precision precision);

}  // namespace dunlin
