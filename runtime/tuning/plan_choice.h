// Blocks of a network that may be one dispatch or several.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/tuning/kernel_case.h"
#include "runtime/tuning/verdicts.h"

namespace dunlin::tuning {

// Two ways to compute one thing. Dispatches by their index.
struct BlockChoice {
    std::string key;               // formKey() of the one dispatch
    size_t joined = 0;             // of the network with joined steps
    std::vector<size_t> separate;  // of the other
};

// `usual` and `joined`: one network, lowered without joined steps and with all of them, on one device. Each block whose
// dispatches take whole maps in both, equal ones once. Pure.
std::vector<BlockChoice> blockChoices(const SourceNetwork& usual, const SourceNetwork& joined);

// What the separate dispatches take in all by the verdicts, whose times have the cost of a dispatch and its barrier in
// them; nothing where one was not timed.
std::optional<double> separateNs(const SourceNetwork& usual, const BlockChoice& choice, const Verdicts& verdicts);

}  // namespace dunlin::tuning
