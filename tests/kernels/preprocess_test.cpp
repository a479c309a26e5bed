// preprocess: from an image, from pixels and from planes, against the CPU form, which is tested against Pillow itself.
#include <cmath>
#include <cstring>

#include "runtime/vulkan/interop.h"
#include "tests/kernels/kernel_fixture.h"
#include "tests/kernels/test_image.h"

namespace dunlin::test {
namespace {

struct PreprocessCase {
    const char* name;
    int sourceWidth, sourceHeight;
    int outWidth, outHeight;
    double cropFraction;
    Interpolation interpolation = Interpolation::Bilinear;
    bool swapRedBlue = false;
};

const PreprocessCase kCases[] = {
    {"shrink_bilinear", 301, 211, 64, 64, 0.875},
    {"shrink_bicubic", 301, 211, 64, 64, 0.875, Interpolation::Bicubic},
    {"enlarge_bilinear", 19, 13, 48, 48, 0.875},
    {"enlarge_bicubic", 19, 13, 48, 48, 0.9, Interpolation::Bicubic, true},
    {"same_size", 40, 40, 40, 40, 1.0},
    {"same_size_bicubic", 40, 40, 40, 40, 1.0, Interpolation::Bicubic},
    {"portrait_not_square", 97, 203, 56, 72, 0.95},
    {"crop_hangs_over", 90, 60, 64, 64, 1.6},
    {"odd_height", 90, 61, 33, 37, 1.0},
    {"odd_height_crop_hangs_over", 90, 60, 35, 45, 1.6, Interpolation::Bicubic},
    {"one_pixel", 1, 1, 8, 8, 0.875},
    {"a_tenth", 640, 480, 32, 32, 0.875},
};

std::ostream& operator<<(std::ostream& stream, const PreprocessCase& test) {
    return stream << test.name;
}

// Noise over gradients: every byte value, hard edges, and an alpha that must not matter.
std::vector<uint8_t> makePicture(int width, int height) {
    std::vector<uint8_t> pixels;
    for (uint32_t y = 0; y < static_cast<uint32_t>(height); ++y) {
        for (uint32_t x = 0; x < static_cast<uint32_t>(width); ++x) {
            for (uint32_t c = 0; c < 4; ++c) {
                const uint32_t mixed = x * 2654435761u + y * 2246822519u + c * 3266489917u;
                const uint32_t noise = ((mixed ^ (mixed >> 15)) * 668265263u) >> 25;
                pixels.push_back(static_cast<uint8_t>(noise + x * 3 + y * 2));
            }
        }
    }
    return pixels;
}

// A preprocess dispatch, lowered and then completed as at record time. `source` is the tensor that stands in for the
// input's buffer; -1 for images. `lanes`: rows of a column that neighbouring invocations take.
struct Completed {
    Dispatch dispatch;
    vulkan::BoundResource resource;
};
Completed complete(const vulkan::VulkanInput& input, uint32_t kind, int image, const PreprocessSpec& spec,
                   TensorId source, const Operand& out, Precision precision, uint32_t lanes) {
    const DeviceLimits& limits = KernelTest::device().limits();
    Dispatch dispatch =
        DispatchBuilder(limits, precision).preprocess({out, image}, {LoadPath::Storage, 1, 1, 64, lanes});
    const vulkan::BoundSource bound = vulkan::bindSource(input, image, out.shape, spec, limits.offsetAlignment,
                                                         dispatch.push.as<params::PreprocessParams>());
    dispatch.variant.tileX = static_cast<uint8_t>(kind);
    dispatch.push = PushConstants::of(bound.params);
    dispatch.bindings[0] = {source, bound.resource.offsetBytes, bound.resource.sizeBytes, false};
    return {dispatch, bound.resource};
}

class PreprocessTest : public KernelTest,
                       public ::testing::WithParamInterface<std::tuple<PreprocessCase, Precision, uint32_t>> {
  protected:
    void SetUp() override {
        KernelTest::SetUp();
        if (IsSkipped()) return;
        if (!supports(precision())) GTEST_SKIP() << "the device has no float16";
        spec_.interpolation = test().interpolation;
        spec_.cropFraction = test().cropFraction;
        spec_.swapRedBlue = test().swapRedBlue;
        pixels_ = makePicture(test().sourceWidth, test().sourceHeight);
    }

    static const PreprocessCase& test() { return std::get<0>(GetParam()); }
    static Precision precision() { return std::get<1>(GetParam()); }
    static uint32_t lanes() { return std::get<2>(GetParam()); }
    static Shape outShape(int images) { return {images, test().outHeight, test().outWidth, 3}; }

    void expectLikeCpu(std::span<const float> actual) const {
        std::vector<float> expected(static_cast<size_t>(outShape(1).elementCount()));
        const PixelView view = {pixels_.data(), test().sourceWidth, test().sourceHeight,
                                static_cast<size_t>(test().sourceWidth) * 4};
        preprocess(spec_, view, test().outWidth, test().outHeight, 3, expected);
        ASSERT_EQ(actual.size(), expected.size());
        // A step of one in 255 where rounding fell on the other side, in few elements: enlarging by simple ratios gives
        // exact halves, which fixed-point and float weights round differently. Float16 rounds once more.
        const double step = 1.0 / 255 / 0.224, rounding = precision() == Precision::Fp32 ? 1e-5 : 2e-3;
        size_t otherSide = 0;
        for (size_t i = 0; i < actual.size(); ++i) {
            const double error = std::abs(double{actual[i]} - double{expected[i]});
            ASSERT_LE(error, step + rounding) << "element " << i << ": " << actual[i] << " instead of " << expected[i];
            if (error > rounding) ++otherSide;
        }
        EXPECT_LE(otherSide, actual.size() / 50);
    }

    PreprocessSpec spec_;
    std::vector<uint8_t> pixels_;
};

TEST_P(PreprocessTest, pixelsAgreeWithTheCpu) {
    // given pixels that start at the 5th element of their buffer, in rows of two more than the width
    const auto width = static_cast<uint32_t>(test().sourceWidth), height = static_cast<uint32_t>(test().sourceHeight);
    const uint32_t pitch = width + 2, offset = 5;
    std::vector<std::byte> bytes((offset + size_t{pitch} * height) * 4, std::byte{0x5a});
    for (uint32_t y = 0; y < height; ++y) {
        std::memcpy(&bytes[(offset + size_t{y} * pitch) * 4], &pixels_[size_t{y} * width * 4], size_t{width} * 4);
    }
    TestBuffers buffers(precision());
    const Operand source = buffers.inputBytes(bytes);
    const Operand out = buffers.output(outShape(2));
    // when it is the second image of a batch
    vulkan::PixelSource second;
    second.offsetBytes = offset * 4;
    second.width = width;
    second.height = height;
    second.rowPixels = pitch;
    const vulkan::PixelSource sources[] = {second, second};
    vulkan::VulkanInput input;
    input.pixels = sources;
    std::vector<Dispatch> dispatches;
    for (int image = 0; image < 2; ++image) {
        const Completed one =
            complete(input, params::kSourcePixels, image, spec_, source.tensor, out, precision(), lanes());
        dispatches.push_back(one.dispatch);
    }
    ASSERT_NO_FATAL_FAILURE(buffers.runTwice(dispatches));
    // then both images are what the CPU makes of it
    const std::vector<float> result = buffers.read(out);
    const size_t half = result.size() / 2;
    expectLikeCpu(std::span(result).first(half));
    expectLikeCpu(std::span(result).last(half));
}

TEST_P(PreprocessTest, imagesAgreeWithTheCpu) {
    // given an image in linear and in sRGB format, whose crop is the picture
    for (const bool isSrgb : {false, true}) {
        SCOPED_TRACE(isSrgb ? "sRGB" : "linear");
        const Crop crop = {3, 2, static_cast<uint32_t>(test().sourceWidth), static_cast<uint32_t>(test().sourceHeight)};
        auto image = createTestImage(device(), crop, pixels_, isSrgb);
        ASSERT_TRUE(image.ok()) << image.status().message();
        vulkan::ImageSource source;
        source.view = image->view();
        source.layout = VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL;
        source.width = crop.width + 2 * crop.x;
        source.height = crop.height + 2 * crop.y;
        source.crop = {crop.x, crop.y, crop.width, crop.height};
        source.isSrgb = isSrgb;
        vulkan::VulkanInput input;
        input.images = std::span(&source, 1);

        TestBuffers buffers(precision());
        const Operand out = buffers.output(outShape(1));
        const Completed one = complete(input, params::kSourceImage, 0, spec_, -1, out, precision(), lanes());
        buffers.image = one.resource;
        ASSERT_NO_FATAL_FAILURE(buffers.runTwice(one.dispatch));
        // then the result is what the CPU makes of the crop
        expectLikeCpu(buffers.read(out));
    }
}

INSTANTIATE_TEST_SUITE_P(Pictures, PreprocessTest,
                         ::testing::Combine(::testing::ValuesIn(kCases),
                                            ::testing::Values(Precision::Fp32, Precision::Fp16),
                                            ::testing::Values(1u, 2u, 4u, 8u)),
                         [](const auto& info) {
                             return std::string(std::get<0>(info.param).name) + "_" +
                                    precisionName(std::get<1>(info.param)) + "_" +
                                    std::to_string(std::get<2>(info.param)) + "lanes";
                         });

class PreprocessTensorTest : public KernelTest {
  protected:
    static std::vector<std::pair<Precision, uint32_t>> precisionsAndLanes() {
        std::vector<std::pair<Precision, uint32_t>> all;
        for (const Precision precision : {Precision::Fp32, Precision::Fp16})
            for (const uint32_t lanes : {1u, 2u, 4u, 8u}) all.emplace_back(precision, lanes);
        return all;
    }
};

TEST_F(PreprocessTensorTest, planesBecomePixels) {
    // given planes of a batch of two, NCHW, that begin behind 7 other floats
    const Shape shape = {2, 9, 13, 3};
    constexpr size_t kOthers = 7;
    const std::vector<float> values = randomValues(static_cast<int64_t>(kOthers) + shape.elementCount(), 1);
    const reference::Tensor expected = reference::fromNchw(shape, std::span(values).subspan(kOthers));
    for (const auto& [precision, lanes] : precisionsAndLanes()) {
        if (!supports(precision)) continue;
        SCOPED_TRACE(std::string(precisionName(precision)) + ", " + std::to_string(lanes) + " lanes");
        TestBuffers buffers(precision);
        const Operand source = buffers.inputBytes(std::as_bytes(std::span(values)));
        const Operand out = buffers.output(shape);
        vulkan::VulkanInput input;
        input.tensor.buffer = VkBuffer(1);  // only whether there is one matters here
        input.tensor.offsetBytes = kOthers * sizeof(float);
        std::vector<Dispatch> dispatches;
        for (int image = 0; image < shape.n; ++image) {
            dispatches.push_back(
                complete(input, params::kSourceTensor, image, {}, source.tensor, out, precision, lanes).dispatch);
        }
        ASSERT_NO_FATAL_FAILURE(buffers.runTwice(dispatches));
        expectClose(buffers.read(out), expected.values, precision == Precision::Fp32 ? 0.0 : 0x1p-11);
    }
}

}  // namespace
}  // namespace dunlin::test
