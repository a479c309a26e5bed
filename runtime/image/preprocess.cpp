#include "runtime/image/preprocess.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>
#include <vector>

#include "runtime/image/resample.h"

namespace dunlin {
namespace {

constexpr size_t kColours = 3;
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
    bool isCopy = false;    // each output is one element of the source, and they follow one another
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

// Outputs that are the source's elements from `first` on.
AxisFilter copyOf(int begin, int first, size_t outputs) {
    AxisFilter axis;
    axis.begin = begin;
    axis.isCopy = true;
    axis.tapsPerOutput = 1;
    axis.first.resize(outputs);
    std::iota(axis.first.begin(), axis.first.end(), first);
    axis.count.assign(outputs, 1);
    axis.weights.assign(outputs, 1 << kCoefficientBits);
    return axis;
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
    if (sourceSize == resizedSize) return copyOf(axis.begin, crop + axis.begin, outputs);
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

int16_t highPart(int32_t weight) {
    return static_cast<int16_t>(weight >> kLowBits);
}
int16_t lowPart(int32_t weight) {
    return static_cast<int16_t>(weight & ((1 << kLowBits) - 1));
}

// An axis' weights as resizeRow() takes them. Where the taps of an output would reach past the source's row, they begin
// earlier, with zeros.
class RowFilter {
  public:
    RowFilter(const AxisFilter& axis, int sourceSize)
        : sourceSize_(static_cast<size_t>(sourceSize)), outputs_(axis.first.size()), isCopy_(axis.isCopy) {
        const int largest = axis.count.empty() ? 1 : *std::ranges::max_element(axis.count);
        steps_ = (static_cast<size_t>(std::max(largest, 1)) + kTapsAStep - 1) / kTapsAStep;
        weights_.resize((outputs_ + kOutputsAStep - 1) / kOutputsAStep * steps_);
        const int last = isPadded() ? 0 : sourceSize - static_cast<int>(steps_ * kTapsAStep);
        for (size_t i = 0; i < outputs_; ++i) {
            first_.push_back(isCopy_ ? axis.first[i] : std::min(axis.first[i], last));
            const auto shift = static_cast<size_t>(axis.first[i] - first_.back());
            for (size_t tap = 0; tap < static_cast<size_t>(axis.count[i]); ++tap)
                setWeight(i, shift + tap, axis.taps(static_cast<int>(i))[tap]);
        }
        if (outputs_ % kOutputsAStep != 0) first_.push_back(first_.back());
    }

    size_t outputs() const { return outputs_; }
    // Pixels of scratch, zeros at first, that resize() needs for rows shorter than the taps.
    size_t scratchPixels() const { return isPadded() ? steps_ * kTapsAStep : 0; }
    // Where the outputs are the source's own pixels, as they lie there; else null.
    const uint8_t* find(const uint8_t* source) const {
        return isCopy_ && !first_.empty() ? source + static_cast<size_t>(first_[0]) * kPixelBytes : nullptr;
    }

    void resize(const uint8_t* source, std::span<uint8_t> scratch, uint8_t* out) const {
        if (isPadded()) {
            std::copy_n(source, sourceSize_ * kPixelBytes, scratch.data());
            source = scratch.data();
        }
        resizeRow({first_.data(), outputs_, steps_, weights_.data()}, source, out);
    }

  private:
    bool isPadded() const { return !isCopy_ && steps_ * kTapsAStep > sourceSize_; }
    void setWeight(size_t output, size_t tap, int32_t weight) {
        RowTaps::Weights& weights = weights_[output / kOutputsAStep * steps_ + tap / kTapsAStep];
        for (size_t byte = 0; byte < kPixelBytes; ++byte) {
            const auto set = [&](RowTaps::Weights::Part& part, int16_t value) {
                part.pair[tap % kTapsAStep / 2][output % kOutputsAStep][byte][tap % 2] = value;
            };
            set(weights.high, highPart(weight));
            set(weights.low, lowPart(weight));
        }
    }

    size_t sourceSize_, outputs_, steps_;
    bool isCopy_;
    std::vector<int32_t> first_;
    std::vector<RowTaps::Weights> weights_;
};

// The horizontally resized rows that the vertical filter still needs: computed once each, in order, in a ring.
class RowRing {
  public:
    RowRing(const RowFilter& horizontal, const PixelView& source, int rows)
        : horizontal_(horizontal),
          source_(source),
          ringRows_(rows),
          rowBytes_((horizontal.outputs() + kOutputsAStep - 1) / kOutputsAStep * kOutputsAStep * kPixelBytes),
          ring_(rowBytes_ * static_cast<size_t>(rows)),
          scratch_(horizontal.scratchPixels() * kPixelBytes) {}

    // Rows [first, first + count) may be asked for until the next call; `first` never goes back.
    void advanceTo(int first, int count) {
        for (next_ = std::max(next_, first); next_ < first + count; ++next_)
            if (!horizontal_.find(sourceRow(next_)))
                horizontal_.resize(sourceRow(next_), scratch_, ring_.data() + slot(next_));
    }
    const uint8_t* row(int y) const {
        const uint8_t* const found = horizontal_.find(sourceRow(y));
        return found ? found : ring_.data() + slot(y);
    }

  private:
    const uint8_t* sourceRow(int y) const { return source_.pixels + static_cast<size_t>(y) * source_.rowBytes; }
    size_t slot(int y) const { return static_cast<size_t>(y % ringRows_) * rowBytes_; }

    const RowFilter& horizontal_;
    const PixelView& source_;
    int ringRows_;
    int next_ = 0;  // first row not yet computed
    size_t rowBytes_;
    std::vector<uint8_t> ring_, scratch_;
};

// (byte / 255 - mean) / deviation.
Normalisation normalisationOf(const PreprocessSpec& spec) {
    Normalisation normalisation = {.shift = {}, .scale = {}, .swapRedBlue = spec.swapRedBlue};
    for (size_t c = 0; c < kColours; ++c) {
        normalisation.shift[c] = static_cast<float>(255.0 * static_cast<double>(spec.mean[c]));
        normalisation.scale[c] = static_cast<float>(1 / (255.0 * static_cast<double>(spec.deviation[c])));
    }
    return normalisation;
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
    size_t left;  // outputs of a row before the first that lies in the source
    RowFilter horizontal;
    Normalisation normalisation;
};

Preprocessing::Preprocessing(const PreprocessSpec& spec, int sourceWidth, int sourceHeight, int outWidth, int outHeight,
                             int channels)
    : sourceWidth_(sourceWidth),
      sourceHeight_(sourceHeight),
      outWidth_(static_cast<size_t>(outWidth)),
      outHeight_(outHeight),
      channels_(static_cast<size_t>(channels)) {
    assert(channels_ >= kColours);
    const ResizeGeometry geometry = resizeGeometry(spec, sourceWidth, sourceHeight, outWidth, outHeight);
    const AxisFilter horizontal =
        makeAxisFilter(spec.interpolation, sourceWidth, geometry.resizedWidth, geometry.cropX, outWidth);
    filters_ = std::make_unique<Filters>(
        Filters{makeAxisFilter(spec.interpolation, sourceHeight, geometry.resizedHeight, geometry.cropY, outHeight),
                static_cast<size_t>(horizontal.begin), RowFilter(horizontal, sourceWidth), normalisationOf(spec)});
}

Preprocessing::~Preprocessing() = default;

void Preprocessing::computeRows(const PixelView& source, int begin, int end, std::span<float> out) const {
    const size_t rowFloats = outWidth_ * channels_;
    assert(fits(source));
    assert(0 <= begin && end <= outHeight_ && out.size() == rowFloats * static_cast<size_t>(outHeight_));
    const auto& [vertical, left, horizontal, normalisation] = *filters_;
    RowRing rows(horizontal, source, vertical.tapsPerOutput);
    std::vector<RowPairWeights> weights;
    std::vector<const uint8_t*> sources;
    for (int y = begin; y < end; ++y) {
        float* const row = out.data() + static_cast<size_t>(y) * rowFloats;
        const int i = y - vertical.begin;
        if (i < 0 || i >= vertical.outputs()) {
            fillRow(0, outWidth_, normalisation, channels_, row);
            continue;
        }
        const int first = vertical.first[static_cast<size_t>(i)], count = vertical.count[static_cast<size_t>(i)];
        rows.advanceTo(first, count);
        weights.clear();
        sources.clear();
        for (int tap = 0; tap < count; tap += 2) {  // an odd one with itself, weighted with zero
            const bool isPair = tap + 1 < count;
            const int32_t a = vertical.taps(i)[tap], b = isPair ? vertical.taps(i)[tap + 1] : 0;
            weights.push_back({{highPart(a), highPart(b)}, {lowPart(a), lowPart(b)}});
            sources.push_back(rows.row(first + tap));
            sources.push_back(rows.row(first + tap + (isPair ? 1 : 0)));
        }
        const size_t inside = left + horizontal.outputs();
        fillRow(0, left, normalisation, channels_, row);
        addRows(weights, sources.data(), horizontal.outputs(), normalisation, channels_, row + left * channels_);
        fillRow(0, outWidth_ - inside, normalisation, channels_, row + inside * channels_);
    }
}

void preprocess(const PreprocessSpec& spec, const PixelView& source, int outWidth, int outHeight, int channels,
                std::span<float> out) {
    Preprocessing(spec, source.width, source.height, outWidth, outHeight, channels)
        .computeRows(source, 0, outHeight, out);
}

}  // namespace dunlin
