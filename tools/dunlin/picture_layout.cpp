#include "tools/dunlin/picture_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "tools/dunlin/output.h"
#include "tools/dunlin/terminal_picture.h"

namespace dunlin::cli {
namespace {

constexpr size_t kIndent = 2, kGap = 3;  // columns before everything, and between a picture and its answers
constexpr size_t kMinColumnsBeside = 64;
constexpr size_t kMinPictureColumns = 8, kMaxPictureColumns = 48;
constexpr size_t kPercentColumns = 7;  // "100.0 %"
constexpr size_t kMinBarColumns = 10, kMaxBarColumns = 24;
// Fourteen pixels show a digit, 24 nearly any picture.
constexpr size_t kMinTileColumns = 14, kMaxTileColumns = 24, kTileGap = 2;

constexpr const char *kBold = "1", *kDim = "2", *kCyan = "36";

std::string spaces(size_t count) {
    return std::string(count, ' ');
}

std::string styled(const char* code, const std::string& text, const TerminalStyle& style) {
    if (style.colour == TerminalColour::None || text.empty()) return text;
    return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

// The first bytes of `text` that make `count` characters.
std::string_view firstCharacters(std::string_view text, size_t count) {
    size_t end = 0;
    while (end < text.size() && displayWidth(text.substr(0, end + 1)) <= count) ++end;
    return text.substr(0, end);
}

const char* ellipsis(const TerminalStyle& style) {
    return style.utf8 ? "…" : "~";
}

std::string cutAtEnd(const std::string& text, size_t columns, const TerminalStyle& style) {
    if (displayWidth(text) <= columns) return text;
    return std::string(firstCharacters(text, columns - 1)) + ellipsis(style);
}

// The end of a path says more than its beginning: whole folders go first.
std::string cutPath(std::string path, size_t columns, const TerminalStyle& style) {
    while (displayWidth(path) > columns) {
        const size_t slash = path.find('/', path.starts_with('/') ? 1 : 0);
        if (slash == std::string::npos || slash + 1 == path.size()) return cutAtEnd(path, columns, style);
        path.erase(0, slash + 1);
    }
    return path;
}

std::string padded(const std::string& text, size_t columns) {
    return text + spaces(columns - std::min(columns, displayWidth(text)));
}

// In eighths of a character where the terminal shows UTF-8.
std::string fineBar(double share, size_t columns, const TerminalStyle& style) {
    if (!style.utf8) return formatBar(share, columns, false);
    constexpr std::array<const char*, 8> kEighths = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    const double clamped = share > 0 ? std::min(share, 1.0) : 0.0;  // NaN is no bar
    const auto eighths = static_cast<size_t>(clamped * static_cast<double>(8 * columns) + 0.5);
    std::string bar;
    for (size_t i = 0; i < eighths / 8; ++i) bar += "█";
    return bar + kEighths[eighths % 8];
}

std::vector<std::string> answerLines(std::string_view name, std::span<const ShownAnswer> answers, size_t longestLabel,
                                     size_t columns, const TerminalStyle& style) {
    // Beyond this, only the labels of this picture count: few are so long.
    constexpr size_t kCommonLabelColumns = 20;
    size_t labelColumns = std::min(longestLabel, kCommonLabelColumns);
    for (const ShownAnswer& answer : answers) {
        labelColumns = std::max(labelColumns, displayWidth(withoutControls(answer.label)));
    }
    const size_t others = kPercentColumns + 2 + 2 + kMinBarColumns;
    labelColumns = std::min(labelColumns, std::max(columns, others + 8) - others);
    const size_t besideBar = labelColumns + kPercentColumns + 4;
    const size_t barColumns = std::min(kMaxBarColumns, std::max(columns, besideBar + 1) - besideBar);

    std::vector<std::string> lines = {styled(kBold, cutPath(withoutControls(name), columns, style), style), ""};
    for (size_t i = 0; i < answers.size(); ++i) {
        const std::string label =
            padded(cutAtEnd(withoutControls(answers[i].label), labelColumns, style), labelColumns);
        lines.push_back(fmt::format("{}  {:>5.1f} %  {}", i == 0 ? styled(kBold, label, style) : label,
                                    answers[i].probability * 100,
                                    styled(kCyan, fineBar(answers[i].probability, barColumns, style), style)));
    }
    return lines;
}

std::string withLineFeeds(std::span<const std::string> lines) {
    std::string text;
    for (const std::string& line : lines) {
        text += line;
        text.erase(text.find_last_not_of(' ') + 1);
        text += '\n';
    }
    return text;
}

// As many lines as `height` says, with `blank` ones above and beneath.
std::vector<std::string> centred(std::vector<std::string> lines, size_t height, const std::string& blank) {
    lines.insert(lines.begin(), (height - lines.size()) / 2, blank);
    lines.resize(height, blank);
    return lines;
}

std::string beside(const std::vector<std::string>& picture, size_t pictureColumns, size_t boxColumns,
                   const std::vector<std::string>& answers) {
    const size_t height = std::max(picture.size(), answers.size());
    const std::vector<std::string> left = centred(picture, height, spaces(pictureColumns));
    const std::vector<std::string> right = centred(answers, height, "");
    std::vector<std::string> lines;
    for (size_t i = 0; i < height; ++i) {
        lines.push_back(spaces(kIndent) + left[i] + spaces(boxColumns - pictureColumns + kGap) + right[i]);
    }
    return withLineFeeds(lines);
}

Picture fitted(const Picture& picture, size_t columns) {
    const int side = static_cast<int>(columns);
    return resized(picture, fittedSize({picture.width, picture.height}, {side, side}));
}

}  // namespace

std::string pictureWithAnswers(const Picture& picture, std::string_view name, std::span<const ShownAnswer> answers,
                               size_t longestLabel, const TerminalStyle& style) {
    const bool isBeside = style.columns >= kMinColumnsBeside;
    const size_t available = std::max(style.columns, kIndent + kMinPictureColumns) - kIndent;
    const size_t box = std::clamp(isBeside ? style.columns * 2 / 5 : available, kMinPictureColumns, kMaxPictureColumns);
    const Picture small = fitted(picture, box);
    const std::vector<std::string> lines = terminalLines(small, style);
    if (isBeside) {
        return beside(lines, static_cast<size_t>(small.width), box,
                      answerLines(name, answers, longestLabel, available - box - kGap, style)) +
               '\n';
    }
    std::vector<std::string> all;
    for (const std::string& line : lines) all.push_back(spaces(kIndent) + line);
    all.emplace_back();
    for (const std::string& line : answerLines(name, answers, longestLabel, available, style))
        all.push_back(spaces(kIndent) + line);
    return withLineFeeds(all) + '\n';
}

PictureSheet::PictureSheet(size_t longestLabel, const TerminalStyle& style)
    : style_(style),
      // The label, a space and "100 %".
      tileColumns_(std::clamp(longestLabel + 6, kMinTileColumns, kMaxTileColumns)),
      tilesPerRow_(std::max<size_t>(
          1, (style.columns - std::min(style.columns, kIndent) + kTileGap) / (tileColumns_ + kTileGap))) {}

std::string PictureSheet::add(const Picture& picture, std::string_view name, const ShownAnswer& answer) {
    const Picture small = fitted(picture, tileColumns_);
    const std::string percent = fmt::format("{:.0f} %", answer.probability * 100);
    const size_t labelColumns = tileColumns_ - percent.size() - 1;
    const std::string label = cutAtEnd(withoutControls(answer.label), labelColumns, style_);
    const std::string space = spaces(tileColumns_ - displayWidth(label) - percent.size());
    row_.push_back({terminalLines(small, style_), static_cast<size_t>(small.width),
                    styled(kBold, label, style_) + space + percent,
                    styled(kDim, padded(cutPath(withoutControls(name), tileColumns_, style_), tileColumns_), style_)});
    return row_.size() == tilesPerRow_ ? finish() : std::string();
}

std::string PictureSheet::finish() {
    if (row_.empty()) return {};
    size_t height = 0;
    for (const Tile& tile : row_) height = std::max(height, tile.picture.size());
    std::vector<std::string> lines(height + 2);
    for (size_t t = 0; t < row_.size(); ++t) {
        const Tile& tile = row_[t];
        const std::string before = spaces(t == 0 ? kIndent : kTileGap);
        const size_t left = (tileColumns_ - tile.width) / 2, right = tileColumns_ - tile.width - left;
        const size_t above = height - tile.picture.size();  // pictures stand on their captions
        for (size_t i = 0; i < height; ++i) {
            lines[i] +=
                before + (i < above ? spaces(tileColumns_) : spaces(left) + tile.picture[i - above] + spaces(right));
        }
        lines[height] += before + tile.caption;
        lines[height + 1] += before + tile.name;
    }
    row_.clear();
    return withLineFeeds(lines) + '\n';
}

}  // namespace dunlin::cli
