// NumPy's .npy files, as far as tensors of real numbers need them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "tools/dunlin/files.h"
#include "tools/dunlin/outcome.h"

namespace dunlin::cli {

constexpr size_t kMaxNpyDimensions = 8;

// Row-major.
struct NpyArray {
    std::vector<int64_t> shape;
    std::vector<float> values;
};

std::string describeShape(std::span<const int64_t> shape);  // "[1, 3, 224, 224]"

// Format versions 1 to 3, little-endian float16, float32 and float64 in C order; anything else, and a size that is not
// the shape's, is BadInput.
Outcome<NpyArray> parseNpy(std::span<const std::byte> file);

// The same of a file, with its name before the reason.
Outcome<NpyArray> readNpy(const std::filesystem::path& path);

// As float32, version 1. `values` has as many elements as the shape. Appears with files.commit().
Check writeNpy(OutputFiles& files, const std::filesystem::path& path, std::span<const int64_t> shape,
               std::span<const float> values);

}  // namespace dunlin::cli
