// Memory for what vectors read: it begins at a cache line, so that no load of a whole vector straddles two.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

namespace dunlin::cpu {

constexpr size_t kCacheLine = 64;  // bytes: also the longest vectors

struct CacheLineDeleter {
    void operator()(void* memory) const { ::operator delete[](memory, std::align_val_t{kCacheLine}); }
};
using AlignedFloats = std::unique_ptr<float[], CacheLineDeleter>;
using AlignedBytes = std::unique_ptr<std::byte[], CacheLineDeleter>;

// Zeros.
inline AlignedFloats alignedFloats(size_t count) {
    return AlignedFloats(new (std::align_val_t{kCacheLine}) float[count]());
}

}  // namespace dunlin::cpu
