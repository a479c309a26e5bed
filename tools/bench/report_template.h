// The parts of the report's page, tools/bench/report/, as they were when the command was built.
#pragma once

#include "tools/bench/embedded_text.h"

namespace dunlin {

std::span<const EmbeddedText> reportTemplate();

}  // namespace dunlin
