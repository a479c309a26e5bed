// The models that are embedded in this program: the folders of models/pretrained. They need no file beside the binary.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dunlin::cli {

struct ShippedModel {
    std::string_view name;               // the folder's: "digits"
    std::string_view config;             // the text of its config.json
    std::span<const std::byte> weights;  // its model.safetensors; static
};

// All of them by name; none in a build with DUNLIN_EMBED_MODELS=OFF. Static.
std::span<const ShippedModel> shippedModels();

// Null where none has this name.
const ShippedModel* findShippedModel(std::string_view name);

// The licence of its weights, as its config.json says (pretrained_cfg.license).
std::string licenceOf(const ShippedModel& model);

}  // namespace dunlin::cli
