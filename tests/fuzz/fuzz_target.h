// What a fuzz target is made of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "runtime/weights/weights_source.h"

// libFuzzer's entry. A target ends the program where the parser breaks its promises.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t sizeBytes);

namespace dunlin::fuzz {

// Good inputs from which the driver makes bad ones; every one of them must be accepted.
std::vector<std::string> corpus();
// Whether the parser accepts an input.
bool accepts(const std::string& input);

// Ends the program with the sentence where a promise does not hold.
inline void require(bool holds, const char* promise) {
    if (holds) return;
    std::fprintf(stderr, "broken promise: %s\n", promise);
    std::abort();
}

// Reads everything that a source says it has.
inline void readEverything(const WeightsSource& weights) {
    constexpr uint64_t kMaxElements = 1 << 20;  // a view may repeat one number more often than memory holds
    for (const TensorInfo& tensor : weights.tensors()) {
        uint64_t count = 1;
        for (const int64_t dimension : tensor.shape) {
            require(dimension >= 0, "dimensions are not negative");
            if (__builtin_mul_overflow(count, static_cast<uint64_t>(dimension), &count)) count = UINT64_MAX;
        }
        if (count > kMaxElements) continue;
        std::vector<float> values(count);
        const Status status = weights.read(tensor.name, tensor.shape, values);
        require(status.ok() == (tensor.dtype != DType::I64), "what is listed can be read");
    }
}

inline std::vector<std::byte> toBytes(const uint8_t* data, size_t sizeBytes) {
    const auto* first = reinterpret_cast<const std::byte*>(data);
    return {first, first + sizeBytes};  // a copy of the exact size, so that the sanitizer sees a read beyond it
}

}  // namespace dunlin::fuzz
