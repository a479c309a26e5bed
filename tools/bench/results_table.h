// The table of networks that the README shows.
#pragma once

#include <span>
#include <string>

#include "tools/bench/document.h"

namespace dunlin::bench {

// Markdown: a row for each network of each document that was measured, sorted by device, network, precision and batch,
// then date; "" where no document has one. Text of documents is escaped.
std::string resultsTable(std::span<const Json> documents);

}  // namespace dunlin::bench
