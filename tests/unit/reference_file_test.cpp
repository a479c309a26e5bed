// Reading reference results, and the verdict on logits.
#include "models/reference_file.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <string>

#include "tests/support.h"

namespace dunlin {
namespace {

// The file's text as a reference; removes the file again.
Result<ReferenceFile> loadText(const std::string& text) {
    const auto path =
        std::filesystem::temp_directory_path() /
        (std::string("dunlin_reference_") + testing::UnitTest::GetInstance()->current_test_info()->name());
    std::ofstream(path) << text;
    auto reference = loadReference(path);
    std::filesystem::remove(path);
    return reference;
}

std::string textOf(const std::string& input, const std::string& logits) {
    return R"({"model":"mobilenetv2_100","overrides":{"pad_type":"same"},"input_shape_nchw":)" + input +
           R"(,"parameters":7,"running_var_scale":{"bn1":1.5},"stages":{"z":{"shape":[1,2,3,4],"mean":0.5,"std":2},)" +
           R"("a":{"shape":[1,2],"mean":-1,"std":1}},"logits":)" + logits + "}";
}

TEST(ReferenceFile, HasWhatTheFileSays) {
    const auto reference = loadText(textOf("[2,3,64,96]", "[[1,2.5],[3,-4]]"));
    ASSERT_TRUE(reference.ok()) << reference.status().message();
    EXPECT_EQ(reference->model, "mobilenetv2_100");
    EXPECT_EQ(reference->overrides, R"({"pad_type":"same"})");
    EXPECT_EQ(reference->input, (Shape{2, 64, 96, 3}));
    EXPECT_EQ(reference->parameters, 7);
    EXPECT_EQ(reference->runningVarianceScale, (std::map<std::string, double>{{"bn1", 1.5}}));
    ASSERT_EQ(reference->stages.size(), 2u);
    EXPECT_EQ(reference->stages[0].name, "z") << "the file's order is lost";
    EXPECT_EQ(reference->stages[0].shape, (std::vector<int64_t>{1, 2, 3, 4}));
    EXPECT_EQ(reference->stages[1].mean, -1);
    EXPECT_EQ(reference->logits, (std::vector<std::vector<double>>{{1, 2.5}, {3, -4}}));
}

TEST(ReferenceFile, WhatIsNoneIsABadFile) {
    const std::string bad[] = {"",
                               "{",
                               "[]",
                               "{}",
                               R"({"model":3})",
                               textOf("[1,3,64]", "[[1]]"),
                               textOf("[1,3,64,64]", "[]"),
                               textOf("[1,3,64,64]", "[[1],[2]]"),
                               textOf("[2,3,64,64]", "[[1],[2,3]]"),
                               textOf("[1,3,64,64]", "[[]]"),
                               textOf("[1,3,64,64]", R"([["x"]])"),
                               textOf("[1,3,64,100000]", "[[1]]"),
                               textOf("[1,4,64,64]", "[[1]]"),
                               textOf("[0,3,64,64]", "[]")};
    for (const std::string& text : bad) {
        const auto reference = loadText(text);
        ASSERT_FALSE(reference.ok()) << text;
        EXPECT_EQ(reference.status().code(), StatusCode::BadFile) << text;
    }
    EXPECT_EQ(loadReference("/no/such/file").status().code(), StatusCode::BadFile);
    EXPECT_EQ(loadReference(std::filesystem::temp_directory_path()).status().code(), StatusCode::BadFile);
}

ReferenceComparison compare(std::vector<std::vector<double>> expected, std::vector<float> actual,
                            Precision precision = Precision::Fp32) {
    ReferenceFile reference;
    reference.logits = std::move(expected);
    return compareWithReference(reference, actual, precision);
}

TEST(ReferenceComparison, ErrorIsLargestErrorOverLargestLogitOfAllRows) {
    const auto comparison = compare({{1, -4}, {2, 0}}, {1.002f, -4, 2, 0});
    EXPECT_NEAR(comparison.maxRelativeError, 0.002 / 4, 1e-6);
    EXPECT_TRUE(comparison.pass);
    EXPECT_FALSE(compare({{1, -4}, {2, 0}}, {1.006f, -4, 2, 0}).pass);
    EXPECT_TRUE(compare({{1, -4}, {2, 0}}, {1.006f, -4, 2, 0}, Precision::Fp16).pass);
}

TEST(ReferenceComparison, AnotherWinnerFailsOnlyWhereTheMarginIsClear) {
    // Given a margin below twice the bound, a swap of the first two is rounding.
    const auto close = compare({{10.000, 9.995}}, {9.996f, 9.999f});
    EXPECT_FALSE(close.top1Equal);
    EXPECT_FALSE(close.top1Counts);
    EXPECT_TRUE(close.pass);
    // Given a clear margin, the error bound and the winner must both hold.
    const auto clear = compare({{10, 5}}, {10.001f, 5});
    EXPECT_TRUE(clear.top1Counts && clear.top1Equal && clear.pass);
}

TEST(ReferenceComparison, WhatIsNotFiniteNeverPasses) {
    for (float value : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        const auto comparison = compare({{1, 2}}, {value, 2});
        EXPECT_FALSE(comparison.isFinite);
        EXPECT_FALSE(comparison.pass);
        EXPECT_TRUE(std::isinf(comparison.maxRelativeError));
    }
}

}  // namespace
}  // namespace dunlin
