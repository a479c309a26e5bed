// How one problem is decided: runners without a device, whose times, results and clock are the test's.
#include "runtime/tuning/case_tuner.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "tests/case_networks.h"

namespace dunlin::tuning {
namespace {

using Written = std::map<TensorId, std::vector<std::byte>>;

// How one form behaves.
struct Behaviour {
    double us = 100;            // a dispatch
    double noiseUs = 0;         // every second sample takes so much longer
    int rightRuns = 1 << 30;    // what comes then is wrong
    bool isWrong = false;       // from the first on
    Status failure = Status();  // of making a runner
    double buildMs = 1;         // of making a runner
};

// What the machine has done.
struct World {
    double clockMs = 0;
    std::vector<std::string> looked;  // variants in the order that they were run
    uint64_t heldBytes = 0;           // by runners
    int runners = 0, mostRunners = 0;
};

class FakeRunner final : public DispatchRunner {
  public:
    FakeRunner(World& world, const Behaviour& behaviour, Written right, uint64_t bytes)
        : world_(world), behaviour_(behaviour), right_(std::move(right)), bytes_(bytes) {
        world_.heldBytes += bytes_;
        world_.mostRunners = std::max(world_.mostRunners, ++world_.runners);
    }
    ~FakeRunner() override {
        world_.heldBytes -= bytes_;
        --world_.runners;
    }

    Result<Written> run() override {
        world_.clockMs += behaviour_.us / 1e3;
        const int late = runs_++ - behaviour_.rightRuns;
        Written written = right_;
        if (behaviour_.isWrong || late >= 0) {
            std::vector<std::byte>& bytes = written.begin()->second;
            const float wrong = 12345;
            std::memcpy(bytes.data(), &wrong, sizeof wrong);
        }
        return written;
    }
    Result<double> timeNs(uint32_t repeats) override {
        const double us = behaviour_.us + (samples_++ % 2 ? behaviour_.noiseUs : 0);
        world_.clockMs += us * repeats / 1e3;
        runs_ += static_cast<int>(repeats);
        return us * 1e3;
    }
    bool usesGpuClock() const override { return true; }

  private:
    World& world_;
    Behaviour behaviour_;
    Written right_;
    uint64_t bytes_;
    int runs_ = 0, samples_ = 0;
};

DeviceLimits limits() {
    DeviceLimits limits;
    limits.family = DeviceFamily::CpuDriver;
    limits.maxTexelBufferElements = 1u << 27;
    limits.maxWorkgroupInvocations = limits.maxWorkgroupSize[0] = 256;
    return limits;
}

class CaseTunerTest : public ::testing::Test {
  protected:
    // The classifier: one small vector of numbers.
    void SetUp() override {
        network_ = test::lowered({"mobilenetv2_035"}, limits());
        ASSERT_TRUE(network_);
        for (const KernelCase& one : casesOf(std::span(&network_, 1))) {
            if (one.id == "pointwise/1x1x1280-1000") problem_ = one;
        }
        ASSERT_TRUE(problem_.network);
        forms_ = formsOf(problem_, limits());
        ASSERT_GE(forms_.size(), 8u);
        Result<CaseData> data = makeData(problem_);
        ASSERT_TRUE(data.ok()) << data.status().message();
        data_ = *std::move(data);
    }

    const std::string& name(size_t form) const { return forms_[form].variant; }

    Written rightResult() const {
        const CaseData::Expected& expected = data_.expected.front();
        Written written;
        std::vector<std::byte>& bytes = written[expected.tensor];
        bytes.assign(forms_[0].tensorBytes.at(expected.tensor), std::byte{0xff});
        for (size_t i = 0; i < expected.values.size(); ++i) {
            const auto value = static_cast<float>(expected.values[i]);
            std::memcpy(&bytes[expected.offsets[i]], &value, sizeof value);
        }
        return written;
    }

    Result<CaseOutcome> tune(double deadlineMs = 1e9, const Verdict* known = nullptr) {
        CaseTools tools;
        tools.nowMs = [this] { return world_.clockMs; };
        tools.mayGoOn = [this] { return world_.clockMs < cancelledAtMs_; };
        tools.otherWayNs = otherWayNs_;
        tools.memoryBytes = memoryBytes_;
        tools.createRunner = [this](const FormedCase& form, bool isFinal) -> Result<std::unique_ptr<DispatchRunner>> {
            const Behaviour& behaviour = behaviours_[form.variant];
            world_.clockMs += behaviour.buildMs;
            if (!isFinal) world_.looked.push_back(form.variant);
            DUNLIN_TRY(behaviour.failure);
            if (world_.heldBytes + runnerBytes(form) > memoryBytes_)
                return error(StatusCode::OutOfDeviceMemory, "full");
            return std::unique_ptr<DispatchRunner>(new FakeRunner(world_, behaviour, rightResult(), runnerBytes(form)));
        };
        return tuneCase(problem_, data_, forms_, tools, deadlineMs, pace_, known);
    }

    // The verdict of a call that must succeed.
    Verdict verdict(double deadlineMs = 1e9, const Verdict* known = nullptr) {
        const Result<CaseOutcome> outcome = tune(deadlineMs, known);
        EXPECT_TRUE(outcome.ok()) << outcome.status().message();
        if (!outcome.ok() || !outcome->verdict) return {};
        isDefaultWrong_ = outcome->isDefaultWrong;
        return *outcome->verdict;
    }

    std::shared_ptr<const SourceNetwork> network_;
    KernelCase problem_;
    std::vector<FormedCase> forms_;
    CaseData data_;
    std::map<std::string, Behaviour> behaviours_;
    World world_;
    CandidatePace pace_;
    uint64_t memoryBytes_ = UINT64_MAX;
    double cancelledAtMs_ = INFINITY, otherWayNs_ = INFINITY;
    bool isDefaultWrong_ = false;
};

TEST_F(CaseTunerTest, theFastestRightFormWins) {
    behaviours_[name(2)].us = 60;
    behaviours_[name(4)].us = 50;
    behaviours_[name(5)] = {.us = 10, .isWrong = true};
    const Verdict verdict = this->verdict();
    EXPECT_EQ(verdict.form, name(4));
    EXPECT_EQ(verdict.defaultForm, name(0));
    EXPECT_DOUBLE_EQ(verdict.timeNs, 50e3);
    EXPECT_DOUBLE_EQ(verdict.defaultNs, 100e3);
    EXPECT_EQ(verdict.tried, forms_.size());
    EXPECT_TRUE(verdict.complete);
    ASSERT_EQ(verdict.rejected.size(), 1u);
    EXPECT_EQ(verdict.rejected[0].form, name(5));
    EXPECT_NE(verdict.rejected[0].why.find("12345"), std::string::npos) << verdict.rejected[0].why;
    EXPECT_FALSE(isDefaultWrong_);
}

TEST_F(CaseTunerTest, aGainWithinTheNoiseChangesNothing) {
    behaviours_[name(1)].us = 96;
    EXPECT_EQ(verdict().form, name(0)) << "less than the least gain";
    behaviours_[name(1)] = {.us = 80, .noiseUs = 60};
    EXPECT_EQ(verdict().form, name(0)) << "faster only in half of the samples";
    behaviours_[name(1)] = {.us = 94};
    EXPECT_EQ(verdict().form, name(1));
}

TEST_F(CaseTunerTest, formsWhoseBitsVaryAreRejectedWheneverTheyDo) {
    // after one run, while it is verified, and after the race
    for (const int rightRuns : {1, 2, 10, 200}) {
        behaviours_[name(3)] = {.us = 20, .rightRuns = rightRuns};
        behaviours_[name(6)].us = 50;
        const Verdict verdict = this->verdict();
        EXPECT_EQ(verdict.form, name(6)) << rightRuns;
        ASSERT_EQ(verdict.rejected.size(), 1u) << rightRuns;
        EXPECT_EQ(verdict.rejected[0], (Rejection{name(3), "its bits differ when it is repeated"}));
    }
}

TEST_F(CaseTunerTest, aWrongDefaultIsReplacedHoweverLongItTakes) {
    behaviours_[name(0)].isWrong = true;
    behaviours_[name(1)].us = 500;
    behaviours_[name(7)].us = 90;
    for (FormedCase& form : forms_) behaviours_[form.variant].buildMs = 1000;
    const Verdict verdict = this->verdict(/* deadlineMs= */ 10);
    EXPECT_EQ(verdict.form, name(7)) << "the fastest, not the first";
    EXPECT_TRUE(isDefaultWrong_);
    EXPECT_EQ(verdict.defaultNs, 0);
    EXPECT_TRUE(verdict.complete);
}

TEST_F(CaseTunerTest, aDefaultThatVariesLateIsReplacedByWhatLostAgainstIt) {
    behaviours_[name(0)] = {.us = 10, .rightRuns = 100};
    behaviours_[name(2)].us = 40;
    const Verdict verdict = this->verdict();
    EXPECT_EQ(verdict.form, name(2));
    EXPECT_TRUE(isDefaultWrong_);
}

TEST_F(CaseTunerTest, whereNoneIsRightTheVerdictHasNoForm) {
    for (const FormedCase& form : forms_) behaviours_[form.variant].isWrong = true;
    const Verdict verdict = this->verdict();
    EXPECT_EQ(verdict.form, "");
    EXPECT_EQ(verdict.rejected.size(), forms_.size());
    EXPECT_TRUE(isDefaultWrong_);
}

TEST_F(CaseTunerTest, aFormThatTheDriverRefusesIsWrongAndWantOfMemoryIsNot) {
    behaviours_[name(1)].failure = error(StatusCode::DeviceError, "the compiler gave up");
    behaviours_[name(2)].failure = error(StatusCode::OutOfDeviceMemory, "no room");
    const Verdict verdict = this->verdict();
    EXPECT_EQ(verdict.form, name(0));
    ASSERT_EQ(verdict.rejected.size(), 1u);
    EXPECT_EQ(verdict.rejected[0], (Rejection{name(1), "the compiler gave up"}));
    EXPECT_FALSE(verdict.complete) << "with more memory another one may be tried";
    // nor is a default wrong that there was no room for
    behaviours_[name(0)].failure = error(StatusCode::DoesNotFit, "no room");
    const Result<CaseOutcome> outcome = tune();
    ASSERT_TRUE(outcome.ok()) << outcome.status().message();
    EXPECT_FALSE(outcome->verdict);
    EXPECT_FALSE(outcome->isDefaultWrong);
}

TEST_F(CaseTunerTest, aFormIsOnlyAsRightAsWhatComesWithIt) {
    // given two fast forms, one of which brings a form that is wrong, at once or in the end
    forms_[2].companions = {forms_[3]};
    forms_[2].companions[0].variant = "companion";
    behaviours_[name(2)].us = 20;
    behaviours_[name(4)].us = 50;
    EXPECT_EQ(verdict().form, name(2));
    for (const int rightRuns : {0, 1, 2}) {
        behaviours_["companion"].rightRuns = rightRuns;
        const Verdict verdict = this->verdict();
        EXPECT_EQ(verdict.form, name(4)) << rightRuns;
        ASSERT_EQ(verdict.rejected.size(), 1u) << rightRuns;
        EXPECT_EQ(verdict.rejected[0].form, name(2));
        EXPECT_TRUE(verdict.rejected[0].why.starts_with("with it comes companion: ")) << verdict.rejected[0].why;
    }
}

TEST_F(CaseTunerTest, noCandidateIsBegunThatWouldEndTooLate) {
    for (FormedCase& form : forms_) behaviours_[form.variant] = {.us = 1000, .buildMs = 50};
    constexpr double kDeadlineMs = 300;
    const Verdict verdict = this->verdict(kDeadlineMs);
    EXPECT_FALSE(verdict.complete);
    EXPECT_EQ(verdict.form, name(0));
    EXPECT_GE(world_.looked.size(), 2u);
    EXPECT_LT(world_.looked.size(), forms_.size());
    EXPECT_LE(world_.clockMs, kDeadlineMs + 60) << "but for the last check";
}

TEST_F(CaseTunerTest, formsThatAreFarTooSlowTakeNoPartInTheRace) {
    for (FormedCase& form : forms_) behaviours_[form.variant].us = 10000;
    behaviours_[name(0)].us = 100;
    verdict();
    // four looks at ten milliseconds each, and no sample of the race
    EXPECT_LT(world_.clockMs, static_cast<double>(forms_.size()) * 80);
}

TEST_F(CaseTunerTest, whatLosesAgainstAnotherWayIsLookedAtOnlyOnce) {
    otherWayNs_ = 20e3;
    const Verdict verdict = this->verdict();
    EXPECT_EQ(verdict.tried, 1u);
    EXPECT_DOUBLE_EQ(verdict.timeNs, 100e3);
    EXPECT_FALSE(verdict.complete);
}

TEST_F(CaseTunerTest, shortBudgetsOneAfterTheOtherDecideAboutEveryForm) {
    // given a good form, found late, and time for a few forms at a time
    for (FormedCase& form : forms_) behaviours_[form.variant] = {.us = 1000, .buildMs = 50};
    behaviours_[name(3)].us = 500;
    behaviours_[name(6)].us = 600;
    behaviours_[name(5)].isWrong = true;
    Verdict known;
    int sessions = 0;
    for (; !known.complete && sessions < 20; ++sessions) {
        const uint32_t triedBefore = known.tried;
        known = verdict(world_.clockMs + 350, sessions > 0 ? &known : nullptr);
        // then each goes on where the last one ended
        EXPECT_GT(known.tried, triedBefore);
    }
    EXPECT_GT(sessions, 2);
    EXPECT_EQ(known.form, name(3));
    EXPECT_EQ(known.tried, forms_.size());
    EXPECT_EQ(known.lost.size() + 3, forms_.size()) << "but for the default, the winner and the wrong one";
    ASSERT_EQ(known.rejected.size(), 1u);
    EXPECT_EQ(known.rejected[0].form, name(5));
}

TEST_F(CaseTunerTest, aKnownFormStaysWhereThereIsNoTimeToDecideAgain) {
    for (FormedCase& form : forms_) behaviours_[form.variant] = {.us = 1000, .buildMs = 50};
    Verdict known = {name(2), name(0), 10, 20, 2, false, {}, {name(4)}};
    for (const double timeMs : {1.0, 60.0, 110.0}) {
        const Verdict verdict = this->verdict(world_.clockMs + timeMs, &known);
        EXPECT_EQ(verdict.form, name(2)) << timeMs;
        EXPECT_FALSE(verdict.complete);
        EXPECT_EQ(verdict.lost, known.lost);
    }
}

TEST_F(CaseTunerTest, aKnownFormThatIsWrongNowMakesKnownLosersCandidatesAgain) {
    behaviours_[name(2)] = {.us = 10, .isWrong = true};
    behaviours_[name(4)].us = 40;
    const Verdict known = {name(2), name(0), 10, 20, 2, true, {}, {name(4)}};
    EXPECT_EQ(verdict(1e9, &known).form, name(4));
    for (const int rightRuns : {10, 200}) {
        behaviours_[name(2)] = {.us = 10, .rightRuns = rightRuns};
        EXPECT_EQ(verdict(1e9, &known).form, name(4)) << rightRuns;
    }
}

TEST_F(CaseTunerTest, aDefaultThatIsFoundWrongIsNotForgottenForWantOfMemory) {
    // given a wrong default, and no memory for the next form
    behaviours_[name(0)].isWrong = true;
    behaviours_[name(1)].failure = error(StatusCode::OutOfDeviceMemory, "no room");
    behaviours_[name(2)].us = 50;
    EXPECT_EQ(verdict().form, name(2)) << "another one that fits";
    EXPECT_TRUE(isDefaultWrong_);
    // nor for any other
    for (size_t i = 1; i < forms_.size(); ++i)
        behaviours_[name(i)].failure = error(StatusCode::OutOfDeviceMemory, "no room");
    const Result<CaseOutcome> outcome = tune();
    ASSERT_TRUE(outcome.ok()) << outcome.status().message();
    EXPECT_EQ(outcome->wantOfMemory.code(), StatusCode::OutOfDeviceMemory);
    ASSERT_TRUE(outcome->verdict);
    EXPECT_EQ(outcome->verdict->form, "");
    ASSERT_EQ(outcome->verdict->rejected.size(), 1u);
    EXPECT_EQ(outcome->verdict->rejected[0].form, name(0));
}

TEST_F(CaseTunerTest, aRaceThatTheTimeCutsShortDecidesNothing) {
    // given forms of equal length, whose race begins in time and takes too long
    for (FormedCase& form : forms_) behaviours_[form.variant] = {.us = 1000, .buildMs = 1};
    const Verdict whole = verdict();
    EXPECT_TRUE(whole.complete);
    int cut = 0;
    for (double timeMs = 5; timeMs < 120; timeMs += 5) {
        const Verdict verdict = this->verdict(world_.clockMs + timeMs);
        EXPECT_EQ(verdict.form, name(0));
        // then complete is what has the samples for it
        if (!verdict.complete) ++cut;
        EXPECT_EQ(verdict.complete, verdict.tried == forms_.size()) << timeMs;
    }
    EXPECT_GT(cut, 0);
}

TEST_F(CaseTunerTest, runnersKeepToTheMemoryThatThereIs) {
    for (FormedCase& form : forms_) behaviours_[form.variant].us = 90;
    behaviours_[name(0)].us = 100;
    behaviours_[name(1)].us = 80;
    behaviours_[name(6)].us = 70;
    EXPECT_EQ(verdict().form, name(6));
    EXPECT_LE(world_.mostRunners, static_cast<int>(kMostLanes) + 1);
    // nor do they need more than two
    uint64_t mostBytes = 0;
    for (const FormedCase& form : forms_) mostBytes = std::max(mostBytes, runnerBytes(form));
    memoryBytes_ = 2 * mostBytes;
    const Verdict verdict = this->verdict();
    EXPECT_EQ(verdict.form, name(6));
    EXPECT_TRUE(verdict.complete);
    EXPECT_EQ(world_.heldBytes, 0u);
}

TEST_F(CaseTunerTest, cancellingAndTheLossOfTheDeviceEndIt) {
    cancelledAtMs_ = 5;
    EXPECT_EQ(tune().status().code(), StatusCode::Cancelled);
    cancelledAtMs_ = INFINITY;
    behaviours_[name(3)].failure = error(StatusCode::DeviceLost, "gone");
    EXPECT_EQ(tune().status().code(), StatusCode::DeviceLost);
}

TEST_F(CaseTunerTest, verdictsAreTheSameFromTheSameWorld) {
    behaviours_[name(2)].us = 60;
    const Verdict first = verdict();
    world_ = {};
    EXPECT_EQ(verdict(), first);
}

}  // namespace
}  // namespace dunlin::tuning
