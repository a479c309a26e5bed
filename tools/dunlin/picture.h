// Picture files to pixels: JPEG, PNG, BMP, GIF (its first frame), TGA, PSD, PIC and PNM.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "dunlin/dunlin.h"
#include "tools/dunlin/outcome.h"

namespace dunlin::cli {

// Larger pictures are refused before memory is taken for them: the first is the library's limit, the second is 512 MiB.
constexpr int kMaxPictureSide = DUNLIN_MAX_PICTURE_SIDE;
constexpr int64_t kMaxPicturePixels = int64_t{1} << 27;

// RGBA8, tight rows, upright. Grey is given three times, palettes are looked up, 16-bit channels are cut to their high
// byte. Colour is as stored, alpha left beside it (not multiplied in), as Pillow's convert('RGB') takes it.
struct Picture {
    int width = 0, height = 0;
    std::vector<uint8_t> pixels;
};

// The EXIF orientation, 1 to 8, of a JPEG or PNG file; 1 where it has none.
int exifOrientation(std::span<const std::byte> file);

// The picture as it is to be seen, for an EXIF orientation.
Picture orient(Picture picture, int orientation);

// BadInput, without the file's name, for what is no picture, broken, cut or over the limits. Thread-safe.
Outcome<Picture> decodePicture(std::span<const std::byte> file);

// The same of a file, with its name before the reason.
Outcome<Picture> readPicture(const std::filesystem::path& path);

}  // namespace dunlin::cli
