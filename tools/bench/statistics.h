// What can be said of repeated measurements, and of the difference between two sets of them.
#pragma once

#include <span>

namespace dunlin::bench {

struct Summary {
    double median = 0, p95 = 0, min = 0, max = 0;
    double spread = 0;  // the interquartile range over the median
};
// Of at least one sample. Percentiles by linear interpolation.
Summary summarize(std::span<const double> samples);

// Whether the last samples show no trend any more: warm-up is over. Cheap; asked after every sample.
bool isStable(std::span<const double> samples);

// The ratio of medians after / before, its 95 % confidence interval (percentile bootstrap, seeded: the same samples
// give the same interval), and the two-sided p value of the Mann-Whitney U test with ties corrected.
struct Difference {
    double ratio = 1, low = 1, high = 1, p = 1;
};
Difference compareSamples(std::span<const double> before, std::span<const double> after);

}  // namespace dunlin::bench
