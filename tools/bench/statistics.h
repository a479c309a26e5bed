// What can be said of repeated measurements, and of the difference between two sets of them.
//
// Times of successive runs are no independent draws: clocks rise and fall, other programs come and go. Pretending
// otherwise makes small p values out of drift. So each set counts for only as many samples as it has independent ones,
// and both the test and the interval are made for that number. How one process differs from the next (memory layout,
// clocks left behind by others) does not show in one set from each; that is what thresholds are for: see Kalibera and
// Jones, "Rigorous Benchmarking in Reasonable Time" (2013).
//
// Everything here is a pure function of finite samples, deterministic and thread-safe.
#pragma once

#include <span>
#include <vector>

namespace dunlin::bench {

struct Summary {
    double median = 0, p95 = 0, min = 0, max = 0;
    double spread = 0;  // the interquartile range over the median; 0 where the median is
};
// Of at least one sample. Percentiles by linear interpolation.
Summary summarize(std::span<const double> samples);

// Whether the last samples show no trend any more: warm-up is over. False for fewer than 8 samples; of the last 8, the
// Mann-Kendall test finds neither a rise nor a fall at the 10 % level, or their first and last half differ by less than
// 0.5 %. Cheap; asked after every sample.
bool isStable(std::span<const double> samples);

// How many independent samples would say as much about the middle as these, in the order taken, do: the number of
// samples over their integrated autocorrelation time, from the variance of overlapping batch means of ranks (Meketon
// and Schmeiser, "Overlapping Batch Means", 1984) in batches of a quarter. At most the number of samples; a set that
// drifts from its beginning to its end counts for about five, too few to be significant against anything.
double independentSamples(std::span<const double> samples);

// The 95 % confidence interval of the median, made as compareSamples() makes its own. At least one sample.
struct Interval {
    double low = 0, high = 0;
};
Interval medianInterval(std::span<const double> samples);

// The ratio of medians after / before; its 95 % confidence interval, percentile bootstrap, with the distribution of
// each bootstrapped median computed (Efron, "The Jackknife, the Bootstrap and Other Resampling Plans", 1982, 10.3)
// instead of drawn; and the two-sided p value of the Mann-Whitney U test (normal approximation with ties and continuity
// corrected). Both count each set as independentSamples(). At least one sample each, in the order taken; five a side
// (without ties) never come under p = 0.01.
struct Difference {
    double ratio = 1, low = 1, high = 1, p = 1;
};
Difference compareSamples(std::span<const double> before, std::span<const double> after);

// p values of several tests, in the same order, raised so that the chance of even one false alarm among all stays below
// the level that each is compared with, however the tests depend on each other (Holm 1979).
std::vector<double> correctForMany(std::span<const double> p);

}  // namespace dunlin::bench
