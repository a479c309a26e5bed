// Pictures as the exact bytes that a terminal receives.
#include "tools/dunlin/terminal_picture.h"

#include <gtest/gtest.h>

#include <array>

#include "tools/dunlin/output.h"

namespace dunlin::cli {
namespace {

using Lines = std::vector<std::string>;
using Rgb = std::array<uint8_t, 3>;

constexpr Rgb kBlack = {0, 0, 0}, kWhite = {255, 255, 255}, kRed = {255, 0, 0}, kGrey = {128, 128, 128};
const TerminalStyle kDirect = {TerminalColour::Direct, true, 80};
const TerminalStyle kCube = {TerminalColour::Cube, true, 80};
const TerminalStyle kPlain = {TerminalColour::None, true, 80};
const TerminalStyle kAscii = {TerminalColour::None, false, 80};

Picture pictureOf(int width, const std::vector<Rgb>& pixels, uint8_t alpha = 255) {
    Picture picture{width, static_cast<int>(pixels.size()) / width, {}};
    for (const Rgb& pixel : pixels) {
        for (uint8_t value : pixel) picture.pixels.push_back(value);
        picture.pixels.push_back(alpha);
    }
    return picture;
}

Picture filled(int width, int height, Rgb colour) {
    return pictureOf(width, std::vector<Rgb>(static_cast<size_t>(width) * static_cast<size_t>(height), colour));
}

std::vector<Rgb> coloursOf(const Picture& picture) {
    std::vector<Rgb> colours;
    for (size_t i = 0; i < picture.pixels.size(); i += 4) {
        colours.push_back({picture.pixels[i], picture.pixels[i + 1], picture.pixels[i + 2]});
    }
    return colours;
}

// ---- escape sequences

TEST(TerminalPicture, AHalfBlockShowsTheUpperPixelOverTheLowerAndTheLineEndsReset) {
    EXPECT_EQ(terminalLines(pictureOf(1, {{1, 2, 3}, {40, 50, 60}}), kDirect),
              Lines{"\x1b[38;2;1;2;3;48;2;40;50;60m▀\x1b[0m"});
}

TEST(TerminalPicture, ColoursAreSetOnlyWhereTheyChange) {
    const Picture picture = pictureOf(3, {kRed, kRed, kBlack, kWhite, kWhite, kWhite});
    EXPECT_EQ(terminalLines(picture, kDirect),
              Lines{"\x1b[38;2;255;0;0;48;2;255;255;255m▀▀\x1b[38;2;0;0;0;48;2;255;255;255m▀\x1b[0m"});
}

TEST(TerminalPicture, EveryLineSetsItsOwnColoursAndResetsThem) {
    const std::string line = "\x1b[38;2;255;0;0;48;2;255;0;0m▀▀\x1b[0m";
    EXPECT_EQ(terminalLines(filled(2, 4, kRed), kDirect), (Lines{line, line}));
}

TEST(TerminalPicture, TheLastRowOfAnOddNumberStandsOverTheTerminalsBackground) {
    EXPECT_EQ(terminalLines(filled(1, 3, kRed), kDirect),
              (Lines{"\x1b[38;2;255;0;0;48;2;255;0;0m▀\x1b[0m", "\x1b[38;2;255;0;0;49m▀\x1b[0m"}));
}

TEST(TerminalPicture, OnePixelIsOneCharacter) {
    EXPECT_EQ(terminalLines(filled(1, 1, kRed), kDirect), Lines{"\x1b[38;2;255;0;0;49m▀\x1b[0m"});
    EXPECT_EQ(terminalLines(filled(1, 1, kWhite), kPlain), Lines{"▀"});
    EXPECT_EQ(terminalLines(filled(1, 1, kBlack), kAscii), Lines{" "});
}

TEST(TerminalPicture, With256ColoursTheirNumbersAreGiven) {
    EXPECT_EQ(terminalLines(pictureOf(1, {kRed, kWhite}), kCube), Lines{"\x1b[38;5;196;48;5;231m▀\x1b[0m"});
}

TEST(TerminalPicture, WithoutUtf8ColouredSpacesShowTheMeanOfBothPixels) {
    TerminalStyle style = kDirect;
    style.utf8 = false;
    EXPECT_EQ(terminalLines(pictureOf(1, {{0, 100, 10}, {0, 200, 30}}), style), Lines{"\x1b[48;2;0;150;20m \x1b[0m"});
}

// ---- without colours

TEST(TerminalPicture, WithoutColoursThereAreNoEscapeCodes) {
    for (const TerminalStyle& style : {kPlain, kAscii}) {
        for (const std::string& line : terminalLines(pictureOf(2, {kRed, kGrey, kWhite, kBlack}), style)) {
            EXPECT_EQ(line.find('\x1b'), std::string::npos);
            EXPECT_EQ(displayWidth(line), 2u);
        }
    }
}

TEST(TerminalPicture, BlocksFollowHalvesAndShades) {
    const Picture picture = pictureOf(5, {kBlack, kWhite, kBlack, kWhite, kGrey,  //
                                          kBlack, kWhite, kWhite, kBlack, kGrey});
    EXPECT_EQ(terminalLines(picture, kPlain), Lines{" █▄▀▒"});
}

TEST(TerminalPicture, AsciiFollowsHalvesAndShades) {
    const Picture picture = pictureOf(5, {kBlack, kWhite, kBlack, kWhite, kGrey,  //
                                          kBlack, kWhite, kWhite, kBlack, kGrey});
    const Lines lines = terminalLines(picture, kAscii);
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_EQ(lines[0], " @+*=");
}

TEST(TerminalPicture, ShadesUseTheWholeContrastOfAFlatPicture) {
    EXPECT_EQ(terminalLines(pictureOf(2, {{100, 100, 100}, {120, 120, 120}, {100, 100, 100}, {120, 120, 120}}), kPlain),
              Lines{" █"});
}

// ---- 256 colours

TEST(NearestOf256Colours, FindsTheCubeItself) {
    constexpr std::array<uint8_t, 6> kLevels = {0, 95, 135, 175, 215, 255};
    for (size_t r = 0; r < 6; ++r) {
        for (size_t g = 0; g < 6; ++g) {
            for (size_t b = 0; b < 6; ++b) {
                EXPECT_EQ(nearestOf256Colours(kLevels[r], kLevels[g], kLevels[b]), 16 + 36 * r + 6 * g + b);
            }
        }
    }
}

TEST(NearestOf256Colours, FindsTheGreys) {
    for (int grey = 0; grey < 24; ++grey) {
        const auto value = static_cast<uint8_t>(8 + 10 * grey);
        EXPECT_EQ(nearestOf256Colours(value, value, value), 232 + grey);
    }
}

TEST(NearestOf256Colours, IsTheNearestOfAll) {
    std::vector<Rgb> palette;
    constexpr std::array<uint8_t, 6> kLevels = {0, 95, 135, 175, 215, 255};
    for (size_t i = 0; i < 216; ++i) palette.push_back({kLevels[i / 36], kLevels[i / 6 % 6], kLevels[i % 6]});
    for (uint8_t grey = 8; grey <= 238; grey = static_cast<uint8_t>(grey + 10)) palette.push_back({grey, grey, grey});
    const auto distance = [](const Rgb& a, const Rgb& b) {
        int sum = 0;
        for (size_t c = 0; c < 3; ++c) sum += (a[c] - b[c]) * (a[c] - b[c]);
        return sum;
    };
    for (int n = 0; n < 4096; ++n) {
        const Rgb colour = {static_cast<uint8_t>(n % 16 * 17), static_cast<uint8_t>(n / 16 % 16 * 17),
                            static_cast<uint8_t>(n / 256 * 17)};
        int best = distance(palette[0], colour);
        for (const Rgb& other : palette) best = std::min(best, distance(other, colour));
        const uint8_t found = nearestOf256Colours(colour[0], colour[1], colour[2]);
        ASSERT_GE(found, 16);
        EXPECT_EQ(distance(palette[found - 16u], colour), best) << n;
    }
}

// ---- sizes

TEST(FittedSize, SmallPicturesKeepTheirSizeOrAreMultiplied) {
    EXPECT_EQ(fittedSize({28, 28}, {32, 32}), (PixelSize{28, 28}));
    EXPECT_EQ(fittedSize({10, 8}, {32, 32}), (PixelSize{30, 24}));
    EXPECT_EQ(fittedSize({1, 1}, {32, 32}), (PixelSize{32, 32}));
}

TEST(FittedSize, LargePicturesKeepTheirAspectRatio) {
    EXPECT_EQ(fittedSize({4000, 3000}, {32, 32}), (PixelSize{32, 24}));
    EXPECT_EQ(fittedSize({3000, 4000}, {32, 32}), (PixelSize{24, 32}));
    EXPECT_EQ(fittedSize({33, 33}, {32, 32}), (PixelSize{32, 32}));
}

TEST(FittedSize, IsNeverEmptyAndNeverOverTheLimit) {
    EXPECT_EQ(fittedSize({30000, 1}, {32, 32}), (PixelSize{32, 1}));
    EXPECT_EQ(fittedSize({1, 30000}, {32, 32}), (PixelSize{1, 32}));
    for (int width = 1; width < 90; ++width) {
        for (int height = 1; height < 90; ++height) {
            const PixelSize size = fittedSize({width, height}, {32, 20});
            EXPECT_TRUE(size.width >= 1 && size.width <= 32 && size.height >= 1 && size.height <= 20)
                << width << "x" << height << " to " << size.width << "x" << size.height;
        }
    }
}

TEST(Resized, AMultipleRepeatsPixels) {
    const Picture large = resized(pictureOf(2, {kRed, kWhite}), {4, 2});
    EXPECT_EQ(large.width, 4);
    EXPECT_EQ(large.height, 2);
    EXPECT_EQ(coloursOf(large), (std::vector<Rgb>{kRed, kRed, kWhite, kWhite, kRed, kRed, kWhite, kWhite}));
}

TEST(Resized, LessIsTheMeanOfTheArea) {
    EXPECT_EQ(coloursOf(resized(pictureOf(2, {{0, 10, 0}, {10, 20, 0}, {20, 30, 0}, {30, 40, 255}}), {1, 1})),
              (std::vector<Rgb>{{15, 25, 64}}));
    // Three pixels to two: each takes one and a half.
    EXPECT_EQ(coloursOf(resized(pictureOf(3, {{0, 0, 0}, {90, 90, 90}, {180, 180, 180}}), {2, 1})),
              (std::vector<Rgb>{{30, 30, 30}, {150, 150, 150}}));
}

TEST(Resized, OneColourStaysItself) {
    for (const PixelSize size : {PixelSize{1, 1}, PixelSize{32, 20}, PixelSize{7, 41}}) {
        for (const Rgb& colour : coloursOf(resized(filled(67, 41, {13, 200, 77}), size))) {
            EXPECT_EQ(colour, (Rgb{13, 200, 77}));
        }
    }
}

TEST(Resized, AlphaIsNotRegarded) {
    EXPECT_EQ(resized(pictureOf(1, {kRed, kRed}, 0), {1, 1}).pixels, (std::vector<uint8_t>{255, 0, 0, 255}));
}

}  // namespace
}  // namespace dunlin::cli
