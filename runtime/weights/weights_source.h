// Where a network's numbers come from: a file as published, or a formula.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/status.h"

namespace dunlin {

enum class DType { F32, F16, BF16, F64, I64 };

struct TensorInfo {
    std::string name;             // as the source calls it, or canonical (timm) behind a name scheme
    std::vector<int64_t> shape;   // PyTorch's order: [out, in / groups, kernel height, kernel width]
    DType dtype = DType::F32;
};

// A set of named tensors that outlives whatever was read from it. Immutable once opened: every member may be called
// from any thread. File-backed sources are memory-mapped, and every offset was checked when the file was opened.
class WeightsSource {
  public:
    virtual ~WeightsSource() = default;

    // Every tensor of a file, in the file's order. Empty for a formula, which has whatever it is asked for.
    virtual const std::vector<TensorInfo>& tensors() const = 0;

    // Whether `read` makes up any tensor that it is asked for.
    virtual bool isFormula() const { return false; }

    // The tensor as float32, in row-major order. `shape` must be the tensor's own (else BadFile, with both shapes);
    // `values` has the product of `shape` elements.
    virtual Status read(std::string_view name, std::span<const int64_t> shape, std::span<float> values) const = 0;

    // What the file itself calls a tensor, "a + b + c" where it is several of the file's one after another; empty where
    // it is known that the file has none of this name.
    virtual std::string_view originalName(std::string_view name) const { return name; }
    // What messages call a tensor: the file, and the name that it has there ("model.pth: features.0.weight").
    virtual std::string placeOf(std::string_view name) const { return std::string(name); }
};

// Tensors that PyTorch saves and that no network needs.
inline bool isCounter(std::string_view name) {
    return name.ends_with("num_batches_tracked");
}

// "[16, 3, 3, 3]", for messages.
std::string describeShape(std::span<const int64_t> shape);

}  // namespace dunlin
