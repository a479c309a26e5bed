// Shapes of activations, NHWC, and the sizes of their elements.
#pragma once

#include <cstdint>
#include <string>

namespace dunlin {

// A feature map in NHWC order; vectors are [n, 1, 1, c].
struct Shape {
    int n = 0, h = 0, w = 0, c = 0;

    int64_t elementCount() const { return int64_t{n} * h * w * c; }
    int64_t pixelCount() const { return int64_t{n} * h * w; }
    bool operator==(const Shape&) const = default;
};

std::string describe(const Shape& shape);  // "1x112x112x16"

// Channels travel in groups of four on the GPU; the lanes of an incomplete last group hold zero.
constexpr int kChannelGroup = 4;

template <typename Integer>
constexpr Integer roundUp(Integer value, Integer multiple) {
    return (value + multiple - 1) / multiple * multiple;
}
template <typename Integer>
constexpr Integer divideUp(Integer value, Integer divisor) {
    return (value + divisor - 1) / divisor;
}
constexpr int channelGroups(int channels) { return divideUp(channels, kChannelGroup); }

enum class Precision { Fp32, Fp16 };
constexpr int elementSize(Precision precision) { return precision == Precision::Fp32 ? 4 : 2; }

}  // namespace dunlin
