// Networks of every family on the CPU against float64 results of an implementation that is not ours: the logits, and the
// mean and deviation of every stage on the way, so that a failure names the first stage that goes wrong.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "models/reference_file.h"
#include "runtime/cpu/reference.h"
#include "runtime/cpu/cpu_session.h"
#include "tests/models/references.h"
#include "tests/models/reference_run.h"
#include "tests/support.h"

namespace dunlin {
namespace {

class NetworkOnCpu : public testing::TestWithParam<const char*> {};

TEST_P(NetworkOnCpu, MatchesItsReferenceStageByStage) {
    DUNLIN_NEEDS_SHARED("reference");
    test::ReferenceRun run;
    ASSERT_NO_FATAL_FAILURE(run.open(GetParam()));
    auto session = createCpuSession(run.model()->data, run.options(Precision::Fp32), 1);
    ASSERT_TRUE(session.ok()) << session.status().message();
    ASSERT_NO_FATAL_FAILURE(run.run(**session));
    // float32 rounding; a wrong stage is wrong by tenths. The promise for logits is 1e-3.
    run.expectMatches(Precision::Fp32, 1e-5, 1e-5);
}

// The oracle is what everything else is tested against, so it is held against somebody else's results itself.
class NetworkOnOracle : public testing::TestWithParam<const char*> {};

TEST_P(NetworkOnOracle, MatchesItsReference) {
    DUNLIN_NEEDS_SHARED("reference");
    const auto reference = loadReference(test::sharedFolder() / "reference" / (std::string(GetParam()) + ".json"));
    ASSERT_TRUE(reference.ok()) << reference.status().message();
    const auto model = openReferenceModel(*reference);
    ASSERT_TRUE(model.ok()) << model.status().message();
    const auto graph = (*model)->data.buildGraph(reference->input);
    ASSERT_TRUE(graph.ok()) << graph.status().message();

    const ValueId wanted[] = {graph->output()};
    const auto logits = reference::evaluate(*graph, *(*model)->data.weights,
                                            reference::fromNchw(reference->input, referenceInput(*reference)), wanted);
    ASSERT_TRUE(logits.ok()) << logits.status().message();
    const std::vector<float> values = reference::toFloats(logits->front());
    // What is left is the rounding of the folded weights to float32.
    EXPECT_LE(compareWithReference(*reference, values, Precision::Fp32).maxRelativeError, 2e-6);
}

INSTANTIATE_TEST_SUITE_P(References, NetworkOnOracle,
                         testing::Values("mobilenetv2_050", "mobilenetv3_small_050",
                                         "tf_mobilenetv3_small_minimal_100"),
                         [](const auto& info) { return test::parameterName(info.param); });

INSTANTIATE_TEST_SUITE_P(References, NetworkOnCpu, testing::ValuesIn(test::kReferences),
                         [](const auto& info) { return test::parameterName(info.param); });

}  // namespace
}  // namespace dunlin
