#include "runtime/weights/position_embedding.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace dunlin {
namespace {

// Keys 1981, with a = -0.5.
double cubic(double x) {
    constexpr double kA = -0.5;
    x = std::abs(x);
    if (x < 1) return ((kA + 2) * x - (kA + 3)) * x * x + 1;
    if (x < 2) return (((x - 5) * x + 8) * x - 4) * kA;
    return 0;
}

// What one output takes from consecutive inputs; the shares add up to 1.
struct Taps {
    int begin;
    std::vector<double> shares;
};

std::vector<Taps> tapsOf(int from, int to) {
    constexpr double kRadius = 2;
    const double scale = static_cast<double>(from) / to, stretch = std::max(scale, 1.0);
    std::vector<Taps> all;
    for (int i = 0; i < to; ++i) {
        const double centre = (i + 0.5) * scale;
        const int begin = std::max(static_cast<int>(centre - kRadius * stretch + 0.5), 0);
        const int end = std::min(static_cast<int>(centre + kRadius * stretch + 0.5), from);
        Taps taps{begin, {}};
        double sum = 0;
        for (int k = begin; k < end; ++k) {
            taps.shares.push_back(cubic((k - centre + 0.5) / stretch));
            sum += taps.shares.back();
        }
        for (double& share : taps.shares) share /= sum;
        all.push_back(std::move(taps));
    }
    return all;
}

// [outer, from, inner] to [outer, to, inner].
std::vector<double> resizeAxis(const std::vector<double>& values, size_t outer, int from, int to, size_t inner) {
    const std::vector<Taps> all = tapsOf(from, to);
    std::vector<double> result(outer * static_cast<size_t>(to) * inner);
    for (size_t o = 0; o < outer; ++o) {
        for (size_t i = 0; i < all.size(); ++i) {
            double* out = result.data() + (o * all.size() + i) * inner;
            for (size_t k = 0; k < all[i].shares.size(); ++k) {
                const size_t row = o * static_cast<size_t>(from) + static_cast<size_t>(all[i].begin) + k;
                for (size_t c = 0; c < inner; ++c) out[c] += all[i].shares[k] * values[row * inner + c];
            }
        }
    }
    return result;
}

}  // namespace

std::vector<float> resizePositions(std::span<const float> places, int fromHeight, int fromWidth, int toHeight,
                                   int toWidth, int channels) {
    const auto inner = static_cast<size_t>(channels);
    assert(places.size() == static_cast<size_t>(fromHeight) * static_cast<size_t>(fromWidth) * inner);
    if (fromHeight == toHeight && fromWidth == toWidth) return {places.begin(), places.end()};
    std::vector<double> values(places.begin(), places.end());
    values = resizeAxis(values, static_cast<size_t>(fromHeight), fromWidth, toWidth, inner);
    values = resizeAxis(values, 1, fromHeight, toHeight, static_cast<size_t>(toWidth) * inner);
    std::vector<float> result(values.size());
    std::ranges::transform(values, result.begin(), [](double value) { return static_cast<float>(value); });
    return result;
}

}  // namespace dunlin
