#include "runtime/plan/outputs.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace dunlin {
namespace {

// Vulkan lets a device ask for up to 256 bytes between the starts of storage buffer bindings, and none asks for more.
constexpr uint64_t kOutputAlignmentBytes = 256;

}  // namespace

std::vector<OutputSlice> outputLayout(const Graph& graph, const SessionOptions& options, uint64_t* totalBytes) {
    std::vector<OutputSlice> slices;
    uint64_t end = 0;
    const auto append = [&](std::string name, const Shape& shape, bool isInteger) {
        const uint64_t sizeBytes = static_cast<uint64_t>(shape.elementCount()) * sizeof(float);
        slices.push_back({std::move(name), shape, isInteger, end, sizeBytes});
        end = roundUp(end + sizeBytes, kOutputAlignmentBytes);
    };

    const Shape logits = graph.shape(graph.output());
    const Shape top = {logits.n, logits.h, logits.w, std::clamp(options.topK, 1, logits.c)};
    append("logits", logits, false);
    append("probabilities", logits, false);
    append("top_classes", top, true);
    append("top_probabilities", top, false);
    for (const std::string& tap : options.taps) {
        const Result<ValueId> value = graph.findTap(tap);
        assert(value.ok());
        if (value.ok()) append(tap, graph.shape(*value), false);
    }
    if (totalBytes != nullptr) *totalBytes = end;
    return slices;
}

}  // namespace dunlin
