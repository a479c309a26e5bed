#include "tests/kernels/kernel_fixture.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

namespace dunlin::test {
namespace {

// A multiple of every alignment that Vulkan allows for bindings, and of every texel.
constexpr uint64_t kGuardBytes = 1024;
constexpr std::byte kGuard{0xff};

float elementAt(std::span<const std::byte> bytes, size_t index, Precision precision) {
    if (precision == Precision::Fp32) {
        float value;
        std::memcpy(&value, &bytes[index * sizeof value], sizeof value);
        return value;
    }
    uint16_t half;
    std::memcpy(&half, &bytes[index * sizeof half], sizeof half);
    return fromHalf(half);
}

void setElement(std::span<std::byte> bytes, size_t index, float value, Precision precision) {
    if (precision == Precision::Fp32) {
        std::memcpy(&bytes[index * sizeof value], &value, sizeof value);
        return;
    }
    const uint16_t half = toHalf(value);
    std::memcpy(&bytes[index * sizeof half], &half, sizeof half);
}

Precision precisionOf(const Operand& operand) {
    return operand.groupBytes == 16 ? Precision::Fp32 : Precision::Fp16;
}

uint64_t paddedElements(const Shape& shape) {
    return static_cast<uint64_t>(shape.pixelCount()) * static_cast<uint64_t>(channelGroups(shape.c)) * kChannelGroup;
}

void memoryBarrier(const vulkan::DeviceFunctions& vk, VkCommandBuffer commands) {
    VkMemoryBarrier barrier{};
    barrier.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
    barrier.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT;
    barrier.dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_HOST_READ_BIT;
    vk.CmdPipelineBarrier(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                          VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier, 0, nullptr,
                          0, nullptr);
}

}  // namespace

std::shared_ptr<vulkan::VulkanDevice> KernelTest::device_;
std::unique_ptr<vulkan::Pipelines> KernelTest::pipelines_;
std::map<std::pair<Variant, const uint32_t*>, vulkan::OwnedPipeline> KernelTest::foreign_;
std::string KernelTest::skipReason_;
size_t KernelTest::messagesSeen_ = 0;

void KernelTest::SetUpTestSuite() {
    const auto devices = vulkan::VulkanDevice::list();
    if (!devices.ok() || vulkan::bestDevice(*devices) < 0) {
        skipReason_ = devices.ok() ? "no usable Vulkan device" : devices.status().message();
        return;
    }
    vulkan::DeviceOptions options;
    options.validation = true;
    auto device = vulkan::VulkanDevice::create(options);
    ASSERT_TRUE(device.ok()) << device.status().message();
    device_ = *std::move(device);
    auto pipelines = vulkan::Pipelines::create(*device_);
    ASSERT_TRUE(pipelines.ok()) << pipelines.status().message();
    pipelines_ = *std::move(pipelines);
    messagesSeen_ = 0;
}

void KernelTest::TearDownTestSuite() {
    foreign_.clear();
    pipelines_.reset();
    device_.reset();
}

Result<const vulkan::Pipeline*> KernelTest::foreignPipeline(const Variant& variant, std::span<const uint32_t> code) {
    vulkan::OwnedPipeline& known = foreign_[{variant, code.data()}];
    if (!known) {
        DUNLIN_ASSIGN(known, pipelines_->createForeign(variant, code));
    }
    return known.get();
}

void KernelTest::SetUp() {
    if (!skipReason_.empty()) GTEST_SKIP() << skipReason_;
    ASSERT_TRUE(device_ && pipelines_) << "the device could not be created";
}

void KernelTest::TearDown() {
    if (!device_) return;
    const std::vector<vulkan::ValidationMessage> messages = device_->validationMessages();
    for (; messagesSeen_ < messages.size(); ++messagesSeen_) {
        ADD_FAILURE() << "validation: " << messages[messagesSeen_].id << ": " << messages[messagesSeen_].text;
    }
}

TensorId TestBuffers::add(uint64_t sizeBytes, bool isOutput) {
    Entry entry;
    entry.sizeBytes = sizeBytes;
    entry.isOutput = isOutput;
    auto buffer = vulkan::Buffer::create(KernelTest::device(), sizeBytes + 2 * kGuardBytes,
                                         VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT,
                                         vulkan::MemoryUse::Readback);
    if (!buffer.ok()) {
        ADD_FAILURE() << buffer.status().message();
        return -1;
    }
    entry.buffer = *std::move(buffer);
    std::fill_n(entry.buffer.mapped(), sizeBytes + 2 * kGuardBytes, kGuard);
    entries_.push_back(std::move(entry));
    return static_cast<TensorId>(entries_.size()) - 1;
}

std::span<std::byte> TestBuffers::data(TensorId tensor) const {
    const Entry& entry = entries_[static_cast<size_t>(tensor)];
    return {entry.buffer.mapped() + kGuardBytes, entry.sizeBytes};
}

Operand TestBuffers::input(const Shape& shape, std::span<const float> nhwc, Precision precision) {
    const Operand operand = output(shape, precision);
    entries_.back().isOutput = false;
    const std::span<std::byte> target = data(operand.tensor);
    std::fill(target.begin(), target.end(), std::byte{0});
    const auto channels = static_cast<size_t>(shape.c);
    const size_t paddedChannels = roundUp(channels, size_t{kChannelGroup});
    for (size_t i = 0; i < nhwc.size(); ++i) {
        setElement(target, i / channels * paddedChannels + i % channels, nhwc[i], precision);
    }
    return operand;
}

Operand TestBuffers::output(const Shape& shape, Precision precision) {
    const auto elementBytes = static_cast<uint32_t>(elementSize(precision));
    return {add(paddedElements(shape) * elementBytes, true), shape, elementBytes * kChannelGroup, 0};
}

Operand TestBuffers::constant(std::span<const std::byte> packed) {
    Operand operand = inputBytes(packed);
    operand.groupBytes = static_cast<uint32_t>(elementSize(precision_)) * kChannelGroup;
    return operand;
}

Operand TestBuffers::outputElements(uint64_t count) {
    return {add(count * 4, true), {1, 1, 1, static_cast<int>(count)}, 4, 0};
}

Operand TestBuffers::inputBytes(std::span<const std::byte> bytes) {
    const TensorId tensor = add(bytes.size(), false);
    std::copy(bytes.begin(), bytes.end(), data(tensor).begin());
    return {tensor, {}, 4, 0};
}

void TestBuffers::clearOutputs() {
    for (size_t i = 0; i < entries_.size(); ++i) {
        const std::span<std::byte> target = data(static_cast<TensorId>(i));
        if (entries_[i].isOutput) std::fill(target.begin(), target.end(), kGuard);
    }
}

void TestBuffers::bind(vulkan::DescriptorSets& sets, size_t index, const Dispatch& dispatch) const {
    ASSERT_EQ(dispatch.bindings.size(), row(dispatch.variant.kernel).bindings.size());
    for (uint32_t i = 0; i < dispatch.bindings.size(); ++i) {
        Binding binding = dispatch.bindings[i];
        if (binding.tensor < 0 && i == 0 && image.image) {
            ASSERT_TRUE(sets.write(index, i, image).ok());
            continue;
        }
        // What a variant does not use is bound to whatever is at hand: the first buffer's guard band.
        if (binding.tensor < 0) binding = {0, 0, 0, true};
        const Entry& entry = entries_[static_cast<size_t>(binding.tensor)];
        ASSERT_LE(binding.offsetBytes + binding.sizeBytes, entry.sizeBytes) << "binding " << i;
        // The descriptor takes in the guard band, so that the driver's own range checks do not hide a stray access.
        const bool reachesEnd = binding.offsetBytes + binding.sizeBytes == entry.sizeBytes;
        const uint64_t bandBytes = binding.write || reachesEnd ? kGuardBytes : 0;
        const vulkan::BoundResource resource = {entry.buffer.handle(), kGuardBytes + binding.offsetBytes,
                                                binding.sizeBytes + bandBytes, VK_NULL_HANDLE,
                                                VK_IMAGE_LAYOUT_UNDEFINED};
        const Status status = sets.write(index, i, resource);
        ASSERT_TRUE(status.ok()) << status.message();
    }
}

void TestBuffers::run(std::span<const Dispatch> dispatches) {
    clearOutputs();
    const vulkan::VulkanDevice& device = KernelTest::device();
    std::vector<const vulkan::Pipeline*> pipelines;
    for (const Dispatch& dispatch : dispatches) {
        auto pipeline = code.empty() ? KernelTest::pipelines().get(dispatch.variant)
                                     : KernelTest::foreignPipeline(dispatch.variant, code);
        ASSERT_TRUE(pipeline.ok()) << pipeline.status().message();
        pipelines.push_back(*pipeline);
    }
    auto sets = vulkan::DescriptorSets::create(device, pipelines);
    ASSERT_TRUE(sets.ok()) << sets.status().message();
    for (size_t i = 0; i < dispatches.size(); ++i) ASSERT_NO_FATAL_FAILURE(bind(*sets, i, dispatches[i]));
    for (const Entry& entry : entries_) ASSERT_TRUE(entry.buffer.flush(0, entry.sizeBytes + 2 * kGuardBytes).ok());

    auto runner = vulkan::CommandRunner::create(device);
    ASSERT_TRUE(runner.ok()) << runner.status().message();
    const Status status = runner->run([&](VkCommandBuffer commands) {
        const vulkan::DeviceFunctions& vk = device.functions();
        for (size_t i = 0; i < dispatches.size(); ++i) {
            const Dispatch& dispatch = dispatches[i];
            const VkDescriptorSet set = (*sets)[i];
            vk.CmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipelines[i]->handle);
            vk.CmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipelines[i]->layout, 0, 1, &set, 0,
                                     nullptr);
            vk.CmdPushConstants(commands, pipelines[i]->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, dispatch.push.size,
                                dispatch.push.bytes.data());
            vk.CmdDispatch(commands, dispatch.workgroups[0], dispatch.workgroups[1], dispatch.workgroups[2]);
            memoryBarrier(vk, commands);
        }
    });
    ASSERT_TRUE(status.ok()) << status.message();
    for (const Entry& entry : entries_) ASSERT_TRUE(entry.buffer.invalidate(0, entry.sizeBytes + 2 * kGuardBytes).ok());
    expectGuardsIntact();
}

void TestBuffers::runTwice(std::span<const Dispatch> dispatches) {
    ASSERT_NO_FATAL_FAILURE(run(dispatches));
    std::vector<std::vector<std::byte>> first;
    for (size_t i = 0; i < entries_.size(); ++i) {
        const std::span<std::byte> bytes = data(static_cast<TensorId>(i));
        first.emplace_back(bytes.begin(), bytes.end());
    }
    ASSERT_NO_FATAL_FAILURE(run(dispatches));
    for (size_t i = 0; i < entries_.size(); ++i) {
        const std::span<std::byte> bytes = data(static_cast<TensorId>(i));
        EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), first[i].begin()))
            << "buffer " << i << " differs when repeated";
    }
}

std::vector<float> TestBuffers::read(const Operand& operand) const {
    const std::span<const std::byte> source = data(operand.tensor);
    const Precision precision = precisionOf(operand);
    const auto channels = static_cast<size_t>(operand.shape.c);
    const size_t paddedChannels = roundUp(channels, size_t{kChannelGroup});
    std::vector<float> values;
    values.reserve(static_cast<size_t>(operand.shape.elementCount()));
    size_t dirtyLanes = 0;
    for (size_t i = 0; i < paddedElements(operand.shape); ++i) {
        const float value = elementAt(source, i, precision);
        if (i % paddedChannels < channels) {
            values.push_back(value);
        } else if (!(value == 0.0f)) {
            ++dirtyLanes;
        }
    }
    EXPECT_EQ(dirtyLanes, 0u) << "padding lanes that are not zero";
    return values;
}

std::vector<std::byte> TestBuffers::bytes(const Operand& operand) const {
    const std::span<const std::byte> source = data(operand.tensor);
    return {source.begin(), source.end()};
}

std::vector<float> TestBuffers::floats(const Operand& operand) const {
    const std::span<const std::byte> source = data(operand.tensor);
    std::vector<float> values(source.size() / sizeof(float));
    std::memcpy(values.data(), source.data(), source.size());
    return values;
}

std::vector<uint32_t> TestBuffers::elements(const Operand& operand) const {
    const std::span<const std::byte> source = data(operand.tensor);
    std::vector<uint32_t> values(source.size() / sizeof(uint32_t));
    std::memcpy(values.data(), source.data(), source.size());
    return values;
}

void TestBuffers::expectGuardsIntact() const {
    const auto isGuard = [](std::byte byte) { return byte == kGuard; };
    for (size_t i = 0; i < entries_.size(); ++i) {
        const std::byte* begin = entries_[i].buffer.mapped();
        const std::byte* after = begin + kGuardBytes + entries_[i].sizeBytes;
        EXPECT_TRUE(std::all_of(begin, begin + kGuardBytes, isGuard)) << "written before the start of buffer " << i;
        EXPECT_TRUE(std::all_of(after, after + kGuardBytes, isGuard)) << "written past the end of buffer " << i;
    }
}

std::vector<float> randomValues(int64_t count, uint32_t seed, float low, float high) {
    std::mt19937 generator(seed);
    std::vector<float> values(static_cast<size_t>(count));
    for (float& value : values) {
        const uint32_t bits = generator();
        const float magnitude = low + (high - low) * static_cast<float>(bits >> 8) * 0x1p-24f;
        value = (bits & 1u) ? magnitude : -magnitude;
    }
    return values;
}

std::vector<float> rounded(std::vector<float> values, Precision precision) {
    if (precision == Precision::Fp16) {
        for (float& value : values) value = fromHalf(toHalf(value));
    }
    return values;
}

TestLayer makeLayer(const Op& op, const Shape& input, Precision precision, uint32_t seed, double spread) {
    Graph graph(input);
    Op connected = op;
    std::visit(
        [&](auto& o) {
            if constexpr (requires { o.input; }) o.input = graph.input();
            if constexpr (requires { o.parameters; }) o.parameters.weight = "weight";
        },
        connected);
    graph.add("layer", connected);
    const Constant constant = constantsOf(graph, precision).at(0);

    TestLayer layer;
    layer.op = connected;
    int outputs = 0;
    if (const auto* conv = std::get_if<Conv2d>(&connected)) {
        outputs = conv->outChannels;
        layer.products = conv->kernelH * conv->kernelW * input.c / conv->groups;
    } else {
        outputs = std::get<Linear>(connected).outFeatures;
        layer.products = input.c;
    }
    // Magnitudes of 0.25 to 1 have a root mean square of 0.66, on both sides of the product.
    const auto scale = static_cast<float>(spread / (0.66 * 0.66 * std::sqrt(layer.products)));
    layer.weights.weight = randomValues(int64_t{outputs} * layer.products, seed, 0.25f * scale, scale);
    layer.weights.bias = randomValues(outputs, seed + 1);
    layer.weights.weight = rounded(std::move(layer.weights.weight), precision);
    layer.weights.bias = rounded(std::move(layer.weights.bias), precision);
    layer.packed.resize(constant.sizeBytes);
    prepack(graph, constant, layer.weights, precision, layer.packed);
    return layer;
}

Shape layerOutput(const TestLayer& layer, const Shape& input) {
    return inferShape(layer.op, std::span(&input, 1));
}

reference::Tensor evaluate(const Op& op, std::initializer_list<const reference::Tensor*> inputs,
                           const FoldedWeights& weights) {
    return reference::evaluate(op, std::span(inputs.begin(), inputs.size()), weights);
}

double rootMeanSquare(std::span<const float> values) {
    double sum = 0;
    for (float value : values) sum += double{value} * value;
    return values.empty() ? 0.0 : std::sqrt(sum / static_cast<double>(values.size()));
}

double toleranceFor(Precision precision, const reference::Tensor& expected, int products, double inputSize,
                    double weightSize) {
    double largest = 0;
    for (double value : expected.values) largest = std::max(largest, std::abs(value));
    if (precision == Precision::Fp32) return 1e-5 * largest;
    constexpr double kRounding = 0x1p-11, kDeviations = 8;
    return kRounding * (largest + kDeviations * std::sqrt(products) * inputSize * weightSize);
}

void expectClose(std::span<const float> actual, std::span<const double> expected, double tolerance) {
    ASSERT_EQ(actual.size(), expected.size());
    size_t wrong = 0, worst = 0;
    double worstError = 0;
    for (size_t i = 0; i < actual.size(); ++i) {
        const double error = std::abs(double{actual[i]} - expected[i]);
        if (!(error <= tolerance)) ++wrong;
        if (!(error <= worstError)) {
            worst = i;
            worstError = error;
        }
    }
    if (wrong == 0) return;
    ADD_FAILURE() << wrong << " of " << actual.size() << " elements are further than " << tolerance
                  << " from the oracle; the worst is element " << worst << ": " << actual[worst] << " instead of "
                  << expected[worst];
}

const char* precisionName(Precision precision) {
    return precision == Precision::Fp32 ? "f32" : "f16";
}

std::string describe(const KernelForm& form, Precision precision) {
    return std::string(precisionName(precision)) + (form.load == LoadPath::Texel ? ".texel." : ".storage.") +
           tileName(form.method) + std::to_string(form.tileX) + "x" + std::to_string(form.tileY) +
           " local=" + std::to_string(form.localSize) + " lanes=" + std::to_string(form.groupLanes);
}

std::vector<KernelForm> formsOf(Kernel kernel, uint32_t localSize, uint32_t groupLanes) {
    std::vector<KernelForm> forms;
    for (LoadPath load : {LoadPath::Texel, LoadPath::Storage}) {
        for (const auto& tile : row(kernel).tiles) forms.push_back({load, tile[0], tile[1], localSize, groupLanes});
        for (const MethodRow& way : row(kernel).methods) {
            if (way.method == Method::Matrix) continue;  // few devices have it: matrix_test.cpp
            forms.push_back({load, way.tile[0], way.tile[1], way.localSize, way.groupLanes, way.method});
        }
    }
    return forms;
}

}  // namespace dunlin::test
