#include "tools/dunlin/shipped.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace dunlin::cli {

const ShippedModel* findShippedModel(std::string_view name) {
    const auto found = std::ranges::find(shippedModels(), name, &ShippedModel::name);
    return found == shippedModels().end() ? nullptr : &*found;
}

std::string licenceOf(const ShippedModel& model) {
    const auto config = nlohmann::json::parse(model.config, nullptr, /*allow_exceptions=*/false);
    const nlohmann::json::json_pointer licence("/pretrained_cfg/license");
    if (!config.is_object() || !config.contains(licence) || !config[licence].is_string()) return {};
    return config[licence].get<std::string>();
}

}  // namespace dunlin::cli
