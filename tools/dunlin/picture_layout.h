// Pictures on the terminal with what a network says about them: beside one picture, or beneath each of many.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tools/dunlin/picture.h"
#include "tools/dunlin/terminal_style.h"

namespace dunlin::cli {

struct ShownAnswer {
    std::string label;
    double probability = 0;  // 0 to 1
};

// The picture at the left, its name and its answers with bars at the right, the lower one halfway up; beneath it where
// the terminal is narrower than 64 columns. Lines with their line feeds, the last one empty. Labels and names that do
// not fit are cut, a name at its front; control characters in them are replaced. `longestLabel`: characters of the
// longest label that may come, so that the bars of several pictures stand beneath each other.
std::string pictureWithAnswers(const Picture& picture, std::string_view name, std::span<const ShownAnswer> answers,
                               size_t longestLabel, const TerminalStyle& style);

// Pictures side by side, each with one answer and its name beneath.
class PictureSheet {
  public:
    // `longestLabel`: characters of the longest label that may come; wider tiles, so fewer a row, for longer ones.
    PictureSheet(size_t longestLabel, const TerminalStyle& style);

    // The row that this picture completes, with line feeds and an empty line after it; nothing until it is complete.
    std::string add(const Picture& picture, std::string_view name, const ShownAnswer& answer);
    // The row begun, if any.
    std::string finish();

  private:
    struct Tile {
        std::vector<std::string> picture;  // lines
        size_t width = 0;                  // of these
        std::string caption, name;         // as wide as a tile
    };
    const TerminalStyle style_;
    const size_t tileColumns_, tilesPerRow_;
    std::vector<Tile> row_;
};

}  // namespace dunlin::cli
