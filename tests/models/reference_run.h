// A reference network with every stage that can be tapped, run on any session and compared stage by stage.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "models/reference_file.h"
#include "tests/support.h"

namespace dunlin::test {

struct Statistics {
    double mean = 0, deviation = 0;
};
inline Statistics statisticsOf(std::span<const float> values) {
    const auto count = static_cast<double>(values.size());
    double sum = 0, squares = 0;
    for (float value : values) sum += value;
    const double mean = sum / count;
    for (float value : values) squares += (value - mean) * (value - mean);
    return {mean, std::sqrt(squares / (count - 1))};
}

class ReferenceRun {
  public:
    // Opens shared/reference/<name>.json; fatal failures where that does not work.
    void open(const std::string& name) {
        auto loaded = loadReference(sharedFolder() / "reference" / (name + ".json"));
        ASSERT_TRUE(loaded.ok()) << loaded.status().message();
        reference_ = *std::move(loaded);
        auto opened = openReferenceModel(reference_);
        ASSERT_TRUE(opened.ok()) << opened.status().message();
        model_ = *std::move(opened);
        const auto graph = model_->data.buildGraph(reference_.input);
        ASSERT_TRUE(graph.ok()) << graph.status().message();
        EXPECT_EQ(parameterCount(*graph), reference_.parameters);
        for (const ReferenceStage& stage : reference_.stages) {
            if (!graph->findTap(stage.name).ok()) continue;
            options_.taps.push_back(stage.name);
            tapped_.push_back(stage);
        }
        // The stem and the head may be fused away, the blocks not.
        EXPECT_GE(tapped_.size() + 2, reference_.stages.size());
        options_.batch = reference_.input.n;
        options_.height = reference_.input.h;
        options_.width = reference_.input.w;
    }

    std::shared_ptr<const Model> model() const { return model_; }
    // The reference's size and batch, with every stage as a tap.
    SessionOptions options(Precision precision) const {
        SessionOptions options = options_;
        options.precision = precision;
        return options;
    }

    void run(Session& session) {
        outputs_.assign(session.outputs().begin(), session.outputs().end());
        output_.resize(session.outputBytes());
        const std::vector<float> input = referenceInput(reference_);
        const Status status = session.run({.tensor = input}, output_);
        ASSERT_TRUE(status.ok()) << status.message();
    }

    // Means and deviations of stages to `tolerance` deviations, logits to `bound` of the largest.
    void expectMatches(Precision precision, double tolerance, double bound) const {
        for (size_t i = 0; i < tapped_.size(); ++i) {
            const ReferenceStage& stage = tapped_[i];
            const std::vector<float> values = output(kFirstTap + i);
            EXPECT_EQ(static_cast<int64_t>(values.size()), elementCount(stage)) << stage.name;
            const Statistics statistics = statisticsOf(values);
            EXPECT_NEAR(statistics.mean, stage.mean, tolerance * stage.deviation) << stage.name;
            EXPECT_NEAR(statistics.deviation, stage.deviation, tolerance * stage.deviation) << stage.name;
        }
        const ReferenceComparison comparison = compareWithReference(reference_, output(0), precision);
        EXPECT_TRUE(comparison.pass);
        EXPECT_LE(comparison.maxRelativeError, bound);
    }

  private:
    static constexpr size_t kFirstTap = 4;

    // NCHW in the file.
    static int64_t elementCount(const ReferenceStage& stage) {
        int64_t count = 1;
        for (int64_t extent : stage.shape) count *= extent;
        return count;
    }
    std::vector<float> output(size_t index) const {
        std::vector<float> values(outputs_[index].sizeBytes / sizeof(float));
        std::memcpy(values.data(), output_.data() + outputs_[index].offsetBytes, outputs_[index].sizeBytes);
        return values;
    }

    ReferenceFile reference_;
    std::shared_ptr<const Model> model_;
    SessionOptions options_;
    std::vector<ReferenceStage> tapped_;
    std::vector<OutputSlice> outputs_;
    std::vector<std::byte> output_;
};

}  // namespace dunlin::test
