// A pickle machine that can build what PyTorch's state dictionaries are made of and nothing else. A pickle is a
// program; this one runs no code of the file's choosing: every function that a pickle may name is one of the few below.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/weights/weights_source.h"

namespace dunlin {

// Values refer to each other by index, so that neither a cycle nor a tower of a million lists can overflow a stack.
using PickleIndex = uint32_t;

enum class PickleFunction { OrderedDict, RebuildTensor, RebuildParameter };
struct PickleStorageType {
    DType dtype;
};
struct PickleStorage {
    std::string_view key;  // the archive's entry data/<key>; before PyTorch 1.6, a word of a list
    DType dtype;
    int64_t elementCount;
};
struct PickleTensor {
    PickleStorage storage;
    int64_t offset;  // of the first element, in elements
    std::vector<int64_t> shape, strides;
};
struct PickleTuple {
    std::vector<PickleIndex> items;
};
struct PickleList {
    std::vector<PickleIndex> items;
};
struct PickleDict {
    std::vector<std::pair<PickleIndex, PickleIndex>> items;  // in the order of insertion; a key may come twice
};
using PickleValue = std::variant<std::monostate, bool, int64_t, double, std::string_view, PickleTuple, PickleList,
                                 PickleDict, PickleFunction, PickleStorageType, PickleStorage, PickleTensor>;

struct Pickle {
    std::vector<PickleValue> values;
    PickleIndex root = 0;
    size_t byteCount = 0;  // of the pickle, which may be followed by others

    // The value as a T, or null.
    template <typename T>
    const T* get(PickleIndex index) const {
        return std::get_if<T>(&values[index]);
    }
};

constexpr size_t kMaxPickleValues = 1'000'000;  // a checkpoint of 20,000 tensors needs about 600,000
// Writers of checkpoints call storages by numbers.
constexpr size_t kMaxStorageKeyBytes = 256;

// Texts in the result point into `bytes`. BadFile names what the pickle would run, the value that is beyond a limit
// (more than `maxValues` values, a storage's key of more than kMaxStorageKeyBytes), and the byte.
Result<Pickle> unpickle(std::span<const std::byte> bytes, size_t maxValues = kMaxPickleValues);

}  // namespace dunlin
