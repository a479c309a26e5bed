// Networks of every family on Vulkan, in both precisions, against float64 results of an implementation that is not
// ours, with the statistics of every stage on the way.
#include <gtest/gtest.h>

#include <string>

#include "runtime/vulkan/backend.h"
#include "tests/models/reference_run.h"
#include "tests/models/references.h"

namespace dunlin {
namespace {

using Parameter = std::tuple<const char*, Precision, FusionLevel>;

class NetworkOnVulkan : public testing::TestWithParam<Parameter> {
  protected:
    // One device for all: pipelines that networks share are compiled once.
    static void SetUpTestSuite() {
        const auto devices = vulkan::VulkanDevice::list();
        if (!devices.ok() || vulkan::bestDevice(*devices) < 0) return;
        auto device = vulkan::VulkanDevice::create({});
        ASSERT_TRUE(device.ok()) << device.status().message();
        auto backend = vulkan::VulkanBackend::create(*std::move(device));
        ASSERT_TRUE(backend.ok()) << backend.status().message();
        backend_ = *std::move(backend);
    }
    static void TearDownTestSuite() { backend_.reset(); }

    static std::unique_ptr<vulkan::VulkanBackend> backend_;
};
std::unique_ptr<vulkan::VulkanBackend> NetworkOnVulkan::backend_;

TEST_P(NetworkOnVulkan, MatchesItsReferenceStageByStage) {
    DUNLIN_NEEDS_SHARED("reference");
    if (!backend_) GTEST_SKIP() << "no usable Vulkan device";
    const auto& [name, precision, fusion] = GetParam();
    if (precision == Precision::Fp16 && !backend_->device()->limits().fp16) {
        GTEST_SKIP() << "the device has no float16";
    }
    test::ReferenceRun run;
    ASSERT_NO_FATAL_FAILURE(run.open(name));
    vulkan::VulkanSessionOptions options;
    options.session = run.options(precision);
    options.session.fusion = fusion;
    auto session = backend_->createSession({run.model(), &run.model()->data}, options);
    ASSERT_TRUE(session.ok()) << session.status().message();
    ASSERT_NO_FATAL_FAILURE(run.run(**session));
    // Far below the promises of 1e-3 and 2e-2, so that a loss of accuracy shows here first.
    if (precision == Precision::Fp32) {
        run.expectMatches(precision, 1e-5, 1e-5);
    } else {
        run.expectMatches(precision, 5e-3, 5e-3);
    }
}

std::string nameOf(const testing::TestParamInfo<Parameter>& info) {
    const bool fp32 = std::get<1>(info.param) == Precision::Fp32;
    return test::parameterName(std::get<0>(info.param)) + (fp32 ? "_fp32" : "_fp16");
}

constexpr Precision kPrecisions[] = {Precision::Fp32, Precision::Fp16};

INSTANTIATE_TEST_SUITE_P(References, NetworkOnVulkan,
                         testing::Combine(testing::ValuesIn(test::kReferences), testing::ValuesIn(kPrecisions),
                                          testing::Values(FusionLevel::Default)),
                         nameOf);

// Whole blocks in one dispatch: networks with inverted residuals, with and without squeeze-excite, and a MobileViT.
INSTANTIATE_TEST_SUITE_P(WholeBlocks, NetworkOnVulkan,
                         testing::Combine(testing::Values("mobilenetv1_100", "mobilenetv2_100", "mobilenetv3_large_100",
                                                          "mobilenetv3_large_100-160x224-3", "mobilenetv3_small_100",
                                                          "tf_efficientnet_b0", "mobilevit_s-224x288"),
                                          testing::ValuesIn(kPrecisions), testing::Values(FusionLevel::Max)),
                         nameOf);

}  // namespace
}  // namespace dunlin
