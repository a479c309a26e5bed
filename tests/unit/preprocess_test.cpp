// Preprocessing against Pillow's own results (data/preprocess_golden.inc, written by data/make_preprocess_golden.py).
#include "runtime/image/preprocess.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

namespace dunlin {
namespace {

struct Golden {
    int width, height, outWidth, outHeight;
    double cropFraction;
    Interpolation interpolation;
    int resizedWidth, resizedHeight, cropX, cropY;
    const char* bytes;  // RGB, hexadecimal
};
const Golden kGolden[] = {
#include "data/preprocess_golden.inc"
};

struct Picture {
    std::vector<uint8_t> pixels;
    int width, height;
    PixelView view() const { return {pixels.data(), width, height, static_cast<size_t>(width) * 4}; }
};

// The formula of make_preprocess_golden.py, with an alpha that must not matter.
Picture formulaPicture(int width, int height) {
    Picture picture{{}, width, height};
    for (uint32_t y = 0; y < static_cast<uint32_t>(height); ++y) {
        for (uint32_t x = 0; x < static_cast<uint32_t>(width); ++x) {
            for (uint32_t c = 0; c < 3; ++c) {
                const uint32_t mixed = x * 2654435761u + y * 2246822519u + c * 3266489917u;
                const uint32_t noise = ((mixed ^ (mixed >> 15)) * 668265263u) >> 24;
                picture.pixels.push_back(static_cast<uint8_t>(noise + x * 5 + y * 3));
            }
            picture.pixels.push_back(static_cast<uint8_t>(x * 77 + y));
        }
    }
    return picture;
}

Picture uniformPicture(int width, int height, std::array<uint8_t, 3> colour) {
    Picture picture{std::vector<uint8_t>(static_cast<size_t>(width * height) * 4), width, height};
    for (size_t i = 0; i < picture.pixels.size(); ++i) picture.pixels[i] = i % 4 < 3 ? colour[i % 4] : uint8_t{0};
    return picture;
}

std::vector<int> parseHex(const std::string& text) {
    std::vector<int> bytes;
    for (size_t i = 0; i < text.size(); i += 2) bytes.push_back(std::stoi(text.substr(i, 2), nullptr, 16));
    return bytes;
}

// Leaves bytes as they are: out = byte / 255.
PreprocessSpec plainSpec(double cropFraction, Interpolation interpolation) {
    PreprocessSpec spec;
    spec.mean = {0, 0, 0};
    spec.deviation = {1, 1, 1};
    spec.cropFraction = cropFraction;
    spec.interpolation = interpolation;
    return spec;
}

std::vector<float> preprocessed(const PreprocessSpec& spec, const Picture& picture, int outWidth, int outHeight,
                                int channels = 3) {
    std::vector<float> out(static_cast<size_t>(outWidth * outHeight * channels), -99.0f);
    preprocess(spec, picture.view(), outWidth, outHeight, channels, out);
    return out;
}

TEST(ResizeGeometry, IsTorchvisionsAndTimmsArithmetic) {
    for (const Golden& golden : kGolden) {
        const ResizeGeometry geometry = resizeGeometry(plainSpec(golden.cropFraction, golden.interpolation),
                                                       golden.width, golden.height, golden.outWidth, golden.outHeight);
        SCOPED_TRACE(std::to_string(golden.width) + "x" + std::to_string(golden.height));
        EXPECT_EQ(geometry.resizedWidth, golden.resizedWidth);
        EXPECT_EQ(geometry.resizedHeight, golden.resizedHeight);
        EXPECT_EQ(geometry.cropX, golden.cropX);
        EXPECT_EQ(geometry.cropY, golden.cropY);
    }
}

TEST(ResizeGeometry, OfAPhotographIs256And224) {
    const ResizeGeometry geometry = resizeGeometry(PreprocessSpec{}, 500, 375, 224, 224);
    EXPECT_EQ(geometry.resizedWidth, 341);  // int(256 * 500 / 375)
    EXPECT_EQ(geometry.resizedHeight, 256);
    EXPECT_EQ(geometry.cropX, 58);  // 58.5 goes to the even neighbour
    EXPECT_EQ(geometry.cropY, 16);
}

TEST(ResizeGeometry, SquashedKeepsNoProportions) {
    PreprocessSpec spec;
    spec.squash = true;
    const ResizeGeometry geometry = resizeGeometry(spec, 500, 375, 224, 224);
    EXPECT_EQ(geometry.resizedWidth, 256);
    EXPECT_EQ(geometry.resizedHeight, 256);
    EXPECT_EQ(geometry.cropX, 16);
    EXPECT_EQ(geometry.cropY, 16);
}

TEST(ResizeGeometry, PadsWhereTheResizedPictureIsSmallerThanTheCrop) {
    const ResizeGeometry geometry = resizeGeometry(plainSpec(2.0, Interpolation::Bilinear), 10, 10, 9, 9);
    EXPECT_EQ(geometry.resizedWidth, 4);  // floor(9 / 2)
    EXPECT_EQ(geometry.cropX, -2);        // five missing columns: two before, three after
}

TEST(ResizeGeometry, StaysWithinIntegersForAbsurdAspectRatios) {
    const ResizeGeometry geometry = resizeGeometry(PreprocessSpec{}, 1, 1 << 30, 1024, 1024);
    EXPECT_EQ(geometry.resizedWidth, 1170);
    EXPECT_GT(geometry.resizedHeight, 0);
    EXPECT_GT(geometry.cropY, 0);
}

TEST(Preprocess, MatchesPillowBitForBit) {
    for (const Golden& golden : kGolden) {
        SCOPED_TRACE(std::to_string(golden.width) + "x" + std::to_string(golden.height) + " to " +
                     std::to_string(golden.outWidth) + "x" + std::to_string(golden.outHeight) +
                     (golden.interpolation == Interpolation::Bicubic ? " bicubic" : " bilinear"));
        const std::vector<int> expected = parseHex(golden.bytes);
        const std::vector<float> out =
            preprocessed(plainSpec(golden.cropFraction, golden.interpolation),
                         formulaPicture(golden.width, golden.height), golden.outWidth, golden.outHeight);
        ASSERT_EQ(out.size(), expected.size());
        int different = 0;
        for (size_t i = 0; i < out.size(); ++i) different += std::lround(out[i] * 255.0f) != expected[i];
        EXPECT_EQ(different, 0);
    }
}

TEST(Preprocess, NormalisesWithTheSpecsMeanAndDeviationAndZeroesFurtherChannels) {
    const PreprocessSpec spec;
    const std::vector<float> out = preprocessed(spec, uniformPicture(3, 2, {10, 128, 255}), 5, 4, 4);
    for (size_t i = 0; i < out.size(); i += 4) {
        EXPECT_NEAR(out[i], (10 / 255.0 - 0.485) / 0.229, 5e-7);
        EXPECT_NEAR(out[i + 1], (128 / 255.0 - 0.456) / 0.224, 5e-7);
        EXPECT_NEAR(out[i + 2], (255 / 255.0 - 0.406) / 0.225, 5e-7);
        EXPECT_EQ(out[i + 3], 0.0f);
    }
}

TEST(Preprocess, GivesTheSameColoursWithFurtherChannels) {
    for (const Golden& golden : kGolden) {
        PreprocessSpec spec;
        spec.cropFraction = golden.cropFraction;
        spec.interpolation = golden.interpolation;
        spec.swapRedBlue = true;
        const Picture picture = formulaPicture(golden.width, golden.height);
        const std::vector<float> three = preprocessed(spec, picture, golden.outWidth, golden.outHeight, 3);
        const std::vector<float> five = preprocessed(spec, picture, golden.outWidth, golden.outHeight, 5);
        for (size_t i = 0; i < five.size(); ++i)
            EXPECT_EQ(five[i], i % 5 < 3 ? three[i / 5 * 3 + i % 5] : 0.0f) << i << " of " << golden.width;
    }
}

TEST(Preprocess, GivesBlueFirstWhereTheNetworkWantsIt) {
    PreprocessSpec spec = plainSpec(1.0, Interpolation::Bilinear);
    spec.mean = {0.25f, 0.5f, 0.75f};  // in the network's order: blue, green, red
    spec.swapRedBlue = true;
    const std::vector<float> out = preprocessed(spec, uniformPicture(4, 4, {255, 102, 51}), 4, 4);
    EXPECT_FLOAT_EQ(out[0], 51 / 255.0f - 0.25f);
    EXPECT_FLOAT_EQ(out[1], 102 / 255.0f - 0.5f);
    EXPECT_FLOAT_EQ(out[2], 255 / 255.0f - 0.75f);
}

TEST(Preprocess, SurroundsATooSmallPictureWithBlack) {
    PreprocessSpec spec = plainSpec(2.0, Interpolation::Bilinear);
    spec.mean = {0.5f, 0.5f, 0.5f};
    const std::vector<float> out = preprocessed(spec, uniformPicture(10, 10, {255, 255, 255}), 9, 9);
    for (size_t y = 0; y < 9; ++y) {
        for (size_t x = 0; x < 9; ++x) {
            const bool inside = x >= 2 && x < 6 && y >= 2 && y < 6;
            EXPECT_FLOAT_EQ(out[(y * 9 + x) * 3], inside ? 0.5f : -0.5f) << x << " " << y;
        }
    }
}

TEST(Preprocess, InBandsOfRowsIsWhatItIsAtOnce) {
    for (const Golden& golden : kGolden) {
        const PreprocessSpec spec = plainSpec(golden.cropFraction, golden.interpolation);
        const Picture picture = formulaPicture(golden.width, golden.height);
        const std::vector<float> whole = preprocessed(spec, picture, golden.outWidth, golden.outHeight);
        std::vector<float> banded(whole.size(), -99.0f);
        const int height = golden.outHeight;
        const Preprocessing preprocessing(spec, picture.width, picture.height, golden.outWidth, height, 3);
        for (const auto& [begin, end] : {std::pair(height / 2, height), {0, height / 3}, {height / 3, height / 2}})
            preprocessing.computeRows(picture.view(), begin, end, banded);
        EXPECT_EQ(banded, whole) << golden.width << "x" << golden.height;
    }
}

TEST(Preprocess, ReadsRowsAtTheirPitch) {
    // Given a picture of 7x5 that lies inside wider rows,
    const Picture tight = formulaPicture(7, 5);
    const size_t pitch = 7 * 4 + 12;
    std::vector<uint8_t> wide(pitch * 5, 0xee);
    for (size_t y = 0; y < 5; ++y) std::copy_n(tight.pixels.data() + y * 28, 28, wide.data() + y * pitch);
    // when both are preprocessed,
    const PreprocessSpec spec = plainSpec(0.875, Interpolation::Bicubic);
    std::vector<float> out(6 * 6 * 3);
    preprocess(spec, {wide.data(), 7, 5, pitch}, 6, 6, 3, out);
    // then what lies between the rows makes no difference.
    EXPECT_EQ(out, preprocessed(spec, tight, 6, 6));
}

}  // namespace
}  // namespace dunlin
