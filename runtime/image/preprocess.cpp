#include "runtime/image/preprocess.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <vector>

#include "runtime/image/resample.h"

namespace dunlin {
namespace {

constexpr int kColours = 3;
// No resized side is larger, so that sums of coordinates stay within an int. Reached only by aspect ratios over a
// million.
constexpr double kMaxResizedSide = 1 << 30;

double filterValue(Interpolation interpolation, double x) {
    x = std::abs(x);
    if (interpolation == Interpolation::Bilinear) return x < 1 ? 1 - x : 0;
    constexpr double a = -0.5;  // Keys' cubic convolution, as Pillow has it
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

double filterSupport(Interpolation interpolation) {
    return interpolation == Interpolation::Bilinear ? 1 : 2;
}

// The weights of one axis: output `begin + i` is the sum of taps(i) over the source's elements from first[i] on.
struct AxisFilter {
    int begin = 0;          // first output that lies in the resized source; those before it are padding
    int tapsPerOutput = 0;  // of the widest output; others are filled up with zeros past count[i]
    std::vector<int> first, count;
    std::vector<int32_t> weights;

    int outputs() const { return static_cast<int>(first.size()); }
    const int32_t* taps(int i) const {
        return weights.data() + static_cast<size_t>(i) * static_cast<size_t>(tapsPerOutput);
    }
};

// One output's weights in fixed point, normalised to a sum of one before rounding.
void fillTaps(Interpolation interpolation, double centre, double filterScale, int first, std::span<double> scratch,
              int32_t* taps) {
    const double step = 1.0 / filterScale;
    double sum = 0;
    for (size_t i = 0; i < scratch.size(); ++i) {
        scratch[i] = filterValue(interpolation, (static_cast<double>(i) + first - centre + 0.5) * step);
        sum += scratch[i];
    }
    for (size_t i = 0; i < scratch.size(); ++i) {
        const double weight = sum != 0 ? scratch[i] / sum : scratch[i];
        taps[i] = static_cast<int32_t>(std::trunc(weight * (1 << kCoefficientBits) + (weight < 0 ? -0.5 : 0.5)));
    }
}

// Outputs [crop, crop + outSize) of a resize from sourceSize to resizedSize, as far as they exist.
AxisFilter makeAxisFilter(Interpolation interpolation, int sourceSize, int resizedSize, int crop, int outSize) {
    const double scale = static_cast<double>(sourceSize) / resizedSize;
    const double filterScale = std::max(scale, 1.0);
    const double support = filterSupport(interpolation) * filterScale;

    AxisFilter axis;
    axis.begin = std::max(0, -crop);
    const int end = std::min(outSize, resizedSize - crop);
    const size_t outputs = static_cast<size_t>(std::max(0, end - axis.begin));
    axis.tapsPerOutput = std::min(sourceSize, static_cast<int>(std::ceil(support)) * 2 + 1);
    axis.first.resize(outputs);
    axis.count.resize(outputs);
    axis.weights.resize(outputs * static_cast<size_t>(axis.tapsPerOutput));

    std::vector<double> scratch(static_cast<size_t>(axis.tapsPerOutput));
    for (size_t i = 0; i < outputs; ++i) {
        const double centre = (crop + axis.begin + static_cast<double>(i) + 0.5) * scale;
        const int first = std::max(0, static_cast<int>(centre - support + 0.5));
        const int last = std::min(sourceSize, static_cast<int>(centre + support + 0.5));
        axis.first[i] = first;
        axis.count[i] = std::clamp(last - first, 0, axis.tapsPerOutput);
        fillTaps(interpolation, centre, filterScale, first,
                 std::span(scratch).first(static_cast<size_t>(axis.count[i])),
                 axis.weights.data() + i * static_cast<size_t>(axis.tapsPerOutput));
    }
    return axis;
}

// An axis' weights as resizeRow() takes them. Where the taps of an output would reach past the source's row, they begin
// earlier, with zeros.
class RowFilter {
  public:
    RowFilter(const AxisFilter& axis, int sourceSize) : sourceSize_(static_cast<size_t>(sourceSize)) {
        const int largest = axis.count.empty() ? 1 : *std::ranges::max_element(axis.count);
        taps_ = (static_cast<size_t>(std::max(largest, 1)) + kTapsAStep - 1) / kTapsAStep * kTapsAStep;
        weights_.resize(axis.first.size() * taps_ * kPixelBytes);
        const int last = isPadded() ? 0 : sourceSize - static_cast<int>(taps_);
        for (size_t i = 0; i < axis.first.size(); ++i) {
            first_.push_back(std::min(axis.first[i], last));
            const auto shift = static_cast<size_t>(axis.first[i] - first_.back());
            int32_t* const weights = weights_.data() + (i * taps_ + shift) * kPixelBytes;
            const int32_t* const taps = axis.taps(static_cast<int>(i));
            for (size_t w = 0; w < static_cast<size_t>(axis.count[i]) * kPixelBytes; ++w)
                weights[w] = taps[w / kPixelBytes];
        }
    }

    size_t outputs() const { return first_.size(); }
    // Pixels of scratch, zeros at first, that resize() needs for rows shorter than the taps.
    size_t scratchPixels() const { return isPadded() ? taps_ : 0; }

    void resize(const uint8_t* source, std::span<uint8_t> scratch, int32_t* out) const {
        if (isPadded()) {
            std::copy_n(source, sourceSize_ * kPixelBytes, scratch.data());
            source = scratch.data();
        }
        resizeRow({first_.data(), first_.size(), taps_, weights_.data()}, source, out);
    }

  private:
    bool isPadded() const { return taps_ > sourceSize_; }

    size_t sourceSize_, taps_;
    std::vector<int32_t> first_, weights_;
};

// The horizontally resized rows that the vertical filter still needs: computed once each, in order, in a ring.
class RowRing {
  public:
    RowRing(const RowFilter& horizontal, const PixelView& source, int rows)
        : horizontal_(horizontal),
          source_(source),
          ringRows_(rows),
          rowInts_(horizontal.outputs() * kPixelBytes),
          ring_(rowInts_ * static_cast<size_t>(rows)),
          scratch_(horizontal.scratchPixels() * kPixelBytes) {}

    // Rows [first, first + count) may be asked for until the next call; `first` never goes back.
    void advanceTo(int first, int count) {
        for (next_ = std::max(next_, first); next_ < first + count; ++next_)
            horizontal_.resize(source_.pixels + static_cast<size_t>(next_) * source_.rowBytes, scratch_,
                               ring_.data() + slot(next_));
    }
    const int32_t* row(int y) const { return ring_.data() + slot(y); }

  private:
    size_t slot(int y) const { return static_cast<size_t>(y % ringRows_) * rowInts_; }

    const RowFilter& horizontal_;
    const PixelView& source_;
    int ringRows_;
    int next_ = 0;  // first row not yet computed
    size_t rowInts_;
    std::vector<int32_t> ring_;
    std::vector<uint8_t> scratch_;
};

// Every byte's normalised value, by output channel.
using NormalisedValues = std::array<std::array<float, 256>, kColours>;

NormalisedValues normalisedValues(const PreprocessSpec& spec) {
    NormalisedValues values;
    for (size_t c = 0; c < kColours; ++c) {
        for (size_t v = 0; v < 256; ++v) {
            values[c][v] = (static_cast<float>(v) / 255.0f - spec.mean[c]) / spec.deviation[c];
        }
    }
    return values;
}

// A row of pixels from colours in 0..255.
void normaliseRow(const NormalisedValues& values, bool swapRedBlue, std::span<const int32_t> colours, size_t channels,
                  float* out) {
    const size_t first = swapRedBlue ? 2 : 0, last = 2 - first;
    for (size_t at = 0; at < colours.size(); at += kPixelBytes, out += channels) {
        out[0] = values[0][static_cast<size_t>(colours[at + first])];
        out[1] = values[1][static_cast<size_t>(colours[at + 1])];
        out[2] = values[2][static_cast<size_t>(colours[at + last])];
        for (size_t c = kColours; c < channels; ++c) out[c] = 0.0f;
    }
}

}  // namespace

ResizeGeometry resizeGeometry(const PreprocessSpec& spec, int sourceWidth, int sourceHeight, int outWidth,
                              int outHeight) {
    assert(sourceWidth > 0 && sourceHeight > 0 && outWidth > 0 && outHeight > 0 && spec.cropFraction > 0);
    const auto side = [](double pixels) { return static_cast<int>(std::clamp(pixels, 1.0, kMaxResizedSide)); };
    const int targetWidth = side(std::floor(outWidth / spec.cropFraction));
    const int targetHeight = side(std::floor(outHeight / spec.cropFraction));

    ResizeGeometry geometry;
    geometry.sourceWidth = sourceWidth;
    geometry.sourceHeight = sourceHeight;
    geometry.outWidth = outWidth;
    geometry.outHeight = outHeight;
    if (spec.squash) {
        geometry.resizedWidth = targetWidth;
        geometry.resizedHeight = targetHeight;
    } else if (targetWidth == targetHeight) {
        // torchvision's Resize: the short side becomes the target, the long side is cut to an integer.
        const double shortSide = std::min(sourceWidth, sourceHeight);
        geometry.resizedWidth = sourceWidth <= sourceHeight
                                    ? targetWidth
                                    : side(static_cast<double>(targetWidth) * sourceWidth / shortSide);
        geometry.resizedHeight = sourceHeight <= sourceWidth
                                     ? targetHeight
                                     : side(static_cast<double>(targetHeight) * sourceHeight / shortSide);
    } else {
        // timm's ResizeKeepRatio: the smallest picture that covers the target, each side rounded.
        const double ratio =
            std::min(static_cast<double>(sourceWidth) / targetWidth, static_cast<double>(sourceHeight) / targetHeight);
        geometry.resizedWidth = side(std::nearbyint(sourceWidth / ratio));
        geometry.resizedHeight = side(std::nearbyint(sourceHeight / ratio));
    }
    // torchvision's CenterCrop: halves go to the even neighbour; what is too small is padded, the odd pixel at the end.
    const auto crop = [](int resized, int out) {
        return resized >= out ? static_cast<int>(std::nearbyint((resized - out) / 2.0)) : -((out - resized) / 2);
    };
    geometry.cropX = crop(geometry.resizedWidth, outWidth);
    geometry.cropY = crop(geometry.resizedHeight, outHeight);
    return geometry;
}

struct Preprocessing::Filters {
    AxisFilter vertical;
    int left;  // outputs of a row before the first that lies in the source
    RowFilter horizontal;
    NormalisedValues values;
};

Preprocessing::Preprocessing(const PreprocessSpec& spec, const PixelView& source, int outWidth, int outHeight,
                             int channels)
    : source_(source),
      outWidth_(static_cast<size_t>(outWidth)),
      outHeight_(outHeight),
      channels_(static_cast<size_t>(channels)),
      swapRedBlue_(spec.swapRedBlue) {
    assert(channels >= kColours);
    const ResizeGeometry geometry = resizeGeometry(spec, source.width, source.height, outWidth, outHeight);
    const AxisFilter horizontal =
        makeAxisFilter(spec.interpolation, source.width, geometry.resizedWidth, geometry.cropX, outWidth);
    filters_ = std::make_unique<Filters>(
        Filters{makeAxisFilter(spec.interpolation, source.height, geometry.resizedHeight, geometry.cropY, outHeight),
                horizontal.begin, RowFilter(horizontal, source.width), normalisedValues(spec)});
}

Preprocessing::~Preprocessing() = default;

void Preprocessing::computeRows(int begin, int end, std::span<float> out) const {
    const size_t rowFloats = outWidth_ * channels_;
    assert(0 <= begin && end <= outHeight_ && out.size() == rowFloats * static_cast<size_t>(outHeight_));
    const auto& [vertical, left, horizontal, values] = *filters_;
    RowRing rows(horizontal, source_, vertical.tapsPerOutput);
    std::vector<int32_t> colours(outWidth_ * kPixelBytes);  // zeros beside the source
    std::vector<const int32_t*> sources(static_cast<size_t>(vertical.tapsPerOutput));
    for (int y = begin; y < end; ++y) {
        const int i = y - vertical.begin;
        int32_t* const inside = colours.data() + static_cast<size_t>(left) * kPixelBytes;
        if (i < 0 || i >= vertical.outputs()) {
            std::ranges::fill(colours, 0);
        } else {
            const int first = vertical.first[static_cast<size_t>(i)], count = vertical.count[static_cast<size_t>(i)];
            rows.advanceTo(first, count);
            for (int tap = 0; tap < count; ++tap) sources[static_cast<size_t>(tap)] = rows.row(first + tap);
            addRows({vertical.taps(i), static_cast<size_t>(count)}, sources.data(), horizontal.outputs() * kPixelBytes,
                    inside);
        }
        normaliseRow(values, swapRedBlue_, colours, channels_, out.data() + static_cast<size_t>(y) * rowFloats);
    }
}

void preprocess(const PreprocessSpec& spec, const PixelView& source, int outWidth, int outHeight, int channels,
                std::span<float> out) {
    Preprocessing(spec, source, outWidth, outHeight, channels).computeRows(0, outHeight, out);
}

}  // namespace dunlin
