// GLSL to SPIR-V while the tool runs: with the glslang library, where this build has it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
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
    // The file and all that it included, as far as they were found.
    struct File {
        std::filesystem::path path;
        std::optional<std::filesystem::file_time_type> written;  // before its text was read; nothing: not there
    };
    std::vector<File> files;
};

// When the file was last written; nothing where it is not there.
inline std::optional<std::filesystem::file_time_type> timeOf(const std::filesystem::path& file) {
    std::error_code error;
    const std::filesystem::file_time_type time = std::filesystem::last_write_time(file, error);
    return error ? std::nullopt : std::optional(time);
}

// For Vulkan 1.1. Not thread-safe.
CompiledShader compileShader(const ShaderSource& source);

}  // namespace dunlin::bench
