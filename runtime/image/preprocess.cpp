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
    RowFilter(const AxisFilter& axis, int sourceSize)
        : taps_((static_cast<size_t>(axis.tapsPerOutput) + kTapsAStep - 1) / kTapsAStep * kTapsAStep),
          isPadded_(taps_ > static_cast<size_t>(sourceSize)),
          weights_(axis.first.size() * taps_ * kPixelBytes) {
        const int last = isPadded_ ? 0 : sourceSize - static_cast<int>(taps_);
        for (int i = 0; i < axis.outputs(); ++i) {
            const int first = axis.first[static_cast<size_t>(i)];
            first_.push_back(std::min(first, last));
            const auto shift = static_cast<size_t>(first - first_.back());
            int32_t* const weights = weights_.data() + (static_cast<size_t>(i) * taps_ + shift) * kPixelBytes;
            const auto count = static_cast<size_t>(axis.count[static_cast<size_t>(i)]) * kPixelBytes;
            for (size_t w = 0; w < count; ++w) weights[w] = axis.taps(i)[w / kPixelBytes];
        }
        if (isPadded_) row_.resize(taps_ * kPixelBytes);
    }

    // `rowBytes`: of the source's pixels.
    void resize(const uint8_t* source, size_t rowBytes, uint8_t* out) {
        if (isPadded_) std::copy(source, source + rowBytes, row_.begin());
        resizeRow({first_.data(), first_.size(), taps_, weights_.data()}, isPadded_ ? row_.data() : source, out);
    }

  private:
    size_t taps_;
    bool isPadded_;  // rows shorter than the taps are copied behind which there are zeros
    std::vector<int32_t> first_, weights_;
    std::vector<uint8_t> row_;
};

// The horizontally resized rows that the vertical filter still needs: computed once each, in order, in a ring.
class RowRing {
  public:
    RowRing(const AxisFilter& horizontal, const PixelView& source, int rows)
        : horizontal_(horizontal, source.width),
          source_(source),
          ringRows_(rows),
          rowBytes_(static_cast<size_t>(horizontal.outputs()) * kPixelBytes),
          ring_(rowBytes_ * static_cast<size_t>(rows)) {}

    // Rows [first, first + count) may be asked for until the next call; `first` never goes back.
    void advanceTo(int first, int count) {
        for (next_ = std::max(next_, first); next_ < first + count; ++next_)
            horizontal_.resize(source_.pixels + static_cast<size_t>(next_) * source_.rowBytes,
                               static_cast<size_t>(source_.width) * kPixelBytes, ring_.data() + slot(next_));
    }
    const uint8_t* row(int y) const { return ring_.data() + slot(y); }
    size_t rowBytes() const { return rowBytes_; }

  private:
    size_t slot(int y) const { return static_cast<size_t>(y % ringRows_) * rowBytes_; }

    RowFilter horizontal_;
    const PixelView& source_;
    int ringRows_;
    int next_ = 0;  // first row not yet computed
    size_t rowBytes_;
    std::vector<uint8_t> ring_;
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

void fillWithZeroColour(const NormalisedValues& values, int channels, std::span<float> out) {
    const size_t step = static_cast<size_t>(channels);
    for (size_t i = 0; i + step <= out.size(); i += step) {
        for (size_t c = 0; c < step; ++c) out[i + c] = c < kColours ? values[c][0] : 0.0f;
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

void preprocess(const PreprocessSpec& spec, const PixelView& source, int outWidth, int outHeight, int channels,
                std::span<float> out) {
    assert(channels >= kColours);
    assert(out.size() ==
           static_cast<size_t>(outWidth) * static_cast<size_t>(outHeight) * static_cast<size_t>(channels));
    const ResizeGeometry geometry = resizeGeometry(spec, source.width, source.height, outWidth, outHeight);
    const AxisFilter horizontal =
        makeAxisFilter(spec.interpolation, source.width, geometry.resizedWidth, geometry.cropX, outWidth);
    const AxisFilter vertical =
        makeAxisFilter(spec.interpolation, source.height, geometry.resizedHeight, geometry.cropY, outHeight);
    const NormalisedValues values = normalisedValues(spec);
    const size_t step = static_cast<size_t>(channels), outRow = static_cast<size_t>(outWidth) * step;
    if (horizontal.outputs() < outWidth || vertical.outputs() < outHeight) fillWithZeroColour(values, channels, out);

    RowRing rows(horizontal, source, vertical.tapsPerOutput);
    std::vector<uint8_t> resized(rows.rowBytes());
    std::vector<const uint8_t*> sources(static_cast<size_t>(vertical.tapsPerOutput));
    for (int i = 0; i < vertical.outputs(); ++i) {
        const int first = vertical.first[static_cast<size_t>(i)], count = vertical.count[static_cast<size_t>(i)];
        rows.advanceTo(first, count);
        for (int tap = 0; tap < count; ++tap) sources[static_cast<size_t>(tap)] = rows.row(first + tap);
        addRows({vertical.taps(i), static_cast<size_t>(count)}, sources.data(), resized.size(), resized.data());
        float* pixel = out.data() + static_cast<size_t>(vertical.begin + i) * outRow +
                       static_cast<size_t>(horizontal.begin) * step;
        for (size_t at = 0; at < resized.size(); at += kPixelBytes, pixel += step) {
            for (size_t c = 0; c < kColours; ++c) pixel[c] = values[c][resized[at + (spec.swapRedBlue ? 2 - c : c)]];
            for (size_t c = kColours; c < step; ++c) pixel[c] = 0.0f;
        }
    }
}

}  // namespace dunlin
