// The SPIR-V modules that the build compiled, as a table (defined in a generated file, shaders/CMakeLists.txt).
#pragma once

#include <cstdint>
#include <span>

#include "runtime/plan/program.h"

namespace dunlin {

// The modules of one kernel, precision and method, one behind the other in one gzip stream: one for each LoadPath, in
// its order; only one where there is nothing to load by it, and of Method::Matrix (by LoadPath::Storage); for
// preprocess one for each source kind.
struct EmbeddedShaders {
    Kernel kernel;
    Precision precision;
    Method method;
    std::span<const uint32_t> words;  // of each module
    uint32_t textBytes;               // of what `gzip` holds
    std::span<const uint8_t> gzip;    // cmake/write_compressed_modules.cmake says of what
    uint64_t spirvHash;               // of the modules: equal where they are, however the stream was compressed
};

std::span<const EmbeddedShaders> embeddedShaders();

}  // namespace dunlin
