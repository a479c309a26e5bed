// A sampled image with a picture in it, surrounded by a border that must not be read.
#pragma once

#include <span>

#include "runtime/tuning/source_image.h"

namespace dunlin::test {

// Where the picture lies: the border is x texels wide on the left and right, and y above and below.
struct Crop {
    uint32_t x = 0, y = 0, width = 0, height = 0;
};

// `pixels` are crop.width x crop.height RGBA8. Must not outlive the device.
Result<tuning::SourceImage> createTestImage(const vulkan::VulkanDevice& device, const Crop& crop,
                                            std::span<const uint8_t> pixels, bool isSrgb);

}  // namespace dunlin::test
