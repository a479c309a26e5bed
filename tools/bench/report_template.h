// The parts of the report's page, tools/bench/report/, as they were when the command was built.
#pragma once

#include <span>
#include <string_view>

namespace dunlin {

struct EmbeddedText {
    std::string_view name;                     // of the file, without folders
    std::span<const std::string_view> pieces;  // of its content, in order
};

std::span<const EmbeddedText> reportTemplate();

}  // namespace dunlin
