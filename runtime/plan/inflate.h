// What the build compressed, unpacked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/plan/embedded_shaders.h"

namespace dunlin {

// Fills `output` with the beginning of what the gzip stream holds. False where the stream is damaged or holds less; the
// check sum tells of damage only where all of it is asked for. Thread-safe.
bool inflateGzip(std::span<const uint8_t> gzip, std::span<std::byte> output);

// Words `first` to `first + count` of the modules of a stream; empty where it is damaged or holds fewer. Thread-safe.
std::vector<uint32_t> unpackWords(const EmbeddedShaders& shaders, size_t first, size_t count);

}  // namespace dunlin
