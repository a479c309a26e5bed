// Counting answers.
#include "tools/dunlin/evaluation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

namespace dunlin::cli {
namespace {

// An answer with these classes, likeliest first.
std::vector<Prediction> answerOf(std::initializer_list<uint32_t> classes) {
    std::vector<Prediction> top;
    for (const uint32_t classIndex : classes) top.push_back({classIndex, 0.1f});
    return top;
}

std::string textOf(const std::vector<Evaluation::Confusion>& confusions) {
    std::string text;
    for (const auto& [truth, predicted, count] : confusions) {
        text += std::to_string(truth) + ">" + std::to_string(predicted) + ":" + std::to_string(count) + " ";
    }
    return text;
}

std::string textOf(const std::vector<Evaluation::ClassCount>& classes) {
    std::string text;
    for (const auto& [classIndex, images, top1] : classes) {
        text += std::to_string(classIndex) + "=" + std::to_string(top1) + "/" + std::to_string(images) + " ";
    }
    return text;
}

TEST(WilsonInterval, IsAsPublished) {
    // Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I, method 3.
    const auto expectInterval = [](uint64_t hits, uint64_t trials, double low, double high) {
        const Interval interval = wilsonInterval(hits, trials);
        EXPECT_NEAR(interval.low, low, 5e-5) << hits << " of " << trials;
        EXPECT_NEAR(interval.high, high, 5e-5) << hits << " of " << trials;
    };
    expectInterval(81, 263, 0.2553, 0.3662);
    expectInterval(15, 148, 0.0624, 0.1605);
    expectInterval(0, 20, 0.0000, 0.1611);
    expectInterval(1, 29, 0.0061, 0.1718);
}

TEST(WilsonInterval, EndsWhereSharesEnd) {
    EXPECT_EQ(wilsonInterval(0, 7).low, 0);
    EXPECT_EQ(wilsonInterval(7, 7).high, 1);
    EXPECT_EQ(wilsonInterval(0, 0).low, 0);
    EXPECT_EQ(wilsonInterval(0, 0).high, 1);
}

TEST(Evaluation, CountsTheFirstAndTheFirstFive) {
    Evaluation evaluation;
    evaluation.add(3, answerOf({3, 1, 2, 4, 5}));
    evaluation.add(3, answerOf({1, 2, 4, 5, 3}));
    evaluation.add(3, answerOf({1, 2, 4, 5, 6, 3}));
    evaluation.add(4, answerOf({9, 8}));
    EXPECT_EQ(evaluation.images(), 4u);
    EXPECT_EQ(evaluation.top1(), 1u);
    EXPECT_EQ(evaluation.top5(), 2u);
    EXPECT_EQ(textOf({evaluation.classCount(3), evaluation.classCount(4), evaluation.classCount(5)}),
              "3=1/3 4=0/1 5=0/0 ");
}

TEST(Evaluation, AnswersThatAreNoNumbersAreWrongAndNamed) {
    Evaluation evaluation;
    const std::vector<Prediction> none = {{3, std::numeric_limits<float>::quiet_NaN()}};
    evaluation.add(3, none);
    evaluation.add(3, {});
    EXPECT_EQ(evaluation.images(), 2u);
    EXPECT_EQ(evaluation.top1() + evaluation.top5(), 0u);
    EXPECT_EQ(evaluation.notFinite(), 2u);
    EXPECT_EQ(textOf(evaluation.confusions()), "");
}

TEST(Evaluation, ConfusionsComeMostFrequentFirst) {
    Evaluation evaluation;
    for (const uint32_t predicted : {7, 5, 5, 2, 9, 9, 1}) evaluation.add(1, answerOf({predicted}));
    for (const uint32_t predicted : {4, 4, 4}) evaluation.add(0, answerOf({predicted}));
    EXPECT_EQ(textOf(evaluation.confusions()), "0>4:3 1>5:2 1>9:2 1>2:1 1>7:1 ");
    EXPECT_EQ(textOf(evaluation.confusionsOf(1)), "1>5:2 1>9:2 1>2:1 1>7:1 ");
    EXPECT_EQ(textOf(evaluation.confusionsOf(2)), "");
}

TEST(Evaluation, WorstClassesComeFirstAndRightOnesNever) {
    Evaluation evaluation;
    const auto addClass = [&](uint32_t truth, int right, int wrong) {
        for (int i = 0; i < right; ++i) evaluation.add(truth, answerOf({truth}));
        for (int i = 0; i < wrong; ++i) evaluation.add(truth, answerOf({truth + 100}));
    };
    addClass(0, 5, 0);
    addClass(1, 1, 2);
    addClass(2, 2, 4);
    addClass(3, 9, 1);
    addClass(4, 1, 2);
    EXPECT_EQ(textOf(evaluation.worstClasses(10)), "2=2/6 1=1/3 4=1/3 3=9/10 ");
    EXPECT_EQ(textOf(evaluation.worstClasses(1)), "2=2/6 ");
    EXPECT_EQ(textOf(evaluation.worstClasses(0)), "");
}

}  // namespace
}  // namespace dunlin::cli
