// The SPIR-V modules that the build compiled, as a table (defined in a generated file, shaders/CMakeLists.txt).
#pragma once

#include <cstdint>
#include <span>

#include "runtime/plan/program.h"

namespace dunlin {

struct EmbeddedShader {
    Kernel kernel;
    Precision precision;
    LoadPath load;  // Storage for kernels without a choice
    uint8_t tileX, tileY;
    std::span<const uint32_t> words;
};

std::span<const EmbeddedShader> embeddedShaders();

}  // namespace dunlin
