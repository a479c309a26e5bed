// What the build compressed, unpacked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace dunlin {

// Fills `output` with the beginning of what the gzip stream holds. False where the stream is damaged or holds less; the
// check sum tells of damage only where all of it is asked for. Thread-safe.
bool inflateGzip(std::span<const uint8_t> gzip, std::span<std::byte> output);

}  // namespace dunlin
