// The tables: every layout that is known besides timm's, by library and family.
#pragma once

#include <span>

#include "runtime/weights/name_schemes/layout.h"

namespace dunlin {

std::span<const Layout> torchvisionMobileNets();
std::span<const Layout> torchvisionEfficientNets();
std::span<const Layout> torchvisionConvNeXts();
std::span<const Layout> torchvisionTransformers();  // ViT and Swin
std::span<const Layout> huggingFaceMobileViTs();

}  // namespace dunlin
