#include "tools/dunlin/picture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "tests/tools/temporary_folder.h"
#include "tools/dunlin/files.h"

namespace dunlin::cli {
namespace {

using Colour = std::array<int, 3>;
using Quarters = std::array<Colour, 4>;  // of a picture: above left, above right, below left, below right

constexpr Quarters kColours = {{{255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {255, 255, 255}}};
constexpr Quarters kGreys = {{{50, 50, 50}, {100, 100, 100}, {150, 150, 150}, {250, 250, 250}}};

std::string dataFile(const std::string& name) {
    return DUNLIN_SOURCE_DIR "/tests/tools/data/" + name;
}

std::vector<std::byte> dataBytes(const std::string& name) {
    Outcome<std::vector<std::byte>> bytes = readFile(dataFile(name));
    EXPECT_TRUE(bytes.ok()) << name;
    return bytes.ok() ? *bytes : std::vector<std::byte>();
}

// The colours in the middle of the quarters.
Quarters quartersOf(const Picture& picture) {
    Quarters quarters;
    for (size_t q = 0; q < 4; ++q) {
        const size_t x = static_cast<size_t>(picture.width) * (q % 2 ? 3 : 1) / 4;
        const size_t y = static_cast<size_t>(picture.height) * (q / 2 ? 3 : 1) / 4;
        const size_t at = (y * static_cast<size_t>(picture.width) + x) * 4;
        for (size_t c = 0; c < 3; ++c) quarters[q][c] = picture.pixels[at + c];
    }
    return quarters;
}

int largestDifference(const Quarters& a, const Quarters& b) {
    int largest = 0;
    for (size_t q = 0; q < 4; ++q) {
        for (size_t c = 0; c < 3; ++c) largest = std::max(largest, std::abs(a[q][c] - b[q][c]));
    }
    return largest;
}

void expectPicture(const std::string& name, int width, int height, const Quarters& quarters, int tolerance) {
    SCOPED_TRACE(name);
    const Outcome<Picture> picture = readPicture(dataFile(name));
    ASSERT_TRUE(picture.ok()) << picture.failure().message;
    EXPECT_EQ(picture->width, width);
    EXPECT_EQ(picture->height, height);
    ASSERT_EQ(picture->pixels.size(), static_cast<size_t>(width * height * 4));
    EXPECT_LE(largestDifference(quartersOf(*picture), quarters), tolerance);
}

TEST(Picture, KeepsTheColoursOfLosslessFiles) {
    for (const char* name : {"rgb.png", "rgb.bmp", "rgb.ppm", "rgb.tga", "rgb.gif", "palette.png"}) {
        expectPicture(name, 32, 16, kColours, 0);
    }
}

TEST(Picture, DecodesBaselineAndProgressiveJpeg) {
    expectPicture("rgb.jpg", 32, 16, kColours, 3);
    expectPicture("progressive.jpg", 32, 16, kColours, 3);
}

TEST(Picture, DecodesFourColourJpeg) {
    expectPicture("cmyk.jpg", 32, 16, kColours, 4);
}

TEST(Picture, GivesGreyThreeTimes) {
    expectPicture("grey.png", 32, 16, kGreys, 0);
    expectPicture("grey16.png", 32, 16, kGreys, 0);
    expectPicture("grey16.pgm", 32, 16, kGreys, 0);
    expectPicture("grey_alpha.png", 32, 16, kGreys, 0);
    expectPicture("grey.jpg", 32, 16, kGreys, 2);
}

TEST(Picture, LeavesColourAsItIsBesideAlpha) {
    expectPicture("alpha.png", 32, 16, kColours, 0);
}

TEST(Picture, TurnsByExifOrientation) {
    // 6: the stored picture is to be turned right; 3: it stands on its head.
    expectPicture("orientation6.jpg", 16, 32, {kColours[2], kColours[0], kColours[3], kColours[1]}, 3);
    expectPicture("orientation3.jpg", 32, 16, {kColours[3], kColours[2], kColours[1], kColours[0]}, 3);
}

TEST(Picture, HasNoOrientationWithoutExif) {
    EXPECT_EQ(exifOrientation(dataBytes("rgb.jpg")), 1);
    EXPECT_EQ(exifOrientation(dataBytes("rgb.png")), 1);
    EXPECT_EQ(exifOrientation(dataBytes("orientation6.jpg")), 6);
    EXPECT_EQ(exifOrientation({}), 1);
}

// The red channel of 3 columns x 2 rows, or what became of them.
Picture numbered(int width, int height, const std::vector<uint8_t>& numbers) {
    Picture picture{width, height, {}};
    for (uint8_t number : numbers) picture.pixels.insert(picture.pixels.end(), {number, 7, 8, 9});
    return picture;
}

TEST(Picture, OrientationsAreThoseOfTheExifStandard) {
    // Given the picture  1 2 3
    //                    4 5 6
    const Picture stored = numbered(3, 2, {1, 2, 3, 4, 5, 6});
    const Picture expected[] = {
        numbered(3, 2, {1, 2, 3, 4, 5, 6}),  // 1: as it is
        numbered(3, 2, {3, 2, 1, 6, 5, 4}),  // 2: mirrored
        numbered(3, 2, {6, 5, 4, 3, 2, 1}),  // 3: upside down
        numbered(3, 2, {4, 5, 6, 1, 2, 3}),  // 4: flipped
        numbered(2, 3, {1, 4, 2, 5, 3, 6}),  // 5: transposed
        numbered(2, 3, {4, 1, 5, 2, 6, 3}),  // 6: to be turned right
        numbered(2, 3, {6, 3, 5, 2, 4, 1}),  // 7: transposed across the other diagonal
        numbered(2, 3, {3, 6, 2, 5, 1, 4}),  // 8: to be turned left
    };
    for (int orientation = 1; orientation <= 8; ++orientation) {
        SCOPED_TRACE(orientation);
        const Picture upright = orient(stored, orientation);
        const Picture& wanted = expected[orientation - 1];
        EXPECT_EQ(upright.width, wanted.width);
        EXPECT_EQ(upright.height, wanted.height);
        EXPECT_EQ(upright.pixels, wanted.pixels);
    }
}

TEST(Picture, RefusesEveryCutOfAFile) {
    for (const char* name :
         {"rgb.png", "rgb.jpg", "progressive.jpg", "rgb.bmp", "rgb.ppm", "grey.jpg", "orientation6.jpg"}) {
        const std::vector<std::byte> whole = dataBytes(name);
        for (size_t size = 0; size + 16 < whole.size(); ++size) {
            const Outcome<Picture> picture = decodePicture(std::span(whole).first(size));
            ASSERT_FALSE(picture.ok()) << name << " cut to " << size << " of " << whole.size() << " bytes";
            ASSERT_EQ(picture.failure().status, ExitStatus::BadInput);
        }
    }
}

TEST(Picture, SurvivesEveryDamagedByte) {
    // Given files with one byte changed, when they are decoded, then there is a picture of sane size or a reason.
    for (const char* name :
         {"rgb.png", "rgb.jpg", "progressive.jpg", "rgb.bmp", "rgb.gif", "rgb.tga", "orientation6.jpg"}) {
        std::vector<std::byte> damaged = dataBytes(name);
        for (size_t at = 0; at < std::min<size_t>(damaged.size(), 1200); ++at) {
            for (std::byte change : {std::byte{0xff}, std::byte{0x80}, std::byte{0x01}}) {
                damaged[at] ^= change;
                const Outcome<Picture> picture = decodePicture(damaged);
                if (picture.ok()) {
                    ASSERT_EQ(picture->pixels.size(),
                              static_cast<size_t>(picture->width) * static_cast<size_t>(picture->height) * 4);
                } else {
                    ASSERT_FALSE(picture.failure().message.empty());
                }
                damaged[at] ^= change;
            }
        }
    }
}

TEST(Picture, RefusesAbsurdSizesBeforeDecoding) {
    // Given a PPM that promises 60000x60000 pixels and has none,
    const std::string text = "P6\n60000 60000\n255\n";
    const Outcome<Picture> picture = decodePicture(std::as_bytes(std::span(text)));
    ASSERT_FALSE(picture.ok());
    EXPECT_EQ(picture.failure().status, ExitStatus::BadInput);
    EXPECT_NE(picture.failure().message.find("60000x60000"), std::string::npos) << picture.failure().message;
    EXPECT_NE(picture.failure().message.find("16384"), std::string::npos) << picture.failure().message;
}

TEST(Picture, RefusesSizesThatSoFewBytesCannotHold) {
    const std::string text = "P5\n10000 10000\n255\n";
    const Outcome<Picture> picture = decodePicture(std::as_bytes(std::span(text)));
    ASSERT_FALSE(picture.ok());
    EXPECT_NE(picture.failure().message.find("10000x10000 cannot be in a file of 19 bytes"), std::string::npos)
        << picture.failure().message;
}

TEST(Picture, RefusesWhatIsNoPictureByName) {
    const test::TemporaryFolder folder;
    const std::string cases[] = {folder.file("empty.jpg", ""), folder.file("text.png", "this is no picture at all"),
                                 folder.file("cut.gif", std::string("GIF89a") + std::string(20, '\0')),
                                 folder / "absent.jpg", folder.path().string()};
    for (const std::string& file : cases) {
        const Outcome<Picture> picture = readPicture(file);
        ASSERT_FALSE(picture.ok()) << file;
        EXPECT_EQ(picture.failure().status, ExitStatus::BadInput);
        EXPECT_TRUE(picture.failure().message.starts_with(file + ": ")) << picture.failure().message;
    }
}

TEST(ExifOrientation, IsFoundInAPng) {
    // Given a PNG whose eXIf chunk says 6 (big-endian TIFF with one entry),
    const std::string tiff("MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0", 26);
    const std::string png = "\x89PNG\r\n\x1a\n" + std::string("\0\0\0\x1a", 4) + "eXIf" + tiff;
    const std::string end("\0\0\0\0IEND\xae\x42\x60\x82", 12);
    const std::string whole = png + "CRC_" + end;
    // when its checksum is right, it counts; when it is not, it does not.
    EXPECT_EQ(exifOrientation(std::as_bytes(std::span(whole))), 1);
    const std::string sound = png + std::string("\326\147\113\151", 4) + end;
    EXPECT_EQ(exifOrientation(std::as_bytes(std::span(sound))), 6);
}

}  // namespace
}  // namespace dunlin::cli
