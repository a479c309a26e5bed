// What a terminal can show, from the environment and the terminal itself.
#pragma once

#include <cstddef>

#include "tools/dunlin/command_line.h"

namespace dunlin::cli {

enum class TerminalColour {
    None,    // and no other escape codes either
    Cube,    // the 256 colours of xterm: a cube of 6x6x6 and 24 greys
    Direct,  // 24 bits
};

struct TerminalStyle {
    TerminalColour colour = TerminalColour::None;
    bool utf8 = false;
    size_t columns = 80;
};

// What is known of an output besides the environment.
struct OutputFacts {
    bool isTerminal = false;
    bool utf8 = false;
    size_t columns = 0;  // of the window; 0: unknown
};

// Colour only for a terminal, and not where NO_COLOR is set (https://no-color.org) or TERM is dumb. COLUMNS counts
// where the window's width is unknown.
TerminalStyle terminalStyle(const Environment& environment, const OutputFacts& output);

TerminalStyle stdoutStyle();

}  // namespace dunlin::cli
