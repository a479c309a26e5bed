// Swin Transformer (Liu et al. 2021, arXiv:2103.14030), with timm's names.
#pragma once

#include <vector>

#include "models/registry.h"

namespace dunlin {

// The published members, in the order in which `dunlin models` lists them. Any input size goes: what does not divide is
// padded with zeros at the bottom and right, and windows keep their size.
std::vector<Architecture> swinArchitectures();

}  // namespace dunlin
