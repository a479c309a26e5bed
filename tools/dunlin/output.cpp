#include "tools/dunlin/output.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#if defined(_WIN32)
#include <io.h>
#else
#include <unistd.h>
#endif

namespace dunlin::cli {
namespace {

bool isTerminal(std::FILE* file) {
#if defined(_WIN32)
    return _isatty(_fileno(file)) != 0;
#else
    return isatty(fileno(file)) != 0;
#endif
}

// Unlike fmt::print, does not throw where the stream is closed or full.
void writeTo(std::FILE* stream, std::string_view text) {
    [[maybe_unused]] const size_t written = std::fwrite(text.data(), 1, text.size(), stream);
}

}  // namespace

std::string threeDigits(double value) {
    return fmt::format("{:.{}f}", value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0);
}

std::string withoutControls(std::string_view text) {
    std::string shown;
    for (size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
        const bool longControl = byte == 0xc2 && next >= 0x80 && next < 0xa0;  // U+0080 to U+009F in UTF-8
        if (text[i] == '\n' || text[i] == '\t') {
            shown += ' ';
        } else if (byte < 0x20 || byte == 0x7f || longControl) {
            shown += '?';
        } else {
            shown += text[i];
        }
        i += longControl ? 1 : 0;
    }
    return shown;
}

size_t displayWidth(std::string_view text) {
    // Bytes that do not continue a code point.
    return static_cast<size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

void printError(std::string_view message) {
    std::fflush(stdout);  // so that a terminal shows both in order
    writeTo(stderr, fmt::format("dunlin: {}\n", withoutControls(message)));
}

void writeOut(std::string_view text) {
    writeTo(stdout, text);
}

void printJson(const nlohmann::ordered_json& document) {
    printOut("{}\n", document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

void Table::addRow(std::vector<std::string> cells) {
    cells.resize(columns_.size());
    for (std::string& cell : cells) cell = withoutControls(cell);
    rows_.push_back(std::move(cells));
}

std::string Table::text(size_t indent) const {
    std::vector<std::string> titles;
    std::vector<size_t> widths;
    for (const Column& column : columns_) {
        titles.push_back(column.title);
        widths.push_back(displayWidth(column.title));
    }
    for (const std::vector<std::string>& row : rows_) {
        for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], displayWidth(row[c]));
    }
    std::string text;
    const auto append = [&](const std::vector<std::string>& cells) {
        std::string line(indent, ' ');
        for (size_t c = 0; c < cells.size(); ++c) {
            const std::string space(widths[c] - displayWidth(cells[c]), ' ');
            line += (c ? "  " : "") + (columns_[c].align == Align::Left ? cells[c] + space : space + cells[c]);
        }
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + '\n';
    };
    if (std::any_of(titles.begin(), titles.end(), [](const std::string& title) { return !title.empty(); }))
        append(titles);
    for (const std::vector<std::string>& row : rows_) append(row);
    return text;
}

std::string formatBytes(uint64_t bytes) {
    constexpr std::array<const char*, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = static_cast<double>(bytes);
    size_t unit = 0;
    for (; value >= 1023.5 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
    return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{} {}", threeDigits(value), kUnits[unit]);
}

std::string formatCount(uint64_t count) {
    if (count < 1000) return std::to_string(count);
    constexpr std::array<const char*, 4> kUnits = {"k", "M", "G", "T"};
    double value = static_cast<double>(count) / 1000;
    size_t unit = 0;
    for (; value >= 999.5 && unit + 1 < kUnits.size(); ++unit) value /= 1000;
    return fmt::format("{} {}", threeDigits(value), kUnits[unit]);
}

std::string formatMilliseconds(double ms) {
    return threeDigits(ms) + " ms";
}

std::string formatVulkanVersion(uint32_t version) {
    return fmt::format("{}.{}.{}", (version >> 22) & 0x7f, (version >> 12) & 0x3ff, version & 0xfff);
}

std::string formatBar(double share, size_t width, bool utf8) {
    const double clamped = share > 0 ? std::min(share, 1.0) : 0.0;  // NaN is no bar
    const size_t filled = static_cast<size_t>(clamped * static_cast<double>(width) + 0.5);
    std::string bar;
    for (size_t i = 0; i < filled; ++i) bar += utf8 ? "█" : "#";
    return bar;
}

bool localeIsUtf8() {
    for (const char* variable : {"LC_ALL", "LC_CTYPE", "LANG"}) {
        const char* value = std::getenv(variable);
        if (value == nullptr || *value == '\0') continue;
        const std::string_view locale = value;
        return locale.find("UTF-8") != std::string_view::npos || locale.find("utf8") != std::string_view::npos;
    }
    return false;
}

bool stdoutIsTerminal() {
    return isTerminal(stdout);
}

ProgressBar::ProgressBar(std::string label, bool enabled)
    : label_(std::move(label)),
      enabled_(enabled && isTerminal(stderr)),
      start_(std::chrono::steady_clock::now()),
      lastDrawn_(start_) {}

ProgressBar::~ProgressBar() {
    clear();
}

void ProgressBar::update(double share, std::string_view detail) {
    using namespace std::chrono_literals;
    const auto now = std::chrono::steady_clock::now();
    if (!enabled_ || now - start_ < 1s || (width_ > 0 && now - lastDrawn_ < 100ms)) return;
    constexpr size_t kWidth = 30;
    const std::string bar = formatBar(share, kWidth, localeIsUtf8());
    const std::string space(kWidth - displayWidth(bar), ' ');
    const std::string line = fmt::format("{} [{}{}] {:3.0f} %{}{}", label_, bar, space,
                                         std::clamp(share, 0.0, 1.0) * 100, detail.empty() ? "" : "  ", detail);
    const size_t width = displayWidth(line);
    writeTo(stderr, fmt::format("\r{}{:{}}", line, "", width_ > width ? width_ - width : 0));
    std::fflush(stderr);
    width_ = width;
    lastDrawn_ = now;
}

void ProgressBar::clear() {
    if (width_ == 0) return;
    writeTo(stderr, fmt::format("\r{:{}}\r", "", width_));
    std::fflush(stderr);
    width_ = 0;
}

}  // namespace dunlin::cli
