// MobileNetV1 (Howard et al. 2017), MobileNetV2 (Sandler et al. 2018), MobileNetV3 (Howard et al. 2019), with timm's
// names.
#pragma once

#include <string_view>
#include <vector>

#include "models/registry.h"

namespace dunlin {

// The published members of the family, in the order in which `dunlin models` lists them.
std::vector<Architecture> mobilenetArchitectures();

// Any member by name, such as "mobilenetv2_075"; nothing if the name is of no MobileNet.
std::optional<Architecture> findMobilenet(std::string_view name);

}  // namespace dunlin
