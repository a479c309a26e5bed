// --labels FILE: the names of classes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tools/dunlin/outcome.h"

namespace dunlin::cli {

// No file that --labels names is larger: of names, or of pictures with their classes.
constexpr size_t kMaxLabelsBytes = size_t{256} << 20;

// One class a line; a leading WordNet id ("n01440764 tench") is dropped, as is a byte order mark.
std::vector<std::string> parseLabels(std::string_view text);

// A labels file with the WordNet ids that it gives; both by line, then by class number. Without an id: empty.
struct Labels {
    std::vector<std::string> names, wordNetIds;
};

// A word of the form n01440764.
bool isWordNetId(std::string_view word);

// The labels of a file's text for a network, as readLabels() gives them; `path` is for the failure. BadInput also where
// it is no UTF-8 text.
Outcome<Labels> labelsOf(std::string_view text, const std::filesystem::path& path, uint32_t classes,
                         uint32_t labelOffset);

// The names of a network's `classes` classes, by class number: line i is class i + labelOffset, and where there is an
// offset the first classes are "background". BadInput where the file has another number of lines,
// empty ones at the end aside.
Outcome<std::vector<std::string>> readLabels(const std::filesystem::path& path, uint32_t classes, uint32_t labelOffset);

}  // namespace dunlin::cli
