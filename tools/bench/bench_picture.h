// What networks are run on: noise, of which no row is cheaper than another. The same pixels every time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace dunlin::bench {

// RGBA8, rows without gaps. A linear congruential generator (Knuth's MMIX).
inline std::vector<uint8_t> benchPicture(uint32_t width, uint32_t height) {
    std::vector<uint8_t> pixels(size_t{width} * height * 4);
    uint64_t state = 1;
    for (uint8_t& value : pixels) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        value = static_cast<uint8_t>(state >> 56);
    }
    return pixels;
}

}  // namespace dunlin::bench
