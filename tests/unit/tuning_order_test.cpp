// In which order problems are tuned when there may not be time for all of them.
#include "runtime/tuning/tuning_order.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "runtime/plan/case_id.h"
#include "tests/case_networks.h"

namespace dunlin::tuning {
namespace {

Pending named(const std::string& key, int dispatches, double cost, double measuredNs = 0) {
    Pending one;
    one.key = key;
    one.dispatches = dispatches;
    one.cost = cost;
    one.measuredNs = measuredNs;
    return one;
}

std::vector<std::string> inOrder(std::vector<Pending> pending) {
    putInOrder(pending);
    std::vector<std::string> keys;
    for (const Pending& one : pending) keys.push_back(one.key);
    return keys;
}

using Keys = std::vector<std::string>;

TEST(TuningOrder, isByTheTimeOfAllDispatchesWhateverTheirCost) {
    // given a head that costs next to nothing but takes long, and a layer that is there five times
    EXPECT_EQ(inOrder({named("wide", 1, 1000, 300), named("often", 5, 500, 100), named("head", 1, 1, 400)}),
              (Keys{"often", "head", "wide"}));
}

TEST(TuningOrder, ofWhatWasNotMeasuredIsByItsCost) {
    EXPECT_EQ(inOrder({named("small", 1, 10), named("large", 1, 30), named("middle", 2, 20)}),
              (Keys{"large", "middle", "small"}));
}

TEST(TuningOrder, putsWhatWasNotMeasuredWhereItsCostSuggestsBesideWhatWas) {
    // given two nanoseconds for a unit of cost
    EXPECT_EQ(inOrder({named("low", 1, 10), named("measured", 1, 50, 100), named("high", 1, 60)}),
              (Keys{"high", "measured", "low"}));
}

TEST(TuningOrder, beginsWithWhatNothingIsKnownOf) {
    Pending begun = named("begun", 1, 100);
    begun.isBegun = true;
    EXPECT_EQ(inOrder({begun, named("new", 1, 1)}), (Keys{"new", "begun"}));
}

TEST(TuningOrder, putsFormersRightBeforeWhatHangsOnThem) {
    Pending excite = named("excite", 1, 100);
    excite.formers = {"first", "second"};
    EXPECT_EQ(inOrder({excite, named("first", 1, 1), named("other", 1, 50), named("second", 1, 2)}),
              (Keys{"first", "second", "excite", "other"}));
}

TEST(TuningOrder, theFormersOfSqueezeExciteAreWhatWritesItsSums) {
    const auto network = test::lowered({"mobilenetv3_small_100", 64}, {});
    ASSERT_TRUE(network);
    const LoweredNetwork& lowered = network->lowered;
    size_t found = 0;
    for (size_t i = 0; i < lowered.origins.size(); ++i) {
        const Keys formers = formersOf(*network, i);
        if (kernelOf(lowered.origins[i].call) != Kernel::SqueezeExcite) {
            EXPECT_TRUE(formers.empty()) << lowered.program.dispatches[i].name;
            continue;
        }
        ++found;
        EXPECT_EQ(formers, Keys{formKey(network->graph, lowered.origins[i - 1], Precision::Fp32)});
    }
    EXPECT_EQ(found, 9u);
}

}  // namespace
}  // namespace dunlin::tuning
