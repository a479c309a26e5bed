// Inside an application: a borrowed device, the application's images and buffers, its command buffers and semaphores.
// What comes out must be what run() gives for the same pixels.
#include "tests/vulkan/application.h"
#include "runtime/vulkan/backend.h"
#include "tests/vulkan/small_network.h"
#include "tests/vulkan/vulkan_fixture.h"

namespace dunlin::vulkan {
namespace {

constexpr int kWidth = 50, kHeight = 41;

class ApplicationTest : public test::VulkanTest {
  protected:
    void SetUp() override {
        VulkanTest::SetUp();
        if (!device_) return;
        auto borrowed = VulkanDevice::borrow(test::handlesOf(*device_));
        ASSERT_TRUE(borrowed.ok()) << borrowed.status().message();
        auto backend = VulkanBackend::create(*borrowed);
        ASSERT_TRUE(backend.ok()) << backend.status().message();
        backend_ = *std::move(backend);
    }
    void TearDown() override {
        backend_.reset();
        VulkanTest::TearDown();
    }

    std::unique_ptr<VulkanSession> createSession(int slots, int batch = 1) {
        VulkanSessionOptions options;
        options.slots = slots;
        options.session.batch = batch;
        auto session = backend_->createSession(model_, options);
        EXPECT_TRUE(session.ok()) << session.status().message();
        return session.ok() ? *std::move(session) : nullptr;
    }

    std::vector<std::byte> runOnHost(VulkanSession& session, const std::vector<uint8_t>& pixels, int width,
                                     int height) {
        const PixelView picture{pixels.data(), width, height, static_cast<size_t>(width) * 4};
        std::vector<std::byte> output(session.outputBytes());
        HostInput input;
        input.pictures = {&picture, 1};
        const Status status = session.run(input, output);
        EXPECT_TRUE(status.ok()) << status.message();
        return output;
    }

    // Records, submits and waits, with the barrier that the host needs to read.
    std::vector<std::byte> runRecorded(VulkanSession& session, int slot, const VulkanInput& input) {
        auto runner = CommandRunner::create(*device_);
        EXPECT_TRUE(runner.ok());
        Status recorded;
        const Status status = runner->run([&](VkCommandBuffer commands) {
            recorded = session.record(commands, slot, input, {});
            recordBarrier(*device_, commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
                          VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
        });
        EXPECT_TRUE(recorded.ok()) << recorded.message();
        EXPECT_TRUE(status.ok()) << status.message();
        return readSlot(session, slot);
    }

    std::vector<std::byte> readSlot(VulkanSession& session, int slot) {
        std::vector<std::byte> output(session.outputBytes());
        EXPECT_TRUE(session.readOutput(slot, output).ok());
        return output;
    }

    std::vector<float> logits(const VulkanSession& session, const std::vector<std::byte>& output) {
        return test::floatsOf(output, session.outputs()[0]);
    }

    std::shared_ptr<const ModelData> model_ = test::smallModel();
    std::unique_ptr<VulkanBackend> backend_;
};

TEST_F(ApplicationTest, anImageGivesWhatItsPixelsGive) {
    const auto session = createSession(1);
    ASSERT_TRUE(session);
    const std::vector<uint8_t> pixels = test::testPicture(kWidth, kHeight);
    const std::vector<float> expected = logits(*session, runOnHost(*session, pixels, kWidth, kHeight));
    const test::Picture picture(*device_, VK_FORMAT_R8G8B8A8_UNORM, kWidth, kHeight, pixels);
    const ImageSource source = picture.source();
    VulkanInput input;
    input.images = {&source, 1};
    EXPECT_LT(test::relativeError(logits(*session, runRecorded(*session, 0, input)), expected), 1e-5);
}

TEST_F(ApplicationTest, anSrgbViewGivesWhatItsPixelsGive) {
    const auto session = createSession(1);
    ASSERT_TRUE(session);
    const std::vector<uint8_t> pixels = test::testPicture(kWidth, kHeight);
    const std::vector<float> expected = logits(*session, runOnHost(*session, pixels, kWidth, kHeight));
    const test::Picture picture(*device_, VK_FORMAT_R8G8B8A8_SRGB, kWidth, kHeight, pixels);
    const ImageSource source = picture.source();
    VulkanInput input;
    input.images = {&source, 1};
    EXPECT_LT(test::relativeError(logits(*session, runRecorded(*session, 0, input)), expected), 1e-5);
}

TEST_F(ApplicationTest, aRegionOfAnImageGivesWhatItsPixelsGive) {
    const auto session = createSession(1);
    ASSERT_TRUE(session);
    const std::vector<uint8_t> pixels = test::testPicture(kWidth, kHeight);
    const Region region{7, 5, 36, 30};
    std::vector<uint8_t> cut;
    for (uint32_t y = 0; y < region.height; ++y) {
        const auto row = pixels.begin() + ((region.y + y) * kWidth + region.x) * 4;
        cut.insert(cut.end(), row, row + region.width * 4);
    }
    const std::vector<float> expected =
        logits(*session, runOnHost(*session, cut, static_cast<int>(region.width), static_cast<int>(region.height)));
    const test::Picture picture(*device_, VK_FORMAT_R8G8B8A8_UNORM, kWidth, kHeight, pixels);
    const ImageSource source = picture.source(region);
    VulkanInput input;
    input.images = {&source, 1};
    EXPECT_LT(test::relativeError(logits(*session, runRecorded(*session, 0, input)), expected), 1e-5);
}

TEST_F(ApplicationTest, aPaddedBufferAtAnOddOffsetGivesWhatItsPixelsGive) {
    const auto session = createSession(1);
    ASSERT_TRUE(session);
    const std::vector<uint8_t> pixels = test::testPicture(kWidth, kHeight);
    const std::vector<std::byte> expected = runOnHost(*session, pixels, kWidth, kHeight);
    constexpr uint64_t kOffset = 1234 * 4;
    constexpr uint32_t kPitch = kWidth + 13;
    auto buffer =
        Buffer::create(*device_, kOffset + kPitch * kHeight * 4, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT, MemoryUse::Upload);
    ASSERT_TRUE(buffer.ok());
    for (size_t y = 0; y < kHeight; ++y) {
        std::memcpy(buffer->mapped() + kOffset + y * kPitch * 4, pixels.data() + y * kWidth * 4, kWidth * 4);
    }
    ASSERT_TRUE(buffer->flush(0, buffer->sizeBytes()).ok());
    PixelSource source;
    source.buffer = buffer->handle();
    source.offsetBytes = kOffset;
    source.width = kWidth;
    source.height = kHeight;
    source.rowPixels = kPitch;
    VulkanInput input;
    input.pixels = {&source, 1};
    EXPECT_EQ(runRecorded(*session, 0, input), expected);
}

TEST_F(ApplicationTest, rangesOfDispatchesGiveWhatTheWholeGives) {
    const auto session = createSession(1);
    ASSERT_TRUE(session);
    const std::vector<uint8_t> pixels = test::testPicture(kWidth, kHeight);
    const test::Picture picture(*device_, VK_FORMAT_R8G8B8A8_UNORM, kWidth, kHeight, pixels);
    const ImageSource source = picture.source();
    VulkanInput input;
    input.images = {&source, 1};
    const std::vector<std::byte> whole = runRecorded(*session, 0, input);

    // given one command buffer for each single dispatch, submitted without waiting in between
    const size_t count = session->info().dispatches;
    VkCommandPoolCreateInfo poolInfo{};
    poolInfo.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
    poolInfo.queueFamilyIndex = device_->queueFamily();
    const DeviceFunctions& vk = device_->functions();
    VkCommandPool pool = VK_NULL_HANDLE;
    ASSERT_EQ(vk.CreateCommandPool(device_->handle(), &poolInfo, nullptr, &pool), VK_SUCCESS);
    std::vector<VkCommandBuffer> commands(count);
    VkCommandBufferAllocateInfo allocation{};
    allocation.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
    allocation.commandPool = pool;
    allocation.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    allocation.commandBufferCount = static_cast<uint32_t>(count);
    ASSERT_EQ(vk.AllocateCommandBuffers(device_->handle(), &allocation, commands.data()), VK_SUCCESS);
    for (size_t i = 0; i < count; ++i) {
        VkCommandBufferBeginInfo begin{};
        begin.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
        ASSERT_EQ(vk.BeginCommandBuffer(commands[i], &begin), VK_SUCCESS);
        const Status status = session->record(commands[i], 0, input, {}, i, 1);
        ASSERT_TRUE(status.ok()) << status.message();
        if (i + 1 == count) {
            recordBarrier(*device_, commands[i], VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
                          VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
        }
        ASSERT_EQ(vk.EndCommandBuffer(commands[i]), VK_SUCCESS);
    }
    for (VkCommandBuffer one : commands) {
        VkSubmitInfo submission{};
        submission.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
        submission.commandBufferCount = 1;
        submission.pCommandBuffers = &one;
        ASSERT_TRUE(device_->submit(device_->queue(), submission, VK_NULL_HANDLE).ok());
    }
    ASSERT_EQ(vk.QueueWaitIdle(device_->queue()), VK_SUCCESS);

    EXPECT_EQ(readSlot(*session, 0), whole);
    vk.DestroyCommandPool(device_->handle(), pool, nullptr);
}

TEST_F(ApplicationTest, aRangeBeforeTheFirstDispatchWasRecordedIsRefused) {
    const auto session = createSession(1);
    ASSERT_TRUE(session);
    PixelSource source;
    source.buffer = session->outputBuffer(0);
    source.width = source.height = 4;
    VulkanInput input;
    input.pixels = {&source, 1};
    EXPECT_EQ(session->record(VK_NULL_HANDLE, 0, input, {}, 1, 1).code(), StatusCode::InvalidArgument);
    const size_t count = session->info().dispatches;
    EXPECT_EQ(session->record(VK_NULL_HANDLE, 0, input, {}, count, 0).code(), StatusCode::InvalidArgument);
    EXPECT_EQ(session->record(VK_NULL_HANDLE, 0, input, {}, 1, count).code(), StatusCode::InvalidArgument);
    EXPECT_EQ(session->record(VK_NULL_HANDLE, 1, input, {}).code(), StatusCode::InvalidArgument);
}

TEST_F(ApplicationTest, twoFramesInFlightOnATimelineGiveWhatRunGives) {
    if (!device_->enabled().timelineSemaphore) GTEST_SKIP() << "the device has no timeline semaphores";
    // given two slots bound to two images, and what run() gives for each
    const auto session = createSession(2), blocking = createSession(1);
    ASSERT_TRUE(session && blocking);
    const std::vector<uint8_t> pixels[] = {test::testPicture(kWidth, kHeight, 1),
                                           test::testPicture(kWidth, kHeight, 99)};
    const test::Picture first(*device_, VK_FORMAT_R8G8B8A8_UNORM, kWidth, kHeight, pixels[0]);
    const test::Picture second(*device_, VK_FORMAT_R8G8B8A8_UNORM, kWidth, kHeight, pixels[1]);
    const ImageSource sources[] = {first.source(), second.source()};
    std::vector<float> expected[2];
    for (int slot = 0; slot < 2; ++slot) {
        expected[slot] = logits(*blocking, runOnHost(*blocking, pixels[slot], kWidth, kHeight));
        VulkanInput input;
        input.images = {&sources[slot], 1};
        const Status status = session->bindSlot(slot, input);
        ASSERT_TRUE(status.ok()) << status.message();
    }
    ASSERT_GT(test::relativeError(expected[0], expected[1]), 1e-3) << "the two frames must differ";

    // when frames are submitted alternately, each after the application's signal, two at a time
    const test::Semaphore frameReady(*device_, true), frameDone(*device_, true);
    constexpr uint64_t kFrames = 20;
    for (uint64_t frame = 1; frame <= kFrames; ++frame) {
        const int slot = static_cast<int>(frame % 2);
        if (frame > 2) {
            ASSERT_EQ(frameDone.wait(frame - 2), VK_SUCCESS);
        }
        const SemaphoreValue wait{frameReady.handle(), frame}, signal{frameDone.handle(), frame};
        SubmitInfo info;
        info.slot = slot;
        info.waits = {&wait, 1};
        info.signals = {&signal, 1};
        const Status status = session->submit(info);
        ASSERT_TRUE(status.ok()) << status.message();
        ASSERT_EQ(frameReady.signal(frame), VK_SUCCESS);
    }
    ASSERT_EQ(frameDone.wait(kFrames), VK_SUCCESS);

    // then each slot holds its own frame's result
    for (int slot = 0; slot < 2; ++slot) {
        EXPECT_LT(test::relativeError(logits(*session, readSlot(*session, slot)), expected[slot]), 1e-5) << slot;
    }
}

TEST_F(ApplicationTest, aTimelineMayBeWaitedForAtZero) {
    if (!device_->enabled().timelineSemaphore) GTEST_SKIP() << "the device has no timeline semaphores";
    const auto session = createSession(1);
    ASSERT_TRUE(session);
    const std::vector<uint8_t> pixels = test::testPicture(kWidth, kHeight);
    const test::Picture picture(*device_, VK_FORMAT_R8G8B8A8_UNORM, kWidth, kHeight, pixels);
    const ImageSource source = picture.source();
    VulkanInput input;
    input.images = {&source, 1};
    ASSERT_TRUE(session->bindSlot(0, input).ok());
    // when the only value of a submission is that of a timeline that never moved
    const test::Semaphore frames(*device_, true);
    const SemaphoreValue wait{frames.handle(), 0};
    SubmitInfo info;
    info.waits = {&wait, 1};
    const Status status = session->submit(info);
    // then it runs, and the validation layer has nothing to say
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(device_->functions().QueueWaitIdle(device_->queue()), VK_SUCCESS);
}

TEST_F(ApplicationTest, aBinarySemaphoreAndAFenceOrderASubmission) {
    const auto session = createSession(1);
    ASSERT_TRUE(session);
    const std::vector<uint8_t> pixels = test::testPicture(kWidth, kHeight);
    const std::vector<std::byte> expected = runOnHost(*session, pixels, kWidth, kHeight);
    auto buffer = Buffer::create(*device_, pixels.size(), VK_BUFFER_USAGE_STORAGE_BUFFER_BIT, MemoryUse::Upload);
    ASSERT_TRUE(buffer.ok());
    std::memcpy(buffer->mapped(), pixels.data(), pixels.size());
    ASSERT_TRUE(buffer->flush(0, pixels.size()).ok());
    PixelSource source;
    source.buffer = buffer->handle();
    source.width = kWidth;
    source.height = kHeight;
    VulkanInput input;
    input.pixels = {&source, 1};
    // given an output buffer of the application, with something before the outputs
    const uint64_t offset = device_->limits().offsetAlignment * 3;
    auto target = Buffer::create(*device_, offset + session->outputBytes(), VK_BUFFER_USAGE_STORAGE_BUFFER_BIT,
                                 MemoryUse::Readback);
    ASSERT_TRUE(target.ok());
    ASSERT_EQ(session->bindSlot(0, input, {target->handle(), offset + 4}).code(), StatusCode::InvalidArgument);
    ASSERT_TRUE(session->bindSlot(0, input, {target->handle(), offset}).ok());

    // when an empty submission signals the semaphore that the network waits for
    const test::Semaphore ready(*device_, false);
    const VkSemaphore handle = ready.handle();
    VkSubmitInfo submission{};
    submission.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
    submission.signalSemaphoreCount = 1;
    submission.pSignalSemaphores = &handle;
    ASSERT_TRUE(device_->submit(device_->queue(), submission, VK_NULL_HANDLE).ok());
    VkFenceCreateInfo fenceInfo{};
    fenceInfo.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO;
    VkFence fence = VK_NULL_HANDLE;
    const DeviceFunctions& vk = device_->functions();
    ASSERT_EQ(vk.CreateFence(device_->handle(), &fenceInfo, nullptr, &fence), VK_SUCCESS);
    const SemaphoreValue wait{handle, 0};
    SubmitInfo info;
    info.queue = device_->queue();
    info.waits = {&wait, 1};
    info.fence = fence;
    ASSERT_TRUE(session->submit(info).ok());
    ASSERT_EQ(vk.WaitForFences(device_->handle(), 1, &fence, VK_TRUE, UINT64_MAX), VK_SUCCESS);
    vk.DestroyFence(device_->handle(), fence, nullptr);

    ASSERT_TRUE(target->invalidate(0, target->sizeBytes()).ok());
    const std::span<const std::byte> written(target->mapped() + offset, session->outputBytes());
    for (const OutputSlice& slice : session->outputs()) {
        EXPECT_EQ(test::floatsOf(written, slice), test::floatsOf(expected, slice)) << slice.name;
    }
}

TEST_F(ApplicationTest, whatWasRecordedOnceCanBeSubmittedAgain) {
    const auto session = createSession(1);
    ASSERT_TRUE(session);
    const std::vector<uint8_t> before = test::testPicture(kWidth, kHeight, 1),
                               after = test::testPicture(kWidth, kHeight, 7);
    const std::vector<std::byte> expected[] = {runOnHost(*session, before, kWidth, kHeight),
                                               runOnHost(*session, after, kWidth, kHeight)};
    auto buffer = Buffer::create(*device_, before.size(), VK_BUFFER_USAGE_STORAGE_BUFFER_BIT, MemoryUse::Upload);
    ASSERT_TRUE(buffer.ok());
    PixelSource source;
    source.buffer = buffer->handle();
    source.width = kWidth;
    source.height = kHeight;
    VulkanInput input;
    input.pixels = {&source, 1};
    ASSERT_TRUE(session->bindSlot(0, input).ok());
    for (int round = 0; round < 6; ++round) {
        const std::vector<uint8_t>& pixels = round % 2 ? after : before;
        std::memcpy(buffer->mapped(), pixels.data(), pixels.size());
        ASSERT_TRUE(buffer->flush(0, pixels.size()).ok());
        ASSERT_TRUE(session->submit({}).ok());
        ASSERT_EQ(device_->functions().QueueWaitIdle(device_->queue()), VK_SUCCESS);
        EXPECT_EQ(readSlot(*session, 0), expected[round % 2]) << "round " << round;
    }
}

TEST_F(ApplicationTest, badInputsAreRefusedBeforeAnythingIsRecorded) {
    const auto session = createSession(1);
    ASSERT_TRUE(session);
    const std::vector<uint8_t> pixels = test::testPicture(8, 8);
    const test::Picture picture(*device_, VK_FORMAT_R8G8B8A8_UNORM, 8, 8, pixels);
    const auto codeOf = [&](const ImageSource& source) {
        VulkanInput input;
        input.images = {&source, 1};
        return session->bindSlot(0, input).code();
    };
    ImageSource wrongLayout = picture.source();
    wrongLayout.layout = VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL;
    EXPECT_EQ(codeOf(wrongLayout), StatusCode::InvalidArgument);
    EXPECT_EQ(codeOf(picture.source({4, 4, 5, 4})), StatusCode::InvalidArgument) << "region outside";
    EXPECT_EQ(codeOf(picture.source({UINT32_MAX, 0, 2, 2})), StatusCode::InvalidArgument) << "region wraps around";
    ImageSource noView = picture.source();
    noView.view = VK_NULL_HANDLE;
    EXPECT_EQ(codeOf(noView), StatusCode::InvalidArgument);
    EXPECT_EQ(codeOf(picture.source()), StatusCode::Ok);

    PixelSource source;
    source.buffer = session->outputBuffer(0);
    const auto codeOfPixels = [&] {
        VulkanInput input;
        input.pixels = {&source, 1};
        return session->bindSlot(0, input).code();
    };
    EXPECT_EQ(codeOfPixels(), StatusCode::InvalidArgument) << "0x0 pixels";
    source.width = source.height = 8;
    source.offsetBytes = 2;
    EXPECT_EQ(codeOfPixels(), StatusCode::InvalidArgument) << "offset";
    source.offsetBytes = 0;
    source.rowPixels = 7;
    EXPECT_EQ(codeOfPixels(), StatusCode::InvalidArgument) << "rows overlap";
    source.rowPixels = 0;
    source.width = source.height = kMaxPictureSide;
    EXPECT_EQ(codeOfPixels(), StatusCode::DoesNotFit) << "1 GiB of pixels";
}

TEST_F(ApplicationTest, tensorsInABufferGiveWhatHostTensorsGive) {
    const auto session = createSession(1, 2);
    ASSERT_TRUE(session);
    const std::vector<float> tensor = formulaInput(2, test::kSmallSide, test::kSmallSide);
    std::vector<std::byte> expected(session->outputBytes());
    HostInput host;
    host.tensor = tensor;
    ASSERT_TRUE(session->run(host, expected).ok());
    const uint64_t bytes = tensor.size() * sizeof(float);
    auto buffer = Buffer::create(*device_, bytes + 20, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT, MemoryUse::Upload);
    ASSERT_TRUE(buffer.ok());
    std::memcpy(buffer->mapped() + 20, tensor.data(), bytes);
    ASSERT_TRUE(buffer->flush(0, buffer->sizeBytes()).ok());
    VulkanInput input;
    input.tensor = {buffer->handle(), 20};
    EXPECT_EQ(runRecorded(*session, 0, input), expected);
}

}  // namespace
}  // namespace dunlin::vulkan
