// How a picture becomes a network's input. The specification, its geometry, and its CPU form; the GPU form is
// shaders/preprocess.comp, which computes the same coefficients. Decoding files is the tools' business.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "runtime/graph/tensor.h"
#include "runtime/status.h"

namespace dunlin {

enum class Interpolation { Bilinear, Bicubic };  // both antialiased, as Pillow's

struct PreprocessSpec {
    std::array<float, 3> mean = {0.485f, 0.456f, 0.406f};  // of colours in 0..1, in the order that the network wants
    std::array<float, 3> deviation = {0.229f, 0.224f, 0.225f};
    Interpolation interpolation = Interpolation::Bilinear;
    double cropFraction = 0.875;              // the crop's side over the resized short side
    int inputHeight = 224, inputWidth = 224;  // what the network was trained for
    bool swapRedBlue = false;                 // the network wants BGR
    bool squash = false;  // both sides are resized, proportions are lost; else only the short side decides
};

// Where the network's input lies in the resized source: the whole source is resized to resizedWidth x resizedHeight,
// then [cropX, cropX + outWidth) x [cropY, cropY + outHeight) is taken; as torchvision's Resize and CenterCrop do it.
struct ResizeGeometry {
    int sourceWidth = 0, sourceHeight = 0;
    int resizedWidth = 0, resizedHeight = 0;
    // Negative where the resized picture is smaller than the crop: zeros there, before normalising.
    int cropX = 0, cropY = 0;
    int outWidth = 0, outHeight = 0;
};
ResizeGeometry resizeGeometry(const PreprocessSpec& spec, int sourceWidth, int sourceHeight, int outWidth,
                              int outHeight);

// RGBA8, rows of rowBytes; borrowed.
struct PixelView {
    const uint8_t* pixels = nullptr;
    int width = 0, height = 0;
    size_t rowBytes = 0;
};

// The way into a network of pictures of one size, row by row: threads may compute different rows at once. The rows do
// not depend on who computes them.
class Preprocessing {
  public:
    Preprocessing(const PreprocessSpec& spec, int sourceWidth, int sourceHeight, int outWidth, int outHeight,
                  int channels);
    ~Preprocessing();
    Preprocessing(const Preprocessing&) = delete;
    Preprocessing& operator=(const Preprocessing&) = delete;

    // Whether the picture has the size.
    bool fits(const PixelView& source) const { return source.width == sourceWidth_ && source.height == sourceHeight_; }

    // Rows [begin, end) of the whole image `out`, as preprocess() gives them.
    void computeRows(const PixelView& source, int begin, int end, std::span<float> out) const;

  private:
    struct Filters;

    int sourceWidth_, sourceHeight_;
    size_t outWidth_;
    [[maybe_unused]] int outHeight_;  // for assertions
    size_t channels_;
    std::unique_ptr<const Filters> filters_;
};

// One image, normalised, into outHeight * outWidth * channels floats (NHWC); channels past the third are set to zero.
// Matches Pillow's fixed-point resize to 1/255 of a pixel's range. Thread-safe.
void preprocess(const PreprocessSpec& spec, const PixelView& source, int outWidth, int outHeight, int channels,
                std::span<float> out);

}  // namespace dunlin
