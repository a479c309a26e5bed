// GLSL to SPIR-V while the tool runs: with the glslang library, where this build has it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace dunlin::bench {

// False: compileShader() must not be called. DUNLIN_BENCH_SHADER in CMake says why.
bool hasShaderCompiler();

struct ShaderSource {
    std::filesystem::path file;
    std::vector<std::string> defines;  // "NAME" or "NAME=VALUE"; the last of a name counts
    // An include is looked for beside the file that includes it, in these folders, and among the library's own
    // (shaders/include, by "include/NAME" or "NAME").
    std::vector<std::filesystem::path> includeFolders;
};

struct CompiledShader {
    std::vector<uint32_t> code;  // empty: the errors say why
    // Each "FILE:LINE: what is wrong", with the offending line beneath, without a line feed at the end.
    std::vector<std::string> errors;
    std::vector<std::filesystem::path> files;  // the file and all that it included, as far as they were found
};

// For Vulkan 1.1. Not thread-safe.
CompiledShader compileShader(const ShaderSource& source);

}  // namespace dunlin::bench
