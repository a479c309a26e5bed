// Pictures as lines of a terminal. A character is about twice as high as it is wide, so each shows two square pixels,
// one above the other.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/dunlin/picture.h"
#include "tools/dunlin/terminal_style.h"

namespace dunlin::cli {

// Width and height in pixels, both at least 1.
struct PixelSize {
    int width = 1, height = 1;
    bool operator==(const PixelSize&) const = default;
};

// The largest size within `limit` that keeps the aspect ratio as well as whole pixels can: smaller than the picture, or
// a whole multiple of it, so that small pictures keep their pixels.
PixelSize fittedSize(PixelSize picture, PixelSize limit);

// Every pixel repeated where `size` is a multiple of the picture's; else, for sizes of at most the picture's, the mean
// of the area under each new pixel. It is the mean of the stored values, and alpha is not regarded, as where a picture
// is resized for a network: what is shown resembles what it sees. The result's alpha is 255.
Picture resized(const Picture& picture, PixelSize size);

// The nearest of the colours 16 to 255 of xterm, which all terminals with 256 colours share.
uint8_t nearestOf256Colours(uint8_t red, uint8_t green, uint8_t blue);

// One line per two rows of pixels, one character per column, without line feeds; the last row of an odd number stands
// over the terminal's own background. With colours, a half block (UTF-8) or a space shows them, and each line ends with
// all colours reset; without, characters of fitting density do, for light text on a dark background.
std::vector<std::string> terminalLines(const Picture& picture, const TerminalStyle& style);

}  // namespace dunlin::cli
