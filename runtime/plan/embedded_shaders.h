// The SPIR-V modules that the build compiled, as a table (defined in a generated file, shaders/CMakeLists.txt).
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "runtime/plan/program.h"

namespace dunlin {

// The modules of one kernel, precision, load path and method, in the order of their tiles and one behind the other in
// one gzip stream.
struct EmbeddedShaders {
    Kernel kernel;
    Precision precision;
    LoadPath load;  // Storage for kernels without a choice
    Method method;
    std::span<const std::array<uint8_t, 2>> tiles;
    std::span<const uint32_t> words;  // of each module
    uint32_t textBytes;               // of what `gzip` holds
    std::span<const uint8_t> gzip;    // cmake/write_compressed_modules.cmake says of what
    uint64_t spirvHash;               // of the modules: equal where they are, however the stream was compressed
};

std::span<const EmbeddedShaders> embeddedShaders();

}  // namespace dunlin
