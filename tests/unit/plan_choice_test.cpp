// Which of the verdicts' forms a plan takes, beside what their pipelines cost.
#include "runtime/tuning/plan_choice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "runtime/plan/case_id.h"
#include "runtime/plan/form_candidates.h"
#include "tests/case_networks.h"

namespace dunlin::tuning {
namespace {

const DeviceLimits kLimits = test::cpuDriverLimits();
constexpr double kDefaultNs = 1000;

Result<std::shared_ptr<const SourceNetwork>> lowerWith(const std::shared_ptr<const FormTable>& forms) {
    const Result<Architecture> architecture = findArchitecture("mobilenetv3_large_100");
    Graph graph = architecture->build({}, {1, 224, 224, 3});
    SessionOptions options;
    options.forms = forms;
    DUNLIN_ASSIGN(LoweredNetwork network, lowerNetwork(graph, options, kLimits));
    return std::make_shared<const SourceNetwork>(SourceNetwork{
        "mobilenetv3_large_100", std::move(graph), std::move(network), architecture->preprocess, formulaWeights()});
}

std::string keyOf(const SourceNetwork& network, size_t dispatch) {
    return formKey(network.graph, network.lowered.origins[dispatch], Precision::Fp32);
}

// Every problem has another fastest form than its neighbours, if it has candidates enough, which gains `gainNs`.
Verdicts verdictsOfAll(const SourceNetwork& network, double gainNs) {
    Verdicts verdicts;
    for (size_t i = 0; i < network.lowered.origins.size(); ++i) {
        const DispatchOrigin& origin = network.lowered.origins[i];
        const Kernel kernel = kernelOf(origin.call);
        if (kernel == Kernel::Preprocess) continue;
        const auto forms = formCandidates({origin.call, origin.extent, origin.defaultForm, Precision::Fp32, kLimits});
        Verdict verdict;
        verdict.form = formName(kernel, forms[i % forms.size()]);
        verdict.defaultForm = formName(kernel, origin.defaultForm);
        verdict.defaultNs = kDefaultNs;
        verdict.timeNs = kDefaultNs - gainNs;
        verdicts.problems[keyOf(network, i)] = verdict;
    }
    return verdicts;
}

class PlanChoiceTest : public testing::Test {
  protected:
    TunedPlan choose(const Verdicts& verdicts) const {
        Result<TunedPlan> plan = choosePlan(verdicts, kLimits, lowerWith);
        EXPECT_TRUE(plan.ok()) << plan.status().message();
        return *plan;
    }
    static size_t pipelinesOf(const SourceNetwork& network) { return countPipelines(network.lowered.program); }
    // Of the plan's dispatches, those whose form is the verdict's and not the default.
    static std::set<std::string> tunedKeys(const TunedPlan& plan) {
        std::set<std::string> keys;
        for (size_t i = 0; i < plan.network->lowered.origins.size(); ++i) {
            const DispatchOrigin& origin = plan.network->lowered.origins[i];
            if (origin.form != origin.defaultForm) keys.insert(keyOf(*plan.network, i));
        }
        return keys;
    }

    std::shared_ptr<const SourceNetwork> usual_ = *lowerWith(nullptr);
    Verdicts all_ = verdictsOfAll(*usual_, kDefaultNs / 2);
};

TEST_F(PlanChoiceTest, withoutVerdictsIsTheDefaultPlan) {
    const TunedPlan plan = choose({});
    EXPECT_EQ(print(plan.network->lowered), print(usual_->lowered));
    EXPECT_TRUE(plan.forms->empty());
}

TEST_F(PlanChoiceTest, aFormOfItsOwnForEveryLayerIsMoreThanAPlanHas) {
    // given verdicts that would take many more pipelines
    const auto everything = *lowerWith(std::make_shared<const FormTable>(all_.table()));
    ASSERT_GT(pipelinesOf(*everything), kManyPipelines + 5);
    // then some are followed, up to the ceiling
    const TunedPlan plan = choose(all_);
    const size_t ceiling = std::min(pipelinesOf(*usual_) + kMorePipelines, kManyPipelines);
    EXPECT_EQ(pipelinesOf(*plan.network), ceiling);
}

TEST_F(PlanChoiceTest, theLayersThatGainMostGetThePipelines) {
    // given one layer, of those that have to do without, that gains most of all
    const std::set<std::string> before = tunedKeys(choose(all_));
    const auto everything = *lowerWith(std::make_shared<const FormTable>(all_.table()));
    std::string wanted;
    for (size_t i = 0; i < everything->lowered.origins.size(); ++i) {
        const DispatchOrigin& origin = everything->lowered.origins[i];
        const bool isGivenUp = origin.form != origin.defaultForm && !before.contains(keyOf(*everything, i));
        if (isGivenUp && kernelOf(origin.call) == Kernel::Pointwise) wanted = keyOf(*everything, i);
    }
    ASSERT_FALSE(wanted.empty());
    all_.problems[wanted].timeNs = 1;
    all_.problems[wanted].defaultNs = 20 * kDefaultNs;
    // then it gets one
    const TunedPlan plan = choose(all_);
    EXPECT_TRUE(tunedKeys(plan).contains(wanted)) << wanted;
    EXPECT_LE(pipelinesOf(*plan.network), std::min(pipelinesOf(*usual_) + kMorePipelines, kManyPipelines));
}

TEST_F(PlanChoiceTest, aGainThatStartUpOutweighsAddsNoPipeline) {
    const TunedPlan plan = choose(verdictsOfAll(*usual_, kDefaultNs * kWorthwhileGain / 2));
    EXPECT_LE(pipelinesOf(*plan.network), pipelinesOf(*usual_));
}

TEST_F(PlanChoiceTest, aPipelineThatTakesThePlaceOfAnotherNeedGainNothing) {
    // given that the head, whose pipeline is for it alone, has another form that hardly gains
    Verdicts verdicts;
    for (const auto& [key, verdict] : all_.problems) {
        if (key.starts_with("head/")) verdicts.problems[key] = verdict;
    }
    ASSERT_EQ(verdicts.problems.size(), 1u);
    Verdict& head = verdicts.problems.begin()->second;
    const DispatchOrigin& origin = usual_->lowered.origins.back();
    const auto forms = formCandidates({origin.call, origin.extent, origin.defaultForm, Precision::Fp32, kLimits});
    head.form = formName(Kernel::Head, forms.back());
    ASSERT_NE(head.form, head.defaultForm);
    head.timeNs = head.defaultNs - 1;
    // then it has that form
    const TunedPlan plan = choose(verdicts);
    EXPECT_EQ(tunedKeys(plan), std::set<std::string>{verdicts.problems.begin()->first});
    EXPECT_EQ(pipelinesOf(*plan.network), pipelinesOf(*usual_));
}

TEST_F(PlanChoiceTest, formsInThePlaceOfWrongDefaultsAreNeverGivenUp) {
    // given that no default is right
    for (auto& [key, verdict] : all_.problems) verdict.rejected = {{verdict.defaultForm, "wrong"}};
    EXPECT_EQ(*choose(all_).forms, all_.table());
    // or that nothing is known of them, as where a file says so
    for (auto& [key, verdict] : all_.problems) {
        verdict.rejected.clear();
        verdict.defaultNs = 0;
    }
    EXPECT_EQ(*choose(all_).forms, all_.table());
}

TEST_F(PlanChoiceTest, isTheSameForTheSameVerdicts) {
    EXPECT_EQ(print(choose(all_).network->lowered), print(choose(all_).network->lowered));
}

}  // namespace
}  // namespace dunlin::tuning
