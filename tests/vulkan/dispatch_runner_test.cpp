// One dispatch by itself: what it writes, how long it takes, and what is said where the device fails.
#include "runtime/tuning/dispatch_runner.h"

#include <chrono>
#include <cmath>
#include <cstring>

#include "runtime/plan/dispatch_builders.h"
#include "shaders/include/params.h"
#include "tests/vulkan/faulty_vulkan.h"
#include "tests/vulkan/small_network.h"
#include "tests/vulkan/vulkan_fixture.h"

namespace dunlin::tuning {
namespace {

using test::faultyVulkan;

constexpr TensorId kInput = 3, kWeights = 5, kOutput = 8;  // any numbers

std::vector<std::byte> bytesOf(std::span<const float> values) {
    const auto bytes = std::as_bytes(values);
    return {bytes.begin(), bytes.end()};
}

std::vector<float> floatsOf(std::span<const std::byte> bytes) {
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
    return values;
}

// out = 2 * in + 10, as a depthwise convolution of one tap.
struct DoublingCase {
    explicit DoublingCase(const DeviceLimits& limits, int side = 8) {
        const Shape shape = {1, side, side, 4};
        DepthwiseCall call;
        call.in = {kInput, shape, 16, 0};
        call.weights = {kWeights, {1, 1, 2, 4}, 16, 0};
        call.out = {kOutput, shape, 16, 0};
        call.kernelH = call.kernelW = 1;
        dispatch = DispatchBuilder(limits, Precision::Fp32).depthwise(call, {}, {0, 1, 0, side});
        for (int i = 0; i < side * side * 4; ++i) input.push_back(static_cast<float>(i % 1000));
        const std::vector<float> weights = {10, 10, 10, 10, 2, 2, 2, 2};
        contents = {{kInput, bytesOf(input)}, {kWeights, bytesOf(weights)}};
        tensorBytes = {{kInput, input.size() * 4}, {kWeights, 32}, {kOutput, input.size() * 4}};
    }
    void expectDoubled(const std::map<TensorId, std::vector<std::byte>>& written) const {
        ASSERT_EQ(written.size(), 1u);
        const std::vector<float> output = floatsOf(written.at(kOutput));
        ASSERT_EQ(output.size(), input.size());
        for (size_t i = 0; i < input.size(); ++i) ASSERT_EQ(output[i], 2 * input[i] + 10) << i;
    }

    Dispatch dispatch;
    std::vector<float> input;
    std::map<TensorId, uint64_t> tensorBytes;
    std::map<TensorId, std::vector<std::byte>> contents;
};

class DispatchRunnerTest : public ::testing::Test {
  protected:
    void SetUp() override {
        const auto devices = vulkan::VulkanDevice::list();
        if (!devices.ok()) GTEST_SKIP() << devices.status().message();
        if (vulkan::bestDevice(*devices) < 0) GTEST_SKIP() << "no usable Vulkan device";
        const auto globals = vulkan::loadGlobalFunctions();
        ASSERT_TRUE(globals.ok()) << globals.status().message();
        faultyVulkan().real = globals->getInstanceProcAddr;
        faultyVulkan().live.clear();
        faultyVulkan().reset();
    }
    void TearDown() override {
        if (device_) test::expectNoValidationMessages(*device_);
        pipelines_.reset();
        device_.reset();
        EXPECT_EQ(faultyVulkan().liveObjects(), 0) << faultyVulkan().describeLive();
    }
    void openDevice(bool instruments = false) {
        vulkan::DeviceOptions options;
        options.validation = true;
        options.getInstanceProcAddr = test::faultyGetInstanceProcAddr;
        options.instruments = instruments;
        options.timeoutNs = 10'000'000'000;
        auto device = vulkan::VulkanDevice::create(options);
        ASSERT_TRUE(device.ok()) << device.status().message();
        device_ = *std::move(device);
        auto pipelines = vulkan::Pipelines::create(*device_);
        ASSERT_TRUE(pipelines.ok()) << pipelines.status().message();
        pipelines_ = *std::move(pipelines);
    }
    Result<std::unique_ptr<DispatchRunner>> runnerOf(const DoublingCase& one) {
        DUNLIN_ASSIGN(const vulkan::Pipeline* pipeline, pipelines_->get(one.dispatch.variant));
        return DispatchRunner::create(*device_, *pipeline, one.dispatch, one.tensorBytes, one.contents);
    }

    std::shared_ptr<vulkan::VulkanDevice> device_;
    std::unique_ptr<vulkan::Pipelines> pipelines_;
};

TEST_F(DispatchRunnerTest, givesWhatTheDispatchWroteEachTime) {
    ASSERT_NO_FATAL_FAILURE(openDevice());
    const DoublingCase one(device_->limits());
    auto runner = runnerOf(one);
    ASSERT_TRUE(runner.ok()) << runner.status().message();
    for (int i = 0; i < 3; ++i) {
        const auto written = (*runner)->run();
        ASSERT_TRUE(written.ok()) << written.status().message();
        one.expectDoubled(*written);
    }
}

TEST_F(DispatchRunnerTest, whatTheDispatchDoesNotWriteIsNoNumber) {
    // given a runner that has run the whole dispatch, and one that runs only its first workgroup
    ASSERT_NO_FATAL_FAILURE(openDevice());
    DoublingCase one(device_->limits(), 16);
    ASSERT_GT(one.dispatch.workgroups[0], 1u);
    auto whole = runnerOf(one);
    ASSERT_TRUE(whole.ok()) << whole.status().message();
    ASSERT_TRUE((*whole)->run().ok());
    one.dispatch.workgroups = {1, 1, 1};
    auto part = runnerOf(one);
    ASSERT_TRUE(part.ok()) << part.status().message();

    // then the rest is neither the other's result nor zero
    const auto written = (*part)->run();
    ASSERT_TRUE(written.ok()) << written.status().message();
    const std::vector<float> output = floatsOf(written->at(kOutput));
    EXPECT_EQ(output.front(), 10);
    EXPECT_TRUE(std::isnan(output.back()));
}

TEST_F(DispatchRunnerTest, whatIsWrittenPastABindingIsNoticed) {
    // given a dispatch whose output is bound one texel too short
    ASSERT_NO_FATAL_FAILURE(openDevice());
    DoublingCase one(device_->limits());
    one.tensorBytes[kOutput] -= 16;
    one.dispatch.bindings[2].sizeBytes -= 16;
    auto runner = runnerOf(one);
    ASSERT_TRUE(runner.ok()) << runner.status().message();
    const Status status = (*runner)->run().status();
    EXPECT_EQ(status.code(), StatusCode::InvalidArgument);
    EXPECT_EQ(status.message(), "wrote outside of binding 2 (output)");
}

TEST_F(DispatchRunnerTest, whatIsWrittenToABindingWithoutUseIsNoticed) {
    ASSERT_NO_FATAL_FAILURE(openDevice());
    DoublingCase one(device_->limits());
    one.dispatch.bindings[2].tensor = -1;
    auto runner = runnerOf(one);
    ASSERT_TRUE(runner.ok()) << runner.status().message();
    const Status status = (*runner)->run().status();
    EXPECT_EQ(status.code(), StatusCode::InvalidArgument);
    EXPECT_EQ(status.message(), "wrote to binding 2 (output), which has no use here");
}

TEST_F(DispatchRunnerTest, longerSamplesTakeLongerAndOneDispatchTakesAsLong) {
    ASSERT_NO_FATAL_FAILURE(openDevice());
    const DoublingCase one(device_->limits(), 256);
    auto runner = runnerOf(one);
    ASSERT_TRUE(runner.ok()) << runner.status().message();
    const bool hasClock = device_->capabilities().timestampValidBits > 0;
    EXPECT_EQ((*runner)->usesGpuClock(), hasClock);
    // within a factor of ten, sooner or later: another load of the machine disturbs some of them
    const auto isAsLongAsAskedFor = [&] {
        const auto repeats = repeatsFor(**runner, 4e6);
        EXPECT_TRUE(repeats.ok()) << repeats.status().message();
        const auto timeNs = (*runner)->timeNs(repeats.ok() ? *repeats : 1);
        EXPECT_TRUE(timeNs.ok()) << timeNs.status().message();
        if (!repeats.ok() || !timeNs.ok()) return false;
        EXPECT_GT(*timeNs, 0);
        const double sampleNs = *timeNs * *repeats;
        const bool isLongEnough = sampleNs > 4e5 || *repeats == DispatchRunner::kMaxRepeats;
        return isLongEnough && (sampleNs < 4e7 || *repeats == 1);
    };
    bool isAsked = false;
    for (int i = 0; i < 20 && !isAsked && !HasFailure(); ++i) isAsked = isAsLongAsAskedFor();
    EXPECT_TRUE(isAsked);
    // and its result is as before
    const auto written = (*runner)->run();
    ASSERT_TRUE(written.ok()) << written.status().message();
    one.expectDoubled(*written);
}

TEST_F(DispatchRunnerTest, repeatsHaveLimits) {
    ASSERT_NO_FATAL_FAILURE(openDevice());
    auto runner = runnerOf(DoublingCase(device_->limits()));
    ASSERT_TRUE(runner.ok()) << runner.status().message();
    EXPECT_EQ((*runner)->timeNs(0).status().code(), StatusCode::InvalidArgument);
    EXPECT_EQ((*runner)->timeNs(4097).status().message(), "4097 repeats; 1 to 4096 are possible");
    EXPECT_TRUE((*runner)->timeNs(4096).ok());
}

TEST_F(DispatchRunnerTest, withoutTimestampsTheWallClockIsTaken) {
    faultyVulkan().hidesTimestamps = true;
    ASSERT_NO_FATAL_FAILURE(openDevice());
    auto runner = runnerOf(DoublingCase(device_->limits(), 256));
    ASSERT_TRUE(runner.ok()) << runner.status().message();
    EXPECT_FALSE((*runner)->usesGpuClock());
    const auto begin = std::chrono::steady_clock::now();
    const auto timeNs = (*runner)->timeNs(100);
    const std::chrono::duration<double, std::nano> wall = std::chrono::steady_clock::now() - begin;
    ASSERT_TRUE(timeNs.ok()) << timeNs.status().message();
    EXPECT_GT(*timeNs, 0);
    EXPECT_LT(*timeNs * 100, wall.count());
}

TEST_F(DispatchRunnerTest, aClockThatStandsStillIsNotBelieved) {
    faultyVulkan().stopsClock = true;
    ASSERT_NO_FATAL_FAILURE(openDevice());
    if (device_->capabilities().timestampValidBits == 0) GTEST_SKIP() << "the device has no clock that could stop";
    auto runner = runnerOf(DoublingCase(device_->limits(), 256));
    ASSERT_TRUE(runner.ok()) << runner.status().message();
    EXPECT_TRUE((*runner)->usesGpuClock());
    // when samples become long enough for a clock to move
    double timeNs = 0;
    for (uint32_t repeats = 64; (*runner)->usesGpuClock() && repeats <= DispatchRunner::kMaxRepeats; repeats *= 2) {
        const auto time = (*runner)->timeNs(repeats);
        ASSERT_TRUE(time.ok()) << time.status().message();
        timeNs = *time;
    }
    EXPECT_FALSE((*runner)->usesGpuClock());
    EXPECT_GT(timeNs, 0);
}

TEST_F(DispatchRunnerTest, aDeviceThatIsLostInMidRunIsSaid) {
    ASSERT_NO_FATAL_FAILURE(openDevice());
    auto runner = runnerOf(DoublingCase(device_->limits()));
    ASSERT_TRUE(runner.ok()) << runner.status().message();
    faultyVulkan().reset(1, VK_ERROR_DEVICE_LOST, "vkWaitForFences");
    EXPECT_EQ((*runner)->run().status().code(), StatusCode::DeviceLost);
    faultyVulkan().reset(1, VK_ERROR_DEVICE_LOST, "vkQueueSubmit");
    EXPECT_EQ((*runner)->timeNs(2).status().code(), StatusCode::DeviceLost);
    faultyVulkan().reset();
}

TEST_F(DispatchRunnerTest, aDispatchThatDoesNotEndIsSaidWithTheTime) {
    ASSERT_NO_FATAL_FAILURE(openDevice());
    auto runner = runnerOf(DoublingCase(device_->limits()));
    ASSERT_TRUE(runner.ok()) << runner.status().message();
    faultyVulkan().reset(1, VK_TIMEOUT, "vkWaitForFences");  // though the work is done, so that all can be destroyed
    const Status run = (*runner)->run().status();
    EXPECT_EQ(run.code(), StatusCode::DeviceLost);
    EXPECT_EQ(run.message(), "what was submitted did not finish within 10 s");
    faultyVulkan().reset(1, VK_TIMEOUT, "vkWaitForFences");
    EXPECT_EQ((*runner)->timeNs(1).status().code(), StatusCode::DeviceLost);
    faultyVulkan().reset();
}

TEST_F(DispatchRunnerTest, whicheverCallRunsOutOfMemoryItIsSaidAndNothingIsLeaked) {
    ASSERT_NO_FATAL_FAILURE(openDevice());
    const DoublingCase one(device_->limits());
    const auto wholeLife = [&]() -> Status {
        DUNLIN_ASSIGN(const std::unique_ptr<DispatchRunner> runner, runnerOf(one));
        DUNLIN_TRY(runner->run().status());
        return runner->timeNs(2).status();
    };
    ASSERT_TRUE(wholeLife().ok());  // with its pipeline compiled
    faultyVulkan().reset();
    ASSERT_TRUE(wholeLife().ok());
    const int calls = faultyVulkan().calls, live = faultyVulkan().liveObjects();
    ASSERT_GT(calls, 20);
    for (int call = 1; call <= calls; ++call) {
        faultyVulkan().reset(call, VK_ERROR_OUT_OF_DEVICE_MEMORY);
        ASSERT_EQ(wholeLife().code(), StatusCode::OutOfDeviceMemory) << call << " " << faultyVulkan().failed;
        ASSERT_EQ(faultyVulkan().liveObjects(), live) << faultyVulkan().failed << ": " << faultyVulkan().describeLive();
    }
    faultyVulkan().reset();
}

TEST_F(DispatchRunnerTest, whatIsNotGivenIsNamed) {
    ASSERT_NO_FATAL_FAILURE(openDevice());
    const DoublingCase good(device_->limits());
    const auto messageOf = [&](auto spoil) {
        DoublingCase bad = good;
        spoil(bad);
        const auto runner = runnerOf(bad);
        return runner.ok() ? "" : runner.status().message();
    };
    EXPECT_EQ(messageOf([](DoublingCase& bad) { bad.contents.erase(kWeights); }),
              "tensor 5 of binding 1 is read, and has no contents");
    EXPECT_EQ(messageOf([](DoublingCase& bad) { bad.contents[kOutput] = {}; }),
              "tensor 8 of binding 2 is written, so it cannot have contents");
    EXPECT_EQ(messageOf([](DoublingCase& bad) { bad.tensorBytes[kOutput] = 1000; }),
              "binding 2 reaches to byte 1024 of tensor 8, which has 1000");
    EXPECT_EQ(messageOf([](DoublingCase& bad) { bad.tensorBytes.erase(kInput); }),
              "binding 0 reaches to byte 1024 of tensor 3, which has 0");
    EXPECT_EQ(messageOf([](DoublingCase& bad) { bad.contents[kInput].resize(1040); }),
              "tensor 3 has 1024 bytes, and its contents 1040");
    EXPECT_EQ(messageOf([](DoublingCase& bad) { bad.dispatch.bindings.pop_back(); }),
              " has 3 bindings, and its kernel 4");
}

TEST_F(DispatchRunnerTest, aForeignShaderRunsInAKernelsPlace) {
    // given the library's own SPIR-V as if it came from elsewhere
    ASSERT_NO_FATAL_FAILURE(openDevice(/* instruments= */ true));
    const DoublingCase one(device_->limits());
    const auto foreign = pipelines_->createForeign(one.dispatch.variant, *unpackSpirv(one.dispatch.variant));
    ASSERT_TRUE(foreign.ok()) << foreign.status().message();
    EXPECT_EQ(pipelines_->count(), 0u) << "it is nobody else's";

    auto runner = DispatchRunner::create(*device_, **foreign, one.dispatch, one.tensorBytes, one.contents);
    ASSERT_TRUE(runner.ok()) << runner.status().message();
    const auto written = (*runner)->run();
    ASSERT_TRUE(written.ok()) << written.status().message();
    one.expectDoubled(*written);
}

// The same picture from each source gives the same pixels as the CPU.
TEST_F(DispatchRunnerTest, preprocessReadsItsPicture) {
    ASSERT_NO_FATAL_FAILURE(openDevice());
    constexpr int kWidth = 70, kHeight = 50, kSide = 32;
    const std::vector<uint8_t> pixels = test::testPicture(kWidth, kHeight);
    const PreprocessSpec spec;
    std::vector<float> expected(size_t{kSide} * kSide * 4);
    preprocess(spec, {pixels.data(), kWidth, kHeight, size_t{kWidth} * 4}, kSide, kSide, 4, expected);
    std::vector<float> planes;
    for (size_t colour = 0; colour < 3; ++colour) {
        for (size_t i = 0; i < size_t{kSide} * kSide; ++i) planes.push_back(expected[i * 4 + colour]);
    }
    for (uint32_t kind : {params::kSourceImage, params::kSourcePixels, params::kSourceTensor}) {
        SCOPED_TRACE(kind);
        KernelForm form;
        form.tileX = static_cast<uint8_t>(kind);
        const Dispatch dispatch = DispatchBuilder(device_->limits(), Precision::Fp32)
                                      .preprocess({{kOutput, {1, kSide, kSide, 3}, 16, 0}, 0}, form);
        const bool isTensor = kind == params::kSourceTensor;
        const RunnerPicture picture = {isTensor ? std::as_bytes(std::span(planes)) : std::as_bytes(std::span(pixels)),
                                       isTensor ? kSide : kWidth, isTensor ? kSide : kHeight,
                                       isTensor ? nullptr : &spec};
        const auto pipeline = pipelines_->get(dispatch.variant);
        ASSERT_TRUE(pipeline.ok()) << pipeline.status().message();
        const std::map<TensorId, uint64_t> tensorBytes = {{kOutput, expected.size() * 4}};
        EXPECT_EQ(DispatchRunner::create(*device_, **pipeline, dispatch, tensorBytes, {}).status().message(),
                  " has no picture to read");
        auto runner = DispatchRunner::create(*device_, **pipeline, dispatch, tensorBytes, {}, &picture);
        ASSERT_TRUE(runner.ok()) << runner.status().message();
        const auto written = (*runner)->run();
        ASSERT_TRUE(written.ok()) << written.status().message();
        const std::vector<float> output = floatsOf(written->at(kOutput));
        for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(output[i], expected[i], 0.02) << i;
    }
}

}  // namespace
}  // namespace dunlin::tuning
