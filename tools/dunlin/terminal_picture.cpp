#include "tools/dunlin/terminal_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <span>

namespace dunlin::cli {
namespace {

constexpr size_t kChannels = 4;  // of a Picture; the fourth is alpha

struct Colour {
    uint8_t red = 0, green = 0, blue = 0;
};

size_t offsetOf(const Picture& picture, int x, int y) {
    return (static_cast<size_t>(y) * static_cast<size_t>(picture.width) + static_cast<size_t>(x)) * kChannels;
}

Colour colourAt(const Picture& picture, int x, int y) {
    const uint8_t* pixel = picture.pixels.data() + offsetOf(picture, x, y);
    return {pixel[0], pixel[1], pixel[2]};
}

// The old rows or columns of pixels that lie under a new one, which may cover a part of the outer ones: all lengths
// count in parts, of which an old pixel has newSize and a new one oldSize.
struct Overlap {
    int begin = 0, end = 0;    // old pixels
    int64_t from = 0, to = 0;  // parts
    uint64_t weight(int old, int newSize) const {
        return static_cast<uint64_t>(std::min<int64_t>(to, (int64_t{old} + 1) * newSize) -
                                     std::max<int64_t>(from, int64_t{old} * newSize));
    }
};

Overlap overlapOf(int position, int oldSize, int newSize) {
    const int64_t from = int64_t{position} * oldSize, to = from + oldSize;
    return {static_cast<int>(from / newSize), static_cast<int>((to + newSize - 1) / newSize), from, to};
}

Colour meanColour(const Picture& picture, const Overlap& columns, const Overlap& rows, PixelSize size) {
    uint64_t sums[3] = {};
    for (int y = rows.begin; y < rows.end; ++y) {
        uint64_t rowSums[3] = {};
        const uint8_t* pixel = picture.pixels.data() + offsetOf(picture, columns.begin, y);
        for (int x = columns.begin; x < columns.end; ++x, pixel += kChannels) {
            const uint64_t weight = columns.weight(x, size.width);
            for (size_t c = 0; c < 3; ++c) rowSums[c] += weight * pixel[c];
        }
        const uint64_t weight = rows.weight(y, size.height);
        for (size_t c = 0; c < 3; ++c) sums[c] += weight * rowSums[c];
    }
    // In parts, as the weights are.
    const uint64_t area = static_cast<uint64_t>(picture.width) * static_cast<uint64_t>(picture.height);
    const auto mean = [&](uint64_t sum) { return static_cast<uint8_t>((sum + area / 2) / area); };
    return {mean(sums[0]), mean(sums[1]), mean(sums[2])};
}

int squaredDistance(Colour a, Colour b) {
    const int red = a.red - b.red, green = a.green - b.green, blue = a.blue - b.blue;
    return red * red + green * green + blue * blue;
}

// A character without colour, as the share of its upper and lower half that is inked, where 1 is a full block or the
// densest character.
struct Glyph {
    const char* text;
    double upper, lower;
};

constexpr std::array<Glyph, 7> kBlockGlyphs = {
    {{" ", 0, 0}, {"░", 0.25, 0.25}, {"▒", 0.5, 0.5}, {"▓", 0.75, 0.75}, {"█", 1, 1}, {"▀", 1, 0}, {"▄", 0, 1}}};

// Counted on DejaVu Sans Mono and rounded.
constexpr std::array<Glyph, 12> kAsciiGlyphs = {{{" ", 0, 0},
                                                 {".", 0, 0.2},
                                                 {"'", 0.2, 0},
                                                 {":", 0.2, 0.2},
                                                 {"\"", 0.5, 0},
                                                 {"_", 0, 0.5},
                                                 {"=", 0.4, 0.4},
                                                 {"+", 0.2, 0.6},
                                                 {"*", 0.7, 0},
                                                 {"%", 0.7, 0.7},
                                                 {"#", 0.9, 0.9},
                                                 {"@", 1, 1}}};

// How bright every pixel looks, the darkest as 0 and the brightest as 1: few characters must do for all contrast.
std::vector<double> shadesOf(const Picture& picture) {
    std::vector<double> shades;
    for (size_t i = 0; i < picture.pixels.size(); i += kChannels) {
        // Luma, ITU-R BT.709.
        shades.push_back(0.2126 * picture.pixels[i] + 0.7152 * picture.pixels[i + 1] + 0.0722 * picture.pixels[i + 2]);
    }
    const auto [darkest, brightest] = std::minmax_element(shades.begin(), shades.end());
    const double low = *darkest, range = *brightest - low;
    for (double& shade : shades) shade = range > 0 ? (shade - low) / range : shade / 255;
    return shades;
}

const char* nearestGlyph(std::span<const Glyph> glyphs, double upper, double lower) {
    const auto error = [&](const Glyph& glyph) {
        return (glyph.upper - upper) * (glyph.upper - upper) + (glyph.lower - lower) * (glyph.lower - lower);
    };
    return std::min_element(glyphs.begin(), glyphs.end(),
                            [&](const Glyph& a, const Glyph& b) { return error(a) < error(b); })
        ->text;
}

Colour meanOf(Colour a, Colour b) {
    const auto mean = [](int x, int y) { return static_cast<uint8_t>((x + y) / 2); };
    return {mean(a.red, b.red), mean(a.green, b.green), mean(a.blue, b.blue)};
}

// The parameters of "select graphic rendition" (ECMA-48) for a colour; `ground` is 3 for the text, 4 for its
// background.
std::string colourCode(int ground, std::optional<Colour> colour, TerminalColour kind) {
    if (!colour) return fmt::format("{}9", ground);
    const auto [red, green, blue] = *colour;
    if (kind == TerminalColour::Cube) return fmt::format("{}8;5;{}", ground, nearestOf256Colours(red, green, blue));
    return fmt::format("{}8;2;{};{};{}", ground, red, green, blue);
}

std::string colouredLine(const Picture& picture, int row, const TerminalStyle& style) {
    const bool both = row + 1 < picture.height;
    std::string line, current;
    for (int x = 0; x < picture.width; ++x) {
        const Colour upper = colourAt(picture, x, row);
        const std::optional<Colour> lower = both ? std::optional(colourAt(picture, x, row + 1)) : std::nullopt;
        const std::string codes = style.utf8
                                      ? colourCode(3, upper, style.colour) + ';' + colourCode(4, lower, style.colour)
                                      : colourCode(4, lower ? meanOf(upper, *lower) : upper, style.colour);
        if (codes != current) line += "\x1b[" + codes + 'm';
        current = codes;
        line += style.utf8 ? "▀" : " ";
    }
    return line + "\x1b[0m";
}

std::vector<std::string> shadedLines(const Picture& picture, bool utf8) {
    const std::span<const Glyph> glyphs = utf8 ? std::span<const Glyph>(kBlockGlyphs) : kAsciiGlyphs;
    const std::vector<double> shades = shadesOf(picture);
    const auto width = static_cast<size_t>(picture.width), height = static_cast<size_t>(picture.height);
    std::vector<std::string> lines;
    for (size_t row = 0; row < height; row += 2) {
        std::string line;
        for (size_t x = 0; x < width; ++x) {
            const double lower = row + 1 < height ? shades[(row + 1) * width + x] : 0;
            line += nearestGlyph(glyphs, shades[row * width + x], lower);
        }
        lines.push_back(std::move(line));
    }
    return lines;
}

}  // namespace

PixelSize fittedSize(PixelSize picture, PixelSize limit) {
    const int multiple = std::min(limit.width / picture.width, limit.height / picture.height);
    if (multiple > 0) return {picture.width * multiple, picture.height * multiple};
    const auto scaled = [](int side, int other, int otherLimit) {
        return std::max(1, static_cast<int>((int64_t{side} * otherLimit + other / 2) / other));
    };
    if (int64_t{picture.width} * limit.height > int64_t{picture.height} * limit.width) {
        return {limit.width, std::min(limit.height, scaled(picture.height, picture.width, limit.width))};
    }
    return {std::min(limit.width, scaled(picture.width, picture.height, limit.height)), limit.height};
}

Picture resized(const Picture& picture, PixelSize size) {
    Picture result{size.width, size.height, {}};
    result.pixels.reserve(static_cast<size_t>(size.width) * static_cast<size_t>(size.height) * kChannels);
    for (int y = 0; y < size.height; ++y) {
        const Overlap rows = overlapOf(y, picture.height, size.height);
        for (int x = 0; x < size.width; ++x) {
            const Overlap columns = overlapOf(x, picture.width, size.width);
            const bool inOnePixel = columns.end - columns.begin == 1 && rows.end - rows.begin == 1;
            const Colour colour =
                inOnePixel ? colourAt(picture, columns.begin, rows.begin) : meanColour(picture, columns, rows, size);
            result.pixels.insert(result.pixels.end(), {colour.red, colour.green, colour.blue, 255});
        }
    }
    return result;
}

uint8_t nearestOf256Colours(uint8_t red, uint8_t green, uint8_t blue) {
    constexpr std::array<uint8_t, 6> kLevels = {0, 95, 135, 175, 215, 255};
    constexpr int kFirstOfCube = 16, kFirstGrey = 232, kGreys = 24;
    const auto level = [&](uint8_t value) {
        const auto nearer = [&](uint8_t a, uint8_t b) { return std::abs(a - value) < std::abs(b - value); };
        return static_cast<size_t>(std::min_element(kLevels.begin(), kLevels.end(), nearer) - kLevels.begin());
    };
    const size_t r = level(red), g = level(green), b = level(blue);
    // The greys are 8, 18, ... 238.
    const int grey = std::clamp((red + green + blue - 3 * 8 + 15) / 30, 0, kGreys - 1);
    const auto greyValue = static_cast<uint8_t>(8 + 10 * grey);
    const Colour wanted = {red, green, blue};
    const bool greyIsNearer = squaredDistance(wanted, {greyValue, greyValue, greyValue}) <
                              squaredDistance(wanted, {kLevels[r], kLevels[g], kLevels[b]});
    const int cube = kFirstOfCube + static_cast<int>(36 * r + 6 * g + b);
    return static_cast<uint8_t>(greyIsNearer ? kFirstGrey + grey : cube);
}

std::vector<std::string> terminalLines(const Picture& picture, const TerminalStyle& style) {
    if (style.colour == TerminalColour::None) return shadedLines(picture, style.utf8);
    std::vector<std::string> lines;
    for (int row = 0; row < picture.height; row += 2) lines.push_back(colouredLine(picture, row, style));
    return lines;
}

}  // namespace dunlin::cli
