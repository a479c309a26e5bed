// The references of the networks that the library has, for the tests of every backend.
#pragma once

#include <string>

namespace dunlin::test {

inline constexpr const char* kMobilenetReferences[] = {
    "mobilenetv1_100",          "mobilenetv2_050",
    "mobilenetv2_100",          "mobilenetv2_140",
    "mobilenetv3_large_100",    "mobilenetv3_large_100-160x224-3",
    "mobilenetv3_small_050",    "mobilenetv3_small_100",
    "tf_mobilenetv3_large_100", "tf_mobilenetv3_small_minimal_100",
};

// A name that GoogleTest accepts for a parameter.
inline std::string parameterName(std::string reference) {
    for (char& c : reference)
        if (c == '-') c = '_';
    return reference;
}

}  // namespace dunlin::test
