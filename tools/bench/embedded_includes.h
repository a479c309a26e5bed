// The library's shaders/include in the tool itself, so that a copy of one of its shaders compiles anywhere.
#pragma once

#include "tools/bench/embedded_text.h"

namespace dunlin {

std::span<const EmbeddedText> libraryIncludes();

}  // namespace dunlin
