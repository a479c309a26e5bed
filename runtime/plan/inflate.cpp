#include "runtime/plan/inflate.h"

#include <zlib.h>

namespace dunlin {

bool inflateGzip(std::span<const uint8_t> gzip, std::span<std::byte> output) {
    constexpr int kGzipOnly = 16 + MAX_WBITS;
    z_stream stream{};
    stream.next_in = const_cast<Bytef*>(gzip.data());  // zlib does not write to it
    stream.avail_in = static_cast<uInt>(gzip.size());
    stream.next_out = reinterpret_cast<Bytef*>(output.data());
    stream.avail_out = static_cast<uInt>(output.size());
    if (inflateInit2(&stream, kGzipOnly) != Z_OK) return false;
    const int result = inflate(&stream, Z_FINISH);
    const bool isWhole = stream.avail_out == 0 && (result == Z_STREAM_END || result == Z_BUF_ERROR || result == Z_OK);
    inflateEnd(&stream);
    return isWhole;
}

}  // namespace dunlin
