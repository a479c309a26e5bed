// Pictures beside or above their answers, as the lines that a terminal shows.
#include "tools/dunlin/picture_layout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <sstream>

#include "tools/dunlin/output.h"

namespace dunlin::cli {
namespace {

TerminalStyle plain(size_t columns, bool utf8 = true) {
    return {TerminalColour::None, utf8, columns};
}

Picture white(int width, int height) {
    return {width, height, std::vector<uint8_t>(static_cast<size_t>(width) * static_cast<size_t>(height) * 4, 255)};
}

std::vector<std::string> linesOf(const std::string& text) {
    std::istringstream stream(text);
    std::vector<std::string> lines;
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
}

std::string withoutCodes(const std::string& text) {
    return std::regex_replace(text, std::regex("\x1b\\[[0-9;]*m"), "");
}

size_t widestOf(const std::string& text) {
    size_t widest = 0;
    for (const std::string& line : linesOf(withoutCodes(text))) widest = std::max(widest, displayWidth(line));
    return widest;
}

const std::vector<ShownAnswer> kAnswers = {{"cat", 0.75}, {"dog", 0.25}};

// ---- one picture

TEST(PictureWithAnswers, TheAnswersStandHalfwayUpBesideThePicture) {
    std::string line = "  ", blank;
    for (int i = 0; i < 32; ++i) line += "█";
    EXPECT_EQ(pictureWithAnswers(white(32, 12), "cat.jpg", kAnswers, 3, plain(80)),
              line + "\n" +                                         //
                  line + "   cat.jpg\n" +                           //
                  line + "\n" +                                     //
                  line + "   cat   75.0 %  ██████████████████\n" +  //
                  line + "   dog   25.0 %  ██████\n" +              //
                  line + "\n\n");
}

TEST(PictureWithAnswers, ALowPictureStandsHalfwayUpBesideItsAnswers) {
    EXPECT_EQ(pictureWithAnswers(white(3200, 200), "x", kAnswers, 3, plain(80, false)),
              "                                     x\n"
              "  @@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\n"
              "                                     cat   75.0 %  ##################\n"
              "                                     dog   25.0 %  ######\n"
              "\n");
}

TEST(PictureWithAnswers, TheyStandBeneathItOnANarrowTerminal) {
    const std::string line = "  @@@@@@@@@@@@@@@@@@@@@@@@";
    EXPECT_EQ(linesOf(pictureWithAnswers(white(8, 2), "cat.jpg", kAnswers, 3, plain(30, false))),
              (std::vector<std::string>{line, line, line, "", "  cat.jpg", "", "  cat   75.0 %  ###########",
                                        "  dog   25.0 %  ####", ""}));
}

TEST(PictureWithAnswers, AnswersOfDifferentPicturesAlign) {
    const auto columnOf = [](const Picture& picture, const char* label) {
        const std::string text =
            pictureWithAnswers(picture, "x", std::vector<ShownAnswer>{{label, 0.5}}, 10, plain(80));
        for (const std::string& line : linesOf(text)) {
            if (line.find('%') != std::string::npos) return displayWidth(line.substr(0, line.find('%')));
        }
        return size_t{0};
    };
    const size_t column = columnOf(white(32, 32), "automobile");
    EXPECT_GT(column, 32u);
    EXPECT_EQ(columnOf(white(20, 32), "cat"), column);
    EXPECT_EQ(columnOf(white(3000, 200), "ship"), column);
}

TEST(PictureWithAnswers, FitsTheTerminal) {
    const std::vector<ShownAnswer> answers = {{std::string(200, 'l'), 1.0}, {"short", 0}};
    const std::string path = "/a/long/" + std::string(150, 'f') + ".jpg";
    for (size_t columns = 40; columns <= 200; columns += 7) {
        for (const bool utf8 : {true, false}) {
            EXPECT_LE(widestOf(pictureWithAnswers(white(300, 200), path, answers, 200, plain(columns, utf8))), columns);
        }
    }
}

TEST(PictureWithAnswers, EveryColourIsResetOnItsLine) {
    const TerminalStyle style = {TerminalColour::Direct, true, 80};
    for (const std::string& line : linesOf(pictureWithAnswers(white(9, 9), "cat.jpg", kAnswers, 3, style))) {
        const size_t last = line.rfind("\x1b[");
        if (last == std::string::npos) continue;
        EXPECT_EQ(line.substr(last, 4), "\x1b[0m") << line;
    }
}

TEST(PictureWithAnswers, ControlCharactersOfNamesAndLabelsAreReplaced) {
    const std::vector<ShownAnswer> answers = {{"c\x1b[31mt", 1}};
    const std::string text = pictureWithAnswers(white(4, 4), "a\x1b]0;x\a\n.png", answers, 3, plain(80));
    EXPECT_EQ(text.find_first_of("\x1b\a"), std::string::npos);
    EXPECT_NE(text.find("a?]0;x? .png"), std::string::npos) << text;
    EXPECT_NE(text.find("c?[31mt"), std::string::npos) << text;
}

TEST(PictureWithAnswers, ALongPathLosesItsFirstFolders) {
    const std::string text =
        pictureWithAnswers(white(4, 4), "/some/where/far/away/in/the/folders/here/cat.jpg", kAnswers, 3, plain(64));
    EXPECT_NE(text.find(" away/in/the/folders/here/cat.jpg\n"), std::string::npos) << text;
}

// ---- many pictures

TEST(PictureSheet, ARowComesWhenItIsFull) {
    PictureSheet sheet(1, plain(34));  // two tiles of 14 columns
    EXPECT_EQ(sheet.add(white(2, 4), "7/a.png", {"7", 0.987}), "");
    EXPECT_EQ(sheet.add(white(14, 2), "8/b.png", {"8", 1.0}),
              "      ██████\n"
              "      ██████\n"
              "      ██████\n"
              "      ██████\n"
              "      ██████\n"
              "      ██████      ██████████████\n"
              "  7         99 %  8        100 %\n"
              "  7/a.png         8/b.png\n"
              "\n");
    EXPECT_EQ(sheet.finish(), "");
}

TEST(PictureSheet, TheRowBegunComesInTheEnd) {
    PictureSheet sheet(1, plain(80, false));
    EXPECT_EQ(sheet.add(white(14, 2), "1.png", {"1", 0.5}), "");
    EXPECT_EQ(sheet.finish(), "  @@@@@@@@@@@@@@\n  1         50 %\n  1.png\n\n");
    EXPECT_EQ(sheet.finish(), "");
}

TEST(PictureSheet, FitsTheTerminalWithLongLabelsAndNames) {
    for (const size_t longest : {1, 10, 40}) {
        for (size_t columns = 30; columns <= 200; columns += 7) {
            PictureSheet sheet(longest, plain(columns));
            std::string text;
            for (int i = 0; i < 15; ++i) {
                text += sheet.add(white(60, 40), "a/" + std::string(60, 'n'), {std::string(longest, 'l'), 1});
            }
            EXPECT_LE(widestOf(text + sheet.finish()), columns);
        }
    }
}

TEST(PictureSheet, LongerLabelsMakeWiderTiles) {
    const auto tilesOf = [](size_t longest) {
        PictureSheet sheet(longest, plain(80));
        for (size_t count = 1;; ++count) {
            if (!sheet.add(white(4, 4), "x", {"x", 1}).empty()) return count;
        }
    };
    EXPECT_EQ(tilesOf(1), 5u);
    EXPECT_EQ(tilesOf(10), 4u);
    EXPECT_EQ(tilesOf(100), 3u);
}

}  // namespace
}  // namespace dunlin::cli
