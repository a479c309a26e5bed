// What `dunlin bench model` says of its runs: rows of the JSON document, and tables for people.
#pragma once

#include <optional>
#include <string>

#include "tools/bench/ceilings.h"
#include "tools/bench/document.h"
#include "tools/bench/model_measurement.h"
#include "tools/bench/model_runs.h"
#include "tools/bench/model_starts.h"

namespace dunlin::bench {

// What became of a run.
struct ModelResult {
    ModelSamples samples;
    SessionFacts facts;
    StartTimes starts;
    std::optional<TracedFrame> frame;
    std::optional<cli::Failure> failure;  // then there is nothing else
};

// `ceilings` null: not measured.
Json rowOf(const ModelRun& run, const ModelResult& result, const Ceilings* ceilings);

// Of a document of kind "model": two tables that fit 120 columns for usual names.
std::string modelText(const Json& document);

}  // namespace dunlin::bench
