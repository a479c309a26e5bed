#include "runtime/cpu/kernels/attention.h"

#include <cmath>
#include <cstring>

#include "runtime/cpu/kernels/math.h"
#include "runtime/cpu/kernels/matrix.h"

namespace dunlin::cpu {
namespace {

// Queries whose scores exist at once, and those for which keys and values are gathered once.
constexpr size_t kQueryBlock = 16, kQueryChunk = 64;

DUNLIN_INLINE inline float largestOf(const float* row, size_t count) {
    float lanes[kLanes];
    for (float& lane : lanes) lane = -kInfinity;
    for (size_t j = 0; j < count; j += kLanes)
        for (size_t l = 0; l < kLanes; ++l) lanes[l] = atLeast(lanes[l], row[j + l]);
    float largest = lanes[0];
    for (float lane : lanes) largest = atLeast(largest, lane);
    return largest;
}

}  // namespace

size_t AttentionKernel::Layout::floats() const {
    return headChannels * tokenStride + tokens * headStride + kQueryBlock * (headChannels + tokenStride + headStride);
}

struct AttentionKernel::Buffers {
    float* keys;     // [channel][tokenStride]
    float* values;   // [token][headStride]
    float* queries;  // [query][channel], already divided by sqrt(d)
    float* scores;   // [query][tokenStride]
    float* sums;     // [query][headStride]

    Buffers(float* scratch, const Layout& layout)
        : keys(scratch),
          values(keys + layout.headChannels * layout.tokenStride),
          queries(values + layout.tokens * layout.headStride),
          scores(queries + kQueryBlock * layout.headChannels),
          sums(scores + kQueryBlock * layout.tokenStride) {}
};

AttentionKernel::Layout AttentionKernel::layoutOf(const Attention& attention, const Shape& output) {
    Layout layout;
    layout.tokens = attention.windows ? sizeOf(attention.windows->height) * sizeOf(attention.windows->width)
                                      : sizeOf(output.h / attention.patchH) * sizeOf(output.w / attention.patchW);
    layout.tokenStride = roundUp(layout.tokens, kLanes);
    layout.headChannels = sizeOf(output.c / attention.heads);
    layout.headStride = roundUp(layout.headChannels, kLanes);
    return layout;
}

size_t AttentionKernel::groupCount(const Attention& attention, const Shape& output) {
    if (!attention.windows) return sizeOf(attention.patchH) * sizeOf(attention.patchW);
    return sizeOf(divideUp(output.h, attention.windows->height)) * sizeOf(divideUp(output.w, attention.windows->width));
}

KernelNeed AttentionKernel::need(const Attention& attention, const Shape& output, size_t workers) {
    const Layout layout = layoutOf(attention, output);
    const size_t places = groupCount(attention, output) * layout.tokens;
    KernelNeed need;
    need.scratchBytes = workers * roundUp(layout.floats(), kLanes) * sizeof(float);
    need.constantBytes = places * sizeof(int32_t);
    if (attention.windows)
        need.constantBytes += (places + sizeOf(attention.heads) * layout.tokens * layout.tokenStride) * sizeof(float);
    return need;
}

AttentionKernel::AttentionKernel(const Attention& attention, const Shape& output, const FoldedWeights& weights)
    : shape_(output),
      heads_(sizeOf(attention.heads)),
      groups_(groupCount(attention, output)),
      layout_(layoutOf(attention, output)),
      paddedToken_(weights.bias) {
    places_.reserve(groups_ * layout_.tokens);
    if (!attention.windows) {
        placePatches(attention);
        return;
    }
    placeWindows(*attention.windows);
    spreadBias(*attention.windows, weights);
}

void AttentionKernel::placePatches(const Attention& attention) {
    for (int inPatchY = 0; inPatchY < attention.patchH; ++inPatchY)
        for (int inPatchX = 0; inPatchX < attention.patchW; ++inPatchX)
            for (int y = inPatchY; y < shape_.h; y += attention.patchH)
                for (int x = inPatchX; x < shape_.w; x += attention.patchW) places_.push_back(y * shape_.w + x);
}

void AttentionKernel::placeWindows(const AttentionWindows& windows) {
    // After a shift, the last window of a side holds what was rolled in behind what was there.
    const auto partOf = [](int at, int size, int window, int shift) {
        const int padded = divideUp(size, window) * window;
        if (shift == 0 || at < padded - window) return 0;
        return at < padded - shift ? 1 : 2;
    };
    const bool isShifted = windows.shiftH > 0 || windows.shiftW > 0;
    const auto place = [&](int rolledY, int rolledX) {
        const bool isPadding = rolledY >= shape_.h || rolledX >= shape_.w;
        const int y = (rolledY + windows.shiftH) % shape_.h, x = (rolledX + windows.shiftW) % shape_.w;
        places_.push_back(isPadding ? -1 : y * shape_.w + x);
        if (isShifted)
            parts_.push_back(static_cast<float>(3 * partOf(rolledY, shape_.h, windows.height, windows.shiftH) +
                                                partOf(rolledX, shape_.w, windows.width, windows.shiftW)));
    };
    for (int top = 0; top < shape_.h; top += windows.height)
        for (int left = 0; left < shape_.w; left += windows.width)
            for (int y = 0; y < windows.height; ++y)
                for (int x = 0; x < windows.width; ++x) place(top + y, left + x);
}

// From one bias a relative position to one a pair of tokens, so that a row of scores takes a row of biases.
void AttentionKernel::spreadBias(const AttentionWindows& windows, const FoldedWeights& weights) {
    const int width = windows.width, relativeWidth = 2 * width - 1;
    bias_.assign(heads_ * layout_.tokens * layout_.tokenStride, 0.0f);
    for (size_t head = 0; head < heads_; ++head)
        for (size_t query = 0; query < layout_.tokens; ++query) {
            float* row = bias_.data() + (head * layout_.tokens + query) * layout_.tokenStride;
            for (size_t key = 0; key < layout_.tokens; ++key) {
                const int q = static_cast<int>(query), k = static_cast<int>(key);
                const int dy = q / width - k / width + windows.height - 1, dx = q % width - k % width + width - 1;
                row[key] = weights.weight[sizeOf(dy * relativeWidth + dx) * heads_ + head];
            }
        }
}

// An item is a chunk of a group's queries in one head of one image.
template <typename Tag>
DUNLIN_INLINE inline void AttentionKernel::attend(Tag tag, const float* input, float* output, size_t item,
                                                  float* scratch) const {
    const size_t chunks = (layout_.tokens + kQueryChunk - 1) / kQueryChunk;
    const size_t firstQuery = item % chunks * kQueryChunk, head = item / chunks % heads_;
    const size_t group = item / (chunks * heads_) % groups_, image = item / (chunks * heads_ * groups_);
    const size_t imageFloats = sizeOf(shape_.h) * sizeOf(shape_.w) * sizeOf(shape_.c);
    const float* const imageInput = input + image * 3 * imageFloats;
    float* const imageOutput = output + image * imageFloats;

    const Buffers buffers(scratch, layout_);
    gather(imageInput, group, head, buffers);
    const size_t end = std::min(firstQuery + kQueryChunk, layout_.tokens);
    for (size_t query = firstQuery; query < end; query += kQueryBlock)
        attendFrom(tag, imageInput, imageOutput, group, head, query, std::min(kQueryBlock, end - query), buffers);
}

// Keys with the tokens of a channel side by side, values with the channels of a token; zeros where rows are padded.
DUNLIN_INLINE inline void AttentionKernel::gather(const float* image, size_t group, size_t head,
                                                  const Buffers& buffers) const {
    const size_t channels = sizeOf(shape_.c), d = layout_.headChannels, stride = layout_.tokenStride;
    for (size_t token = 0; token < layout_.tokens; ++token) {
        const int32_t place = places_[group * layout_.tokens + token];
        const float* const pixel = place < 0 ? paddedToken_.data() : image + static_cast<size_t>(place) * 3 * channels;
        const float* const key = pixel + channels + head * d;
        for (size_t c = 0; c < d; ++c) buffers.keys[c * stride + token] = key[c];
        float* const value = buffers.values + token * layout_.headStride;
        std::memcpy(value, key + channels, d * sizeof(float));
        std::fill(value + d, value + layout_.headStride, 0.0f);
    }
    for (size_t c = 0; c < d; ++c)
        std::fill(buffers.keys + c * stride + layout_.tokens, buffers.keys + (c + 1) * stride, 0.0f);
}

template <typename Tag>
DUNLIN_INLINE inline void AttentionKernel::attendFrom(Tag tag, const float* image, float* output, size_t group,
                                                      size_t head, size_t firstQuery, size_t queries,
                                                      const Buffers& buffers) const {
    const size_t channels = sizeOf(shape_.c), d = layout_.headChannels;
    const float scale = 1 / std::sqrt(static_cast<float>(d));
    const int32_t* const places = places_.data() + group * layout_.tokens + firstQuery;
    const size_t rows = (queries + kMatrixRows - 1) / kMatrixRows * kMatrixRows;
    for (size_t i = 0; i < rows; ++i) {
        float* const query = buffers.queries + i * d;
        const bool isQuery = i < queries && places[i] >= 0;
        if (!isQuery) {
            std::fill(query, query + d, 0.0f);
            continue;
        }
        const float* const pixel = image + static_cast<size_t>(places[i]) * 3 * channels + head * d;
        for (size_t c = 0; c < d; ++c) query[c] = pixel[c] * scale;
    }

    multiply(tag, {buffers.queries, d}, {buffers.keys, layout_.tokenStride}, {buffers.scores, layout_.tokenStride},
             rows, d, layout_.tokenStride);
    float sums[kQueryBlock] = {};
    for (size_t i = 0; i < queries; ++i)
        shareOut(buffers.scores + i * layout_.tokenStride, group, head, firstQuery + i, &sums[i]);
    multiply(tag, {buffers.scores, layout_.tokenStride}, {buffers.values, layout_.headStride},
             {buffers.sums, layout_.headStride}, rows, layout_.tokens, layout_.headStride);

    for (size_t i = 0; i < queries; ++i) {
        if (places[i] < 0) continue;
        float* const result = output + static_cast<size_t>(places[i]) * channels + head * d;
        const float share = 1 / sums[i];
        for (size_t c = 0; c < d; ++c) result[c] = buffers.sums[i * layout_.headStride + c] * share;
    }
}

// A row of scores to e^(score - largest) and the sum of those, by which the results are divided in the end.
DUNLIN_INLINE inline void AttentionKernel::shareOut(float* scores, size_t group, size_t head, size_t query,
                                                    float* sum) const {
    const size_t tokens = layout_.tokens, stride = layout_.tokenStride;
    if (!bias_.empty()) {
        const float* const bias = bias_.data() + (head * tokens + query) * stride;
        for (size_t j = 0; j < stride; ++j) scores[j] += bias[j];
    }
    if (!parts_.empty()) {
        const float* const parts = parts_.data() + group * tokens;
        const float part = parts[query];
        for (size_t j = 0; j < tokens; ++j) scores[j] = parts[j] == part ? scores[j] : -kInfinity;
    }
    std::fill(scores + tokens, scores + stride, -kInfinity);

    const float largest = largestOf(scores, stride);
    float lanes[kLanes] = {};
    for (size_t j = 0; j < stride; j += kLanes)
        for (size_t l = 0; l < kLanes; ++l) lanes[l] += scores[j + l] = exponential(scores[j + l] - largest);
    *sum = sumOfLanes(lanes);
}

void AttentionKernel::run(const Workers& workers, std::span<const float* const> inputs, float* output,
                          std::byte* scratch) const {
    const size_t chunks = (layout_.tokens + kQueryChunk - 1) / kQueryChunk;
    const size_t scratchFloats = roundUp(layout_.floats(), kLanes);
    const float* const input = inputs[0];
    auto* const buffers = reinterpret_cast<float*>(scratch);
    forEachWithWorker(workers, sizeOf(shape_.n) * groups_ * heads_ * chunks,
                      [=, this](size_t item, size_t worker, auto tag)
                          DUNLIN_INLINE { attend(tag, input, output, item, buffers + worker * scratchFloats); });
}

}  // namespace dunlin::cpu
