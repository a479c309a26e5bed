// What a session is asked for, and where its outputs lie.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/graph/graph.h"
#include "runtime/plan/form_table.h"
#include "runtime/plan/program.h"

namespace dunlin {

// How much runs in one kernel: what is known to pay, or all that can (fewer dispatches, perhaps slower).
enum class FusionLevel : uint8_t { Default, Max };

struct SessionOptions {
    int batch = 1, height = 0, width = 0;  // 0: the model's own input size
    Precision precision = Precision::Fp32;
    std::vector<std::string> taps = {};         // outputs beyond logits, probabilities and top-k
    int topK = 5;                               // clamped to the number of classes
    FusionLevel fusion = FusionLevel::Default;  // the CPU has but one
    // Instead of the default forms, where it has one that the device can run; null: none. The CPU has no forms.
    std::shared_ptr<const FormTable> forms = {};
    // Called from the creating thread with 0..1; returning false cancels (StatusCode::Cancelled).
    std::function<bool(float)> progress = {};
};

// The output layout that every backend uses: logits, probabilities, top_classes (uint32) and top_probabilities, then
// the taps as float32 NHWC, each at a multiple of 256 bytes, as the total is. topK is clamped to 1 .. classes. Taps
// must exist in the graph (ask findTap).
std::vector<OutputSlice> outputLayout(const Graph& graph, const SessionOptions& options, uint64_t* totalBytes);

}  // namespace dunlin
