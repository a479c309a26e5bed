// dunlin_vulkan.h inside an application: its own instance and device, its images and buffers, its command buffers
// between its own barriers, its semaphores. The validation layer, synchronization included, has nothing to say.
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <stdexcept>

#include "tests/package/vulkan_application.h"

namespace {

using application::Application;

constexpr uint32_t kSide = 96;
constexpr uint32_t kWidth = 130, kHeight = 110;

std::vector<uint8_t> pattern(uint32_t seed) {
    std::vector<uint8_t> pixels(size_t{kWidth} * kHeight * 4);
    for (size_t i = 0; i < pixels.size(); ++i) {
        const size_t x = i / 4 % kWidth, y = i / 4 / kWidth;
        pixels[i] = static_cast<uint8_t>((x * (3 + seed) + y * 5 + i % 4 * 60) % 256);
    }
    return pixels;
}

dunlin::Picture viewOf(const std::vector<uint8_t>& pixels) {
    return {pixels.data(), kWidth, kHeight, 0};
}

// The largest difference of two sets of logits over the largest logit.
double relativeError(std::span<const float> got, std::span<const float> expected) {
    double error = 0, largest = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
        error = std::max(error, std::abs(double{got[i]} - expected[i]));
        largest = std::max(largest, std::abs(double{expected[i]}));
    }
    return error / largest;
}

bool hasVulkanDevice() {
    const auto devices = dunlin::Device::list();
    return devices && devices->size() > 1 && devices->front().usable;
}

class VulkanApi : public ::testing::Test {
  protected:
    void SetUp() override {
        if (!hasVulkanDevice()) GTEST_SKIP() << "no usable Vulkan device";
        app = std::make_unique<Application>();
        auto opened = dunlin::Model::open("mobilenetv3_small_050", {.weights = "synthetic"});
        ASSERT_TRUE(opened) << opened.error().message;
        model = std::make_unique<dunlin::Model>(*std::move(opened));
    }
    void TearDown() override {
        if (!app) return;
        for (const std::string& message : app->messages) ADD_FAILURE() << message;
    }

    dunlin::Device borrow(const DunlinVulkanBorrowedDevice& handles) {
        auto device = dunlin::borrowDevice(handles);
        EXPECT_TRUE(device) << device.error().message;
        return *std::move(device);
    }

    dunlin::Session createSession(const dunlin::Device& device, uint32_t slots = 1) {
        auto session =
            dunlin::Session::create(device, *model,
                                    {.height = kSide,
                                     .width = kSide,
                                     .precision = DUNLIN_PRECISION_FP32,
                                     .slots = slots,
                                     .inputKinds = DUNLIN_INPUT_PICTURES | DUNLIN_INPUT_TENSOR | DUNLIN_INPUT_IMAGE});
        EXPECT_TRUE(session) << session.error().message;
        return *std::move(session);
    }

    DunlinVulkanImage sourceOf(const application::Image& image) {
        return {*image.view, VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL, {kWidth, kHeight}, {}, VK_FALSE};
    }

    std::unique_ptr<Application> app;
    std::unique_ptr<dunlin::Model> model;
};

TEST_F(VulkanApi, ABorrowedDeviceSaysWhatIsEnabled) {
    DunlinVulkanBorrowedDevice handles = app->borrowed();
    handles.enabledFeatures.shaderFloat16 = VK_FALSE;
    const dunlin::Device device = borrow(handles);
    const auto info = device.info();
    ASSERT_TRUE(info);
    EXPECT_STREQ(info->id, "vulkan");
    EXPECT_FALSE(info->features & DUNLIN_FEATURE_FP16);
    const auto session = dunlin::Session::create(device, *model, {.precision = DUNLIN_PRECISION_FP16});
    ASSERT_FALSE(session);
    EXPECT_EQ(session.error().status, DUNLIN_ERROR_UNSUPPORTED);
}

TEST_F(VulkanApi, RunAgreesWithTheCpu) {
    const auto pixels = pattern(0);
    const dunlin::Device borrowed = borrow(app->borrowed());
    dunlin::Session onVulkan = createSession(borrowed);
    auto cpu = dunlin::Device::create({.id = "cpu"});
    auto onCpu = dunlin::Session::create(*cpu, *model, {.height = kSide, .width = kSide});
    ASSERT_TRUE(onCpu) << onCpu.error().message;
    const auto got = onVulkan.run(viewOf(pixels)), expected = onCpu->run(viewOf(pixels));
    ASSERT_TRUE(got) << got.error().message;
    ASSERT_TRUE(expected) << expected.error().message;
    EXPECT_LT(relativeError(got->values(0), expected->values(0)), 1e-3);
    EXPECT_EQ(got->top()[0].classIndex, expected->top()[0].classIndex);
}

// Two frames in flight: each frame's image goes into the application's command buffer, and a timeline semaphore says
// when its slot is done.
TEST_F(VulkanApi, RecordedFramesInFlightGiveWhatRunGives) {
    if (!app->enabled.timelineSemaphore) GTEST_SKIP() << "the device has no timeline semaphores";
    const dunlin::Device device = borrow(app->borrowed());
    dunlin::Session session = createSession(device, 2);
    const auto output = [&] {
        return app->createBuffer(session.outputBytes(), vk::BufferUsageFlagBits::eStorageBuffer);
    };
    const std::vector<uint8_t> pixels[] = {pattern(1), pattern(9)};
    const application::Image images[] = {app->createImage(pixels[0], kWidth, kHeight),
                                         app->createImage(pixels[1], kWidth, kHeight)};
    const application::Buffer outputs[] = {output(), output()};
    vk::StructureChain<vk::SemaphoreCreateInfo, vk::SemaphoreTypeCreateInfo> timelineInfo(
        {}, {vk::SemaphoreType::eTimeline, 0});
    const vk::raii::Semaphore timeline(app->device, timelineInfo.get());

    std::vector<vk::raii::CommandBuffer> frames;
    for (uint32_t slot = 0; slot < 2; ++slot) {
        const DunlinVulkanImage source = sourceOf(images[slot]);
        frames.push_back(app->beginCommands());
        const auto done = dunlin::record(session, *frames[slot], slot, dunlin::vulkanInput(std::span(&source, 1)),
                                         {*outputs[slot].handle, 0});
        ASSERT_TRUE(done) << done.error().message;
        const vk::MemoryBarrier toHost(vk::AccessFlagBits::eShaderWrite, vk::AccessFlagBits::eHostRead);
        frames[slot].pipelineBarrier(vk::PipelineStageFlagBits::eComputeShader, vk::PipelineStageFlagBits::eHost, {},
                                     toHost, {}, {});
        frames[slot].end();
    }
    for (uint64_t slot = 0; slot < 2; ++slot) {
        const uint64_t value = slot + 1;
        vk::StructureChain<vk::SubmitInfo, vk::TimelineSemaphoreSubmitInfo> submit;
        submit.get<vk::SubmitInfo>().setCommandBuffers(*frames[slot]).setSignalSemaphores(*timeline);
        submit.get<vk::TimelineSemaphoreSubmitInfo>().setSignalSemaphoreValues(value);
        app->queue.submit(submit.get());
    }
    const uint64_t last = 2;
    const vk::SemaphoreWaitInfo wait({}, *timeline, last);
    const auto waitSemaphores =
        reinterpret_cast<PFN_vkWaitSemaphoresKHR>(app->device.getProcAddr("vkWaitSemaphoresKHR"));
    ASSERT_NE(waitSemaphores, nullptr);
    ASSERT_EQ(waitSemaphores(*app->device, &static_cast<const VkSemaphoreWaitInfo&>(wait), UINT64_MAX), VK_SUCCESS);

    for (size_t slot = 0; slot < 2; ++slot) {
        const auto expected = session.run(viewOf(pixels[slot]));
        ASSERT_TRUE(expected) << expected.error().message;
        const auto* logits = static_cast<const float*>(outputs[slot].mapped);
        EXPECT_LT(relativeError({logits, 1000}, expected->values(0)), 1e-4) << "slot " << slot;
    }
}

TEST_F(VulkanApi, RecordingInRangesGivesTheSameBits) {
    const dunlin::Device device = borrow(app->borrowed());
    dunlin::Session session = createSession(device);
    const auto info = session.info();
    ASSERT_TRUE(info);
    const application::Image image = app->createImage(pattern(2), kWidth, kHeight);
    const DunlinVulkanImage source = sourceOf(image);
    const auto recordRange = [&](const vk::raii::CommandBuffer& commands, uint32_t first, uint32_t count) {
        const auto done =
            dunlin::record(session, *commands, 0, dunlin::vulkanInput(std::span(&source, 1)), {}, first, count);
        ASSERT_TRUE(done) << done.error().message;
    };
    const auto finish = [&](const vk::raii::CommandBuffer& commands) {
        const vk::MemoryBarrier toHost(vk::AccessFlagBits::eShaderWrite, vk::AccessFlagBits::eHostRead);
        commands.pipelineBarrier(vk::PipelineStageFlagBits::eComputeShader, vk::PipelineStageFlagBits::eHost, {},
                                 toHost, {}, {});
        commands.end();
    };
    const vk::raii::CommandBuffer whole = app->beginCommands();
    recordRange(whole, 0, 0);
    finish(whole);
    app->queue.submit(vk::SubmitInfo({}, {}, *whole));
    app->queue.waitIdle();
    const auto expected = dunlin::readSlotOutput(session, 0);
    ASSERT_TRUE(expected) << expected.error().message;

    const uint32_t half = info->dispatches / 2;
    const vk::raii::CommandBuffer first = app->beginCommands(), second = app->beginCommands();
    recordRange(first, 0, half);
    first.end();
    recordRange(second, half, info->dispatches - half);
    finish(second);
    const vk::CommandBuffer both[] = {*first, *second};
    app->queue.submit(vk::SubmitInfo({}, {}, both));
    app->queue.waitIdle();
    const auto got = dunlin::readSlotOutput(session, 0);
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_TRUE(std::ranges::equal(got->values(0), expected->values(0)));
}

TEST_F(VulkanApi, ABoundSlotIsSubmittedWithOneCall) {
    const dunlin::Device device = borrow(app->borrowed());
    dunlin::Session session = createSession(device);
    const auto pixels = pattern(3);
    const application::Buffer source = app->createBuffer(pixels.size(), vk::BufferUsageFlagBits::eStorageBuffer);
    std::memcpy(source.mapped, pixels.data(), pixels.size());
    const auto expected = session.run(viewOf(pixels));
    ASSERT_TRUE(expected) << expected.error().message;

    const DunlinVulkanPixels picture = {*source.handle, 0, kWidth, kHeight, 0};
    const auto bound = dunlin::bindSlot(session, 0, dunlin::vulkanInput(std::span(&picture, 1)));
    ASSERT_TRUE(bound) << bound.error().message;
    const vk::raii::Fence fence(app->device, vk::FenceCreateInfo());
    for (int repeat = 0; repeat < 2; ++repeat) {
        const auto done = dunlin::submit(session, 0, {}, {}, *fence);
        ASSERT_TRUE(done) << done.error().message;
        ASSERT_EQ(app->device.waitForFences(*fence, true, UINT64_MAX), vk::Result::eSuccess);
        app->device.resetFences(*fence);
        const auto got = dunlin::readSlotOutput(session, 0);
        ASSERT_TRUE(got) << got.error().message;
        EXPECT_TRUE(std::ranges::equal(got->values(0), expected->values(0))) << "repeat " << repeat;
    }
}

TEST_F(VulkanApi, TheApplicationsQueueLockBracketsEverySubmission) {
    struct Lock {
        std::mutex mutex;
        int taken = 0;
    } lock;
    DunlinVulkanBorrowedDevice handles = app->borrowed();
    handles.queueLockUserData = &lock;
    handles.lockQueue = [](void* user, VkQueue) {
        static_cast<Lock*>(user)->mutex.lock();
        ++static_cast<Lock*>(user)->taken;
    };
    handles.unlockQueue = [](void* user, VkQueue) { static_cast<Lock*>(user)->mutex.unlock(); };
    const dunlin::Device device = borrow(handles);
    dunlin::Session session = createSession(device);
    const int afterCreation = lock.taken;
    EXPECT_GT(afterCreation, 0);
    EXPECT_TRUE(session.run(viewOf(pattern(4))));
    EXPECT_EQ(lock.taken, afterCreation + 1);
    EXPECT_TRUE(lock.mutex.try_lock());
    lock.mutex.unlock();
}

TEST_F(VulkanApi, AllocationCallbacksGetBackWhatTheyGave) {
    static std::atomic<int> living, given;
    living = given = 0;
    VkAllocationCallbacks callbacks = {};
    callbacks.pfnAllocation = [](void*, size_t size, size_t alignment, VkSystemAllocationScope) -> void* {
        ++given;
        ++living;
        return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    };
    callbacks.pfnReallocation = [](void*, void* old, size_t size, size_t, VkSystemAllocationScope) -> void* {
        if (!old) ++living;
        return std::realloc(old, size);
    };
    callbacks.pfnFree = [](void*, void* memory) {
        if (memory) --living;
        std::free(memory);
    };
    {
        DunlinVulkanBorrowedDevice handles = app->borrowed();
        handles.allocationCallbacks = &callbacks;
        const dunlin::Device device = borrow(handles);
        dunlin::Session session = createSession(device);
        EXPECT_TRUE(session.run(viewOf(pattern(5))));
    }
    EXPECT_GT(given, 0);
    EXPECT_EQ(living, 0);
}

TEST_F(VulkanApi, ABorrowedDevicesCacheThatCannotBeWrittenIsAMessage) {
    // given a file where the cache folder should be
    const std::string blocked = ::testing::TempDir() + "dunlin_blocked_cache";
    std::ofstream(blocked) << "no folder";
    std::vector<std::pair<DunlinMessageSeverity, std::string>> messages;
    DunlinVulkanBorrowedDevice handles = app->borrowed();
    handles.sType = DUNLIN_STRUCTURE_TYPE_VULKAN_BORROWED_DEVICE;
    DunlinDeviceOptions options = {};
    options.sType = DUNLIN_STRUCTURE_TYPE_DEVICE_OPTIONS;
    options.pNext = &handles;
    options.cacheDirectory = blocked.c_str();
    options.messageUserData = &messages;
    options.messageCallback = [](void* user, DunlinMessageSeverity severity, const char* text) {
        static_cast<decltype(messages)*>(user)->emplace_back(severity, text);
    };
    DunlinDevice device = nullptr;
    DunlinError error;
    ASSERT_EQ(dunlinCreateDevice(&options, &device, &error), DUNLIN_SUCCESS) << error.message;

    // when a session is created, then it works and the callback hears why the next start is slow
    DunlinSession session = nullptr;
    EXPECT_EQ(dunlinCreateSession(device, model->handle(), nullptr, &session, &error), DUNLIN_SUCCESS) << error.message;
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(messages[0].first, DUNLIN_MESSAGE_WARNING);
    EXPECT_NE(messages[0].second.find(blocked), std::string::npos) << messages[0].second;
    dunlinDestroySession(session);
    dunlinDestroyDevice(device);
    std::filesystem::remove(blocked);
}

TEST_F(VulkanApi, WhatTuningFoundOutIsDescribedKeptAndShipped) {
    const std::filesystem::path folder = std::filesystem::path(::testing::TempDir()) / "dunlin_tuned_cache";
    std::filesystem::remove_all(folder);
    const auto open = [](const dunlin::DeviceOptions& options) {
        auto device = dunlin::Device::create(options);
        EXPECT_TRUE(device) << device.error().message;
        return *std::move(device);
    };
    const auto logits = [](dunlin::Session& session) {
        const auto outputs = session.run(viewOf(pattern(5)));
        EXPECT_TRUE(outputs);
        const auto values = outputs->values(DUNLIN_OUTPUT_LOGITS);
        return std::vector<float>(values.begin(), values.end());
    };
    const auto create = [&](const dunlin::Device& device, dunlin::SessionOptions options) {
        options.height = options.width = kSide;
        auto session = dunlin::Session::create(device, *model, options);
        EXPECT_TRUE(session) << session.error().message;
        return *std::move(session);
    };
    // given a session without tuning
    const dunlin::Device device = open({.id = "vulkan", .cacheDirectory = folder.string()});
    dunlin::Session plain = create(device, {});
    EXPECT_EQ(plain.info()->tunedProblems, 0u);
    // when another one may spend a few seconds on it
    float last = 0;
    const auto neverFalls = [&](float progress) {
        EXPECT_GE(progress, last);
        last = progress;
        return true;
    };
    dunlin::Session tuned = create(device, {.progress = neverFalls, .tuningBudgetMs = 4000});
    // then it says what came of it, and computes the same
    const DunlinSessionInfo info = *tuned.info();
    EXPECT_GT(info.tunedProblems, 0u);
    EXPECT_LE(info.tunedProblems, info.tuningProblems);
    EXPECT_GT(info.tuningFormsTried, info.tunedProblems);
    EXPECT_EQ(info.tuningFormsRejected, 0u);
    EXPECT_GT(info.tuningMs, 0u);
    EXPECT_LT(relativeError(logits(tuned), logits(plain)), 1e-4);
    EXPECT_EQ(last, 1.0f);
    // and a device that was shipped the folder needs no time for it
    const dunlin::Device shipped = open({.id = "vulkan", .tuningCache = folder.string()});
    dunlin::Session same = create(shipped, {});
    EXPECT_EQ(same.info()->tunedProblems, info.tunedProblems);
    EXPECT_EQ(same.info()->tuningFormsTried, 0u);
    EXPECT_EQ(logits(same), logits(tuned));
    std::filesystem::remove_all(folder);
}

TEST_F(VulkanApi, ATuningCacheOfSomeBytesMustBeThere) {
    DunlinDeviceOptions options = {};
    options.sType = DUNLIN_STRUCTURE_TYPE_DEVICE_OPTIONS;
    options.tuningCacheDataBytes = 5;
    DunlinDevice device = nullptr;
    DunlinError error;
    EXPECT_EQ(dunlinCreateDevice(&options, &device, &error), DUNLIN_ERROR_INVALID_ARGUMENT);
    EXPECT_STREQ(error.message, "DunlinDeviceOptions::tuningCacheData is NULL, which it must not be");
}

// While pipelines compile on several threads; what those started still ends.
TEST_F(VulkanApi, WhatACallbackThrowsAmongThePipelinesEndsAsAStatus) {
    const dunlin::Device device = borrow(app->borrowed());
    for (float from : {0.1f, 0.62f, 0.83f}) {
        DunlinSessionOptions options = {};
        options.sType = DUNLIN_STRUCTURE_TYPE_SESSION_OPTIONS;
        options.height = options.width = kSide;
        options.progressUserData = &from;
        options.progress = [](void* user, float done) -> DunlinBool {
            if (done >= *static_cast<float*>(user)) throw std::runtime_error("from the callback");
            return true;
        };
        DunlinSession created = nullptr;
        DunlinError error;
        EXPECT_EQ(dunlinCreateSession(device.handle(), model->handle(), &options, &created, &error),
                  DUNLIN_ERROR_DEVICE);
        EXPECT_NE(std::strstr(error.message, "from the callback"), nullptr) << error.message;
        EXPECT_EQ(created, nullptr);
    }
    createSession(device);  // what was begun left nothing behind that a later session would wait for
}

TEST_F(VulkanApi, ASlotThatDoesNotExistIsRefused) {
    const dunlin::Device device = borrow(app->borrowed());
    dunlin::Session session = createSession(device);
    const auto bound = dunlin::bindSlot(session, 1, dunlin::vulkanTensor(VK_NULL_HANDLE));
    ASSERT_FALSE(bound);
    EXPECT_EQ(bound.error().message, "slot is 1, but the session has 1");
}

TEST(VulkanApiValidation, HasNothingToSayOfARun) {
    if (!hasVulkanDevice()) GTEST_SKIP() << "no usable Vulkan device";
    std::vector<std::string> messages;
    const auto collect = [](void* user, DunlinMessageSeverity, const char* text) {
        static_cast<std::vector<std::string>*>(user)->push_back(text);
    };
    auto device = dunlin::Device::create(
        {.id = "vulkan", .validation = true, .messageCallback = collect, .messageUserData = &messages});
    ASSERT_TRUE(device) << device.error().message;
    auto model = dunlin::Model::open("mobilenetv3_small_050", {.weights = "synthetic"});
    ASSERT_TRUE(model);
    auto session = dunlin::Session::create(*device, *model, {.height = kSide, .width = kSide});
    ASSERT_TRUE(session) << session.error().message;
    EXPECT_TRUE(session->run(viewOf(pattern(6))));
    EXPECT_TRUE(messages.empty()) << messages.front();
}

}  // namespace
