// What a file's author called its tensors, in this project's words. Canonical names are timm's.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/weights/weights_source.h"

namespace dunlin {

// How the pictures of published weights are prepared, in the words of the libraries that publish them.
struct PublishedPreprocess {
    int resize = 256;                                      // what the short side becomes, in pixels
    int crop = 224;                                        // then a square in the centre, side in pixels
    bool bicubic = false;                                  // else bilinear; both antialiased
    bool swapRedBlue = false;                              // the network wants BGR
    std::array<float, 3> mean = {0.485f, 0.456f, 0.406f};  // of colours in 0..1, in the network's order
    std::array<float, 3> deviation = {0.229f, 0.224f, 0.225f};
};

// What a scheme tells about a file besides names.
struct NameScheme {
    std::string name;                // "timm", "torchvision MobileNetV3-Large"
    double batchNormEpsilon = 0;     // that these files were trained with; 0: the architecture's own
    bool padsSymmetrically = false;  // trained by PyTorch's padding, not TensorFlow's; false: not told
    std::optional<PublishedPreprocess> preprocess = std::nullopt;  // absent: the architecture's own
};

// A source under canonical names, and in the shapes that belong to them (a Linear that timm has as a 1x1 convolution, a
// query, key and value that timm has as one). Thread-safe like every source.
class CanonicalWeights : public WeightsSource {
  public:
    virtual const NameScheme& scheme() const = 0;
};

// Works out the scheme from names and shapes, after stripping what wrappers put before every name ("module.", "model.",
// "_orig_mod."). Names that no rule knows stay as they are, so that checkWeights can report them; tables that follow
// from the architecture (Swin's relative_position_index and attn_mask) are left out. BadFile where two tensors would
// get one name, or where a tensor that the file has in several parts lacks one. A formula keeps its own names.
Result<std::shared_ptr<const CanonicalWeights>> withCanonicalNames(std::shared_ptr<const WeightsSource> source);

}  // namespace dunlin
