// What a frame costs the processor outside the driver, whose functions are replaced by ones that do nothing.
#include <algorithm>
#include <cstring>
#include <ctime>

#include "runtime/vulkan/backend.h"
#include "tests/vulkan/application.h"
#include "tests/vulkan/published_network.h"
#include "tests/vulkan/vulkan_fixture.h"

namespace dunlin::vulkan {
namespace {

constexpr double kMostMicroseconds = 30;
constexpr int kFrames = 50, kRounds = 20;

// Function pointers carry no state.
PFN_vkGetInstanceProcAddr g_getInstanceProcAddr = nullptr;
PFN_vkGetDeviceProcAddr g_getDeviceProcAddr = nullptr;
bool g_isSilent = false;
int g_silencedCalls = 0;

// A function that passes its arguments on, except while silent.
template <auto Name, typename Function>
struct Silenced;
template <auto Name, typename Result, typename... Arguments>
struct Silenced<Name, Result(VKAPI_PTR*)(Arguments...)> {
    static inline Result(VKAPI_PTR* real)(Arguments...) = nullptr;
    static VKAPI_ATTR Result VKAPI_CALL call(Arguments... arguments) {
        if (!g_isSilent) return real(arguments...);
        ++g_silencedCalls;
        return Result();
    }
};

enum class Silent { BindPipeline, BindSets, Push, Dispatch, Barrier, Update, Submit };

template <Silent Name, typename Function>
PFN_vkVoidFunction silenced(PFN_vkVoidFunction real) {
    using Wrapper = Silenced<Name, Function>;
    Wrapper::real = reinterpret_cast<Function>(real);
    return reinterpret_cast<PFN_vkVoidFunction>(&Wrapper::call);
}

PFN_vkVoidFunction VKAPI_CALL deviceFunction(VkDevice device, const char* name) {
    const PFN_vkVoidFunction real = g_getDeviceProcAddr(device, name);
    const auto is = [&](const char* other) { return std::strcmp(name, other) == 0; };
    if (is("vkCmdBindPipeline")) return silenced<Silent::BindPipeline, PFN_vkCmdBindPipeline>(real);
    if (is("vkCmdBindDescriptorSets")) return silenced<Silent::BindSets, PFN_vkCmdBindDescriptorSets>(real);
    if (is("vkCmdPushConstants")) return silenced<Silent::Push, PFN_vkCmdPushConstants>(real);
    if (is("vkCmdDispatch")) return silenced<Silent::Dispatch, PFN_vkCmdDispatch>(real);
    if (is("vkCmdPipelineBarrier")) return silenced<Silent::Barrier, PFN_vkCmdPipelineBarrier>(real);
    if (is("vkUpdateDescriptorSets")) return silenced<Silent::Update, PFN_vkUpdateDescriptorSets>(real);
    if (is("vkQueueSubmit")) return silenced<Silent::Submit, PFN_vkQueueSubmit>(real);
    return real;
}

PFN_vkVoidFunction VKAPI_CALL instanceFunction(VkInstance instance, const char* name) {
    const PFN_vkVoidFunction real = g_getInstanceProcAddr(instance, name);
    if (std::strcmp(name, "vkGetDeviceProcAddr") != 0) return real;
    g_getDeviceProcAddr = reinterpret_cast<PFN_vkGetDeviceProcAddr>(real);
    return reinterpret_cast<PFN_vkVoidFunction>(deviceFunction);
}

double threadMicroseconds() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) * 1e-3;
}

// The least that a frame took in any round, so that interrupts do not count.
template <typename Frame>
double leastMicroseconds(const Frame& frame) {
    double least = 1e9;
    g_isSilent = true;
    for (int round = 0; round < kRounds; ++round) {
        const double begin = threadMicroseconds();
        for (int i = 0; i < kFrames; ++i) frame();
        least = std::min(least, (threadMicroseconds() - begin) / kFrames);
    }
    g_isSilent = false;
    return least;
}

class CpuTimeTest : public test::VulkanTest {
  protected:
    void SetUp() override {
        VulkanTest::SetUp();
        if (!device_) return;
        g_getInstanceProcAddr = device_->instanceFunctions().getInstanceProcAddr;
        BorrowedDevice handles = test::handlesOf(*device_);
        handles.getInstanceProcAddr = instanceFunction;
        auto borrowed = VulkanDevice::borrow(handles);
        ASSERT_TRUE(borrowed.ok()) << borrowed.status().message();
        borrowed_ = *std::move(borrowed);
        auto backend = VulkanBackend::create(borrowed_);
        ASSERT_TRUE(backend.ok()) << backend.status().message();
        VulkanSessionOptions options;
        options.inputKinds = kInputPixels;
        auto session = (*backend)->createSession(test::publishedSizeModel("mobilenetv3_large_100"), options);
        ASSERT_TRUE(session.ok()) << session.status().message();
        session_ = *std::move(session);
        constexpr uint32_t kSide = 256;
        auto picture = Buffer::create(*borrowed_, uint64_t{kSide} * kSide * 4, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT,
                                      MemoryUse::Device);
        ASSERT_TRUE(picture.ok()) << picture.status().message();
        picture_ = *std::move(picture);
        source_ = {picture_.handle(), 0, kSide, kSide, 0};
    }
    void TearDown() override {
        session_.reset();
        picture_.reset();
        borrowed_.reset();
        VulkanTest::TearDown();
    }
    VulkanInput input() const {
        VulkanInput input;
        input.pixels = {&source_, 1};
        return input;
    }

    std::shared_ptr<VulkanDevice> borrowed_;
    std::unique_ptr<VulkanSession> session_;
    Buffer picture_;
    PixelSource source_;
};

TEST_F(CpuTimeTest, submittingAFrameThatWasBoundTakesNextToNothing) {
    if (!session_) GTEST_SKIP();
    ASSERT_TRUE(session_->bindSlot(0, input()).ok());
    g_silencedCalls = 0;
    const double microseconds = leastMicroseconds([&] { ASSERT_TRUE(session_->submit({}).ok()); });
    EXPECT_EQ(g_silencedCalls, kRounds * kFrames) << "one vkQueueSubmit a frame";
    EXPECT_LT(microseconds, kMostMicroseconds);
    RecordProperty("nanoseconds", static_cast<int>(microseconds * 1e3));
}

TEST_F(CpuTimeTest, recordingAFrameTakesLittle) {
    if (!session_) GTEST_SKIP();
    // The functions that would read them are silent.
    const auto commands = reinterpret_cast<VkCommandBuffer>(this);
    g_silencedCalls = 0;
    const double microseconds =
        leastMicroseconds([&] { ASSERT_TRUE(session_->record(commands, 0, input(), {}).ok()); });
    EXPECT_GE(g_silencedCalls, kRounds * kFrames * static_cast<int>(2 * session_->program().dispatches.size()));
    EXPECT_LT(microseconds, kMostMicroseconds);
    RecordProperty("nanoseconds", static_cast<int>(microseconds * 1e3));
}

}  // namespace
}  // namespace dunlin::vulkan
