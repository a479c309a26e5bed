#include "runtime/vulkan/interop.h"

namespace dunlin::vulkan {
namespace {

using params::PreprocessParams;

constexpr uint64_t kPixelBytes = 4;
constexpr uint64_t kColours = 3;

const char* kindName(uint32_t kind) {
    switch (kind) {
        case params::kSourceImage:
            return "images";
        case params::kSourcePixels:
            return "pixels";
        default:
            return "a tensor";
    }
}

uint32_t pitchOf(const PixelSource& source) {
    return source.rowPixels > 0 ? source.rowPixels : source.width;
}

// From the first pixel to the last; the last row need not be padded.
uint64_t bytesOf(const PixelSource& source) {
    return (uint64_t{source.height - 1} * pitchOf(source) + source.width) * kPixelBytes;
}

Region regionOf(const ImageSource& source) {
    return source.crop == Region{} ? Region{0, 0, source.width, source.height} : source.crop;
}

Status checkSides(uint32_t width, uint32_t height) {
    if (width >= 1 && height >= 1 && width <= kMaxPictureSide && height <= kMaxPictureSide) return Status();
    return error(StatusCode::InvalidArgument, "a picture of %ux%u pixels: sides must be 1 to %u", width, height,
                 kMaxPictureSide);
}

Status checkImage(const ImageSource& source) {
    if (!source.view) return error(StatusCode::InvalidArgument, "an input image has no view");
    DUNLIN_TRY(checkSides(source.width, source.height));
    if (source.layout != VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL && source.layout != VK_IMAGE_LAYOUT_GENERAL) {
        return error(StatusCode::InvalidArgument,
                     "an input image is in VkImageLayout %d; SHADER_READ_ONLY_OPTIMAL or GENERAL is needed",
                     static_cast<int>(source.layout));
    }
    const Region region = regionOf(source);
    const bool inside = region.width >= 1 && region.height >= 1 && uint64_t{region.x} + region.width <= source.width &&
                        uint64_t{region.y} + region.height <= source.height;
    if (inside) return Status();
    return error(StatusCode::InvalidArgument, "the region %ux%u at (%u, %u) is not inside the image of %ux%u texels",
                 region.width, region.height, region.x, region.y, source.width, source.height);
}

Status checkOffset(uint64_t offsetBytes) {
    if (offsetBytes % 4 == 0) return Status();
    return error(StatusCode::InvalidArgument, "an input buffer's offset is %llu bytes, which is no multiple of 4",
                 static_cast<unsigned long long>(offsetBytes));
}

Status checkPixels(const PixelSource& source, const DeviceLimits& limits) {
    if (!source.buffer) return error(StatusCode::InvalidArgument, "input pixels have no buffer");
    DUNLIN_TRY(checkSides(source.width, source.height));
    DUNLIN_TRY(checkOffset(source.offsetBytes));
    if (pitchOf(source) < source.width) {
        return error(StatusCode::InvalidArgument, "rows of %u pixels lie %u pixels apart", source.width,
                     source.rowPixels);
    }
    const uint64_t rangeBytes = source.offsetBytes % limits.offsetAlignment + bytesOf(source);
    if (rangeBytes <= limits.maxStorageBufferRange) return Status();
    return error(StatusCode::DoesNotFit,
                 "a picture of %ux%u pixels takes %llu bytes, and the device's limit is %llu (maxStorageBufferRange)",
                 source.width, source.height, static_cast<unsigned long long>(rangeBytes),
                 static_cast<unsigned long long>(limits.maxStorageBufferRange));
}

// A range that begins at the aligned offset before `offsetBytes`.
BoundResource alignedRange(VkBuffer buffer, uint64_t offsetBytes, uint64_t sizeBytes, uint64_t alignment) {
    const uint64_t begin = offsetBytes / alignment * alignment;
    return {buffer, begin, offsetBytes - begin + sizeBytes, VK_NULL_HANDLE, VK_IMAGE_LAYOUT_UNDEFINED};
}

void setColours(PreprocessParams& out, const PreprocessSpec& spec) {
    out.flags |= params::kPreprocessRoundBytes;
    if (spec.interpolation == Interpolation::Bicubic) out.flags |= params::kPreprocessBicubic;
    if (spec.swapRedBlue) out.flags |= params::kPreprocessSwapRedBlue;
    for (size_t i = 0; i < kColours; ++i) {
        out.scale[i] = 1.0f / spec.deviation[i];
        out.offset[i] = -spec.mean[i] / spec.deviation[i];
    }
}

void setGeometry(PreprocessParams& out, const PreprocessSpec& spec, const Region& region, const Shape& network) {
    const ResizeGeometry geometry =
        resizeGeometry(spec, static_cast<int>(region.width), static_cast<int>(region.height), network.w, network.h);
    out.sourceX = static_cast<int>(region.x);
    out.sourceY = static_cast<int>(region.y);
    out.sourceWidth = region.width;
    out.sourceHeight = region.height;
    out.scaleX = static_cast<float>(region.width) / static_cast<float>(geometry.resizedWidth);
    out.scaleY = static_cast<float>(region.height) / static_cast<float>(geometry.resizedHeight);
    out.cropX = geometry.cropX;
    out.cropY = geometry.cropY;
}

}  // namespace

Result<uint32_t> checkInput(const VulkanInput& input, const Shape& network, uint32_t inputKinds,
                            const DeviceLimits& limits) {
    const int given = !input.images.empty() + !input.pixels.empty() + (input.tensor.buffer != VK_NULL_HANDLE);
    if (given != 1) {
        return error(StatusCode::InvalidArgument, "%d of images, pixels and tensor are given; one is needed", given);
    }
    const uint32_t kind = !input.images.empty()   ? params::kSourceImage
                          : !input.pixels.empty() ? params::kSourcePixels
                                                  : params::kSourceTensor;
    if (!(inputKinds & (1u << kind))) {
        return error(StatusCode::InvalidArgument, "the session was not created for %s as input", kindName(kind));
    }
    if (kind == params::kSourceTensor) {
        DUNLIN_TRY(checkOffset(input.tensor.offsetBytes));
        return kind;
    }
    const size_t count = input.images.size() + input.pixels.size();
    if (count != static_cast<size_t>(network.n)) {
        return error(StatusCode::InvalidArgument, "%zu pictures for a batch of %d", count, network.n);
    }
    for (const ImageSource& source : input.images) DUNLIN_TRY(checkImage(source));
    for (const PixelSource& source : input.pixels) DUNLIN_TRY(checkPixels(source, limits));
    return kind;
}

BoundSource bindSource(const VulkanInput& input, int image, const Shape& network, const PreprocessSpec& spec,
                       uint64_t offsetAlignment, const PreprocessParams& lowered) {
    const auto index = static_cast<size_t>(image);
    BoundSource bound;
    bound.params = lowered;
    PreprocessParams& out = bound.params;
    if (input.tensor.buffer) {
        const uint64_t imageBytes = kColours * static_cast<uint64_t>(network.h) * static_cast<uint64_t>(network.w) * 4;
        const uint64_t offsetBytes = input.tensor.offsetBytes + index * imageBytes;
        bound.resource = alignedRange(input.tensor.buffer, offsetBytes, imageBytes, offsetAlignment);
        out.sourceWidth = out.sourceRowPitch = static_cast<uint32_t>(network.w);
        out.sourceHeight = static_cast<uint32_t>(network.h);
        out.sourceOffset = static_cast<uint32_t>((offsetBytes - bound.resource.offsetBytes) / 4);
        out.scaleX = out.scaleY = 1;
        return bound;
    }
    setColours(out, spec);
    if (!input.pixels.empty()) {
        const PixelSource& source = input.pixels[index];
        bound.resource = alignedRange(source.buffer, source.offsetBytes, bytesOf(source), offsetAlignment);
        out.sourceRowPitch = pitchOf(source);
        out.sourceOffset = static_cast<uint32_t>((source.offsetBytes - bound.resource.offsetBytes) / kPixelBytes);
        setGeometry(out, spec, {0, 0, source.width, source.height}, network);
        return bound;
    }
    const ImageSource& source = input.images[index];
    bound.resource.image = source.view;
    bound.resource.layout = source.layout;
    if (source.isSrgb) out.flags |= params::kPreprocessEncodeSrgb;
    setGeometry(out, spec, regionOf(source), network);
    return bound;
}

}  // namespace dunlin::vulkan
