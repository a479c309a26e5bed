#include "tools/dunlin/labels.h"

#include <fmt/format.h>

#include <algorithm>

#include "tools/dunlin/files.h"

namespace dunlin::cli {
namespace {

constexpr size_t kMaxLabelsBytes = 16 << 20;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::string_view kSpace = " \t\r";

bool isWordNetId(std::string_view word) {
    return word.size() == 9 && word[0] == 'n' &&
           std::all_of(word.begin() + 1, word.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string_view trimmed(std::string_view text) {
    text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
    return text.substr(0, text.find_last_not_of(kSpace) + 1);
}

std::string labelOf(std::string_view line) {
    line = trimmed(line);
    const size_t end = std::min(line.find_first_of(kSpace), line.size());
    if (isWordNetId(line.substr(0, end)) && end < line.size()) line = trimmed(line.substr(end));
    return std::string(line);
}

}  // namespace

std::vector<std::string> parseLabels(std::string_view text) {
    std::vector<std::string> labels;
    if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        labels.push_back(labelOf(text.substr(0, end)));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return labels;
}

Outcome<std::vector<std::string>> readLabels(const std::filesystem::path& path, uint32_t classes,
                                             uint32_t labelOffset) {
    DUNLIN_CLI_ASSIGN(const std::vector<std::byte> file, readFile(path, kMaxLabelsBytes));
    std::vector<std::string> labels = parseLabels({reinterpret_cast<const char*>(file.data()), file.size()});
    const uint32_t expected = classes - std::min(classes, labelOffset);
    while (labels.size() > expected && labels.back().empty()) labels.pop_back();  // a class may have an empty name
    if (labels.size() != expected) {
        return Failure{ExitStatus::BadInput,
                       fmt::format("{}: {} labels, the network has {} classes{}", path.string(), labels.size(),
                                   expected, labelOffset ? " besides background" : "")};
    }
    labels.insert(labels.begin(), classes - expected, "background");
    return labels;
}

}  // namespace dunlin::cli
