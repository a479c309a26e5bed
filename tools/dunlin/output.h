// What people read: aligned tables, units, bars, progress, notices. And JSON, which programs read.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dunlin::cli {

// Text that may be shown on a terminal: control characters, which file names and labels may have, become '?', and line
// feeds and tabs spaces.
std::string withoutControls(std::string_view text);

// Columns that text takes on a terminal, counted in code points.
size_t displayWidth(std::string_view text);

// One sentence on stderr: "dunlin: <message>", without control characters. Where stderr is closed or full it is lost.
void printError(std::string_view message);

// On stdout. What cannot be written is found by ferror(stdout) in the end.
void writeOut(std::string_view text);
template <typename... Values>
void printOut(fmt::format_string<Values...> format, Values&&... values) {
    writeOut(fmt::format(format, std::forward<Values>(values)...));
}

// The document, indented, and a line feed on stdout. Bytes that are no UTF-8 (in file names) are replaced.
void printJson(const nlohmann::ordered_json& document);

// Columns as wide as their widest cell, two spaces apart. Width is counted in code points. Control characters are
// replaced.
class Table {
  public:
    enum class Align { Left, Right };
    struct Column {
        std::string title;
        Align align = Align::Left;
    };
    explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

    // One cell a column; missing ones are empty.
    void addRow(std::vector<std::string> cells);
    // Titles (unless all are empty) and rows, each line indented by `indent` spaces and without spaces at its end.
    std::string text(size_t indent = 0) const;

  private:
    std::vector<Column> columns_;
    std::vector<std::vector<std::string>> rows_;
};

std::string threeDigits(double value);              // "5.21", "52.1", "521"
std::string formatBytes(uint64_t bytes);            // "13.4 MiB"
std::string formatCount(uint64_t count);            // "5.48 M"
std::string formatMilliseconds(double ms);          // "5.21 ms"
std::string formatVulkanVersion(uint32_t version);  // "1.3.230"

// A bar of `share` (0 to 1) of `width` characters: blocks where the terminal shows UTF-8, else number signs.
std::string formatBar(double share, size_t width, bool utf8);
bool localeIsUtf8();

bool stdoutIsTerminal();

// On stderr, where that is a terminal, from one second on; it wipes itself out in the end.
class ProgressBar {
  public:
    // `enabled` false: shows nothing, ever.
    ProgressBar(std::string label, bool enabled);
    ~ProgressBar();
    ProgressBar(const ProgressBar&) = delete;
    ProgressBar& operator=(const ProgressBar&) = delete;

    // `detail` stands behind the percentage.
    void update(double share, std::string_view detail = {});
    void clear();

  private:
    std::string label_;
    bool enabled_;
    size_t width_ = 0;  // of what is on the terminal; 0: nothing
    std::chrono::steady_clock::time_point start_, lastDrawn_;
};

}  // namespace dunlin::cli
