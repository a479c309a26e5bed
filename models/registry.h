// The architectures, by timm's names.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/backend.h"
#include "runtime/graph/graph.h"
#include "runtime/image/preprocess.h"
#include "runtime/status.h"

namespace dunlin {

// What the classifier reads (model_args.global_pool): the mean of the last map or of its tokens, or the class token.
enum class GlobalPool { Own, Average, ClassToken };

// What may differ between two networks of one architecture: model_args of a config.json, and the classifier's size.
struct ArchitectureOptions {
    int classes = 1000;
    double channelMultiplier = 0;  // 0: the architecture's own
    double depthMultiplier = 0;    // of the blocks in a stage; 0: the architecture's own
    bool samePadding = false;      // TensorFlow's asymmetric SAME padding (model_args.pad_type "same"); tf_* always
    double batchNormEpsilon = 0;   // 0: 1e-3 for tf_*, else 1e-5
    // Sides of the patches of MobileViT's three stages that attend (model_args.patch_size); 0: the architecture's own.
    // The paper's configuration B is {8, 4, 2}.
    std::array<int, 3> patchSizes = {};
    GlobalPool globalPool = GlobalPool::Own;
    double layerNormEpsilon = 0;                // 0: the architecture's own
    std::optional<bool> convolutionalMlp = {};  // 1x1 convolutions instead of linear layers: weights of another shape
};

struct Architecture {
    std::string name;    // "mobilenetv3_large_100"
    std::string family;  // "MobileNetV3"
    PreprocessSpec preprocess;
    // Builds the network; input.c is 3. Never fails for sizes within kMinInputSide .. kMaxInputSide.
    std::function<Graph(const ArchitectureOptions&, const Shape& input)> build;
    int sizeMultiple = 1;  // the input's sides must be multiples of it
    // Which of the model_args that change a network this one heeds; the rest are refused (hub_config.h).
    std::vector<std::string> arguments = {};
    std::string landmark = {};   // a tensor that most networks of other families lack, so that recognise() is quick
    bool hasClassToken = false;  // whether GlobalPool::ClassToken means anything
    bool hasPublishedWeights = true;  // false where only the tf_ twin was ever trained
};

constexpr int kMaxClasses = 1 << 20;
constexpr int kTensorFlowClasses = 1001;  // ImageNet's and, before them, background
constexpr int kMinInputSide = 32, kMaxInputSide = 1024, kMaxBatch = 64;

// The smallest input that the architecture takes; tensors do not depend on the size.
Shape smallestInput(const Architecture& architecture);

// Every architecture that `dunlin models` lists, in the order of the families.
std::span<const Architecture> architectures();

// By name, width suffixes included ("mobilenetv2_075" works although only published widths are listed). Where the name
// is unknown the error lists the nearest ones.
Result<Architecture> findArchitecture(std::string_view name);

// The architecture and options whose tensors have the names and shapes of this file; BadFile says what came nearest.
struct Recognised {
    Architecture architecture;
    ArchitectureOptions options;
    std::string alsoFits;  // another architecture with the same tensors, which takes pictures differently; empty: none
};
enum class TrainedWith { Unknown, PyTorch };  // PyTorch pads symmetrically
// Where a network and its tf_ twin both fit, the latter is meant by a classifier of 1001 classes, as TensorFlow's with
// their background have, and where only it was ever published. MobileNetV1 and V2, which have no twin, are with 1001
// classes padded and preprocessed as TensorFlow does.
Result<Recognised> recognise(const WeightsSource& canonicalWeights, TrainedWith trainedWith = TrainedWith::Unknown);

}  // namespace dunlin
