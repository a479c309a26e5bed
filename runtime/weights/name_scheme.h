// What a file's author called its tensors, in this project's words. Canonical names are timm's.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "runtime/weights/weights_source.h"

namespace dunlin {

// What a scheme tells about a file besides names.
struct NameScheme {
    std::string name;                    // "timm", "torchvision MobileNetV3-Large"
    double batchNormEpsilon = 0;         // that these files were trained with; 0: the architecture's own
    bool torchvisionPreprocess = false;  // short side 256, bilinear, centre crop 224, ImageNet's mean and deviation
};

// A source under canonical names, and in the shapes that belong to them (a Linear that timm has as a 1x1 convolution).
// Thread-safe like every source.
class CanonicalWeights : public WeightsSource {
  public:
    virtual const NameScheme& scheme() const = 0;
    // What the file itself calls a tensor; empty where it has none of this name.
    virtual std::string_view originalName(std::string_view canonicalName) const = 0;
};

// Works out the scheme from the names, after stripping what wrappers put before every one of them ("module.", "model.",
// "_orig_mod."). Names that no rule knows stay as they are, so that checkWeights can report them. BadFile where two
// tensors would get one name. A formula keeps its own names.
Result<std::shared_ptr<const CanonicalWeights>> withCanonicalNames(std::shared_ptr<const WeightsSource> source);

}  // namespace dunlin
