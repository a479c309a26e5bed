// The table of networks that the README shows.
#pragma once

#include <span>
#include <string>

#include "tools/bench/document.h"

namespace dunlin::bench {

// Markdown: a row for each network, size and batch that was measured, a column for each device, precision and run (date
// and commit, at the foot); a cell is the median of the GPU's time, else the wall's, and the limit's share of it. "" where
// no document has one. Text of documents is escaped.
std::string resultsTable(std::span<const Json> documents);

}  // namespace dunlin::bench
