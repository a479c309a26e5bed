// What the build compressed, unpacked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/plan/embedded_shaders.h"
#include "runtime/status.h"

namespace dunlin {

// Fills `output` with the beginning of what the gzip stream holds. BadFile where the stream is damaged or holds less,
// OutOfHostMemory where none is left for unpacking; the check sum tells of damage only where all of it is asked for.
// Thread-safe.
Status inflateGzip(std::span<const uint8_t> gzip, std::span<std::byte> output);

// Words `first` to `first + count` of the modules of a stream; BadFile where it is damaged or holds fewer. Thread-safe.
Result<std::vector<uint32_t>> unpackWords(const EmbeddedShaders& shaders, size_t first, size_t count);

}  // namespace dunlin
