// Layers of real networks on the device, as tuning and the benchmark run them: every form against the oracle, twice.
#include "runtime/tuning/kernel_case.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "runtime/tuning/case_runner.h"
#include "tests/case_networks.h"
#include "tests/kernels/kernel_fixture.h"

namespace dunlin::test {
namespace {

using tuning::CaseData;
using tuning::DispatchRunner;
using tuning::FormedCase;
using tuning::KernelCase;
using Written = std::map<TensorId, std::vector<std::byte>>;

std::vector<KernelCase> casesOf(const std::vector<NetworkRequest>& requests) {
    std::vector<std::shared_ptr<const tuning::SourceNetwork>> networks;
    for (const NetworkRequest& request : requests) networks.push_back(lowered(request, KernelTest::device().limits()));
    return tuning::casesOf(networks);
}

// The bindings that a case uses tell how its kernel is specialized: with gate, residual, second input, sums ...
std::string kindOf(const KernelCase& problem) {
    std::string kind = row(problem.kernel()).name;
    for (const Binding& binding : problem.network->lowered.program.dispatches[problem.dispatch].bindings)
        kind += binding.tensor < 0 ? "-" : "+";
    return kind;
}

// What one run of the form leaves behind; a second run must leave the same bits.
void runForm(const KernelCase& problem, const CaseData& data, const FormedCase& form, Written& written) {
    const auto pipeline = KernelTest::pipelines().get(form.dispatch.variant);
    ASSERT_TRUE(pipeline.ok()) << pipeline.status().message();
    const auto runner = tuning::createRunner(KernelTest::device(), **pipeline, problem, data, form);
    ASSERT_TRUE(runner.ok()) << runner.status().message();
    Result<Written> first = (*runner)->run(), second = (*runner)->run();
    ASSERT_TRUE(first.ok()) << first.status().message();
    ASSERT_TRUE(second.ok()) << second.status().message();
    EXPECT_EQ(*first, *second) << "the bits differ when repeated";
    written = *std::move(first);
}

void expectAgreement(const KernelCase& problem, const CaseData& data, const FormedCase& form) {
    SCOPED_TRACE(form.id);
    Written written;
    ASSERT_NO_FATAL_FAILURE(runForm(problem, data, form, written));
    EXPECT_LE(tuning::maxRelativeError(problem, data, form, written), data.tolerance);
}

class KernelCaseTest : public KernelTest, public ::testing::WithParamInterface<Precision> {
  protected:
    void SetUp() override {
        KernelTest::SetUp();
        if (!IsSkipped() && !supports(GetParam())) GTEST_SKIP() << "the device has no float16";
    }
};

TEST_P(KernelCaseTest, everyFormOfOneCaseOfAKernelAgreesWithTheOracle) {
    std::set<Kernel> kernels;
    for (const KernelCase& problem : casesOf(familyRequests(GetParam()))) {
        if (!kernels.insert(problem.kernel()).second) continue;
        const Result<CaseData> data = tuning::makeData(problem);
        ASSERT_TRUE(data.ok()) << data.status().message();
        for (const FormedCase& form : tuning::formsOf(problem, device().limits()))
            expectAgreement(problem, *data, form);
    }
    EXPECT_EQ(kernels.size(), kernelTable().size());
}

// With gate, residual, second input, sums, moments, windows ...
TEST_P(KernelCaseTest, theDefaultFormOfEveryKindOfCaseAgreesWithTheOracle) {
    constexpr int kMostOfAKind = 6;
    std::map<std::string, int> seen;
    for (const KernelCase& problem : casesOf(familyRequests(GetParam()))) {
        if (++seen[kindOf(problem)] > kMostOfAKind) continue;
        const Result<CaseData> data = tuning::makeData(problem);
        ASSERT_TRUE(data.ok()) << data.status().message();
        const std::vector<FormedCase> forms = tuning::formsOf(problem, device().limits());
        ASSERT_FALSE(forms.empty()) << problem.id;
        expectAgreement(problem, *data, forms.front());
    }
    EXPECT_GE(seen.size(), 25u);
}

using KernelCaseMatrixTest = KernelTest;

// By the checks that a verdict of tuning rests on, which does not offer them to software drivers of itself.
TEST_F(KernelCaseMatrixTest, matricesAgreeWithTheOracleInEveryKindOfCase) {
    if (device().limits().matrix == MatrixShape{}) GTEST_SKIP() << "the device has no cooperative matrices";
    DeviceLimits limits = device().limits();
    limits.family = DeviceFamily::Unknown;
    std::set<std::string> kinds;
    for (const KernelCase& problem : casesOf(familyRequests(Precision::Fp16))) {
        std::vector<FormedCase> forms = tuning::formsOf(problem, limits);
        std::erase_if(forms, [](const FormedCase& form) { return form.form.method != Method::Matrix; });
        if (forms.empty() || !kinds.insert(kindOf(problem)).second) continue;
        const Result<CaseData> data = tuning::makeData(problem);
        ASSERT_TRUE(data.ok()) << data.status().message();
        for (const FormedCase& form : forms) expectAgreement(problem, *data, form);
    }
    EXPECT_GE(kinds.size(), 3u);
}

// What tuning orders problems by.
TEST_P(KernelCaseTest, theDefaultFormOfEveryKindOfCaseCanBeTimedWithoutTheOracle) {
    std::set<std::string> kinds;
    for (const KernelCase& problem : casesOf(familyRequests(GetParam()))) {
        if (!kinds.insert(kindOf(problem)).second) continue;
        const FormedCase form = tuning::formsOf(problem, device().limits()).front();
        const auto pipeline = pipelines().get(form.dispatch.variant);
        ASSERT_TRUE(pipeline.ok()) << pipeline.status().message();
        const auto runner = tuning::createRunnerOfZeros(device(), **pipeline, problem, form);
        ASSERT_TRUE(runner.ok()) << form.id << ": " << runner.status().message();
        const Result<double> ns = (*runner)->timeNs(1);
        ASSERT_TRUE(ns.ok()) << form.id << ": " << ns.status().message();
        EXPECT_TRUE(std::isfinite(*ns)) << form.id;
    }
}

// Strips of maps that exceed a buffer range write their own rows only.
TEST_P(KernelCaseTest, stripsAgreeWithTheOracle) {
    if (device().limits().maxTexelBufferElements < 1u << 20) {
        GTEST_SKIP() << "weights fit neither narrow storage buffers nor the device's texel buffers";
    }
    DeviceLimits narrow = device().limits();
    narrow.maxStorageBufferRange = (1u << 16) * static_cast<uint64_t>(elementSize(GetParam()));
    const std::vector<NetworkRequest> requests = {
        {"mobilenetv2_100", 160, FusionLevel::Default, GetParam(), {"blocks.0"}},
        {"efficientnet_b0", 160, FusionLevel::Max, GetParam()},
        {"resnet18", 160, FusionLevel::Default, GetParam()},
    };
    std::set<std::string> kinds;
    std::set<Kernel> kernels;
    for (const NetworkRequest& request : requests) {
        const std::shared_ptr<const tuning::SourceNetwork> network = lowered(request, narrow);
        ASSERT_TRUE(network);
        for (const KernelCase& problem : tuning::casesOf(std::span(&network, 1))) {
            const bool isLaterStrip = problem.origin().extent.rowBegin > 0;
            if (!isLaterStrip || !kinds.insert(kindOf(problem)).second) continue;
            kernels.insert(problem.kernel());
            const Result<CaseData> data = tuning::makeData(problem);
            ASSERT_TRUE(data.ok()) << data.status().message();
            expectAgreement(problem, *data, tuning::formsOf(problem, narrow).front());
        }
    }
    const std::set<Kernel> expected = {Kernel::Conv2d, Kernel::Pointwise, Kernel::Depthwise,
                                       Kernel::Export, Kernel::MaxPool,   Kernel::InvertedResidual};
    EXPECT_EQ(kernels, expected);
}

INSTANTIATE_TEST_SUITE_P(Precisions, KernelCaseTest, ::testing::Values(Precision::Fp32, Precision::Fp16),
                         [](const auto& info) { return precisionName(info.param); });

class KernelCaseFaultTest : public KernelTest {};

// A pipeline with another activation stands in for a broken kernel.
TEST_F(KernelCaseFaultTest, aWrongKernelIsSeen) {
    std::set<Kernel> checked;
    for (const KernelCase& problem : casesOf({{"mobilenetv3_small_100"}})) {
        const Kernel kernel = problem.kernel();
        if (kernel != Kernel::Pointwise && kernel != Kernel::Depthwise && kernel != Kernel::Conv2d) continue;
        if (!checked.insert(kernel).second) continue;
        const Result<CaseData> data = tuning::makeData(problem);
        ASSERT_TRUE(data.ok()) << data.status().message();
        FormedCase form = tuning::formsOf(problem, device().limits()).front();
        form.dispatch.variant.constants[constant_id::kActivation] = static_cast<uint32_t>(Activation::Gelu);
        Written written;
        ASSERT_NO_FATAL_FAILURE(runForm(problem, *data, form, written));
        EXPECT_GT(tuning::maxRelativeError(problem, *data, form, written), data->tolerance) << form.id;
    }
    EXPECT_EQ(checked.size(), 3u);
}

}  // namespace
}  // namespace dunlin::test
