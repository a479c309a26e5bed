// Every MobileNet on the CPU against float64 results of an implementation that is not ours: the logits, and the mean
// and deviation of every stage on the way, so that a failure names the first stage that goes wrong.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "models/reference_file.h"
#include "runtime/cpu/reference.h"
#include "runtime/cpu/xnnpack_backend.h"
#include "tests/models/mobilenet_references.h"
#include "tests/support.h"

namespace dunlin {
namespace {

struct Statistics {
    double mean = 0, deviation = 0;
};
Statistics statisticsOf(std::span<const float> values) {
    const auto count = static_cast<double>(values.size());
    double sum = 0, squares = 0;
    for (float value : values) sum += value;
    const double mean = sum / count;
    for (float value : values) squares += (value - mean) * (value - mean);
    return {mean, std::sqrt(squares / (count - 1))};
}

// NCHW in the file.
int64_t elementCount(const ReferenceStage& stage) {
    int64_t count = 1;
    for (int64_t extent : stage.shape) count *= extent;
    return count;
}

class MobilenetOnCpu : public testing::TestWithParam<const char*> {
  protected:
    // A session that taps every stage that the network still has, and its outputs for the reference's input.
    void runReference() {
        auto loaded = loadReference(test::sharedFolder() / "reference" / (std::string(GetParam()) + ".json"));
        ASSERT_TRUE(loaded.ok()) << loaded.status().message();
        reference_ = *std::move(loaded);
        const auto model = openReferenceModel(reference_);
        ASSERT_TRUE(model.ok()) << model.status().message();
        const auto graph = (*model)->data.buildGraph(reference_.input);
        ASSERT_TRUE(graph.ok()) << graph.status().message();
        parameters_ = parameterCount(*graph);

        SessionOptions options;
        options.batch = reference_.input.n;
        options.height = reference_.input.h;
        options.width = reference_.input.w;
        for (const ReferenceStage& stage : reference_.stages) {
            if (!graph->findTap(stage.name).ok()) continue;
            options.taps.push_back(stage.name);
            tapped_.push_back(stage);
        }
        auto session = createXnnpackSession((*model)->data, options, 1);
        ASSERT_TRUE(session.ok()) << session.status().message();
        outputs_.assign((*session)->outputs().begin(), (*session)->outputs().end());
        output_.resize((*session)->outputBytes());
        const std::vector<float> input = referenceInput(reference_);
        const Status status = (*session)->run({.tensor = input}, output_);
        ASSERT_TRUE(status.ok()) << status.message();
    }

    std::vector<float> output(size_t index) const {
        std::vector<float> values(outputs_[index].sizeBytes / sizeof(float));
        std::memcpy(values.data(), output_.data() + outputs_[index].offsetBytes, outputs_[index].sizeBytes);
        return values;
    }

    ReferenceFile reference_;
    std::vector<ReferenceStage> tapped_;
    std::vector<OutputSlice> outputs_;
    std::vector<std::byte> output_;
    int64_t parameters_ = 0;
};

TEST_P(MobilenetOnCpu, MatchesItsReferenceStageByStage) {
    DUNLIN_NEEDS_SHARED("reference");
    ASSERT_NO_FATAL_FAILURE(runReference());
    EXPECT_EQ(parameters_, reference_.parameters);

    EXPECT_GE(tapped_.size(), reference_.stages.size() - 2);  // the stem and the head may be fused away, the blocks not
    for (size_t i = 0; i < tapped_.size(); ++i) {
        const ReferenceStage& stage = tapped_[i];
        EXPECT_EQ(outputs_[4 + i].shape.elementCount(), elementCount(stage)) << stage.name;
        const Statistics statistics = statisticsOf(output(4 + i));
        // float32 rounding, seen through an average; a wrong stage is wrong by tenths.
        EXPECT_NEAR(statistics.mean, stage.mean, 1e-5 * stage.deviation) << stage.name;
        EXPECT_NEAR(statistics.deviation, stage.deviation, 1e-5 * stage.deviation) << stage.name;
    }

    const ReferenceComparison comparison = compareWithReference(reference_, output(0), Precision::Fp32);
    EXPECT_TRUE(comparison.pass);
    EXPECT_TRUE(comparison.top1Equal);
    EXPECT_LE(comparison.maxRelativeError, 1e-5);  // the bound is 1e-3; float32 does a hundred times better
    RecordProperty("maxRelativeError", std::to_string(comparison.maxRelativeError));
}

// The oracle is what everything else is tested against, so it is held against somebody else's results itself.
class MobilenetOnOracle : public testing::TestWithParam<const char*> {};

TEST_P(MobilenetOnOracle, MatchesItsReference) {
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

INSTANTIATE_TEST_SUITE_P(References, MobilenetOnOracle,
                         testing::Values("mobilenetv2_050", "mobilenetv3_small_050",
                                         "tf_mobilenetv3_small_minimal_100"),
                         [](const auto& info) { return test::parameterName(info.param); });

INSTANTIATE_TEST_SUITE_P(References, MobilenetOnCpu, testing::ValuesIn(test::kMobilenetReferences),
                         [](const auto& info) { return test::parameterName(info.param); });

}  // namespace
}  // namespace dunlin
