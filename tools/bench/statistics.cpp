#include "tools/bench/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <numeric>

namespace dunlin::bench {
namespace {

std::vector<double> sorted(std::span<const double> samples) {
    std::vector<double> values(samples.begin(), samples.end());
    std::sort(values.begin(), values.end());
    return values;
}

// Of sorted values, by linear interpolation between neighbours.
double percentile(std::span<const double> values, double share) {
    const double position = share * static_cast<double>(values.size() - 1);
    const auto below = static_cast<size_t>(position);
    const size_t above = std::min(below + 1, values.size() - 1);
    return std::lerp(values[below], values[above], position - static_cast<double>(below));
}

// Ranks from 1, ties sharing their mean, and the sum over groups of ties of t^3 - t.
struct Ranks {
    std::vector<double> of;
    double ties = 0;
};
Ranks rank(std::span<const double> values) {
    std::vector<size_t> order(values.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
    Ranks ranks{std::vector<double>(values.size())};
    for (size_t first = 0, end = 0; first < order.size(); first = end) {
        while (end < order.size() && values[order[end]] == values[order[first]]) ++end;
        for (size_t i = first; i < end; ++i) ranks.of[order[i]] = 0.5 * static_cast<double>(first + end + 1);
        const auto tied = static_cast<double>(end - first);
        ranks.ties += tied * tied * tied - tied;
    }
    return ranks;
}

double twoSidedNormalP(double z) {
    return std::erfc(std::abs(z) / std::numbers::sqrt2);
}

// The p value of the Mann-Whitney U test where the sets are worth as many independent samples as given.
double mannWhitneyP(std::span<const double> before, std::span<const double> after, double independentBefore,
                    double independentAfter) {
    std::vector<double> all(before.begin(), before.end());
    all.insert(all.end(), after.begin(), after.end());
    const Ranks ranks = rank(all);
    const auto n = static_cast<double>(before.size()), m = static_cast<double>(after.size()), sum = n + m;
    const double rankSum = std::accumulate(ranks.of.begin(), ranks.of.begin() + std::ssize(before), 0.0);
    const double u = rankSum - n * (n + 1) / 2;
    // U / (n m) is the chance that a sample of one is above one of the other; a half if there is no difference.
    const double shift = std::abs(u / (n * m) - 0.5) - 0.5 / (independentBefore * independentAfter);
    const double tieFactor = 1 - ranks.ties / (sum * sum * sum - sum);
    if (shift <= 0 || tieFactor <= 0) return 1;
    const double variance =
        (independentBefore + independentAfter + 1) / (12 * independentBefore * independentAfter) * tieFactor;
    return twoSidedNormalP(shift / std::sqrt(variance));
}

// The chance that at least `least` of `trials` with this chance each come true.
double binomialTail(int trials, int least, double chance) {
    if (chance >= 1) return 1;
    if (least < chance * trials) return 1 - binomialTail(trials, trials - least + 1, 1 - chance);
    const double logTerm = std::lgamma(trials + 1.0) - std::lgamma(least + 1.0) - std::lgamma(trials - least + 1.0) +
                           least * std::log(chance) + (trials - least) * std::log1p(-chance);
    double term = std::exp(logTerm), tail = 0;
    for (int hits = least; hits <= trials && term > 1e-12 * tail; ++hits) {  // each less than the one before
        tail += term;
        term *= (trials - hits) / (hits + 1.0) * chance / (1 - chance);
    }
    return std::min(tail, 1.0);
}

// Enough for the 2.5th and 97.5th percentile of a ratio of two.
constexpr int kQuantiles = 128;

// Evenly spaced quantiles of the median of as many draws, with repetition, as the samples are worth.
std::vector<double> bootstrappedMedians(std::span<const double> samples, double independent) {
    const std::vector<double> values = sorted(samples);
    const int half = std::max(0, static_cast<int>(std::lround((independent - 1) / 2)));
    const int draws = 2 * half + 1;  // odd, so that the median is one of them
    std::vector<double> quantiles;
    for (size_t i = 0; i < values.size(); ++i) {
        // The median is at most values[i] where more than half of the draws are.
        const double share = static_cast<double>(i + 1) / static_cast<double>(values.size());
        const double chance = binomialTail(draws, half + 1, share);
        while (quantiles.size() < kQuantiles && (static_cast<double>(quantiles.size()) + 0.5) / kQuantiles <= chance) {
            quantiles.push_back(values[i]);
        }
    }
    quantiles.resize(kQuantiles, values.back());
    return quantiles;
}

}  // namespace

Summary summarize(std::span<const double> samples) {
    const std::vector<double> values = sorted(samples);
    Summary summary;
    summary.median = percentile(values, 0.5);
    summary.p95 = percentile(values, 0.95);
    summary.min = values.front();
    summary.max = values.back();
    if (summary.median != 0) summary.spread = (percentile(values, 0.75) - percentile(values, 0.25)) / summary.median;
    return summary;
}

bool isStable(std::span<const double> samples) {
    constexpr size_t kWindow = 8;
    constexpr double kNegligible = 0.005;
    constexpr double kTenPercentLevel = 1.645;  // of the normal distribution, two-sided
    if (samples.size() < kWindow) return false;
    const std::span<const double> last = samples.last(kWindow);
    int rises = 0;  // less falls, over all pairs
    for (size_t later = 1; later < kWindow; ++later) {
        for (size_t earlier = 0; earlier < later; ++earlier) {
            rises += (last[later] > last[earlier]) - (last[later] < last[earlier]);
        }
    }
    const double deviation = std::sqrt(kWindow * (kWindow - 1) * (2 * kWindow + 5) / 18.0);
    if (std::abs(rises) - 1 < kTenPercentLevel * deviation) return true;
    const double first = summarize(last.first(kWindow / 2)).median, second = summarize(last.last(kWindow / 2)).median;
    return std::abs(second - first) < kNegligible * first;
}

double independentSamples(std::span<const double> samples) {
    constexpr size_t kBatches = 4;
    const auto n = static_cast<double>(samples.size());
    const size_t batch = samples.size() / kBatches;
    if (batch < 2) return n;
    const std::vector<double> ranks = rank(samples).of;
    const double mean = (n + 1) / 2;
    double variance = 0, batchVariance = 0, inBatch = 0;
    for (size_t i = 0; i < ranks.size(); ++i) {
        variance += (ranks[i] - mean) * (ranks[i] - mean);
        inBatch += ranks[i] - mean - (i >= batch ? ranks[i - batch] - mean : 0);
        if (i + 1 >= batch) batchVariance += inBatch * inBatch;
    }
    if (variance == 0) return n;
    const auto length = static_cast<double>(batch);
    variance /= n - 1;
    batchVariance *= n / (length * (n - length + 1) * (n - length));
    return n / std::max(1.0, batchVariance / variance);
}

Interval medianInterval(std::span<const double> samples) {
    const std::vector<double> medians = bootstrappedMedians(samples, independentSamples(samples));
    constexpr auto kOutside = static_cast<size_t>(0.025 * kQuantiles) - 1;  // outwards: few samples cover too little
    return {medians[kOutside], medians[kQuantiles - 1 - kOutside]};
}

Difference compareSamples(std::span<const double> before, std::span<const double> after) {
    const double independentBefore = independentSamples(before), independentAfter = independentSamples(after);
    const std::vector<double> divisors = bootstrappedMedians(before, independentBefore);
    const std::vector<double> dividends = bootstrappedMedians(after, independentAfter);
    std::vector<double> ratios;
    ratios.reserve(divisors.size() * dividends.size());
    for (double divisor : divisors) {
        for (double dividend : dividends) ratios.push_back(dividend / divisor);
    }
    const auto quantile = [&](double share) {
        const auto at = ratios.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(ratios.size() - 1));
        std::nth_element(ratios.begin(), at, ratios.end());
        return *at;
    };
    Difference difference;
    difference.ratio = summarize(after).median / summarize(before).median;
    difference.low = std::min(quantile(0.025), difference.ratio);
    difference.high = std::max(quantile(0.975), difference.ratio);
    difference.p = mannWhitneyP(before, after, independentBefore, independentAfter);
    return difference;
}

std::vector<double> correctForMany(std::span<const double> p) {
    std::vector<size_t> order(p.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p[a] < p[b]; });
    std::vector<double> corrected(p.size());
    double highest = 0;
    for (size_t i = 0; i < order.size(); ++i) {
        highest = std::max(highest, p[order[i]] * static_cast<double>(p.size() - i));
        corrected[order[i]] = std::min(1.0, highest);
    }
    return corrected;
}

}  // namespace dunlin::bench
