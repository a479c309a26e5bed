// Rows of kernel results as people read them.
#pragma once

#include <string>
#include <vector>

#include "tools/bench/ceilings.h"
#include "tools/bench/document.h"
#include "tools/bench/target.h"

namespace dunlin::bench {

// The device, and what it can do at most.
std::string headingOf(const Target& target, const Ceilings* ceilings);

// The rows of one case: a line for the case, and one for each variant, the user's and then the fastest first.
std::string textOf(const std::vector<Json>& rows);

// Of all rows: how many are right, how often the default is the best, and what tuning would gain.
std::string summaryOf(const Json& rows);

// Whether every row is correct and repeatable.
bool isAllRight(const Json& rows);

}  // namespace dunlin::bench
