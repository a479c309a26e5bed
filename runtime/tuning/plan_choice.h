// Which blocks of a network to run as one dispatch, by the times of both ways.
#pragma once

#include <map>
#include <string>

#include "runtime/tuning/kernel_case.h"
#include "runtime/tuning/verdicts.h"

namespace dunlin::tuning {

// `usual` and `joined`: one network, lowered without joined steps and with all of them, on one device. By formKey() of
// each joined dispatch whose parts were all timed: the nanoseconds of its parts. The verdicts' times have the cost of a
// dispatch and its barrier in them. Pure.
std::map<std::string, double> separateTimesNs(const SourceNetwork& usual, const SourceNetwork& joined,
                                              const Verdicts& verdicts);

// For each joined dispatch of which both ways were timed: whether it is faster than its parts by more than the noise of
// times that were not taken next to each other. Pure.
std::map<std::string, BlockVerdict> chooseBlocks(const SourceNetwork& usual, const SourceNetwork& joined,
                                                 const Verdicts& verdicts);

}  // namespace dunlin::tuning
