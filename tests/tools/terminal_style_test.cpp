// What is taken for the ability of a terminal.
#include "tools/dunlin/terminal_style.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace dunlin::cli {
namespace {

using Variables = std::map<std::string, std::string>;

TerminalStyle styleOf(const Variables& variables, const OutputFacts& output = {true, true, 100}) {
    return terminalStyle(
        [&](const char* name) -> const char* {
            const auto found = variables.find(name);
            return found == variables.end() ? nullptr : found->second.c_str();
        },
        output);
}

TerminalColour colourOf(const Variables& variables) {
    return styleOf(variables).colour;
}

TEST(TerminalStyle, ColortermAnnounces24Bits) {
    EXPECT_EQ(colourOf({{"TERM", "xterm-256color"}, {"COLORTERM", "truecolor"}}), TerminalColour::Direct);
    EXPECT_EQ(colourOf({{"TERM", "xterm"}, {"COLORTERM", "24bit"}}), TerminalColour::Direct);
    EXPECT_EQ(colourOf({{"TERM", "xterm-256color"}, {"COLORTERM", "1"}}), TerminalColour::Cube);
}

TEST(TerminalStyle, SomeTerminalsAreKnownByName) {
    for (const char* term : {"xterm-direct", "xterm-kitty", "alacritty", "foot", "foot-extra", "xterm-ghostty"}) {
        EXPECT_EQ(colourOf({{"TERM", term}}), TerminalColour::Direct) << term;
    }
    EXPECT_EQ(colourOf({{"TERM", "football"}}), TerminalColour::None);
}

TEST(TerminalStyle, TermSays256ColoursOrNone) {
    EXPECT_EQ(colourOf({{"TERM", "xterm-256color"}}), TerminalColour::Cube);
    EXPECT_EQ(colourOf({{"TERM", "tmux-256color"}}), TerminalColour::Cube);
    EXPECT_EQ(colourOf({{"TERM", "xterm"}}), TerminalColour::None);
    EXPECT_EQ(colourOf({}), TerminalColour::None);
}

TEST(TerminalStyle, GnuScreenHas256ColoursWhateverItHandsOn) {
    const Variables screen = {{"TERM", "screen-256color"}, {"COLORTERM", "truecolor"}};
    EXPECT_EQ(colourOf(screen), TerminalColour::Cube);
    Variables tmux = screen;
    tmux["TMUX"] = "/tmp/tmux-1000/default,1,0";
    EXPECT_EQ(colourOf(tmux), TerminalColour::Direct);
}

TEST(TerminalStyle, NothingIsColouredForADumbTerminalWithNoColorOrOffATerminal) {
    const Variables direct = {{"TERM", "xterm-256color"}, {"COLORTERM", "truecolor"}};
    EXPECT_EQ(colourOf({{"TERM", "dumb"}, {"COLORTERM", "truecolor"}}), TerminalColour::None);
    Variables noColour = direct;
    noColour["NO_COLOR"] = "1";
    EXPECT_EQ(colourOf(noColour), TerminalColour::None);
    noColour["NO_COLOR"] = "";  // counts as not set
    EXPECT_EQ(colourOf(noColour), TerminalColour::Direct);
    EXPECT_EQ(styleOf(direct, {false, true, 0}).colour, TerminalColour::None);
}

TEST(TerminalStyle, Utf8IsTheLocales) {
    EXPECT_TRUE(styleOf({}, {false, true, 0}).utf8);
    EXPECT_FALSE(styleOf({}, {true, false, 0}).utf8);
}

TEST(TerminalStyle, TheWindowsWidthCountsThenColumnsThen80) {
    EXPECT_EQ(styleOf({{"COLUMNS", "132"}}, {true, true, 100}).columns, 100u);
    EXPECT_EQ(styleOf({{"COLUMNS", "132"}}, {true, true, 0}).columns, 132u);
    for (const char* nonsense : {"", "0", "-5", "12x", "99999999999999999999999"}) {
        EXPECT_EQ(styleOf({{"COLUMNS", nonsense}}, {true, true, 0}).columns, 80u) << nonsense;
    }
    EXPECT_EQ(styleOf({}, {true, true, 0}).columns, 80u);
    EXPECT_EQ(styleOf({{"COLUMNS", "1000000"}}, {true, true, 0}).columns, 1000u);
}

}  // namespace
}  // namespace dunlin::cli
