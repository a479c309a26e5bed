// Texts that the build embeds (cmake/EmbedTexts.cmake).
#pragma once

#include <span>
#include <string_view>

namespace dunlin {

struct EmbeddedText {
    std::string_view name;                     // of the file, without folders
    std::span<const std::string_view> pieces;  // of its content, in order
};

}  // namespace dunlin
