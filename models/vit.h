// ViT (Dosovitskiy et al. 2021, arXiv:2010.11929; Steiner et al. 2022 for the smaller ones) and DeiT (Touvron et al.
// 2021, arXiv:2012.12877; the networks without distillation token), with timm's names.
#pragma once

#include <vector>

#include "models/registry.h"

namespace dunlin {

// The published members of both, in the order in which `dunlin models` lists them. Their inputs' sides are multiples of
// the patch; positions are resized where the map is not the one that they were learnt for.
std::vector<Architecture> vitArchitectures();

}  // namespace dunlin
