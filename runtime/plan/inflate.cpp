#include "runtime/plan/inflate.h"

#include <zlib.h>

namespace dunlin {

namespace {

// What zlib's result means where the whole output was asked for.
Status inflateError(int result, size_t done, size_t asked) {
    if (result == Z_MEM_ERROR)
        return error(StatusCode::OutOfHostMemory, "no memory is left to unpack %zu bytes", asked);
    return error(StatusCode::BadFile, "a stream of the build is damaged: %zu of %zu bytes could be unpacked (zlib %d)",
                 done, asked, result);
}

// Undoes what cmake/write_compressed_modules.cmake did to bytes that CMake cannot write. The bytes that are left.
size_t restoreBytes(std::span<uint8_t> bytes) {
    constexpr uint8_t kZero = 1, kFlipped = 255, kFlip = 0x80;
    const uint8_t *from = bytes.data(), *const end = from + bytes.size();
    uint8_t* to = bytes.data();
    while (from < end) {
        uint8_t value = *from++;
        if (value == kZero)
            value = 0;
        else if (value == kFlipped && from < end)
            value = *from++ ^ kFlip;
        *to++ = value;
    }
    return static_cast<size_t>(to - bytes.data());
}

}  // namespace

Status inflateGzip(std::span<const uint8_t> gzip, std::span<std::byte> output) {
    constexpr int kGzipOnly = 16 + MAX_WBITS;
    z_stream stream{};
    stream.next_in = const_cast<Bytef*>(gzip.data());  // zlib does not write to it
    stream.avail_in = static_cast<uInt>(gzip.size());
    stream.next_out = reinterpret_cast<Bytef*>(output.data());
    stream.avail_out = static_cast<uInt>(output.size());
    if (const int begun = inflateInit2(&stream, kGzipOnly); begun != Z_OK) return inflateError(begun, 0, output.size());
    const int result = inflate(&stream, Z_FINISH);
    const bool isWhole = stream.avail_out == 0 && (result == Z_STREAM_END || result == Z_BUF_ERROR || result == Z_OK);
    inflateEnd(&stream);
    if (!isWhole) return inflateError(result, output.size() - stream.avail_out, output.size());
    return Status();
}

Result<std::vector<uint32_t>> unpackWords(const EmbeddedShaders& shaders, size_t first, size_t count) {
    std::vector<uint8_t> bytes(shaders.textBytes);
    DUNLIN_TRY(inflateGzip(shaders.gzip, std::as_writable_bytes(std::span(bytes))));
    // The first bytes of all words, then the second ones, and so on.
    const size_t stride = restoreBytes(bytes) / sizeof(uint32_t);
    if (stride < first + count) {
        return error(StatusCode::BadFile, "a stream of the build holds %zu words, and %zu are asked for", stride,
                     first + count);
    }
    std::vector<uint32_t> words(count);
    const uint8_t *const low = bytes.data() + first, *const second = low + stride, *const third = second + stride,
                         *const high = third + stride;
    for (size_t i = 0; i < count; ++i)
        words[i] = low[i] | uint32_t{second[i]} << 8 | uint32_t{third[i]} << 16 | uint32_t{high[i]} << 24;
    return words;
}

}  // namespace dunlin
