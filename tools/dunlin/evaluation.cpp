#include "tools/dunlin/evaluation.h"

#include <algorithm>
#include <cmath>

namespace dunlin::cli {
namespace {

void sortByFrequency(std::vector<Evaluation::Confusion>& confusions) {
    // Those of one count stay in the order of the map: by class number.
    std::stable_sort(confusions.begin(), confusions.end(),
                     [](const Evaluation::Confusion& a, const Evaluation::Confusion& b) { return a.count > b.count; });
}

}  // namespace

Interval wilsonInterval(uint64_t hits, uint64_t trials) {
    if (trials == 0) return {};
    constexpr double z = 1.959963984540054;  // 97.5 % of the normal distribution lie below
    const double n = static_cast<double>(trials), share = static_cast<double>(hits) / n;
    const double scale = 1 / (1 + z * z / n);
    const double centre = scale * (share + z * z / (2 * n));
    const double half = scale * z * std::sqrt(share * (1 - share) / n + z * z / (4 * n * n));
    // At the ends the two are equal but for rounding.
    return {hits == 0 ? 0 : std::max(0.0, centre - half), hits == trials ? 1 : std::min(1.0, centre + half)};
}

void Evaluation::add(uint32_t truth, std::span<const Prediction> top) {
    ClassCount& its = classes_.try_emplace(truth, ClassCount{truth, 0, 0}).first->second;
    ++images_;
    ++its.images;
    if (top.empty() || !std::isfinite(top.front().probability)) {
        ++notFinite_;
        return;
    }
    top = top.first(std::min(top.size(), kTop));
    if (std::any_of(top.begin(), top.end(), [&](const Prediction& one) { return one.classIndex == truth; })) ++top5_;
    if (top.front().classIndex == truth) {
        ++top1_;
        ++its.top1;
    } else {
        ++wrong_[{truth, top.front().classIndex}];
    }
}

Evaluation::ClassCount Evaluation::classCount(uint32_t classIndex) const {
    const auto found = classes_.find(classIndex);
    return found == classes_.end() ? ClassCount{classIndex, 0, 0} : found->second;
}

std::vector<Evaluation::ClassCount> Evaluation::worstClasses(size_t atMost) const {
    std::vector<ClassCount> worst;
    for (const auto& [classIndex, count] : classes_) {
        if (count.top1 < count.images) worst.push_back(count);
    }
    const auto worse = [](const ClassCount& a, const ClassCount& b) {
        const uint64_t left = a.top1 * b.images, right = b.top1 * a.images;  // shares, without rounding
        return left != right ? left < right : a.images > b.images;
    };
    std::stable_sort(worst.begin(), worst.end(), worse);
    worst.resize(std::min(worst.size(), atMost));
    return worst;
}

std::vector<Evaluation::Confusion> Evaluation::confusions() const {
    std::vector<Confusion> confusions;
    for (const auto& [classes, count] : wrong_) confusions.push_back({classes.first, classes.second, count});
    sortByFrequency(confusions);
    return confusions;
}

std::vector<Evaluation::Confusion> Evaluation::confusionsOf(uint32_t truth) const {
    std::vector<Confusion> confusions;
    for (auto i = wrong_.lower_bound({truth, 0}); i != wrong_.end() && i->first.first == truth; ++i) {
        confusions.push_back({truth, i->first.second, i->second});
    }
    sortByFrequency(confusions);
    return confusions;
}

}  // namespace dunlin::cli
