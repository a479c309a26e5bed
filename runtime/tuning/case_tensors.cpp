#include "runtime/tuning/case_tensors.h"

#include <cstring>
#include <random>
#include <utility>

#include "runtime/plan/prepack.h"

namespace dunlin::tuning {
namespace {

// FNV-1a, which is the same everywhere.
uint32_t seedOf(std::string_view name) {
    uint32_t hash = 2166136261u;
    for (const char letter : name) hash = (hash ^ static_cast<unsigned char>(letter)) * 16777619u;
    return hash;
}

// The standard's distributions differ from library to library; its generator does not.
double randomValue(std::mt19937& generator, float low, float high) {
    const auto bits = static_cast<uint32_t>(generator());
    const double magnitude = double{low} + (double{high} - double{low}) * (static_cast<double>(bits >> 8) * 0x1p-24);
    return roundedToHalf(bits & 1u ? magnitude : -magnitude);
}

std::vector<int> inOrder(int channels) {
    std::vector<int> positions(static_cast<size_t>(channels));
    for (int c = 0; c < channels; ++c) positions[static_cast<size_t>(c)] = c;
    return positions;
}

}  // namespace

double roundedToHalf(double value) {
    return double{fromHalf(toHalf(static_cast<float>(value)))};
}

void roundToHalf(std::span<float> values) {
    for (float& value : values) value = fromHalf(toHalf(value));
}

reference::Tensor randomTensor(const Shape& shape, std::string_view name, float low, float high) {
    std::mt19937 generator(seedOf(name));
    reference::Tensor tensor(shape);
    for (double& value : tensor.values) value = randomValue(generator, low, high);
    return tensor;
}

reference::Tensor randomAroundMeans(const Shape& shape, std::string_view name) {
    reference::Tensor tensor = randomTensor(shape, name, 0.05f, 0.4f);
    const reference::Tensor means = randomTensor({shape.n, 1, 1, shape.c}, std::string(name) + " means", 0.5f, 1.5f);
    const auto channels = static_cast<size_t>(shape.c);
    const size_t imageValues = channels * static_cast<size_t>(shape.h) * static_cast<size_t>(shape.w);
    for (size_t i = 0; i < tensor.values.size(); ++i) {
        const double mean = means.values[i / imageValues * channels + i % channels];
        tensor.values[i] = roundedToHalf(tensor.values[i] + mean);
    }
    return tensor;
}

StoredLayout::StoredLayout(std::vector<int> positions, int storedChannels, uint32_t groupBytes)
    : positions_(std::move(positions)),
      lanes_(roundUp(storedChannels, kChannelGroup)),
      precision_(groupBytes == kFloatGroupBytes ? Precision::Fp32 : Precision::Fp16) {
    std::vector<bool> taken(static_cast<size_t>(lanes_));
    for (const int position : positions_) taken[static_cast<size_t>(position)] = true;
    for (int lane = 0; lane < lanes_; ++lane) {
        if (!taken[static_cast<size_t>(lane)]) padding_.push_back(lane);
    }
}

StoredLayout::StoredLayout(int channels, uint32_t groupBytes) : StoredLayout(inOrder(channels), channels, groupBytes) {}

void StoredLayout::appendPadding(int64_t pixel, std::vector<uint64_t>& offsets) const {
    for (const int position : padding_) offsets.push_back(lane(pixel, position));
}

std::vector<std::byte> StoredLayout::pack(const reference::Tensor& tensor) const {
    std::vector<std::byte> bytes(lane(tensor.shape.pixelCount(), 0));
    const size_t channels = positions_.size();
    for (size_t i = 0; i < tensor.values.size(); ++i) {
        const uint64_t at = offset(static_cast<int64_t>(i / channels), static_cast<int>(i % channels));
        setElement(bytes, at, tensor.values[i], precision_);
    }
    return bytes;
}

void setElement(std::span<std::byte> bytes, uint64_t offset, double value, Precision precision) {
    const auto single = static_cast<float>(value);
    if (precision == Precision::Fp32) {
        std::memcpy(&bytes[offset], &single, sizeof single);
        return;
    }
    const uint16_t half = toHalf(single);
    std::memcpy(&bytes[offset], &half, sizeof half);
}

}  // namespace dunlin::tuning
