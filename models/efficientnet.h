// EfficientNet and EfficientNet-Lite (Tan and Le 2019, arXiv:1905.11946), EfficientNetV2 (Tan and Le 2021,
// arXiv:2104.00298), with timm's names. Those of tf_* pad as TensorFlow does.
#pragma once

#include <vector>

#include "models/registry.h"

namespace dunlin {

// efficientnet_b0..b8, efficientnet_lite0..4, efficientnetv2_s..xl, and the same with tf_; tf_efficientnetv2_b0..b3;
// efficientnetv2_rw_s.
std::vector<Architecture> efficientnetArchitectures();

}  // namespace dunlin
