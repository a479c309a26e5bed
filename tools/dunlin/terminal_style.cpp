#include "tools/dunlin/terminal_style.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <string_view>

#include "tools/dunlin/output.h"

#if !defined(_WIN32)
#include <sys/ioctl.h>
#include <unistd.h>
#endif

namespace dunlin::cli {
namespace {

constexpr size_t kDefaultColumns = 80, kMaxColumns = 1000;

std::string_view valueOf(const Environment& environment, const char* variable) {
    const char* value = environment(variable);
    return value == nullptr ? std::string_view() : std::string_view(value);
}

// Terminals with 24-bit colour whose name says so where COLORTERM is not handed on (through ssh, for one).
bool isDirectColourTerminal(std::string_view term) {
    constexpr std::array<std::string_view, 6> kNames = {"alacritty", "foot",        "wezterm",
                                                        "contour",   "xterm-kitty", "xterm-ghostty"};
    return term.ends_with("-direct") || std::any_of(kNames.begin(), kNames.end(), [&](std::string_view name) {
               return term == name || (term.starts_with(name) && term[name.size()] == '-');
           });
}

TerminalColour colourOf(const Environment& environment) {
    const std::string_view term = valueOf(environment, "TERM"), announced = valueOf(environment, "COLORTERM");
    if (!valueOf(environment, "NO_COLOR").empty() || term.empty() || term == "dumb") return TerminalColour::None;
    // GNU screen hands on the COLORTERM of the terminal around it, but takes 24-bit codes for others; tmux, which may
    // use the same name, does not.
    const bool gnuScreen = term.starts_with("screen") && valueOf(environment, "TMUX").empty();
    const bool announcedDirect = announced == "truecolor" || announced == "24bit";
    if ((announcedDirect && !gnuScreen) || isDirectColourTerminal(term)) return TerminalColour::Direct;
    return term.find("256color") != std::string_view::npos ? TerminalColour::Cube : TerminalColour::None;
}

size_t columnsOf(const Environment& environment, size_t windowColumns) {
    if (windowColumns > 0) return std::min(windowColumns, kMaxColumns);
    const std::string_view text = valueOf(environment, "COLUMNS");
    size_t columns = 0;
    const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), columns);
    const bool good = bad == std::errc() && end == text.data() + text.size() && columns > 0;
    return good ? std::min(columns, kMaxColumns) : kDefaultColumns;
}

size_t windowColumns() {
#if !defined(_WIN32)
    winsize size = {};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) return size.ws_col;
#endif
    return 0;
}

}  // namespace

TerminalStyle terminalStyle(const Environment& environment, const OutputFacts& output) {
    return {output.isTerminal ? colourOf(environment) : TerminalColour::None, output.utf8,
            columnsOf(environment, output.columns)};
}

TerminalStyle stdoutStyle() {
    const bool terminal = stdoutIsTerminal();
    return terminalStyle([](const char* name) -> const char* { return std::getenv(name); },
                         {terminal, localeIsUtf8(), terminal ? windowColumns() : 0});
}

}  // namespace dunlin::cli
