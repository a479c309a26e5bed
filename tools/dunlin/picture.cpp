#include "tools/dunlin/picture.h"

#include <fmt/format.h>
#include <libexif/exif-data.h>
#define STBI_NO_STDIO
#include <stb_image.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>

#include "tools/dunlin/files.h"

namespace dunlin::cli {
namespace {

constexpr size_t kPixelBytes = 4;
constexpr size_t kMaxPictureFileBytes = size_t{1} << 30;
// Deflate makes a byte of 1032 at most, and no format here has more than 8 pixels a byte before it.
constexpr int64_t kMaxPixelsPerByte = 8256;

// stb_image reads zeros where a file ends, so a cut picture may decode to something grey. Reading through these
// callbacks tells that it wanted more than there was.
struct Source {
    std::span<const std::byte> rest;
    bool ranOut = false;
};

constexpr int kBufferBytes = 128;  // of stb_image's own buffer

int readSource(void* user, char* data, int size) {
    Source& source = *static_cast<Source*>(user);
    const size_t count = std::min(source.rest.size(), static_cast<size_t>(size));
    std::memcpy(data, source.rest.data(), count);
    source.rest = source.rest.subspan(count);
    const bool fillsBuffer =
        size == kBufferBytes;  // asks for what there is; other sizes are asked for because they are needed
    source.ranOut = source.ranOut || (count == 0 && size > 0) || (count < static_cast<size_t>(size) && !fillsBuffer);
    return static_cast<int>(count);
}

void skipSource(void* user, int size) {
    Source& source = *static_cast<Source*>(user);
    source.rest = source.rest.subspan(std::min(source.rest.size(), static_cast<size_t>(std::max(0, size))));
}

int sourceEnded(void* user) {
    return static_cast<Source*>(user)->rest.empty();
}

constexpr stbi_io_callbacks kCallbacks = {readSource, skipSource, sourceEnded};

struct FreePixels {
    void operator()(stbi_uc* pixels) const { stbi_image_free(pixels); }
};

Failure badPicture(const Source& source) {
    if (source.ranOut) return {ExitStatus::BadInput, "the file ends before its picture does"};
    const char* reason = stbi_failure_reason();
    if (reason != nullptr && std::strcmp(reason, "outofmem") == 0) {
        return {ExitStatus::DeviceFailed, "no memory to decode the picture"};
    }
    return {ExitStatus::BadInput,
            fmt::format("not a picture that can be decoded ({})", reason ? reason : "no reason given")};
}

Check checkSize(int width, int height, size_t fileBytes) {
    if (width < 1 || height < 1 || width > kMaxPictureSide || height > kMaxPictureSide) {
        return Failure{ExitStatus::BadInput,
                       fmt::format("a picture of {}x{}, sides are from 1 to {}", width, height, kMaxPictureSide)};
    }
    const int64_t pixels = int64_t{width} * height;
    if (pixels > kMaxPicturePixels) {
        return Failure{ExitStatus::BadInput,
                       fmt::format("a picture of {} pixels, the limit is {}", pixels, kMaxPicturePixels)};
    }
    if (pixels / kMaxPixelsPerByte > static_cast<int64_t>(fileBytes)) {
        return Failure{ExitStatus::BadInput,
                       fmt::format("a picture of {}x{} cannot be in a file of {} bytes", width, height, fileBytes)};
    }
    return {};
}

// From grey (1), grey and alpha (2), colour (3), or colour and alpha (4 channels).
std::vector<uint8_t> toRgba(const uint8_t* from, int width, int height, int channels) {
    const size_t count = static_cast<size_t>(width) * static_cast<size_t>(height), step = static_cast<size_t>(channels);
    if (step == kPixelBytes) return {from, from + count * kPixelBytes};
    const bool colour = step == 3, alpha = step == 2;
    std::vector<uint8_t> rgba(count * kPixelBytes);
    for (uint8_t *to = rgba.data(), *end = to + rgba.size(); to != end; to += kPixelBytes, from += step) {
        to[0] = from[0];
        to[1] = from[colour ? 1 : 0];
        to[2] = from[colour ? 2 : 0];
        to[3] = alpha ? from[1] : uint8_t{255};
    }
    return rgba;
}

bool isJpeg(std::span<const std::byte> file) {
    return file.size() > 4 && file[0] == std::byte{0xff} && file[1] == std::byte{0xd8};
}

// The markers of a JPEG file, one after the other, as a decoder meets them.
class JpegMarkers {
  public:
    explicit JpegMarkers(std::span<const std::byte> file) : file_(file), at_(2) {}

    // The next marker, and what its segment has; 0 at the end. Entropy-coded data, with what is escaped or a restart in
    // it, is passed over.
    int next(std::span<const std::byte>& segment) {
        for (; at_ + 1 < file_.size(); ++at_) {
            const int marker = byte(at_ + 1);
            const bool isMarker =
                byte(at_) == 0xff && marker != 0xff && marker != 0 && !(marker >= 0xd0 && marker <= 0xd8);
            if (!isMarker) continue;
            at_ += 2;
            const size_t length = at_ + 1 < file_.size() ? static_cast<size_t>(byte(at_) * 256 + byte(at_ + 1)) : 0;
            segment = file_.subspan(at_, std::min(length, file_.size() - at_));
            at_ += segment.size();
            return marker;
        }
        return 0;
    }

  private:
    int byte(size_t at) const { return std::to_integer<int>(file_[at]); }

    std::span<const std::byte> file_;
    size_t at_;
};

// stb_image up to 2.27 writes beyond its tables where a Huffman table claims more than 256 codes, so these are refused
// here.
bool hasOverlongHuffmanTable(std::span<const std::byte> file) {
    constexpr int kDefineHuffmanTable = 0xc4;
    constexpr size_t kLengths = 16, kMaxCodes = 256;
    if (!isJpeg(file)) return false;
    JpegMarkers markers(file);
    std::span<const std::byte> segment;
    while (const int marker = markers.next(segment)) {
        if (marker != kDefineHuffmanTable || segment.size() < 2) continue;
        // Tables follow one another: a byte of class and number, how many codes there are of each length, their values.
        for (segment = segment.subspan(2); segment.size() > kLengths;) {
            size_t codes = 0;
            for (const std::byte count : segment.subspan(1, kLengths)) codes += std::to_integer<size_t>(count);
            if (codes > kMaxCodes) return true;
            segment = segment.subspan(std::min(segment.size(), 1 + kLengths + codes));
        }
    }
    return false;
}

bool isPng(std::span<const std::byte> file) {
    constexpr std::string_view kSignature = "\x89PNG\r\n\x1a\n";
    return file.size() >= kSignature.size() && std::memcmp(file.data(), kSignature.data(), kSignature.size()) == 0;
}

uint32_t bigEndian(std::span<const std::byte> bytes) {
    uint32_t value = 0;
    for (const std::byte byte : bytes.first(4)) value = value << 8 | std::to_integer<uint32_t>(byte);
    return value;
}

uint32_t crc32(std::span<const std::byte> bytes) {
    static constexpr auto kTable = [] {
        std::array<uint32_t, 256> table = {};
        for (uint32_t i = 0; i < table.size(); ++i) {
            table[i] = i;
            for (int bit = 0; bit < 8; ++bit) table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320u : 0u);
        }
        return table;
    }();
    uint32_t crc = 0xffffffffu;
    for (const std::byte byte : bytes) crc = kTable[(crc ^ std::to_integer<uint32_t>(byte)) & 255] ^ crc >> 8;
    return ~crc;
}

// The chunks of a PNG file, one after the other: length, type, data, CRC of the latter two.
class PngChunks {
  public:
    explicit PngChunks(std::span<const std::byte> file) : rest_(file.subspan(8)) {}

    struct Chunk {
        std::string_view type;
        std::span<const std::byte> data;
        bool sound = false;
    };
    // False at the end, and where a chunk is cut, which is left to the decoder.
    bool next(Chunk& chunk) {
        constexpr size_t kFraming = 12;
        if (rest_.size() < kFraming || rest_.size() - kFraming < bigEndian(rest_)) return false;
        const size_t length = bigEndian(rest_);
        chunk.type = {reinterpret_cast<const char*>(rest_.data()) + 4, 4};
        chunk.data = rest_.subspan(8, length);
        chunk.sound = crc32(rest_.subspan(4, length + 4)) == bigEndian(rest_.subspan(length + 8));
        rest_ = rest_.subspan(length + kFraming);
        return chunk.type != "IEND";
    }

  private:
    std::span<const std::byte> rest_;
};

// stb_image does not look at checksums. Chunks that only annotate (their type begins with a small letter) may be wrong.
bool hasDamagedChunk(std::span<const std::byte> file) {
    if (!isPng(file)) return false;
    PngChunks chunks(file);
    for (PngChunks::Chunk chunk; chunks.next(chunk);) {
        if (!chunk.sound && chunk.type[0] >= 'A' && chunk.type[0] <= 'Z') return true;
    }
    return false;
}

// What libexif reads: a JPEG as it is, a PNG's eXIf chunk behind the marker that JPEG has; empty where there is none.
std::vector<std::byte> exifOfPng(std::span<const std::byte> file) {
    static constexpr std::string_view kMarker{"Exif\0\0", 6};
    PngChunks chunks(file);
    for (PngChunks::Chunk chunk; chunks.next(chunk);) {
        if (chunk.type != "eXIf" || !chunk.sound) continue;
        std::vector<std::byte> exif(kMarker.size() + chunk.data.size());
        std::memcpy(exif.data(), kMarker.data(), kMarker.size());
        std::copy(chunk.data.begin(), chunk.data.end(), exif.begin() + kMarker.size());
        return exif;
    }
    return {};
}

}  // namespace

int exifOrientation(std::span<const std::byte> file) {
    std::vector<std::byte> ofPng;
    if (isPng(file)) {
        ofPng = exifOfPng(file);
        file = ofPng;
    } else if (!isJpeg(file)) {
        return 1;
    }
    if (file.empty()) return 1;
    const auto* bytes = reinterpret_cast<const unsigned char*>(file.data());
    const std::unique_ptr<ExifData, void (*)(ExifData*)> data(
        exif_data_new_from_data(bytes, static_cast<unsigned>(std::min<size_t>(file.size(), UINT_MAX))),
        exif_data_unref);
    if (!data) return 1;
    const ExifEntry* entry = exif_content_get_entry(data->ifd[EXIF_IFD_0], EXIF_TAG_ORIENTATION);
    if (entry == nullptr || entry->format != EXIF_FORMAT_SHORT || entry->components != 1 || entry->size < 2) return 1;
    const int orientation = exif_get_short(entry->data, exif_data_get_byte_order(data.get()));
    return orientation >= 1 && orientation <= 8 ? orientation : 1;
}

Picture orient(Picture picture, int orientation) {
    if (orientation <= 1 || orientation > 8) return picture;
    const bool transposed = orientation >= 5;
    const bool flipX = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    const bool flipY = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;

    Picture upright;
    upright.width = transposed ? picture.height : picture.width;
    upright.height = transposed ? picture.width : picture.height;
    upright.pixels.resize(picture.pixels.size());
    uint8_t* out = upright.pixels.data();
    for (int y = 0; y < upright.height; ++y) {
        for (int x = 0; x < upright.width; ++x, out += kPixelBytes) {
            const int column = transposed ? y : x, row = transposed ? x : y;
            const int fromX = flipX ? picture.width - 1 - column : column;
            const int fromY = flipY ? picture.height - 1 - row : row;
            const size_t from =
                static_cast<size_t>(fromY) * static_cast<size_t>(picture.width) + static_cast<size_t>(fromX);
            std::memcpy(out, picture.pixels.data() + from * kPixelBytes, kPixelBytes);
        }
    }
    return upright;
}

Outcome<Picture> decodePicture(std::span<const std::byte> file) {
    if (file.empty()) return Failure{ExitStatus::BadInput, "the file is empty"};
    if (hasOverlongHuffmanTable(file))
        return Failure{ExitStatus::BadInput, "a JPEG with a Huffman table of over 256 codes"};
    if (hasDamagedChunk(file)) return Failure{ExitStatus::BadInput, "a damaged PNG: the checksum of a chunk is wrong"};
    int width = 0, height = 0, channels = 0;
    Source header{file};
    if (!stbi_info_from_callbacks(&kCallbacks, &header, &width, &height, &channels)) return badPicture(header);
    DUNLIN_CLI_TRY(checkSize(width, height, file.size()));

    // A JPEG's colours are converted faster to four channels. For other formats stb_image's own conversion is not used:
    // up to 2.27 it misreads 16-bit PNM.
    const int wanted = isJpeg(file) ? static_cast<int>(kPixelBytes) : 0;
    Source source{file};
    const std::unique_ptr<stbi_uc, FreePixels> pixels(
        stbi_load_from_callbacks(&kCallbacks, &source, &width, &height, &channels, wanted));
    if (!pixels || source.ranOut) return badPicture(source);
    DUNLIN_CLI_TRY(checkSize(width, height, file.size()));
    try {
        Picture picture{width, height, toRgba(pixels.get(), width, height, wanted != 0 ? wanted : channels)};
        return orient(std::move(picture), exifOrientation(file));
    } catch (const std::bad_alloc&) {
        return Failure{ExitStatus::DeviceFailed, fmt::format("no memory for a picture of {}x{}", width, height)};
    }
}

Outcome<Picture> readPicture(const std::filesystem::path& path) {
    DUNLIN_CLI_ASSIGN(const std::vector<std::byte> file, readFile(path, kMaxPictureFileBytes));
    Outcome<Picture> picture = decodePicture(file);
    if (!picture.ok()) return Failure{picture.failure().status, path.string() + ": " + picture.failure().message};
    return picture;
}

}  // namespace dunlin::cli
