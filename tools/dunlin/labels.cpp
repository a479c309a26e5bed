#include "tools/dunlin/labels.h"

#include <fmt/format.h>

#include <algorithm>

#include "tools/dunlin/files.h"

namespace dunlin::cli {
namespace {

constexpr size_t kMaxLabelsBytes = 16 << 20;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::string_view kSpace = " \t\r";

std::string_view trimmed(std::string_view text) {
    text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
    return text.substr(0, text.find_last_not_of(kSpace) + 1);
}

void addLine(std::string_view line, Labels& labels) {
    line = trimmed(line);
    const size_t end = std::min(line.find_first_of(kSpace), line.size());
    const bool hasId = isWordNetId(line.substr(0, end)) && end < line.size();
    labels.wordNetIds.emplace_back(hasId ? line.substr(0, end) : std::string_view());
    labels.names.emplace_back(hasId ? trimmed(line.substr(end)) : line);
}

Labels parseLines(std::string_view text) {
    Labels labels;
    if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        addLine(text.substr(0, end), labels);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return labels;
}

}  // namespace

bool isWordNetId(std::string_view word) {
    return word.size() == 9 && word[0] == 'n' &&
           std::all_of(word.begin() + 1, word.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::vector<std::string> parseLabels(std::string_view text) {
    return parseLines(text).names;
}

Outcome<Labels> labelsOf(std::string_view text, const std::filesystem::path& path, uint32_t classes,
                         uint32_t labelOffset) {
    Labels labels = parseLines(text);
    std::vector<std::string>&names = labels.names, &ids = labels.wordNetIds;
    const uint32_t expected = classes - std::min(classes, labelOffset);
    while (names.size() > expected && names.back().empty()) names.pop_back();  // a class may have an empty name
    if (names.size() != expected) {
        return Failure{ExitStatus::BadInput,
                       fmt::format("{}: {} labels, the network has {} classes{}", path.string(), names.size(), expected,
                                   labelOffset ? " besides background" : "")};
    }
    ids.resize(expected);
    names.insert(names.begin(), classes - expected, "background");
    ids.insert(ids.begin(), classes - expected, std::string());
    return labels;
}

Outcome<std::vector<std::string>> readLabels(const std::filesystem::path& path, uint32_t classes,
                                             uint32_t labelOffset) {
    DUNLIN_CLI_ASSIGN(const std::vector<std::byte> file, readFile(path, kMaxLabelsBytes));
    const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
    DUNLIN_CLI_ASSIGN(Labels labels, labelsOf(text, path, classes, labelOffset));
    return std::move(labels.names);
}

}  // namespace dunlin::cli
