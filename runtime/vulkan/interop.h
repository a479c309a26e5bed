// What an application hands to a session at record time: images, pixels or tensors in its own Vulkan objects.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/image/preprocess.h"
#include "runtime/plan/limits.h"
#include "runtime/vulkan/descriptors.h"
#include "shaders/include/params.h"

namespace dunlin::vulkan {

// Bits of what a session will be given. Each kind costs one pipeline.
constexpr uint32_t kInputImages = 1u << params::kSourceImage;
constexpr uint32_t kInputPixels = 1u << params::kSourcePixels;
constexpr uint32_t kInputTensors = 1u << params::kSourceTensor;
constexpr uint32_t kAllInputs = kInputImages | kInputPixels | kInputTensors;
constexpr size_t kSourceKinds = 3;

constexpr uint32_t kMaxPictureSide = 16384;

// Texels of an image; all zero means the whole.
struct Region {
    uint32_t x = 0, y = 0, width = 0, height = 0;
    bool operator==(const Region&) const = default;
};

// A 2D view of one mip level with usage VK_IMAGE_USAGE_SAMPLED_BIT and a format that is sampled as float.
struct ImageSource {
    VkImageView view = VK_NULL_HANDLE;
    VkImageLayout layout = VK_IMAGE_LAYOUT_UNDEFINED;  // at execution: SHADER_READ_ONLY_OPTIMAL or GENERAL
    uint32_t width = 0, height = 0;                    // of the view
    Region crop;                                       // what counts as the picture
    bool isSrgb = false;                               // the view's format is _SRGB: its colours are encoded again
};

// RGBA8 pixels, red first, in a buffer with usage VK_BUFFER_USAGE_STORAGE_BUFFER_BIT.
struct PixelSource {
    VkBuffer buffer = VK_NULL_HANDLE;
    uint64_t offsetBytes = 0;  // a multiple of 4
    uint32_t width = 0, height = 0;
    uint32_t rowPixels = 0;  // from one row to the next; 0: width
};

// Float32 planes of the whole batch, [n][3][h][w], normalised, of the session's size, in a buffer with usage
// VK_BUFFER_USAGE_STORAGE_BUFFER_BIT.
struct TensorSource {
    VkBuffer buffer = VK_NULL_HANDLE;  // null: not given
    uint64_t offsetBytes = 0;          // a multiple of 4
};

// One of the three; images and pixels have one entry for each image of the batch.
struct VulkanInput {
    std::span<const ImageSource> images;
    std::span<const PixelSource> pixels;
    TensorSource tensor;
};

// Where outputs are written: Session::outputBytes() from `offsetBytes` on, a multiple of DeviceLimits::offsetAlignment,
// in a buffer with usage VK_BUFFER_USAGE_STORAGE_BUFFER_BIT. A null buffer means the slot's own output buffer.
struct VulkanOutput {
    VkBuffer buffer = VK_NULL_HANDLE;
    uint64_t offsetBytes = 0;
};

// Which of kSourceImage, kSourcePixels and kSourceTensor an input is, after checking all of its numbers. `network` is
// the network's input; `inputKinds` are the kInput... bits that the session was made for.
Result<uint32_t> checkInput(const VulkanInput& input, const Shape& network, uint32_t inputKinds,
                            const DeviceLimits& limits);

// What the preprocess dispatch of one image reads, and with which push constants; `params` comes with the fields that
// the lowering filled (outWidth, outHeight, outBase). The input was checked.
struct BoundSource {
    BoundResource resource;
    params::PreprocessParams params;
};
BoundSource bindSource(const VulkanInput& input, int image, const Shape& network, const PreprocessSpec& spec,
                       uint64_t offsetAlignment, const params::PreprocessParams& lowered);

}  // namespace dunlin::vulkan
