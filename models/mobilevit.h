// MobileViT (Mehta and Rastegari 2022, arXiv:2110.02178) and MobileViTv2 (Mehta and Rastegari 2023, arXiv:2206.02680),
// with timm's names.
#pragma once

#include <vector>

#include "models/registry.h"

namespace dunlin {

// The published members of both, in the order in which `dunlin models` lists them.
std::vector<Architecture> mobilevitArchitectures();

}  // namespace dunlin
