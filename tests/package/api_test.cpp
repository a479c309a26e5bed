// dunlin.h as a caller uses it: what is refused and how, what is filled, how long things live.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "dunlin/dunlin.hpp"
#include "dunlin/dunlin_vulkan.hpp"

namespace {

using dunlin::Device;
using dunlin::Model;
using dunlin::Session;

constexpr const char* kSmall = "mobilenetv3_small_050";
constexpr uint32_t kSide = 64;

Device cpu() {
    auto device = Device::create({.id = "cpu", .threads = 1});
    EXPECT_TRUE(device) << device.error().message;
    return *std::move(device);
}

Model small() {
    auto model = Model::open(kSmall, {.weights = "synthetic"});
    EXPECT_TRUE(model) << model.error().message;
    return *std::move(model);
}

Session session(dunlin::SessionOptions options = {}) {
    if (options.height == 0) options.height = options.width = kSide;
    auto created = Session::create(cpu(), small(), options);
    EXPECT_TRUE(created) << created.error().message;
    return *std::move(created);
}

// A picture whose pixels differ, so that a swapped row or channel shows.
struct PatternPicture {
    uint32_t width = 100, height = 80;
    std::vector<uint8_t> pixels = [this] {
        std::vector<uint8_t> values(size_t{width} * height * 4);
        for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<uint8_t>((i * 37) >> (i % 4));
        return values;
    }();
    dunlin::Picture view() const { return {pixels.data(), width, height, 0}; }
};

void expectRefused(DunlinStatus status, DunlinStatus expected, const DunlinError& error, const char* words) {
    EXPECT_EQ(status, expected);
    EXPECT_NE(std::strstr(error.message, words), nullptr) << error.message;
}

TEST(Api, HasTheVersionOfItsHeader) {
    EXPECT_EQ(dunlinGetVersion(), DUNLIN_VERSION_MAJOR << 22 | DUNLIN_VERSION_MINOR << 12 | DUNLIN_VERSION_PATCH);
}

TEST(Api, NamesEveryStatusTypeAndFeature) {
    for (int status = DUNLIN_SUCCESS; status <= DUNLIN_ERROR_CANCELLED; ++status) {
        EXPECT_STRNE(dunlinGetStatusName(static_cast<DunlinStatus>(status)), "unknown status") << status;
    }
    EXPECT_STREQ(dunlinGetStatusName(static_cast<DunlinStatus>(99)), "unknown status");
    EXPECT_STREQ(dunlinGetFeatureName(DUNLIN_FEATURE_FP16), "fp16");
    EXPECT_STREQ(dunlinGetFeatureName(DUNLIN_FEATURE_MEMORY_BUDGET), "memoryBudget");
    EXPECT_EQ(dunlinGetFeatureName(0), nullptr);
    EXPECT_STREQ(dunlinGetFeatureName(DUNLIN_FEATURE_COOPERATIVE_MATRIX), "cooperativeMatrix");
    EXPECT_EQ(dunlinGetFeatureName(DUNLIN_FEATURE_COOPERATIVE_MATRIX << 1), nullptr);
    EXPECT_STREQ(dunlinGetDeviceTypeName(DUNLIN_DEVICE_TYPE_CPU), "cpu");
    EXPECT_STREQ(dunlinGetDeviceTypeName(static_cast<DunlinDeviceType>(99)), "other");
}

TEST(ApiErrors, NullArgumentsAreRefusedByName) {
    DunlinError error;
    DunlinDevice device = nullptr;
    DunlinModel model = nullptr;
    DunlinSession created = nullptr;
    expectRefused(dunlinCreateDevice(nullptr, nullptr, &error), DUNLIN_ERROR_INVALID_ARGUMENT, error, "device is NULL");
    expectRefused(dunlinOpenModel(nullptr, nullptr, &model, &error), DUNLIN_ERROR_INVALID_ARGUMENT, error,
                  "name is NULL");
    expectRefused(dunlinCreateSession(device, model, nullptr, &created, &error), DUNLIN_ERROR_INVALID_ARGUMENT, error,
                  "device is NULL");
    expectRefused(dunlinEnumerateDevices(nullptr, nullptr, &error), DUNLIN_ERROR_INVALID_ARGUMENT, error,
                  "count is NULL");
    expectRefused(dunlinGetSessionInfo(nullptr, nullptr, &error), DUNLIN_ERROR_INVALID_ARGUMENT, error,
                  "session is NULL");
    EXPECT_EQ(dunlinRun(nullptr, nullptr, nullptr, 0, nullptr), DUNLIN_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(dunlinGetModelLabel(nullptr, 0), nullptr);
}

TEST(ApiErrors, DestroyingNothingDoesNothing) {
    dunlinDestroySession(nullptr);
    dunlinDestroyModel(nullptr);
    dunlinDestroyDevice(nullptr);
}

TEST(ApiErrors, WrongStructureTypeIsRefused) {
    DunlinError error;
    DunlinDevice device = nullptr;
    DunlinDeviceOptions options = {};
    expectRefused(dunlinCreateDevice(&options, &device, &error), DUNLIN_ERROR_INVALID_ARGUMENT, error,
                  "sType of DunlinDeviceOptions is 0, but must be 2");
    EXPECT_EQ(device, nullptr);
}

TEST(ApiErrors, ForeignExtensionIsRefusedRatherThanIgnored) {
    DunlinModelOptions extension = {};
    extension.sType = DUNLIN_STRUCTURE_TYPE_MODEL_OPTIONS;
    const auto device = Device::create({.id = "cpu", .next = &extension});
    ASSERT_FALSE(device);
    EXPECT_EQ(device.error().status, DUNLIN_ERROR_INVALID_ARGUMENT);
    EXPECT_NE(device.error().message.find("sType 4 does not extend DunlinDeviceOptions"), std::string::npos);
}

TEST(ApiErrors, WeightsInMemoryAreBytesAndTheirNumber) {
    const char byte = 0;
    for (const auto& [data, bytes] : {std::pair<const void*, uint64_t>{nullptr, 8}, {&byte, 0}}) {
        DunlinModelOptions options = {};
        options.sType = DUNLIN_STRUCTURE_TYPE_MODEL_OPTIONS;
        options.weightsData = data;
        options.weightsDataBytes = bytes;
        DunlinError error;
        DunlinModel model = nullptr;
        expectRefused(dunlinOpenModel("net", &options, &model, &error), DUNLIN_ERROR_INVALID_ARGUMENT, error,
                      ("weightsDataBytes is " + std::to_string(bytes)).c_str());
        EXPECT_EQ(model, nullptr);
    }
}

TEST(ApiErrors, BrokenWeightsInMemoryAreNamed) {
    const std::vector<std::byte> noise(100, std::byte{0xff});
    const auto model = Model::open("the asset", {.weightsData = noise});
    ASSERT_FALSE(model);
    EXPECT_EQ(model.error().status, DUNLIN_ERROR_BAD_FILE);
    EXPECT_NE(model.error().message.find("the asset"), std::string::npos) << model.error().message;
}

TEST(ApiErrors, LongSentenceIsCutAfterAWholeCharacter) {
    // Two bytes a character: a cut in the middle of one would leave a lone first byte.
    std::string name = "x";
    for (int i = 0; i < 600; ++i) name += "\xC3\xA9";
    DunlinError error;
    DunlinModel model = nullptr;
    ASSERT_EQ(dunlinOpenModel(name.c_str(), nullptr, &model, &error), DUNLIN_ERROR_UNKNOWN_NAME);
    const size_t length = std::strlen(error.message);
    EXPECT_GE(length, DUNLIN_ERROR_MESSAGE_SIZE - 2u);
    EXPECT_LT(length, size_t{DUNLIN_ERROR_MESSAGE_SIZE});
    EXPECT_EQ(static_cast<unsigned char>(error.message[length - 1]), 0xA9);
}

TEST(ApiErrors, SuccessEmptiesTheSentence) {
    DunlinError error = {"left over"};
    uint32_t count = 0;
    ASSERT_EQ(dunlinEnumerateArchitectures(&count, nullptr, &error), DUNLIN_SUCCESS);
    EXPECT_STREQ(error.message, "");
}

TEST(ApiDevices, TheCpuIsListedLastAndUsable) {
    const auto devices = Device::list();
    ASSERT_TRUE(devices) << devices.error().message;
    ASSERT_FALSE(devices->empty());
    const DunlinDeviceInfo& last = devices->back();
    EXPECT_STREQ(last.id, "cpu");
    EXPECT_EQ(last.type, DUNLIN_DEVICE_TYPE_CPU);
    EXPECT_TRUE(last.usable);
    EXPECT_GE(last.threads, 1u);
    EXPECT_GT(std::strlen(last.name), 0u);
    for (size_t i = 0; i + 1 < devices->size(); ++i) {
        EXPECT_EQ(devices->at(i).id, "vulkan:" + std::to_string(i));
        EXPECT_NE(devices->at(i).type, DUNLIN_DEVICE_TYPE_CPU);
    }
}

TEST(ApiDevices, AShortListGetsTheFirstOnes) {
    const auto all = dunlin::architectures();
    ASSERT_TRUE(all);
    ASSERT_GT(all->size(), 2u);
    std::vector<DunlinArchitectureInfo> two(2, DunlinArchitectureInfo{});
    for (DunlinArchitectureInfo& info : two) info.sType = DUNLIN_STRUCTURE_TYPE_ARCHITECTURE_INFO;
    uint32_t count = 2;
    ASSERT_EQ(dunlinEnumerateArchitectures(&count, two.data(), nullptr), DUNLIN_SUCCESS);
    EXPECT_EQ(count, 2u);
    EXPECT_STREQ(two[1].name, all->at(1).name);
}

TEST(ApiDevices, UnknownIdIsRefusedWithWhatThereIs) {
    const auto device = Device::create({.id = "vulkan:99"});
    ASSERT_FALSE(device);
    EXPECT_EQ(device.error().status, DUNLIN_ERROR_UNKNOWN_NAME);
    EXPECT_NE(device.error().message.find("'vulkan:99'"), std::string::npos) << device.error().message;
    EXPECT_NE(device.error().message.find("cpu"), std::string::npos) << device.error().message;
}

TEST(ApiDevices, ThreadsHaveALimit) {
    const auto device = Device::create({.id = "cpu", .threads = 257});
    ASSERT_FALSE(device);
    EXPECT_EQ(device.error().status, DUNLIN_ERROR_INVALID_ARGUMENT);
    EXPECT_NE(device.error().message.find("257"), std::string::npos) << device.error().message;
    EXPECT_NE(device.error().message.find("256"), std::string::npos) << device.error().message;
}

TEST(ApiDevices, TheDefaultIsARealGpuOrTheCpu) {
    const auto device = Device::create();
    ASSERT_TRUE(device) << device.error().message;
    const auto info = device->info();
    ASSERT_TRUE(info);
    EXPECT_NE(info->type, DUNLIN_DEVICE_TYPE_SOFTWARE_VULKAN) << info->name;
}

TEST(ApiModels, ArchitecturesSayWhatTheirModelsSay) {
    const auto all = dunlin::architectures();
    ASSERT_TRUE(all);
    const auto listed = std::ranges::find_if(*all, [](const auto& info) { return std::string(info.name) == kSmall; });
    ASSERT_NE(listed, all->end());
    const Model model = small();
    const auto info = model.info();
    ASSERT_TRUE(info) << info.error().message;
    EXPECT_STREQ(info->architecture, kSmall);
    EXPECT_STREQ(info->family, listed->family);
    EXPECT_STREQ(info->weights, "synthetic");
    EXPECT_EQ(info->parameters, listed->parameters);
    EXPECT_EQ(info->macs, listed->macs);
    EXPECT_EQ(info->classes, 1000u);
    EXPECT_EQ(info->inputHeight, listed->inputHeight);
    EXPECT_GT(info->deviation[0], 0);
}

TEST(ApiModels, ANameThatDoesNotExistIsNoFile) {
    const auto model = Model::open("mobilenetv9", {.weights = "synthetic"});
    ASSERT_FALSE(model);
    EXPECT_EQ(model.error().status, DUNLIN_ERROR_UNKNOWN_NAME);
}

TEST(ApiModels, AFileThatDoesNotExistIsABadFile) {
    const auto model = Model::open("./absent.safetensors");
    ASSERT_FALSE(model);
    EXPECT_EQ(model.error().status, DUNLIN_ERROR_BAD_FILE);
    EXPECT_NE(model.error().message.find("absent.safetensors"), std::string::npos) << model.error().message;
}

TEST(ApiModels, LabelsBeyondTheEndAreNull) {
    EXPECT_EQ(small().label(1u << 30), nullptr);
}

TEST(ApiSessions, DescribeThemselvesAndTheirOutputs) {
    const Session described = session({.batch = 2, .height = 64, .width = 96, .topK = 3, .taps = {"pooled"}});
    const auto info = described.info();
    ASSERT_TRUE(info);
    EXPECT_EQ(info->batch, 2u);
    EXPECT_EQ(info->height, 64u);
    EXPECT_EQ(info->width, 96u);
    EXPECT_EQ(info->topK, 3u);
    EXPECT_EQ(info->slots, 1u);
    EXPECT_EQ(info->precision, DUNLIN_PRECISION_FP32);
    ASSERT_EQ(described.outputs().size(), 5u);
    const std::vector<std::string> names = {"logits", "probabilities", "top_classes", "top_probabilities", "pooled"};
    uint64_t end = 0;
    for (size_t i = 0; i < names.size(); ++i) {
        const DunlinOutputInfo& output = described.outputs()[i];
        EXPECT_EQ(output.name, names[i]);
        EXPECT_EQ(output.offsetBytes % 256, 0u);
        EXPECT_GE(output.offsetBytes, end);
        end = output.offsetBytes + output.sizeBytes;
        EXPECT_EQ(output.sizeBytes,
                  uint64_t{4} * output.shape[0] * output.shape[1] * output.shape[2] * output.shape[3]);
        EXPECT_EQ(output.type,
                  i == DUNLIN_OUTPUT_TOP_CLASSES ? DUNLIN_ELEMENT_TYPE_UINT32 : DUNLIN_ELEMENT_TYPE_FLOAT32);
    }
    EXPECT_LE(end, described.outputBytes());
    EXPECT_EQ(described.outputs()[0].shape[0], 2u);
    EXPECT_EQ(described.outputs()[0].shape[3], 1000u);
    EXPECT_EQ(described.outputs()[2].shape[3], 3u);
}

TEST(ApiSessions, OutputsAreFoundByName) {
    const Session created = session();
    DunlinOutputInfo info = {};
    info.sType = DUNLIN_STRUCTURE_TYPE_OUTPUT_INFO;
    DunlinError error;
    ASSERT_EQ(dunlinFindOutput(created.handle(), "probabilities", &info, &error), DUNLIN_SUCCESS) << error.message;
    EXPECT_EQ(info.offsetBytes, created.outputs()[DUNLIN_OUTPUT_PROBABILITIES].offsetBytes);
    expectRefused(dunlinFindOutput(created.handle(), "logit", &info, &error), DUNLIN_ERROR_UNKNOWN_NAME, error,
                  "logits, probabilities");
}

struct Refusal {
    const char* what;
    dunlin::SessionOptions options;
    DunlinStatus status;
    const char* words;
};

class ApiSessionRefusals : public ::testing::TestWithParam<Refusal> {};

TEST_P(ApiSessionRefusals, NameValueAndLimit) {
    const auto created = Session::create(cpu(), small(), GetParam().options);
    ASSERT_FALSE(created);
    EXPECT_EQ(created.error().status, GetParam().status) << created.error().message;
    EXPECT_NE(created.error().message.find(GetParam().words), std::string::npos) << created.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    Options, ApiSessionRefusals,
    ::testing::Values(
        Refusal{"batch", {.batch = 65}, DUNLIN_ERROR_INVALID_ARGUMENT, "batch is 65, but must be 1 to 64"},
        Refusal{"height", {.height = 31}, DUNLIN_ERROR_INVALID_ARGUMENT, "height is 31, but must be 32 to 1024"},
        Refusal{"width", {.width = 1025}, DUNLIN_ERROR_INVALID_ARGUMENT, "width is 1025, but must be 32 to 1024"},
        Refusal{"fp16", {.precision = DUNLIN_PRECISION_FP16}, DUNLIN_ERROR_UNSUPPORTED, "fp16"},
        Refusal{"precision", {.precision = DunlinPrecision(7)}, DUNLIN_ERROR_INVALID_ARGUMENT, "precision is 7"},
        Refusal{"slots", {.slots = 2}, DUNLIN_ERROR_UNSUPPORTED, "2 slots"},
        Refusal{"manySlots", {.slots = 17}, DUNLIN_ERROR_INVALID_ARGUMENT, "slots is 17, but must be 1 to 16"},
        Refusal{"image", {.inputKinds = DUNLIN_INPUT_IMAGE}, DUNLIN_ERROR_UNSUPPORTED, "no VkImage"},
        Refusal{"kinds", {.inputKinds = 0x10}, DUNLIN_ERROR_INVALID_ARGUMENT, "inputKinds is 0x10"},
        Refusal{"tap", {.taps = {"blocks.99"}}, DUNLIN_ERROR_UNKNOWN_NAME, "blocks.99"}),
    [](const auto& info) { return info.param.what; });

TEST(ApiSessions, ProgressRisesToTheEnd) {
    std::vector<float> seen;
    session({.progress = [&](float done) {
        seen.push_back(done);
        return true;
    }});
    ASSERT_FALSE(seen.empty());
    EXPECT_TRUE(std::ranges::is_sorted(seen));
    EXPECT_GE(seen.front(), 0);
    EXPECT_LE(seen.back(), 1);
}

TEST(ApiSessions, WhateverACallbackThrowsEndsAsAStatus) {
    const Device device = cpu();
    const Model model = small();
    for (const bool isException : {true, false}) {
        bool throwsException = isException;
        DunlinSessionOptions options = {};
        options.sType = DUNLIN_STRUCTURE_TYPE_SESSION_OPTIONS;
        options.height = options.width = kSide;
        options.progressUserData = &throwsException;
        options.progress = [](void* user, float) -> DunlinBool {
            if (*static_cast<bool*>(user)) throw std::runtime_error("from the callback");
            throw 7;
        };
        DunlinSession created = nullptr;
        DunlinError error;
        expectRefused(dunlinCreateSession(device.handle(), model.handle(), &options, &created, &error),
                      DUNLIN_ERROR_DEVICE, error, "callback");
        EXPECT_EQ(created, nullptr);
    }
}

TEST(ApiSessions, ProgressCanCancel) {
    const auto created = Session::create(cpu(), small(), {.progress = [](float) { return false; }});
    ASSERT_FALSE(created);
    EXPECT_EQ(created.error().status, DUNLIN_ERROR_CANCELLED);
}

TEST(ApiRun, GivesProbabilitiesAndTheLikeliestClasses) {
    Session created = session({.topK = 4});
    const PatternPicture picture;
    const auto outputs = created.run(picture.view());
    ASSERT_TRUE(outputs) << outputs.error().message;
    const auto probabilities = outputs->values(DUNLIN_OUTPUT_PROBABILITIES);
    double sum = 0;
    for (const float probability : probabilities) sum += probability;
    EXPECT_NEAR(sum, 1.0, 1e-4);
    const auto top = outputs->top();
    ASSERT_EQ(top.size(), 4u);
    EXPECT_EQ(top[0].classIndex, std::ranges::max_element(probabilities) - probabilities.begin());
    for (size_t i = 0; i < top.size(); ++i) {
        EXPECT_EQ(top[i].probability, probabilities[top[i].classIndex]);
        if (i > 0) {
            EXPECT_LE(top[i].probability, top[i - 1].probability);
        }
    }
}

TEST(ApiRun, PicturesOfABatchMayDifferInSize) {
    Session two = session({.batch = 2}), one = session();
    const PatternPicture a, b{.width = 57, .height = 91};
    const dunlin::Picture both[] = {a.view(), b.view()};
    const auto together = two.run(both);
    const auto alone = one.run(b.view());
    ASSERT_TRUE(together) << together.error().message;
    ASSERT_TRUE(alone) << alone.error().message;
    const auto second = together->values(DUNLIN_OUTPUT_LOGITS).subspan(1000);
    EXPECT_TRUE(std::ranges::equal(second, alone->values(DUNLIN_OUTPUT_LOGITS)));
}

TEST(ApiRun, RowsMayBePadded) {
    Session created = session();
    const PatternPicture tight;
    const size_t rowBytes = size_t{tight.width} * 4 + 20;
    std::vector<uint8_t> padded(rowBytes * tight.height, 0xEE);
    for (uint32_t y = 0; y < tight.height; ++y) {
        std::copy_n(tight.pixels.begin() + y * tight.width * 4, tight.width * 4,
                    padded.begin() + static_cast<long>(y * rowBytes));
    }
    const auto expected = created.run(tight.view());
    const auto got = created.run({padded.data(), tight.width, tight.height, rowBytes});
    ASSERT_TRUE(expected && got);
    EXPECT_TRUE(std::ranges::equal(got->bytes(), expected->bytes()));
}

TEST(ApiRun, TheSameTensorGivesTheSameBits) {
    Session created = session();
    std::vector<float> tensor(3 * kSide * kSide);
    for (size_t i = 0; i < tensor.size(); ++i) tensor[i] = std::sin(static_cast<float>(i));
    const auto first = created.run(tensor);
    const auto second = created.run(tensor);
    ASSERT_TRUE(first && second) << first.error().message;
    EXPECT_TRUE(std::ranges::equal(first->values(DUNLIN_OUTPUT_LOGITS), second->values(DUNLIN_OUTPUT_LOGITS)));
}

TEST(ApiRun, WritesOutputsAtAnyAddress) {
    Session created = session();
    const PatternPicture picture;
    const auto expected = created.run(picture.view());
    std::vector<std::byte> memory(created.outputBytes() + 1);
    const dunlin::Picture view = picture.view();
    const auto done = created.run(std::span(&view, 1), std::span(memory).subspan(1));
    ASSERT_TRUE(expected && done) << done.error().message;
    const DunlinOutputInfo& logits = created.outputs()[DUNLIN_OUTPUT_LOGITS];
    EXPECT_EQ(std::memcmp(memory.data() + 1 + logits.offsetBytes, expected->bytes().data() + logits.offsetBytes,
                          logits.sizeBytes),
              0);
}

TEST(ApiRun, InputsThatDoNotFitTheSessionAreRefused) {
    Session created = session({.batch = 2, .inputKinds = DUNLIN_INPUT_PICTURES});
    const PatternPicture picture;
    const auto refusal = [](const auto& result) {
        EXPECT_FALSE(result);
        EXPECT_EQ(result.error().status, DUNLIN_ERROR_INVALID_ARGUMENT);
        return result.error().message;
    };
    EXPECT_EQ(refusal(created.run(picture.view())), "1 pictures were given, but the session's batch is 2");
    EXPECT_NE(refusal(created.run(std::vector<float>(2 * 3 * kSide * kSide))).find("input kind"), std::string::npos);
    EXPECT_NE(refusal(created.run(std::span<const float>())).find("0 pictures and 0 tensor"), std::string::npos);
    const dunlin::Picture broken[] = {picture.view(), {picture.pixels.data(), 100, 80, 100}};
    EXPECT_NE(refusal(created.run(broken)).find("rowBytes is 100"), std::string::npos);
    const dunlin::Picture huge[] = {picture.view(), {picture.pixels.data(), 16385, 1, 0}};
    EXPECT_NE(refusal(created.run(huge)).find("16385, but must be 1 to 16384"), std::string::npos);
    const dunlin::Picture views[] = {picture.view(), picture.view()};
    std::vector<std::byte> small(8);
    EXPECT_NE(refusal(created.run(views, small)).find("the output has 8 bytes"), std::string::npos);
}

TEST(ApiRun, ATensorOfAnotherSizeIsRefused) {
    Session created = session();
    const auto done = created.run(std::vector<float>(3 * kSide * kSide + 1));
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().message, "the tensor has 12289 elements, but 1 x 3 x 64 x 64 are 12288");
}

TEST(ApiLifetimes, ASessionOutlivesItsModelAndDevice) {
    auto device = std::make_unique<Device>(cpu());
    auto model = std::make_unique<Model>(small());
    auto created = Session::create(*device, *model, {.height = kSide, .width = kSide});
    ASSERT_TRUE(created) << created.error().message;
    device.reset();
    model.reset();
    EXPECT_TRUE(created->run(PatternPicture().view()));
}

TEST(ApiThreads, SessionsOfOneModelRunAtOnce) {
    const Device device = cpu();
    const Model model = small();
    const PatternPicture picture;
    const auto expected = session().run(picture.view());
    ASSERT_TRUE(expected);
    std::atomic<int> equal = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&] {
            auto own = Session::create(device, model, {.height = kSide, .width = kSide});
            if (!own) return;
            const auto outputs = own->run(picture.view());
            equal += outputs && std::ranges::equal(outputs->values(0), expected->values(0));
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(equal, 3);
}

TEST(ApiVulkan, RequirementsNeedNoLoader) {
    const auto requirements = dunlin::vulkanRequirements();
    ASSERT_TRUE(requirements) << requirements.error().message;
    EXPECT_EQ(requirements->minApiVersion, VK_API_VERSION_1_1);
    EXPECT_EQ(requirements->queueFlags, VkQueueFlags{VK_QUEUE_COMPUTE_BIT});
    EXPECT_FALSE(requirements->requiredFeatures.shaderFloat16);
    EXPECT_TRUE(requirements->recommendedFeatures.shaderFloat16);
}

TEST(ApiVulkan, ACpuSessionHasNoSlots) {
    Session created = session();
    const auto done = dunlin::bindSlot(created, 0, dunlin::vulkanTensor(VK_NULL_HANDLE));
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().status, DUNLIN_ERROR_UNSUPPORTED);
}

TEST(ApiVulkan, ABorrowedDeviceNeedsItsHandles) {
    const auto device = dunlin::borrowDevice({});
    ASSERT_FALSE(device);
    EXPECT_EQ(device.error().status, DUNLIN_ERROR_INVALID_ARGUMENT);
    EXPECT_NE(device.error().message.find("instance is NULL"), std::string::npos) << device.error().message;
}

}  // namespace
