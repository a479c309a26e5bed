#include "runtime/weights/tensor_data.h"

#include <algorithm>
#include <cassert>

namespace dunlin {

const char* name(DType dtype) {
    switch (dtype) {
        case DType::F32:
            return "F32";
        case DType::F16:
            return "F16";
        case DType::BF16:
            return "BF16";
        case DType::F64:
            return "F64";
        case DType::I64:
            return "I64";
    }
    return "?";
}

size_t elementSizeBytes(DType dtype) {
    switch (dtype) {
        case DType::F16:
        case DType::BF16:
            return 2;
        case DType::F32:
            return 4;
        case DType::F64:
        case DType::I64:
            return 8;
    }
    return 0;
}

float halfToFloat(uint16_t half) {
    const uint32_t sign = uint32_t{half & 0x8000u} << 16;
    const uint32_t exponent = (half >> 10) & 0x1fu;
    const uint32_t mantissa = half & 0x3ffu;
    if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));  // infinity, not a number
    if (exponent == 0) {  // zero and subnormals: mantissa * 2^-24, exact in float32
        const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
        return sign != 0 ? -magnitude : magnitude;
    }
    return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

float bfloat16ToFloat(uint16_t bits) {
    return std::bit_cast<float>(uint32_t{bits} << 16);
}

std::optional<int64_t> elementCount(std::span<const int64_t> shape) {
    int64_t count = 1;
    for (const int64_t dimension : shape) {
        if (dimension < 0) return std::nullopt;
        if (__builtin_mul_overflow(count, dimension, &count)) return std::nullopt;
    }
    return count;
}

float loadFloat(DType dtype, const std::byte* element) {
    switch (dtype) {
        case DType::F32:
            return loadLittle<float>(element);
        case DType::F16:
            return halfToFloat(loadLittle<uint16_t>(element));
        case DType::BF16:
            return bfloat16ToFloat(loadLittle<uint16_t>(element));
        case DType::F64:
            return static_cast<float>(loadLittle<double>(element));
        case DType::I64:
            break;
    }
    assert(false);
    return 0;
}

Status convertToFloat(DType dtype, const std::byte* elements, std::span<float> values) {
    if (dtype == DType::I64) return error(StatusCode::BadFile, "holds I64, where floating-point numbers are needed");
    if (values.empty()) return {};
    if (dtype == DType::F32) {
        std::memcpy(values.data(), elements, values.size_bytes());
        return {};
    }
    const size_t stepBytes = elementSizeBytes(dtype);
    for (size_t i = 0; i < values.size(); ++i) values[i] = loadFloat(dtype, elements + i * stepBytes);
    return {};
}

Status checkRead(const TensorInfo& tensor, std::span<const int64_t> shape, size_t valueCount) {
    if (!std::ranges::equal(tensor.shape, shape)) {
        return error(StatusCode::BadFile, "%s has shape %s, but %s is needed", tensor.name.c_str(),
                     describeShape(tensor.shape).c_str(), describeShape(shape).c_str());
    }
    const std::optional<int64_t> count = elementCount(shape);
    if (!count || static_cast<uint64_t>(*count) != valueCount) {
        return error(StatusCode::InvalidArgument, "%s %s does not fit into %zu values", tensor.name.c_str(),
                     describeShape(shape).c_str(), valueCount);
    }
    return {};
}

namespace {
bool isControl(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}
}  // namespace

bool isPlainName(std::string_view name) {
    return !name.empty() && name.size() <= kMaxTensorNameBytes && std::ranges::none_of(name, isControl);
}

std::string printable(std::string_view name) {
    constexpr size_t kShown = 80;
    std::string text(name.substr(0, kShown));
    std::ranges::replace_if(text, isControl, '?');
    if (name.size() > kShown) text += "...";
    return text;
}

}  // namespace dunlin
