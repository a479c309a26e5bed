// Sessions: results against the oracle, replay, sharing, limits and bad requests.
#include "runtime/vulkan/session.h"

#include <random>

#include "runtime/vulkan/backend.h"
#include "tests/vulkan/backend_fixture.h"
#include "tests/vulkan/small_network.h"

namespace dunlin::vulkan {
namespace {

class SessionTest : public test::BackendTest {
  protected:
    std::unique_ptr<VulkanSession> createSession(const std::shared_ptr<const ModelData>& model,
                                                 const VulkanSessionOptions& options = {}) {
        auto session = backend_->createSession(model, options);
        EXPECT_TRUE(session.ok()) << session.status().message();
        return session.ok() ? *std::move(session) : nullptr;
    }
};

std::vector<float> randomTensor(size_t count, unsigned seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> uniform(-2, 2);
    std::vector<float> values(count);
    for (float& value : values) value = uniform(random);
    return values;
}

constexpr size_t kSmallElements = size_t{3} * test::kSmallSide * test::kSmallSide;

std::vector<std::byte> runTensor(VulkanSession& session, std::span<const float> tensor) {
    std::vector<std::byte> output(session.outputBytes());
    HostInput input;
    input.tensor = tensor;
    const Status status = session.run(input, output);
    EXPECT_TRUE(status.ok()) << status.message();
    return output;
}

std::vector<std::byte> runPictures(VulkanSession& session, std::span<const PixelView> pictures) {
    std::vector<std::byte> output(session.outputBytes());
    HostInput input;
    input.pictures = pictures;
    const Status status = session.run(input, output);
    EXPECT_TRUE(status.ok()) << status.message();
    return output;
}

PixelView viewOf(const std::vector<uint8_t>& pixels, int width, int height) {
    return {pixels.data(), width, height, static_cast<size_t>(width) * 4};
}

// By the CPU's preprocessing, NCHW.
std::vector<float> preprocessed(const ModelData& model, const PixelView& picture) {
    std::vector<float> nhwc(kSmallElements), nchw(kSmallElements);
    preprocess(model.preprocess, picture, test::kSmallSide, test::kSmallSide, 3, nhwc);
    constexpr size_t kPlane = size_t{test::kSmallSide} * test::kSmallSide;
    for (size_t i = 0; i < kPlane; ++i) {
        for (size_t c = 0; c < 3; ++c) nchw[c * kPlane + i] = nhwc[i * 3 + c];
    }
    return nchw;
}

TEST_F(SessionTest, aSmallNetworkGivesTheOraclesLogits) {
    const auto model = test::smallModel();
    const auto session = createSession(model);
    ASSERT_TRUE(session);
    const std::vector<float> tensor = randomTensor(kSmallElements, 1);
    const std::vector<std::byte> output = runTensor(*session, tensor);
    const std::vector<float> expected = test::oracleLogits(*model, {1, test::kSmallSide, test::kSmallSide, 3}, tensor);
    EXPECT_LT(test::relativeError(test::floatsOf(output, session->outputs()[0]), expected), 1e-4);
}

TEST_F(SessionTest, everyImageOfABatchGivesWhatItGivesAlone) {
    const auto model = test::smallModel();
    const auto single = createSession(model);
    VulkanSessionOptions options;
    options.session.batch = 3;
    const auto batched = createSession(model, options);
    ASSERT_TRUE(single && batched);
    const std::vector<float> tensor = randomTensor(3 * kSmallElements, 2);
    const std::vector<float> all = test::floatsOf(runTensor(*batched, tensor), batched->outputs()[0]);
    ASSERT_EQ(all.size(), size_t{3 * test::kSmallClasses});
    for (size_t image = 0; image < 3; ++image) {
        const auto part = std::span(tensor).subspan(image * kSmallElements, kSmallElements);
        const std::vector<float> alone = test::floatsOf(runTensor(*single, part), single->outputs()[0]);
        const auto inBatch = std::span(all).subspan(image * test::kSmallClasses, test::kSmallClasses);
        EXPECT_LT(test::relativeError(inBatch, alone), 1e-5) << "image " << image;
    }
}

TEST_F(SessionTest, theSameInputGivesTheSameBitsAThousandTimes) {
    for (const FusionLevel fusion : {FusionLevel::Default, FusionLevel::Max}) {
        for (const Precision precision : {Precision::Fp32, Precision::Fp16}) {
            if (precision == Precision::Fp16 && !device_->enabled().fp16()) continue;
            VulkanSessionOptions options;
            options.session.fusion = fusion;
            options.session.precision = precision;
            const auto session = createSession(test::smallModel(), options);
            ASSERT_TRUE(session);
            const std::vector<float> tensor = randomTensor(kSmallElements, 3);
            const std::vector<std::byte> first = runTensor(*session, tensor);
            for (int i = 0; i < 1000; ++i) ASSERT_EQ(runTensor(*session, tensor), first) << "run " << i;
        }
    }
}

TEST_F(SessionTest, picturesOfChangingSizesGiveWhatTheCpuPreprocesses) {
    const auto model = test::smallModel();
    const auto session = createSession(model);
    ASSERT_TRUE(session);
    for (const auto& [width, height] : {std::pair(64, 48), std::pair(33, 90), std::pair(64, 48), std::pair(20, 20)}) {
        const std::vector<uint8_t> pixels = test::testPicture(width, height);
        const PixelView picture = viewOf(pixels, width, height);
        const std::vector<float> logits = test::floatsOf(runPictures(*session, {&picture, 1}), session->outputs()[0]);

        const std::vector<float> expected =
            test::floatsOf(runTensor(*session, preprocessed(*model, picture)), session->outputs()[0]);
        EXPECT_LT(test::relativeError(logits, expected), 5e-3) << width << "x" << height;
    }
}

TEST_F(SessionTest, aPictureOverTheBufferLimitIsMadeSmallerByTheCpu) {
    const auto model = test::smallModel();
    const auto session = createSession(model);
    ASSERT_TRUE(session);
    // given a picture of more bytes than a buffer range may have
    const auto side = static_cast<int>(std::sqrt(static_cast<double>(device_->limits().maxStorageBufferRange) / 4)) + 1;
    if (side > static_cast<int>(kMaxPictureSide)) GTEST_SKIP() << "every picture fits";
    const std::vector<uint8_t> pixels = test::testPicture(side, side);
    const PixelView picture = viewOf(pixels, side, side);
    const std::vector<std::byte> output = runPictures(*session, {&picture, 1});

    // then it gives what its preprocessed pixels give as a tensor
    EXPECT_EQ(output, runTensor(*session, preprocessed(*model, picture)));

    // and a session without tensors as input refuses it
    VulkanSessionOptions options;
    options.inputKinds = kInputPixels;
    const auto picturesOnly = createSession(model, options);
    ASSERT_TRUE(picturesOnly);
    HostInput input;
    input.pictures = {&picture, 1};
    std::vector<std::byte> refused(picturesOnly->outputBytes());
    EXPECT_EQ(picturesOnly->run(input, refused).code(), StatusCode::DoesNotFit);
}

TEST_F(SessionTest, picturesOverTheMemoryLimitAreMadeSmallerByTheCpu) {
    // given a session whose limit leaves room for a small picture only
    const auto model = test::smallModel();
    VulkanSessionOptions options;
    options.memoryLimitBytes = createSession(model)->deviceBytes() + 1000;
    const auto session = createSession(model, options);
    ASSERT_TRUE(session);
    const std::vector<uint8_t> pixels = test::testPicture(200, 200);
    const PixelView picture = viewOf(pixels, 200, 200);

    // when a large one comes, then it gives what its preprocessed pixels give, within the limit
    const std::vector<std::byte> output = runPictures(*session, {&picture, 1});
    EXPECT_EQ(output, runTensor(*session, preprocessed(*model, picture)));
    EXPECT_LE(session->deviceBytes(), options.memoryLimitBytes);

    // and a session without tensors as input refuses it with need and what is left
    options.inputKinds = kInputPixels;
    const auto picturesOnly = createSession(model, options);
    ASSERT_TRUE(picturesOnly);
    HostInput input;
    input.pictures = {&picture, 1};
    std::vector<std::byte> refused(picturesOnly->outputBytes());
    const Status status = picturesOnly->run(input, refused);
    EXPECT_EQ(status.code(), StatusCode::DoesNotFit);
    EXPECT_NE(status.message().find("160000"), std::string::npos) << status.message();
}

TEST_F(SessionTest, growingPicturesSeldomAllocate) {
    const auto session = createSession(test::smallModel());
    ASSERT_TRUE(session);
    std::vector<uint64_t> sizes = {session->deviceBytes()};
    for (int side = 60; side < 120; ++side) {
        const std::vector<uint8_t> pixels = test::testPicture(side, side);
        const PixelView picture = viewOf(pixels, side, side);
        runPictures(*session, {&picture, 1});
        if (session->deviceBytes() != sizes.back()) sizes.push_back(session->deviceBytes());
    }
    // four times the pixels, in steps of half
    EXPECT_GT(sizes.size(), 2u);
    EXPECT_LE(sizes.size(), 6u);
}

TEST_F(SessionTest, tapsAreThePlannersValues) {
    const auto model = test::smallModel();
    VulkanSessionOptions options;
    options.session.taps = {"features"};
    const auto session = createSession(model, options);
    ASSERT_TRUE(session);
    const std::vector<float> tensor = randomTensor(kSmallElements, 4);
    const std::vector<std::byte> output = runTensor(*session, tensor);
    const Shape shape{1, test::kSmallSide, test::kSmallSide, 3};
    const Graph graph = test::buildSmallNetwork(shape);
    const ValueId wanted[] = {*graph.findTap("features")};
    const auto expected = reference::evaluate(graph, *model->weights, reference::fromNchw(shape, tensor), wanted);
    ASSERT_TRUE(expected.ok());
    const OutputSlice& slice = session->outputs().back();
    EXPECT_EQ(slice.name, "features");
    EXPECT_LT(test::relativeError(test::floatsOf(output, slice), reference::toFloats(expected->front())), 1e-4);
}

TEST_F(SessionTest, halfPrecisionStaysWithinItsBound) {
    if (!device_->limits().fp16) GTEST_SKIP() << "the device has no fp16";
    const auto model = test::smallModel();
    VulkanSessionOptions options;
    options.session.precision = Precision::Fp16;
    const auto session = createSession(model, options);
    ASSERT_TRUE(session);
    const std::vector<float> tensor = randomTensor(kSmallElements, 5);
    const std::vector<float> expected = test::oracleLogits(*model, {1, test::kSmallSide, test::kSmallSide, 3}, tensor);
    EXPECT_LT(test::relativeError(test::floatsOf(runTensor(*session, tensor), session->outputs()[0]), expected), 2e-2);
}

TEST_F(SessionTest, wholeMobileNetsGiveTheOraclesLogits) {
    for (const char* name : {"mobilenetv1_100", "mobilenetv2_050", "mobilenetv3_small_100"}) {
        const auto model = test::registryModel(name);
        VulkanSessionOptions options;
        options.session.height = 64;
        options.session.width = 96;
        const auto session = createSession(model, options);
        ASSERT_TRUE(session) << name;
        const std::vector<float> tensor = formulaInput(1, 64, 96);
        const std::vector<float> expected = test::oracleLogits(*model, {1, 64, 96, 3}, tensor);
        EXPECT_LT(test::relativeError(test::floatsOf(runTensor(*session, tensor), session->outputs()[0]), expected),
                  1e-3)
            << name;
    }
}

TEST_F(SessionTest, sessionsOfOneModelShareItsWeights) {
    const auto model = test::smallModel();
    const auto first = createSession(model);
    VulkanSessionOptions larger;
    larger.session.height = larger.session.width = 64;
    const auto second = createSession(model, larger);
    ASSERT_TRUE(first && second);
    EXPECT_EQ(first->info().weightBytes, second->info().weightBytes);
    EXPECT_GT(first->info().weightBytes, 0u);
    EXPECT_LT(first->info().weightBytes, first->deviceBytes());
    EXPECT_GT(second->info().arenaBytes, first->info().arenaBytes);
}

TEST_F(SessionTest, aSessionOutlivesItsBackendAndTheFirstDeviceHandle) {
    const auto session = createSession(test::smallModel());
    ASSERT_TRUE(session);
    const std::vector<float> tensor = randomTensor(kSmallElements, 6);
    const std::vector<std::byte> before = runTensor(*session, tensor);
    backend_.reset();
    EXPECT_EQ(runTensor(*session, tensor), before);
}

TEST_F(SessionTest, whatIsOverTheMemoryLimitIsRefusedWithNeedAndLimit) {
    VulkanSessionOptions options;
    options.memoryLimitBytes = 20000;
    const auto session = backend_->createSession(test::smallModel(), options);
    ASSERT_FALSE(session.ok());
    EXPECT_EQ(session.status().code(), StatusCode::DoesNotFit) << session.status().message();
    EXPECT_NE(session.status().message().find("20000"), std::string::npos) << session.status().message();

    // also where no micro-batch fits
    options.session.batch = 4;
    options.slots = 2;
    const auto batched = backend_->createSession(test::smallModel(), options);
    ASSERT_FALSE(batched.ok());
    EXPECT_EQ(batched.status().code(), StatusCode::DoesNotFit);
    EXPECT_NE(batched.status().message().find("slot's share of the 20000"), std::string::npos)
        << batched.status().message();
}

TEST_F(SessionTest, aBufferThatTheDeviceCannotAllocateAtOnceIsRefusedByName) {
    VulkanSessionOptions options;
    options.session.batch = 64;
    options.maxPictureWidth = options.maxPictureHeight = kMaxPictureSide;
    const auto session = backend_->createSession(test::smallModel(), options);
    ASSERT_FALSE(session.ok());
    EXPECT_EQ(session.status().code(), StatusCode::DoesNotFit);
    EXPECT_NE(session.status().message().find("staged host inputs need"), std::string::npos)
        << session.status().message();
}

TEST_F(SessionTest, smallerMicroBatchesAreTakenWhereMemoryIsShort) {
    // given what a batch in one piece takes
    const auto model = test::smallModel();
    VulkanSessionOptions options;
    options.session.batch = 8;
    options.slots = 2;
    const auto whole = createSession(model, options);
    ASSERT_TRUE(whole);
    // when less is allowed, then the batch is split, and the limit holds
    options.memoryLimitBytes = whole->deviceBytes() - whole->info().arenaBytes / 2;
    const auto split = createSession(model, options);
    ASSERT_TRUE(split);
    EXPECT_LE(split->deviceBytes(), options.memoryLimitBytes);
    EXPECT_GT(split->info().dispatches, whole->info().dispatches);
    const std::vector<float> tensor = randomTensor(8 * kSmallElements, 9);
    EXPECT_LT(test::relativeError(test::floatsOf(runTensor(*split, tensor), split->outputs()[0]),
                                  test::floatsOf(runTensor(*whole, tensor), whole->outputs()[0])),
              1e-5);
}

TEST_F(SessionTest, moreSlotsThanFitAreRefused) {
    const auto model = test::smallModel();
    const auto one = createSession(model);
    ASSERT_TRUE(one);
    VulkanSessionOptions options;
    options.memoryLimitBytes = one->deviceBytes() + 100000;
    EXPECT_TRUE(createSession(model, options));
    options.slots = kMaxSlots;
    const auto many = backend_->createSession(model, options);
    ASSERT_FALSE(many.ok());
    EXPECT_EQ(many.status().code(), StatusCode::DoesNotFit) << many.status().message();
}

TEST_F(SessionTest, creationReportsProgressUpToOneAndCanBeCancelled) {
    const auto model = test::smallModel();
    std::vector<float> seen;
    VulkanSessionOptions options;
    options.session.progress = [&](float done) {
        seen.push_back(done);
        return true;
    };
    ASSERT_TRUE(createSession(model, options));
    ASSERT_GT(seen.size(), 3u);
    EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
    EXPECT_EQ(seen.back(), 1.0f);

    // cancelled at each of those steps in turn
    for (size_t step = 0; step < seen.size(); ++step) {
        size_t calls = 0;
        options.session.progress = [&](float) { return calls++ < step; };
        const auto cancelled = backend_->createSession(test::smallModel(), options);
        ASSERT_FALSE(cancelled.ok()) << "step " << step;
        EXPECT_EQ(cancelled.status().code(), StatusCode::Cancelled);
    }
}

TEST_F(SessionTest, badRequestsAreRefusedWithTheirNumbers) {
    const auto model = test::smallModel();
    VulkanSessionOptions options;
    options.slots = kMaxSlots + 1;
    EXPECT_EQ(backend_->createSession(model, options).status().code(), StatusCode::InvalidArgument);
    options.slots = 1;
    options.inputKinds = kInputPixels;
    const auto session = createSession(model, options);
    ASSERT_TRUE(session);
    std::vector<std::byte> output(session->outputBytes());
    const std::vector<float> tensor = randomTensor(kSmallElements, 7);
    HostInput input;
    EXPECT_EQ(session->run(input, output).code(), StatusCode::InvalidArgument) << "nothing given";
    input.tensor = tensor;
    EXPECT_EQ(session->run(input, output).code(), StatusCode::InvalidArgument) << "not created for tensors";
    const std::vector<uint8_t> pixels = test::testPicture(8, 8);
    const PixelView pictures[] = {viewOf(pixels, 8, 8), viewOf(pixels, 8, 8)};
    input.tensor = {};
    input.pictures = pictures;
    EXPECT_EQ(session->run(input, output).code(), StatusCode::InvalidArgument) << "two pictures for a batch of one";
    input.pictures = std::span(pictures).first(1);
    EXPECT_EQ(session->run(input, std::span(output).first(8)).code(), StatusCode::InvalidArgument) << "no room";
    EXPECT_TRUE(session->run(input, output).ok());
    EXPECT_EQ(session->submit({}).code(), StatusCode::InvalidArgument) << "run() voided what slot 0 was bound to";
    EXPECT_EQ(session->bindSlot(1, {}, {}).code(), StatusCode::InvalidArgument) << "there is no slot 1";
}

TEST_F(SessionTest, everyDispatchCanBeTimed) {
    VulkanSessionOptions options;
    options.session.height = options.session.width = test::kSmallSide;
    options.timestamps = true;
    const auto session = createSession(test::smallModel(), options);
    ASSERT_TRUE(session);
    runTensor(*session, randomTensor(kSmallElements, 8));
    const auto times = session->dispatchTimesNs();
    ASSERT_TRUE(times.ok()) << times.status().message();
    EXPECT_EQ(times->size(), session->info().dispatches);
    double total = 0;
    for (double time : *times) total += time;
    EXPECT_GT(total, 0);
    EXPECT_LT(total, 60e9);
}

}  // namespace
}  // namespace dunlin::vulkan
