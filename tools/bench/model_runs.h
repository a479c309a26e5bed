// What `dunlin bench model` measures: every combination of MODEL, size, batch, precision and device.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/model.h"
#include "runtime/tuning/tuner.h"
#include "tools/bench/commands.h"
#include "tools/bench/target.h"

namespace dunlin::bench {

struct ModelRun {
    std::string id;  // document.h's
    std::string model, family;
    const Target* target = nullptr;
    Shape input;  // with sides of 0 where the network is unknown and no size was asked for
    std::optional<Precision> precision;
    FusionLevel fusion = FusionLevel::Default;
    double tuneSeconds = 0;                  // 0: default forms, whatever the cache says
    std::shared_ptr<const FormTable> forms;  // once it was tuned
    std::optional<tuning::TuningReport> tuned;
    std::shared_ptr<const Model> network;  // null where it could not be opened
    std::shared_ptr<const Graph> graph;    // of this input
    std::string place, weights;            // what another process is to open: MODEL and --weights
    std::optional<cli::Failure> failure;   // why there is nothing to measure
};

struct PlannedRuns {
    std::vector<ModelRun> runs;
    std::vector<std::string> notices;
};

// In the order of the options, devices fastest; behind each run on Vulkan, with ModelBenchOptions::tuneSeconds, the
// tuned one, whose id ends in "/tuned". What comes out twice, as fp32 and auto may, is there once. Never fails: a run
// that cannot be says why. The targets must outlive the runs.
PlannedRuns planRuns(const ModelBenchOptions& options, std::span<const Target> targets);

}  // namespace dunlin::bench
