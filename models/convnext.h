// ConvNeXt (Liu et al. 2022, arXiv:2201.03545) and timm's smaller members, with timm's names.
#pragma once

#include <vector>

#include "models/registry.h"

namespace dunlin {

// convnext_atto, femto, pico, nano, tiny, small, base, large, xlarge.
std::vector<Architecture> convnextArchitectures();

}  // namespace dunlin
