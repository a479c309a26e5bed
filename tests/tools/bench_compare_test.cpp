// `dunlin bench compare`: what is compared with what, what is refused, and when a gate closes.
#include <fmt/format.h>

#include <cmath>
#include <random>

#include "tests/tools/command_fixture.h"
#include "tools/bench/comparison.h"

namespace dunlin::bench {
namespace {

const Json kGpu = {
    {"id", "vulkan:0"}, {"name", "Example GPU"}, {"type", "discrete"}, {"driver", "example"}, {"driverVersion", "1.2"}};
const Json kCpu = {{"id", "cpu"}, {"name", "Example CPU"}, {"type", "cpu"}, {"threads", 4}};

Json document(const char* kind, const std::vector<Json>& rows) {
    Json result = newDocument(kind);
    result["devices"] = {kGpu, kCpu};
    result["results"] = rows;
    return result;
}

// Thirty times around a middle, two percent apart; each seed has its own.
std::vector<double> times(double middle, uint64_t seed) {
    std::mt19937_64 engine(seed);
    std::normal_distribution<double> normal;
    std::vector<double> samples;
    for (int i = 0; i < 30; ++i) samples.push_back(middle * std::exp(0.02 * normal(engine)));
    return samples;
}

Json kernel(const std::string& id, double us, uint64_t seed) {
    return {{"id", id},        {"device", "vulkan:0"},        {"precision", "fp32"},
            {"correct", true}, {"deterministic", true},       {"clock", "gpu"},
            {"medianUs", us},  {"samplesUs", times(us, seed)}};
}

Json network(const std::string& device, double gpuMs, double wallMs, uint64_t seed) {
    Json row = {{"id", "net/224x224/b1/fp32/" + device}, {"device", device}, {"coldStartMs", 300}};
    row["samples"]["wallMs"] = times(wallMs, seed);
    row["samples"]["gpuMs"] = gpuMs > 0 ? Json(times(gpuMs, seed + 1)) : Json();
    return row;
}

cli::Outcome<Comparison> outcomeOf(const Json& before, const Json& after, double threshold = 0.05) {
    return compareDocuments({"a.json", &before}, {"b.json", &after}, threshold);
}

Comparison compared(const std::vector<Json>& before, const std::vector<Json>& after, const char* kind = "kernels",
                    double threshold = 0.05) {
    auto comparison = outcomeOf(document(kind, before), document(kind, after), threshold);
    EXPECT_TRUE(comparison.ok()) << (comparison.ok() ? "" : comparison.failure().message);
    return comparison.ok() ? *std::move(comparison) : Comparison();
}

void expectRefused(const Json& before, const Json& after, const std::string& mentions) {
    const auto comparison = outcomeOf(before, after);
    ASSERT_FALSE(comparison.ok());
    EXPECT_EQ(comparison.failure().status, cli::ExitStatus::WrongUse);
    for (const std::string& word : {std::string("a.json"), std::string("b.json"), mentions}) {
        EXPECT_NE(comparison.failure().message.find(word), std::string::npos) << comparison.failure().message;
    }
}

TEST(Compare, FindsAKernelThatIsSlower) {
    const Comparison comparison =
        compared({kernel("a", 10, 1), kernel("b", 10, 2)}, {kernel("a", 10, 3), kernel("b", 12, 4)});
    ASSERT_EQ(comparison.rows.size(), 2u);
    EXPECT_FALSE(comparison.rows[0].decisive.significant);
    EXPECT_TRUE(comparison.rows[1].decisive.significant);
    EXPECT_NEAR(*comparison.rows[1].decisive.ratio, 1.2, 0.03);
    EXPECT_TRUE(comparison.rows[1].regressed);
    EXPECT_EQ(comparison.regressions, 1u);
}

// Runs whose own times lie far apart say nothing of small differences, however many samples there are.
TEST(Compare, IsNotFooledByManySamplesOfABusyMachine) {
    Json before = kernel("a", 10, 1), after = kernel("a", 10, 2);
    for (int i = 0; i < 400; ++i) {
        const double time = 10 * std::exp(0.3 * std::sin(i * 2.4));
        before["samplesUs"][i] = time;
        after["samplesUs"][i] = 1.1 * time;
    }
    const TimeDifference difference = compared({before}, {after}).rows[0].decisive;
    EXPECT_LT(difference.difference->p, 0.01);
    EXPECT_GT(difference.difference->low, 1);
    EXPECT_FALSE(difference.significant);
}

TEST(Compare, CallsNothingFasterARegression) {
    const Comparison comparison = compared({kernel("a", 12, 1)}, {kernel("a", 10, 2)});
    EXPECT_TRUE(comparison.rows[0].decisive.significant);
    EXPECT_FALSE(comparison.rows[0].regressed);
}

TEST(Compare, HeedsTheThreshold) {
    const std::vector<Json> before{kernel("a", 10, 1)}, after{kernel("a", 11, 2)};
    EXPECT_EQ(compared(before, after, "kernels", 0.05).regressions, 1u);
    const Comparison lenient = compared(before, after, "kernels", 0.2);
    EXPECT_TRUE(lenient.rows[0].decisive.significant);
    EXPECT_EQ(lenient.regressions, 0u);
}

// Fifty comparisons of the same with the same give about one p value below 0.02 each time.
TEST(Compare, RaisesNoAlarmAmongManyRowsThatAreTheSame) {
    std::vector<Json> before, after;
    for (uint64_t i = 0; i < 500; ++i) {
        before.push_back(kernel(fmt::format("k{}", i), 10, 2 * i + 10));
        after.push_back(kernel(fmt::format("k{}", i), 10, 2 * i + 11));
    }
    EXPECT_EQ(compared(before, after, "kernels", 0).regressions, 0u);
}

TEST(Compare, ChoosesTheTimeOfTheGpuWhereBothHaveIt) {
    const Comparison both = compared({network("vulkan:0", 2, 3, 1)}, {network("vulkan:0", 2, 4, 3)}, "model");
    EXPECT_EQ(both.rows[0].decisive.time, "gpu");
    EXPECT_EQ(both.regressions, 0u);
    ASSERT_FALSE(both.rows[0].others.empty());
    EXPECT_EQ(both.rows[0].others[0].time, "wall");
    EXPECT_TRUE(both.rows[0].others[0].significant);

    const Comparison one = compared({network("vulkan:0", 0, 3, 1)}, {network("vulkan:0", 2, 4, 3)}, "model");
    EXPECT_EQ(one.rows[0].decisive.time, "wall");
    EXPECT_EQ(one.regressions, 1u);
}

TEST(Compare, ShowsStartsWithoutSignificance) {
    const Comparison comparison = compared({network("cpu", 0, 3, 1)}, {network("cpu", 0, 3, 3)}, "model");
    const TimeDifference& start = comparison.rows[0].others.back();
    EXPECT_EQ(start.time, "cold start");
    EXPECT_EQ(start.ratio, 1);
    EXPECT_FALSE(start.difference.has_value());
}

TEST(Compare, CountsWhatIsWrongOrFailsNow) {
    Json wrong = kernel("a", 10, 2), varying = kernel("b", 10, 3), failed = kernel("c", 10, 4);
    wrong["correct"] = false;
    wrong["maxRelativeError"] = nullptr;
    varying["deterministic"] = false;
    failed = {{"id", "c"}, {"device", "vulkan:0"}, {"error", "timed out after 2 seconds"}};
    const Comparison comparison =
        compared({kernel("a", 10, 1), kernel("b", 10, 1), kernel("c", 10, 1)}, {wrong, varying, failed});
    EXPECT_EQ(comparison.regressions, 3u);
    EXPECT_EQ(comparison.rows[0].spoiled, "is wrong now (relative error not finite)");
    EXPECT_EQ(comparison.rows[1].spoiled, "varies now");
    EXPECT_EQ(comparison.rows[2].spoiled, "fails now: timed out after 2 seconds");
}

TEST(Compare, DoesNotBlameTheNewForWhatWasWrongBefore) {
    Json wrong = kernel("a", 10, 2), failed = {{"id", "b"}, {"device", "vulkan:0"}, {"error", "lost"}};
    wrong["correct"] = false;
    EXPECT_EQ(compared({wrong, failed}, {wrong, failed}).regressions, 0u);
    EXPECT_EQ(compared({wrong, failed}, {kernel("a", 10, 1), kernel("b", 10, 1)}).regressions, 0u);
}

TEST(Compare, ListsWhatOnlyOneHas) {
    const Comparison comparison =
        compared({kernel("a", 1, 1), kernel("old", 1, 1)}, {kernel("new", 1, 1), kernel("a", 1, 1)});
    EXPECT_EQ(comparison.onlyBefore, std::vector<std::string>{"old"});
    EXPECT_EQ(comparison.onlyAfter, std::vector<std::string>{"new"});
}

TEST(Compare, SaysWhereClocksDiffer) {
    Json wall = kernel("a", 20, 2);
    wall["clock"] = "wall";
    const Comparison comparison = compared({kernel("a", 10, 1)}, {wall});
    EXPECT_FALSE(comparison.rows[0].decisive.ratio.has_value());
    EXPECT_NE(comparison.rows[0].note.find("clock"), std::string::npos);
    EXPECT_EQ(comparison.regressions, 0u);
}

TEST(Compare, TakesNothingFromFieldsOfAnotherType) {
    const Json odd = {{"id", "a"},        {"device", "vulkan:0"}, {"clock", 7},
                      {"samplesUs", "x"}, {"medianUs", "fast"},   {"correct", "yes"}};
    const Comparison comparison = compared({odd}, {odd});
    EXPECT_FALSE(comparison.rows[0].decisive.ratio.has_value());
    Json negative = kernel("a", 10, 1);
    negative["samplesUs"] = {1, -1, 0};
    EXPECT_FALSE(compared({negative}, {negative}).rows[0].decisive.difference.has_value());
}

// A gate must not pass what it cannot judge.
TEST(Compare, JudgesNothingWithoutSamplesButDoesNotLetItPass) {
    Json without = kernel("a", 13, 1);
    for (const Json& samples : {Json(), Json::array(), Json{10, 0, 10}}) {
        without["samplesUs"] = samples;
        const Comparison comparison = compared({kernel("a", 10, 1)}, {without});
        EXPECT_FALSE(comparison.rows[0].judged) << samples;
        EXPECT_NE(comparison.rows[0].note.find("no samples"), std::string::npos);
        EXPECT_EQ(comparison.regressions, 1u) << "its median is slower by 30 %";
    }
    without["medianUs"] = 10;
    EXPECT_EQ(compared({kernel("a", 10, 1)}, {without}).regressions, 0u);
    without["medianUs"] = nullptr;
    const Comparison untimed = compared({kernel("a", 10, 1)}, {without});
    EXPECT_EQ(untimed.rows[0].spoiled, "has no time now");
    EXPECT_EQ(untimed.regressions, 1u);
    EXPECT_TRUE(compared({kernel("a", 10, 1)}, {kernel("a", 10, 2)}).rows[0].judged);
}

TEST(Compare, CountsWhatAnIncompleteDocumentLacks) {
    const Json before = document("kernels", {kernel("a", 10, 1), kernel("b", 10, 1)});
    Json after = document("kernels", {kernel("a", 10, 2)});
    EXPECT_EQ(outcomeOf(before, after)->regressions, 0u) << "somebody may have measured less on purpose";
    after["complete"] = false;
    EXPECT_EQ(outcomeOf(before, after)->missing, 1u);
    EXPECT_EQ(outcomeOf(before, after)->regressions, 1u);
}

TEST(Compare, SaysInWhatTheTwoWereNotMadeAlike) {
    Json before = network("vulkan:0", 2, 3, 1), after = before;
    EXPECT_FALSE(compared({before}, {after}, "model").rows[0].settingsDiffer);
    before.update({{"fusion", "default"}, {"weights", "formula"}, {"dispatches", 64}, {"correct", true}});
    after.update({{"fusion", "max"}, {"weights", "a.safetensors"}, {"dispatches", 58}, {"correct", nullptr}});
    const RowDifference row = compared({before}, {after}, "model").rows[0];
    EXPECT_TRUE(row.settingsDiffer);
    EXPECT_EQ(row.note,
              "fusion default -> max; weights formula -> a.safetensors; dispatches 64 -> 58; "
              "checked before, not checked now");
}

// On software drivers timestamps around each dispatch can take longer than the dispatches.
TEST(Compare, JudgesByTheWallClockWhereTimestampsSlowTheDriverDown) {
    const Comparison comparison = compared({network("vulkan:0", 6, 3, 1)}, {network("vulkan:0", 9, 3, 3)}, "model");
    EXPECT_EQ(comparison.rows[0].decisive.time, "wall");
    EXPECT_EQ(comparison.rows[0].others[0].time, "gpu");
    EXPECT_NE(comparison.rows[0].note.find("wall clock"), std::string::npos);
    EXPECT_EQ(comparison.regressions, 0u);
}

TEST(Compare, RefusesOtherKindsDevicesDriversAndThreads) {
    const Json before = document("kernels", {kernel("a", 10, 1)});
    expectRefused(before, document("model", {network("vulkan:0", 2, 3, 1)}), "bench model");
    Json other = before;
    other["devices"][0]["name"] = "Another GPU";
    expectRefused(before, other, "Another GPU");
    other = before;
    other["devices"][0]["driverVersion"] = "1.3";
    expectRefused(before, other, "1.3");
    const Json onCpu = document("model", {network("cpu", 0, 3, 1)});
    other = onCpu;
    other["devices"][1]["threads"] = 8;
    expectRefused(onCpu, other, "8 threads");
    expectRefused(before, document("kernels", {kernel("b", 10, 1)}), "no result in common");
}

TEST(Compare, MindsOnlyTheDevicesOfCommonRows) {
    const Json before = document("kernels", {kernel("a", 10, 1)});
    Json after = before;
    after["devices"][1]["threads"] = 8;
    EXPECT_TRUE(outcomeOf(before, after).ok());
}

TEST(Compare, TakesASoftwareDriverOnAnotherProcessorForAnotherDevice) {
    Json before = document("kernels", {kernel("a", 10, 1)});
    before["devices"][0]["type"] = "software";
    Json after = before;
    after["host"]["processor"] = "Another CPU";
    expectRefused(before, after, "Another CPU");
}

class CompareCommand : public test::CommandFixture {
  protected:
    std::string saved(const char* name, const Json& document) const { return folder_.file(name, document.dump()); }
    const std::string before_ = saved("before.json", document("kernels", {kernel("a", 10, 1), kernel("b", 10, 2)}));
    const std::string same_ = saved("same.json", document("kernels", {kernel("a", 10, 3), kernel("b", 10, 4)}));
    const std::string slower_ = saved("slower.json", document("kernels", {kernel("a", 10, 3), kernel("b", 13, 4)}));
};

TEST_F(CompareCommand, IsAGate) {
    const test::CommandResult same = dunlin({"bench", "compare", before_, same_});
    EXPECT_EQ(same.exitStatus, 0) << same.err;
    EXPECT_NE(same.out.find("0 of 2 are slower by more than 5 %, 0 faster"), std::string::npos) << same.out;

    const test::CommandResult slower = dunlin({"bench", "compare", before_, slower_});
    EXPECT_EQ(slower.exitStatus, 1) << slower.err;
    EXPECT_NE(slower.out.find("slower, a regression"), std::string::npos) << slower.out;
    EXPECT_LT(slower.out.find("\nb "), slower.out.find("\na ")) << "the slowest first: " << slower.out;
    EXPECT_EQ(dunlin({"bench", "compare", before_, slower_, "--threshold", "50%"}).exitStatus, 0);
}

TEST_F(CompareCommand, GivesJson) {
    const test::CommandResult result = dunlin({"bench", "compare", before_, slower_, "--json", "--threshold", "3%"});
    EXPECT_EQ(result.exitStatus, 1);
    const test::Json json = result.json();
    ASSERT_FALSE(json.is_discarded()) << result.out;
    EXPECT_NEAR(json["threshold"].get<double>(), 0.03, 1e-12);
    EXPECT_EQ(json["regressions"], 1);
    const test::Json& row = json["rows"][1];
    EXPECT_EQ(row["id"], "b");
    EXPECT_EQ(row["significant"], true);
    EXPECT_LT(row["low"], row["ratio"]);
    EXPECT_GT(row["high"], row["ratio"]);
}

TEST_F(CompareCommand, RefusesInOneSentence) {
    expectRefused(3, {"bench", "compare", before_, folder_ / "absent.json"}, "absent.json");
    expectRefused(3, {"bench", "compare", folder_.file("broken.json", "{"), before_}, "broken.json");
    expectRefused(2, {"bench", "compare", before_, saved("other.json", document("model", {}))}, "other.json");
}

TEST_F(CompareCommand, DoesNotPassWhatABrokenRunLeftOut) {
    Json cut = document("kernels", {kernel("a", 10, 3)});
    cut["complete"] = false;
    const test::CommandResult result = dunlin({"bench", "compare", before_, saved("cut.json", cut)});
    EXPECT_EQ(result.exitStatus, 1);
    EXPECT_NE(result.err.find("cut.json is incomplete: 1 of 2 results"), std::string::npos) << result.err;
}

TEST_F(CompareCommand, RefusesFieldsThatCannotBeRead) {
    const auto expectNamed = [&](const std::vector<Json>& rows, const char* kind, const char* field) {
        const std::string broken = saved("broken.json", document(kind, rows));
        expectRefused(3, {"bench", "compare", broken, broken}, std::string("broken.json: the result ") + field);
    };
    Json row = kernel("a", 10, 1);
    row["samplesUs"][2] = "fast";
    expectNamed({row}, "kernels", R"(a: samplesUs[2] is "fast", not a number from 0 on)");
    row["samplesUs"][2] = -1;
    expectNamed({row}, "kernels", "a: samplesUs[2] is -1");
    Json slow = network("cpu", 0, 3, 1);
    slow["gpuMedianMs"] = "2";
    expectNamed({slow}, "model", R"(net/224x224/b1/fp32/cpu: gpuMedianMs is "2")");
    slow["gpuMedianMs"] = nullptr;
    slow["samples"]["wallMs"] = 3;
    expectNamed({slow}, "model", "net/224x224/b1/fp32/cpu: samples.wallMs is 3");
}

}  // namespace
}  // namespace dunlin::bench
