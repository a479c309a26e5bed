// The figures of an evaluation: how often the network was right, and what it took for what. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "dunlin/dunlin.hpp"

namespace dunlin::cli {

// Both from 0 to 1.
struct Interval {
    double low = 0, high = 1;
};

// Where the true share lies with 95 % confidence when `hits` of `trials` were counted: the score interval of E. B.
// Wilson, "Probable inference, the law of succession, and statistical inference" (1927). 0 to 1 without trials.
Interval wilsonInterval(uint64_t hits, uint64_t trials);

// Counts answers. Class numbers are the network's own throughout.
class Evaluation {
  public:
    static constexpr size_t kTop = 5;

    struct ClassCount {
        uint32_t classIndex;
        uint64_t images, top1;
    };
    // Pictures of one class that were taken for another.
    struct Confusion {
        uint32_t truth, predicted;
        uint64_t count;
    };

    // `top` is likeliest first; its first five count for top-5. An answer that is no number is wrong.
    void add(uint32_t truth, std::span<const Prediction> top);

    uint64_t images() const { return images_; }
    uint64_t top1() const { return top1_; }
    uint64_t top5() const { return top5_; }
    uint64_t notFinite() const { return notFinite_; }  // answers that were no numbers

    // Of a class that has no picture: zeros.
    ClassCount classCount(uint32_t classIndex) const;
    // Those with wrong answers, the least accurate first; equal ones: more pictures first, then by number.
    std::vector<ClassCount> worstClasses(size_t atMost) const;
    // Most frequent first; equal ones by number.
    std::vector<Confusion> confusions() const;
    std::vector<Confusion> confusionsOf(uint32_t truth) const;

  private:
    uint64_t images_ = 0, top1_ = 0, top5_ = 0, notFinite_ = 0;
    std::map<uint32_t, ClassCount> classes_;
    std::map<std::pair<uint32_t, uint32_t>, uint64_t> wrong_;  // by (truth, predicted)
};

}  // namespace dunlin::cli
