#include "tools/dunlin/labels.h"

#include <fmt/format.h>

#include <algorithm>

#include "tools/dunlin/files.h"
#include "tools/dunlin/text.h"

namespace dunlin::cli {
namespace {

void addLine(std::string_view line, Labels& labels) {
    const size_t end = std::min(line.find_first_of(" \t\r"), line.size());
    const bool hasId = isWordNetId(line.substr(0, end)) && end < line.size();
    labels.wordNetIds.emplace_back(hasId ? line.substr(0, end) : std::string_view());
    labels.names.emplace_back(hasId ? trimmed(line.substr(end)) : line);
}

Labels parseLines(std::string_view text) {
    Labels labels;
    text = withoutByteOrderMark(text);
    while (!text.empty()) addLine(takeLine(text), labels);
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
    if (isUtf16OrBinary(text)) {
        return Failure{ExitStatus::BadInput, path.string() + ": is UTF-16 text, or none; class names are UTF-8 text"};
    }
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
