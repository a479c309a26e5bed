#include "runtime/backend.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>

namespace dunlin {

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

void topK(std::span<const float> scores, std::span<uint32_t> classes, std::span<float> values) {
    assert(classes.size() == values.size() && classes.size() <= scores.size());
    std::vector<uint32_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0u);
    const auto isLikelier = [&](uint32_t a, uint32_t b) {
        const float x = scores[a], y = scores[b];
        // NaN after every number, so that the order is total and the answer the same every time.
        if (std::isnan(x) != std::isnan(y)) return std::isnan(y);
        return x > y || (!(x < y) && a < b);
    };
    const auto count = static_cast<std::ptrdiff_t>(classes.size());
    std::partial_sort(order.begin(), order.begin() + count, order.end(), isLikelier);
    for (size_t i = 0; i < classes.size(); ++i) {
        classes[i] = order[i];
        values[i] = scores[order[i]];
    }
}

}  // namespace dunlin
