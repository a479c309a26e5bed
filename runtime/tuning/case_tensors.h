// Tensors of cases: random numbers, and where the device stores them.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "runtime/cpu/reference.h"
#include "runtime/plan/dispatch_builders.h"

namespace dunlin::tuning {

// Values of magnitudes in [low, high], signs included, that float16 holds without rounding: none is denormal.
// The same on every machine for the same name.
reference::Tensor randomTensor(const Shape& shape, std::string_view name, float low = 0.25f, float high = 1.0f);
// Values around a number for each image and channel, so that means are neither alike nor close to zero.
reference::Tensor randomAroundMeans(const Shape& shape, std::string_view name);

// Rounded to float16.
double roundedToHalf(double value);
void roundToHalf(std::span<float> values);

// Where the elements of a map lie: pixels one after another, each of whole channel groups.
class StoredLayout {
  public:
    // Channels at these positions of a pixel (stored_layout.h). `groupBytes` as in Operand.
    StoredLayout(std::vector<int> positions, int storedChannels, uint32_t groupBytes);
    // Channels one after another.
    StoredLayout(int channels, uint32_t groupBytes);

    Precision precision() const { return precision_; }
    uint64_t offset(int64_t pixel, int channel) const { return lane(pixel, positions_[static_cast<size_t>(channel)]); }
    // Of the elements of a pixel that no channel takes.
    void appendPadding(int64_t pixel, std::vector<uint64_t>& offsets) const;
    // All pixels, padding zero; `tensor` has the logical channels.
    std::vector<std::byte> pack(const reference::Tensor& tensor) const;

  private:
    uint64_t lane(int64_t pixel, int lane) const {
        return (static_cast<uint64_t>(pixel) * static_cast<uint64_t>(lanes_) + static_cast<uint64_t>(lane)) *
               static_cast<uint64_t>(elementSize(precision_));
    }

    std::vector<int> positions_, padding_;  // lanes of a pixel
    int lanes_;
    Precision precision_;
};

void setElement(std::span<std::byte> bytes, uint64_t offset, double value, Precision precision);

}  // namespace dunlin::tuning
