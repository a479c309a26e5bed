#include "runtime/backend.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>

namespace dunlin {
namespace {

// Vulkan lets a device ask for up to 256 bytes between the starts of storage buffer bindings, and none asks for more.
constexpr uint64_t kOutputAlignmentBytes = 256;

}  // namespace

void softmax(std::span<const float> logits, std::span<float> probabilities) {
    assert(logits.size() == probabilities.size());
    if (logits.empty()) return;
    // Softmax does not change when all logits move together; with the largest at 0, exp cannot overflow.
    const float largest = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (size_t i = 0; i < logits.size(); ++i) {
        probabilities[i] = std::exp(logits[i] - largest);
        sum += double{probabilities[i]};
    }
    for (float& probability : probabilities) probability = static_cast<float>(double{probability} / sum);
}

void topK(std::span<const float> probabilities, std::span<uint32_t> classes, std::span<float> values) {
    assert(classes.size() == values.size() && classes.size() <= probabilities.size());
    std::vector<uint32_t> order(probabilities.size());
    std::iota(order.begin(), order.end(), 0u);
    const auto isLikelier = [&](uint32_t a, uint32_t b) {
        const float x = probabilities[a], y = probabilities[b];
        // NaN after every number, so that the order is total and the answer the same every time.
        if (std::isnan(x) != std::isnan(y)) return std::isnan(y);
        return x > y || (!(x < y) && a < b);
    };
    const auto count = static_cast<std::ptrdiff_t>(classes.size());
    std::partial_sort(order.begin(), order.begin() + count, order.end(), isLikelier);
    for (size_t i = 0; i < classes.size(); ++i) {
        classes[i] = order[i];
        values[i] = probabilities[order[i]];
    }
}

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
