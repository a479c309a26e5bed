// Runs single dispatches on a Vulkan device under the validation layer, between guard bands, and compares what they
// wrote with the oracle. The dispatches come from plan/dispatch_builders.h, as in a lowered network.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/cpu/reference.h"
#include "runtime/plan/dispatch_builders.h"
#include "runtime/plan/kernels.h"
#include "runtime/plan/prepack.h"
#include "runtime/vulkan/descriptors.h"
#include "runtime/vulkan/memory.h"
#include "runtime/vulkan/pipelines.h"

namespace dunlin::test {

// The device and its pipelines, which the tests of a suite share. Tests are skipped where no driver is usable.
class KernelTest : public ::testing::Test {
  public:
    static vulkan::VulkanDevice& device() { return *device_; }
    static vulkan::Pipelines& pipelines() { return *pipelines_; }

  protected:
    static void SetUpTestSuite();
    static void TearDownTestSuite();
    void SetUp() override;
    // Whatever the validation layer said during the test fails it.
    void TearDown() override;

    static bool supports(Precision precision) { return precision == Precision::Fp32 || device_->enabled().fp16(); }

  private:
    friend class TestBuffers;
    // From SPIR-V of a test's own, made once a suite.
    static Result<const vulkan::Pipeline*> foreignPipeline(const Variant& variant, std::span<const uint32_t> code);

    static std::shared_ptr<vulkan::VulkanDevice> device_;
    static std::unique_ptr<vulkan::Pipelines> pipelines_;
    static std::map<std::pair<Variant, const uint32_t*>, vulkan::OwnedPipeline> foreign_;
    static std::string skipReason_;
    static size_t messagesSeen_;
};

// The buffers of one case. Every tensor lies between guard bands of 0xff bytes, which are numbers to no float type:
// reading past an end shows as NaN in the result, writing past an end as a broken band.
class TestBuffers {
  public:
    explicit TestBuffers(Precision precision) : precision_(precision) {}

    // Uploads NHWC values, rounded to the element type; padding lanes are zero.
    Operand input(const Shape& shape, std::span<const float> nhwc) { return input(shape, nhwc, precision_); }
    Operand input(const Shape& shape, std::span<const float> nhwc, Precision precision);
    // Filled with 0xff bytes before every run.
    Operand output(const Shape& shape) { return output(shape, precision_); }
    Operand output(const Shape& shape, Precision precision);
    Operand constant(std::span<const std::byte> packed);
    // 4-byte elements, for outputs that callers read.
    Operand outputElements(uint64_t count);
    Operand inputBytes(std::span<const std::byte> bytes);

    // Runs the dispatches in order with barriers in between. Fails the test on any error.
    void run(std::span<const Dispatch> dispatches);
    void run(const Dispatch& dispatch) { run(std::span(&dispatch, 1)); }
    // As run() twice; the second must give the same bits.
    void runTwice(std::span<const Dispatch> dispatches);
    void runTwice(const Dispatch& dispatch) { runTwice(std::span(&dispatch, 1)); }

    // NHWC values of a tensor. Fails the test where a padding lane is not zero.
    std::vector<float> read(const Operand& operand) const;
    std::vector<std::byte> bytes(const Operand& operand) const;
    std::vector<float> floats(const Operand& operand) const;
    std::vector<uint32_t> elements(const Operand& operand) const;
    void expectGuardsIntact() const;

    // SPIR-V that stands in for the library's, in every dispatch. Must outlive the runs.
    std::span<const uint32_t> code;
    // An image that stands in for the tensor in the first binding (preprocess).
    vulkan::BoundResource image;

  private:
    struct Entry {
        vulkan::Buffer buffer;
        uint64_t sizeBytes = 0;
        bool isOutput = false;
    };

    TensorId add(uint64_t sizeBytes, bool isOutput);
    std::span<std::byte> data(TensorId tensor) const;
    void clearOutputs();
    void bind(vulkan::DescriptorSets& sets, size_t index, const Dispatch& dispatch) const;

    Precision precision_;
    std::vector<Entry> entries_;
};

// Random numbers whose magnitudes lie in [low, high], signs included: none is denormal in float16.
std::vector<float> randomValues(int64_t count, uint32_t seed, float low = 0.25f, float high = 1.0f);
// What the device sees of them.
std::vector<float> rounded(std::vector<float> values, Precision precision);

// A convolution or linear layer with random weights: float32 or float16 numbers, and packed.
struct TestLayer {
    Op op;
    FoldedWeights weights;
    std::vector<std::byte> packed;
    int products = 0;  // that an output adds up
};
// Weights are scaled so that outputs of inputs around 1 have a deviation of about `spread`, which exercises every piece
// of the piecewise activations.
TestLayer makeLayer(const Op& op, const Shape& input, Precision precision, uint32_t seed, double spread = 2.0);
Shape layerOutput(const TestLayer& layer, const Shape& input);

reference::Tensor evaluate(const Op& op, std::initializer_list<const reference::Tensor*> inputs,
                           const FoldedWeights& weights = {});

// How far a kernel may be from the oracle. Float32: 1e-5 of the largest output. Float16: products and groups of four of
// them are rounded to 2^-11, so errors grow as a random walk over the products; 8 deviations, and the output's own
// rounding.
double toleranceFor(Precision precision, const reference::Tensor& expected, int products, double inputSize,
                    double weightSize);
double rootMeanSquare(std::span<const float> values);

// Compares element by element; reports the worst one and how many are off.
void expectClose(std::span<const float> actual, std::span<const double> expected, double tolerance);

// "f16.texel.4x2", for messages.
std::string describe(const KernelForm& form, Precision precision);
const char* precisionName(Precision precision);

// Every form that the kernel was compiled for, with the given workgroup.
std::vector<KernelForm> formsOf(Kernel kernel, uint32_t localSize = 64, uint32_t groupLanes = 1);

}  // namespace dunlin::test
