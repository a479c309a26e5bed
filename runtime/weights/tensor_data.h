// Numbers as files store them: sizes that may not overflow, and their conversion to float32.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include "runtime/weights/weights_source.h"

namespace dunlin {

// Every format read here is little-endian, and numbers are copied as they lie.
static_assert(std::endian::native == std::endian::little, "a big-endian machine needs byte swaps in loadLittle");

// A number at any address, aligned or not.
template <typename Number>
Number loadLittle(const std::byte* bytes) {
    Number number;
    std::memcpy(&number, bytes, sizeof number);
    return number;
}

const char* name(DType dtype);  // "F32", as safetensors calls it
size_t elementSizeBytes(DType dtype);

float halfToFloat(uint16_t half);
float bfloat16ToFloat(uint16_t bits);

// The product of the dimensions; nothing where one is negative or where it exceeds 2^63 - 1.
std::optional<int64_t> elementCount(std::span<const int64_t> shape);

// `values.size()` elements that lie one after another. BadFile for integers: they count things and weigh nothing.
Status convertToFloat(DType dtype, const std::byte* elements, std::span<float> values);
// One element of a floating-point type.
float loadFloat(DType dtype, const std::byte* element);

// What every file-backed `read` checks first: BadFile where the shapes differ, InvalidArgument where `values` has
// another size.
Status checkRead(const TensorInfo& tensor, std::span<const int64_t> shape, size_t valueCount);

// Whether a tensor's name may be shown and looked up: not empty, at most kMaxTensorNameBytes, no control characters.
constexpr size_t kMaxTensorNameBytes = 512;
bool isPlainName(std::string_view name);

// A name from a hostile file, for messages: control characters shown as '?', cut after 80 bytes.
std::string printable(std::string_view name);

}  // namespace dunlin
