// What the benchmark says of samples: against published values, and by its properties on noise that is known.
#include "tools/bench/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace dunlin::bench {
namespace {

using Samples = std::vector<double>;

// Times around `middle`, `spread` being the deviation of their logarithm, each a share `memory` of the one before.
class Noise {
  public:
    Samples samples(size_t count, double middle, double spread, double memory = 0) {
        Samples result;
        double deviation = normal_(engine_);
        for (size_t i = 0; i < count; ++i) {
            deviation = memory * deviation + std::sqrt(1 - memory * memory) * normal_(engine_);
            result.push_back(middle * std::exp(spread * deviation));
        }
        return result;
    }

  private:
    std::mt19937_64 engine_{5};
    std::normal_distribution<double> normal_;
};

bool isSignificant(const Difference& difference) {
    return difference.p < 0.01 && (difference.low > 1 || difference.high < 1);
}

// How often one of two sets made alike is found different, of 1000.
int falseAlarms(Noise& noise, size_t count, double memory) {
    int alarms = 0;
    for (int i = 0; i < 1000; ++i) {
        const Samples before = noise.samples(count, 3, 0.05, memory);
        alarms += isSignificant(compareSamples(before, noise.samples(count, 3, 0.05, memory)));
    }
    return alarms;
}

TEST(Summary, InterpolatesPercentilesAsNumPyDoes) {
    const Summary summary = summarize(Samples{4.1, 3.9, 4.0, 9.5, 4.2, 4.05, 3.95, 4.4});
    EXPECT_DOUBLE_EQ(summary.median, 4.075);
    EXPECT_NEAR(summary.p95, 7.715, 1e-12);
    EXPECT_EQ(summary.min, 3.9);
    EXPECT_EQ(summary.max, 9.5);
    EXPECT_NEAR(summary.spread, 0.2625 / 4.075, 1e-12);
}

TEST(Summary, OfOneSampleIsThatSample) {
    const Summary summary = summarize(Samples{7});
    EXPECT_EQ(summary.median, 7);
    EXPECT_EQ(summary.p95, 7);
    EXPECT_EQ(summary.spread, 0);
}

TEST(Stable, NeedsEightSamples) {
    EXPECT_FALSE(isStable(Samples(7, 1.0)));
    EXPECT_TRUE(isStable(Samples(8, 1.0)));
}

TEST(Stable, IsNotWhileTimesFallOrRise) {
    EXPECT_FALSE(isStable(Samples{9, 8, 7, 6, 5, 4, 3.5, 3.2}));
    EXPECT_FALSE(isStable(Samples{1, 1.02, 1.03, 1.05, 1.04, 1.06, 1.08, 1.09}));
}

TEST(Stable, ForgetsTheWarmUp) {
    Samples samples{90, 40, 20, 12};
    for (double time : {10.1, 9.9, 10.0, 10.2, 9.8, 10.1, 10.0, 9.9}) samples.push_back(time);
    EXPECT_TRUE(isStable(samples));
}

TEST(Stable, HeedsNoTrendOfNothing) {
    Samples samples;
    for (int i = 0; i < 8; ++i) samples.push_back(1 + 1e-4 * i);
    EXPECT_TRUE(isStable(samples));
}

TEST(Stable, IsReachedSoonUnderNoise) {
    Noise noise;
    int reached = 0;
    for (int i = 0; i < 200; ++i) reached += isStable(noise.samples(8, 3, 0.2));
    EXPECT_GT(reached, 170);
}

// scipy.stats.mannwhitneyu's documentation, with method="asymptotic": ages at which diabetes was found.
TEST(Difference, HasThePOfMannWhitney) {
    const Samples men{19, 22, 16, 29, 24}, women{20, 11, 17, 12};
    EXPECT_NEAR(compareSamples(men, women).p, 0.11134688653314041, 1e-12);
    EXPECT_NEAR(compareSamples(women, men).p, 0.11134688653314041, 1e-12);
}

// By hand: U = 5.5 of 30; ties of 3, 4 and 2 leave a variance of 30/12 (12 - (24 + 60 + 6) / 110) = 27.95.
TEST(Difference, CorrectsForTies) {
    const Samples before{1, 2, 2, 3, 3, 3}, after{3, 4, 4, 5, 2};
    EXPECT_NEAR(compareSamples(before, after).p, std::erfc(9 / std::sqrt(2 * 27.954545454545453)), 1e-12);
}

// Efron, "Bootstrap Methods: Another Look at the Jackknife" (1979), section 3: of 13 samples, the bootstrapped median
// is the third smallest or smaller with a chance of 0.0157, the fourth or smaller with 0.0707.
TEST(Difference, HasTheIntervalOfTheBootstrappedMedian) {
    const Samples before{1}, after{7, 1, 13, 4, 10, 2, 12, 5, 9, 3, 11, 6, 8};
    ASSERT_EQ(independentSamples(after), 13);
    const Difference difference = compareSamples(before, after);
    EXPECT_EQ(difference.ratio, 7);
    EXPECT_EQ(difference.low, 4);
    EXPECT_EQ(difference.high, 10);
}

TEST(Interval, OfTheMedianHoldsIt) {
    Noise noise;
    int held = 0;
    for (int i = 0; i < 1000; ++i) {
        const Interval interval = medianInterval(noise.samples(30, 3, 0.1));
        held += interval.low <= 3 && 3 <= interval.high;
    }
    EXPECT_GE(held, 930);
    EXPECT_LE(held, 990);
}

TEST(Difference, OfEqualTimesIsNone) {
    const Difference difference = compareSamples(Samples(30, 2.5), Samples(30, 2.5));
    EXPECT_EQ(difference.ratio, 1);
    EXPECT_EQ(difference.low, 1);
    EXPECT_EQ(difference.high, 1);
    EXPECT_EQ(difference.p, 1);
}

TEST(Difference, IsTheSameEachTime) {
    Noise noise;
    const Samples before = noise.samples(40, 3, 0.1), after = noise.samples(30, 3.1, 0.1);
    const Difference once = compareSamples(before, after), again = compareSamples(before, after);
    EXPECT_EQ(once.low, again.low);
    EXPECT_EQ(once.high, again.high);
    EXPECT_EQ(once.p, again.p);
}

TEST(Difference, FindsWhatIsClearlySlower) {
    Noise noise;
    int found = 0;
    for (int i = 0; i < 100; ++i) {
        const Samples before = noise.samples(30, 3, 0.05);
        const Difference difference = compareSamples(before, noise.samples(30, 3.3, 0.05));
        found += isSignificant(difference) && difference.ratio > 1.05 && difference.ratio < 1.16;
    }
    EXPECT_GE(found, 98);
}

TEST(Difference, IsNeverSignificantOfFiveSamples) {
    EXPECT_GT(compareSamples(Samples{1, 1.1, 1.2, 1.3, 1.4}, Samples{9, 9.1, 9.2, 9.3, 9.4}).p, 0.01);
    EXPECT_EQ(compareSamples(Samples{1}, Samples{100}).p, 1);
}

TEST(Difference, OfTheSameIsSeldomSignificant) {
    Noise noise;
    for (size_t count : {8, 20, 100}) EXPECT_LE(falseAlarms(noise, count, 0), 20) << count;
}

// Ten times as many alarms would be raised by a test that took the samples for independent.
TEST(Difference, OfTheSameIsSeldomSignificantThoughSamplesHangTogether) {
    Noise noise;
    EXPECT_LE(falseAlarms(noise, 100, 0.5), 50);
    EXPECT_LE(falseAlarms(noise, 300, 0.8), 60);
}

TEST(Difference, ProvesNothingByRunsThatDrift) {
    Samples before, after;
    for (int i = 0; i < 60; ++i) {
        before.push_back(3 + 0.02 * i);
        after.push_back(4.5 + 0.02 * i);
    }
    EXPECT_LT(independentSamples(before), 6);
    EXPECT_GT(compareSamples(before, after).p, 0.01);
}

TEST(Difference, IntervalHoldsTheTruth) {
    Noise noise;
    int held = 0;
    for (int i = 0; i < 1000; ++i) {
        const Samples before = noise.samples(25, 2, 0.1);
        const Difference difference = compareSamples(before, noise.samples(35, 3, 0.1));
        held += difference.low <= 1.5 && 1.5 <= difference.high;
    }
    EXPECT_GE(held, 930);
    EXPECT_LE(held, 995);
}

// Holm's own steps by hand.
TEST(ManyTests, AreCorrectedFor) {
    const std::vector<double> corrected = correctForMany(Samples{0.01, 0.04, 0.03, 0.005});
    ASSERT_EQ(corrected.size(), 4u);
    EXPECT_DOUBLE_EQ(corrected[0], 0.03);
    EXPECT_DOUBLE_EQ(corrected[1], 0.06);
    EXPECT_DOUBLE_EQ(corrected[2], 0.06);
    EXPECT_DOUBLE_EQ(corrected[3], 0.02);
    EXPECT_EQ(correctForMany(Samples{0.9, 0.8}), (Samples{1, 1}));
    EXPECT_TRUE(correctForMany(Samples{}).empty());
}

}  // namespace
}  // namespace dunlin::bench
