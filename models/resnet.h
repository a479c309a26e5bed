// ResNet (He et al. 2016, arXiv:1512.03385) with the stride in the 3x3 convolution of a bottleneck, as torchvision and
// timm have it, and timm's names, which are torchvision's.
#pragma once

#include <vector>

#include "models/registry.h"

namespace dunlin {

// resnet18, 34, 50, 101, 152.
std::vector<Architecture> resnetArchitectures();

}  // namespace dunlin
