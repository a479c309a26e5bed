#include "tests/kernels/test_image.h"

#include <cstring>
#include <vector>

namespace dunlin::test {

Result<tuning::SourceImage> createTestImage(const vulkan::VulkanDevice& device, const Crop& crop,
                                            std::span<const uint8_t> pixels, bool isSrgb) {
    constexpr uint32_t kTexelBytes = 4;
    const uint32_t width = crop.width + 2 * crop.x, height = crop.height + 2 * crop.y;
    // The border is white: read by mistake, it shows.
    std::vector<std::byte> bordered(size_t{width} * height * kTexelBytes, std::byte{0xff});
    for (uint32_t y = 0; y < crop.height; ++y) {
        std::memcpy(&bordered[(size_t{crop.y + y} * width + crop.x) * kTexelBytes],
                    &pixels[size_t{y} * crop.width * kTexelBytes], size_t{crop.width} * kTexelBytes);
    }
    return tuning::SourceImage::create(device, width, height, bordered,
                                       isSrgb ? VK_FORMAT_R8G8B8A8_SRGB : VK_FORMAT_R8G8B8A8_UNORM);
}

}  // namespace dunlin::test
