// The references that the tests of every backend run: the MobileNets and a few of each other family, large ones left
// out. tools/verify-all runs every one.
#pragma once

#include <string>

namespace dunlin::test {

inline constexpr const char* kReferences[] = {
    "mobilenetv1_100",
    "mobilenetv2_050",
    "mobilenetv2_100",
    "mobilenetv2_140",
    "mobilenetv3_large_100",
    "mobilenetv3_large_100-160x224-3",
    "mobilenetv3_small_050",
    "mobilenetv3_small_100",
    "tf_mobilenetv3_large_100",
    "tf_mobilenetv3_small_minimal_100",
    "efficientnet_b0-192x256-2",
    "tf_efficientnet_b0",
    "tf_efficientnetv2_s",
    "mobilevit_xxs",
    "mobilevit_xs",
    "mobilevit_s-224x288",
    "mobilevitv2_100",
    "convnext_tiny",
    "vit_tiny_patch16_224",
    "swin_tiny_patch4_window7_224",
    "resnet50",
};

// A name that GoogleTest accepts for a parameter.
inline std::string parameterName(std::string reference) {
    for (char& c : reference)
        if (c == '-') c = '_';
    return reference;
}

}  // namespace dunlin::test
