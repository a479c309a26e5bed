// config.json as the hub's folders have it: which network, which arguments, how pictures are prepared, what classes
// mean.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/registry.h"
#include "runtime/image/preprocess.h"
#include "runtime/status.h"

namespace dunlin {

// model_args. What is absent leaves the architecture's own value.
struct ModelArguments {
    std::optional<int> classes;  // num_classes
    std::optional<double> channelMultiplier, depthMultiplier, batchNormEpsilon, layerNormEpsilon;
    std::optional<bool> samePadding, convolutionalMlp;
    std::optional<std::array<int, 3>> patchSizes;  // patch_size: one number or a list of three
    std::optional<GlobalPool> globalPool;
    std::vector<std::string> networkArguments;  // those of them that only some networks heed, as the file calls them

    // BadFile names the first argument that this architecture does not heed, or a class token that it does not have.
    Status check(const Architecture& architecture) const;
    void applyTo(ArchitectureOptions& options) const;
};

// pretrained_cfg. What is absent leaves the value that it is applied to.
struct PreprocessChanges {
    std::optional<std::array<float, 3>> mean, deviation;
    std::optional<Interpolation> interpolation;
    std::optional<double> cropFraction;
    std::optional<bool> squash;
    std::optional<std::array<int, 2>> inputSize;  // height, width

    void applyTo(PreprocessSpec& spec) const;
};

struct HubConfig {
    std::string architecture;    // empty: not said
    std::optional<int> classes;  // as the file says; the classifier's shape knows better
    ModelArguments modelArguments;
    PreprocessChanges preprocess;
    int labelOffset = 0;              // 1 where class 0 is background
    std::vector<std::string> labels;  // in the order of the classes; control characters replaced
};

// Every value is checked: BadFile names the first that is of another type or out of its range. Fields that mean nothing
// to inference are ignored; arguments that would change the network and are not known here are refused.
Result<HubConfig> parseHubConfig(std::string_view json);
// A JSON object like config.json's model_args.
Result<ModelArguments> parseModelArguments(std::string_view json);

}  // namespace dunlin
