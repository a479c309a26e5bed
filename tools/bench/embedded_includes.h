// The library's shaders/include in the tool itself, so that a copy of one of its shaders compiles anywhere.
#pragma once

#include <span>
#include <string_view>

namespace dunlin::bench {

struct EmbeddedInclude {
    std::string_view name;  // "storage.glsl"
    std::string_view text;
};
std::span<const EmbeddedInclude> embeddedIncludes();

}  // namespace dunlin::bench
