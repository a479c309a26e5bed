#include "runtime/cpu/kernels/attention.h"

#include <algorithm>

#include "runtime/cpu/kernels/attention_block.h"

namespace dunlin::cpu {

size_t AttentionKernel::tokenCount(const Attention& attention, const Shape& output) {
    if (attention.windows) return sizeOf(attention.windows->height) * sizeOf(attention.windows->width);
    return sizeOf(output.h / attention.patchH) * sizeOf(output.w / attention.patchW);
}

size_t AttentionKernel::groupCount(const Attention& attention, const Shape& output) {
    if (!attention.windows) return sizeOf(attention.patchH) * sizeOf(attention.patchW);
    return sizeOf(divideUp(output.h, attention.windows->height)) * sizeOf(divideUp(output.w, attention.windows->width));
}

// A worker's: where keys lie, turned queries, and scores.
size_t AttentionKernel::scratchBytes(size_t tokens, size_t headChannels) {
    const size_t floats = (headChannels + tokens) * kMaxBlockQueries;
    return roundUp(tokens * sizeof(const float*), kLanes * sizeof(float)) + floats * sizeof(float);
}

KernelNeed AttentionKernel::need(const Attention& attention, const Shape& output, size_t workers) {
    const size_t tokens = tokenCount(attention, output), stride = roundUp(tokens, kLanes);
    const size_t groups = groupCount(attention, output);
    KernelNeed need;
    need.scratchBytes = workers * scratchBytes(tokens, sizeOf(output.c / attention.heads));
    need.constantBytes = groups * tokens * sizeof(int32_t);
    if (attention.windows)
        need.constantBytes += groups + (groups + sizeOf(attention.heads) * tokens) * stride * sizeof(float);
    return need;
}

AttentionKernel::AttentionKernel(const Attention& attention, const Shape& output, const FoldedWeights& weights)
    : shape_(output),
      heads_(sizeOf(attention.heads)),
      groups_(groupCount(attention, output)),
      tokens_(tokenCount(attention, output)),
      tokenStride_(roundUp(tokens_, kLanes)),
      headChannels_(sizeOf(output.c / attention.heads)),
      paddedToken_(weights.bias) {
    places_.reserve(groups_ * tokens_);
    if (!attention.windows) {
        placePatches(attention);
        return;
    }
    placeWindows(*attention.windows);
    findDividedGroups();
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
    if (isShifted) parts_.assign(groups_ * tokenStride_, 0.0f);
    const auto place = [&](int rolledY, int rolledX) {
        const bool isPadding = rolledY >= shape_.h || rolledX >= shape_.w;
        const int y = (rolledY + windows.shiftH) % shape_.h, x = (rolledX + windows.shiftW) % shape_.w;
        const size_t group = places_.size() / tokens_, token = places_.size() % tokens_;
        places_.push_back(isPadding ? -1 : y * shape_.w + x);
        if (isShifted)
            parts_[group * tokenStride_ + token] =
                static_cast<float>(3 * partOf(rolledY, shape_.h, windows.height, windows.shiftH) +
                                   partOf(rolledX, shape_.w, windows.width, windows.shiftW));
    };
    for (int top = 0; top < shape_.h; top += windows.height)
        for (int left = 0; left < shape_.w; left += windows.width)
            for (int y = 0; y < windows.height; ++y)
                for (int x = 0; x < windows.width; ++x) place(top + y, left + x);
}

void AttentionKernel::findDividedGroups() {
    divided_.assign(groups_, 0);
    for (size_t group = 0; group < groups_ && !parts_.empty(); ++group) {
        const auto first = parts_.begin() + static_cast<ptrdiff_t>(group * tokenStride_);
        const auto isOther = [first](float part) { return part != *first; };
        divided_[group] = std::any_of(first, first + static_cast<ptrdiff_t>(tokens_), isOther);
    }
}

// From one bias a relative position to one a pair of tokens, so that a key's scores take a row of biases.
void AttentionKernel::spreadBias(const AttentionWindows& windows, const FoldedWeights& weights) {
    const int width = windows.width, relativeWidth = 2 * width - 1;
    bias_.assign(heads_ * tokens_ * tokenStride_, 0.0f);
    for (size_t head = 0; head < heads_; ++head)
        for (size_t key = 0; key < tokens_; ++key) {
            float* row = bias_.data() + (head * tokens_ + key) * tokenStride_;
            for (size_t query = 0; query < tokens_; ++query) {
                const int q = static_cast<int>(query), k = static_cast<int>(key);
                const int dy = q / width - k / width + windows.height - 1, dx = q % width - k % width + width - 1;
                row[query] = weights.weight[sizeOf(dy * relativeWidth + dx) * heads_ + head];
            }
        }
}

// A job is some queries of a group in one head of one image.
template <typename Tag>
DUNLIN_INLINE inline void AttentionKernel::attendJob(Tag, const Maps& maps, size_t job, std::byte* scratch) const {
    const size_t jobs = divideUp(tokens_, kJobQueries);
    const size_t begin = job % jobs * kJobQueries, end = std::min(begin + kJobQueries, tokens_);
    const size_t head = job / jobs % heads_, group = job / (jobs * heads_) % groups_;
    const size_t image = job / (jobs * heads_ * groups_), channels = sizeOf(shape_.c);
    const size_t pixels = image * sizeOf(shape_.h) * sizeOf(shape_.w), headOffset = head * headChannels_;
    const int32_t* const places = places_.data() + group * tokens_;
    const auto rowOf = [&](size_t token) DUNLIN_INLINE {
        const float* const row = places[token] < 0
                                     ? paddedToken_.data()
                                     : maps.input + (pixels + static_cast<size_t>(places[token])) * 3 * channels;
        return row + headOffset;
    };

    const auto keyRows = reinterpret_cast<const float**>(scratch);
    for (size_t token = 0; token < tokens_; ++token) keyRows[token] = rowOf(token) + channels;
    auto* const floats =
        reinterpret_cast<float*>(scratch + roundUp(tokens_ * sizeof(const float*), kLanes * sizeof(float)));
    const float* queryRows[kMaxBlockQueries];
    float* resultRows[kMaxBlockQueries];
    AttentionBlock block = {tokens_,
                            headChannels_,
                            keyRows,
                            channels,
                            0,
                            queryRows,
                            resultRows,
                            nullptr,
                            tokenStride_,
                            nullptr,
                            nullptr,
                            floats,
                            floats + headChannels_ * kMaxBlockQueries};
    constexpr size_t kQueries = kBlockVectors * Tag::kFloats;
    for (size_t first = begin; first < end; first += kQueries) {
        block.queryCount = std::min(kQueries, end - first);
        for (size_t i = 0; i < block.queryCount; ++i) {
            const int32_t place = places[first + i];
            queryRows[i] = rowOf(first + i);
            resultRows[i] =
                place < 0 ? nullptr : maps.output + (pixels + static_cast<size_t>(place)) * channels + headOffset;
        }
        if (!bias_.empty()) block.bias = bias_.data() + head * tokens_ * tokenStride_ + first;
        if (!divided_.empty() && divided_[group]) {
            block.keyParts = parts_.data() + group * tokenStride_;
            block.queryParts = block.keyParts + first;
        }
        attend<Tag>(block);
    }
}

void AttentionKernel::run(const Workers& workers, std::span<const float* const> inputs, float* output,
                          std::byte* scratch) const {
    const Maps maps = {inputs[0], output};
    const size_t jobs = sizeOf(shape_.n) * groups_ * heads_ * divideUp(tokens_, kJobQueries);
    const size_t scratchAWorker = scratchBytes(tokens_, headChannels_);
    forEachWithWorker(workers, jobs, [=, this](size_t job, size_t worker, auto tag) DUNLIN_INLINE {
        attendJob(tag, maps, job, scratch + worker * scratchAWorker);
    });
}

}  // namespace dunlin::cpu
