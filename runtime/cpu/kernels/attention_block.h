// Softmax attention of a block of queries in one head: the innermost loops, for each length of vectors.
//
// Scores stand with the queries side by side: a vector is one key's scores with some queries. So keys and values are
// read where they lie, one float for a whole vector of queries and one vector for a whole row of them, largest scores
// and sums need no sum across a vector, and of the maps only the queries are turned.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "runtime/cpu/kernels/math.h"

namespace dunlin::cpu {

// Vectors of queries in a block.
constexpr size_t kBlockVectors = 2;
constexpr size_t kMaxBlockQueries = kBlockVectors * 16;

struct AttentionBlock {
    size_t keys, headChannels;
    const float* const* keyRows;  // by key: its head's first channel
    size_t valueOffset;           // from a key to its value, in floats
    size_t queryCount;            // at most kMaxBlockQueries
    const float* const* queryRows;
    float* const* resultRows;  // null where a query is not wanted
    // For what is added to the scores, [key][biasStride] from the block's first query on; null for nothing.
    const float* bias;
    size_t biasStride;
    // Keys of another part than the query's are not seen; null where all are of one. By token, and from the block's
    // first query on.
    const float *keyParts, *queryParts;
    // Scratch: [headChannels][queries], [keys][queries], with as many queries as the block's vectors have.
    float *turnedQueries, *scores;
};

// Rows of a tile whose sums stay in registers, `kBlockVectors` vectors each.
template <typename Tag>
constexpr size_t kTileRows = Tag::kFloats == 16  ? 12
                             : Tag::kFloats == 8 ? 6
                                                 : 4;

// Four rows of four floats as their columns.
DUNLIN_INLINE inline void transpose(VectorTag<4>::Vector (&rows)[4]) {
    using Vector = VectorTag<4>::Vector;
    const Vector low01 = __builtin_shufflevector(rows[0], rows[1], 0, 4, 1, 5);
    const Vector high01 = __builtin_shufflevector(rows[0], rows[1], 2, 6, 3, 7);
    const Vector low23 = __builtin_shufflevector(rows[2], rows[3], 0, 4, 1, 5);
    const Vector high23 = __builtin_shufflevector(rows[2], rows[3], 2, 6, 3, 7);
    rows[0] = __builtin_shufflevector(low01, low23, 0, 1, 4, 5);
    rows[1] = __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
    rows[2] = __builtin_shufflevector(high01, high23, 0, 1, 4, 5);
    rows[3] = __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
}

// The queries, divided by sqrt(d), channel by channel. Those beyond queryCount repeat the last one.
DUNLIN_INLINE inline void turnQueries(const AttentionBlock& block, size_t stride) {
    using Tag = VectorTag<4>;
    const size_t d = block.headChannels;
    const float scale = 1 / std::sqrt(static_cast<float>(d));
    for (size_t first = 0; first < stride; first += 4) {
        const float* rows[4];
        for (size_t i = 0; i < 4; ++i) rows[i] = block.queryRows[std::min(first + i, block.queryCount - 1)];
        float* to = block.turnedQueries + first;
        size_t c = 0;
        for (; c + 4 <= d; c += 4) {
            Tag::Vector square[4];
            for (size_t i = 0; i < 4; ++i) Tag::load(square[i], rows[i] + c);
            transpose(square);
            for (size_t i = 0; i < 4; ++i, to += stride) Tag::store(to, square[i] * scale);
        }
        for (; c < d; ++c, to += stride)
            for (size_t i = 0; i < 4; ++i) to[i] = rows[i][c] * scale;
    }
}

// Scores of kRows keys, and the largest so far of each query.
template <typename Tag, size_t kRows, size_t kVectors>
DUNLIN_INLINE inline void scoreKeys(const AttentionBlock& block, size_t first,
                                    typename Tag::Vector (&largest)[kVectors]) {
    constexpr size_t kStride = kVectors * Tag::kFloats;
    typename Tag::Vector sums[kRows][kVectors] = {};
    const float* keys[kRows];
    for (size_t r = 0; r < kRows; ++r) keys[r] = block.keyRows[first + r];
    const float* queries = block.turnedQueries;
    for (size_t c = 0; c < block.headChannels; ++c, queries += kStride) {
        typename Tag::Vector query[kVectors];
        for (size_t v = 0; v < kVectors; ++v) Tag::load(query[v], queries + v * Tag::kFloats);
        for (size_t r = 0; r < kRows; ++r)
            for (size_t v = 0; v < kVectors; ++v) sums[r][v] += keys[r][c] * query[v];
    }
    for (size_t r = 0; r < kRows; ++r)
        for (size_t v = 0; v < kVectors; ++v) {
            typename Tag::Vector& score = sums[r][v];
            if (block.bias) {
                typename Tag::Vector bias;
                Tag::load(bias, block.bias + (first + r) * block.biasStride + v * Tag::kFloats);
                score += bias;
            }
            if (block.queryParts) {
                typename Tag::Vector parts;
                Tag::load(parts, block.queryParts + v * Tag::kFloats);
                using Vector = typename Tag::Vector;
                score = parts == splat<Vector>(block.keyParts[first + r]) ? score : splat<Vector>(-kInfinity);
            }
            largest[v] = largerOf(largest[v], score);
            Tag::store(block.scores + (first + r) * kStride + v * Tag::kFloats, score);
        }
}

template <typename Tag, size_t kRows, size_t kVectors>
DUNLIN_INLINE inline void scoreAllKeys(const AttentionBlock& block, size_t first,
                                       typename Tag::Vector (&largest)[kVectors]) {
    for (; first + kRows <= block.keys; first += kRows) scoreKeys<Tag, kRows>(block, first, largest);
    if constexpr (kRows > 1) scoreAllKeys<Tag, kRows / 2>(block, first, largest);
}

// Scores to e^(score - largest), and one over their sum for each query.
template <typename Tag, size_t kVectors>
DUNLIN_INLINE inline void shareOut(const AttentionBlock& block, const typename Tag::Vector (&largest)[kVectors],
                                   float* shares) {
    constexpr size_t kStride = kVectors * Tag::kFloats;
    typename Tag::Vector sums[kVectors] = {};
    float* scores = block.scores;
    for (size_t key = 0; key < block.keys; ++key, scores += kStride)
        for (size_t v = 0; v < kVectors; ++v) {
            typename Tag::Vector score;
            Tag::load(score, scores + v * Tag::kFloats);
            score = exponential(score - largest[v]);
            sums[v] += score;
            Tag::store(scores + v * Tag::kFloats, score);
        }
    for (size_t v = 0; v < kVectors; ++v) Tag::store(shares + v * Tag::kFloats, 1.0f / sums[v]);
}

// Results of kRows queries in some channels: vectors that begin at `channels`, which may overlap.
template <typename Tag, size_t kRows, size_t kColumns>
DUNLIN_INLINE inline void sumValues(const AttentionBlock& block, size_t stride, size_t first,
                                    const size_t (&channels)[kColumns], const float* shares) {
    typename Tag::Vector sums[kRows][kColumns] = {};
    const float* scores = block.scores + first;
    for (size_t key = 0; key < block.keys; ++key, scores += stride) {
        const float* const row = block.keyRows[key] + block.valueOffset;
        typename Tag::Vector values[kColumns];
        for (size_t v = 0; v < kColumns; ++v) Tag::load(values[v], row + channels[v]);
        for (size_t r = 0; r < kRows; ++r)
            for (size_t v = 0; v < kColumns; ++v) sums[r][v] += scores[r] * values[v];
    }
    for (size_t r = 0; r < kRows; ++r) {
        float* const result = block.resultRows[first + r];
        if (!result) continue;
        for (size_t v = 0; v < kColumns; ++v) Tag::store(result + channels[v], sums[r][v] * shares[first + r]);
    }
}

template <typename Tag, size_t kRows, size_t kColumns>
DUNLIN_INLINE inline void sumAllValues(const AttentionBlock& block, size_t stride, size_t first,
                                       const size_t (&channels)[kColumns], const float* shares) {
    for (; first + kRows <= block.queryCount; first += kRows)
        sumValues<Tag, kRows>(block, stride, first, channels, shares);
    if constexpr (kRows > 1) sumAllValues<Tag, kRows / 2>(block, stride, first, channels, shares);
}

// For a head that is narrower than the processor's vectors: shorter ones, down to single floats.
template <typename Tag>
DUNLIN_INLINE inline void sumFewChannels(const AttentionBlock& block, size_t stride, const float* shares) {
    constexpr size_t kFloats = Tag::kFloats;
    const size_t d = block.headChannels;
    if (d < kFloats) {
        if constexpr (kFloats > 1) sumFewChannels<VectorTag<(kFloats > 4 ? kFloats / 2 : 1)>>(block, stride, shares);
        return;
    }
    for (size_t channel = 0; channel < d; channel += kFloats)
        sumAllValues<Tag, 4, 1>(block, stride, 0, {std::min(channel, d - kFloats)}, shares);
}

// A last vector begins where it ends with the head.
template <typename Tag>
DUNLIN_INLINE inline void sumChannels(const AttentionBlock& block, size_t stride, const float* shares) {
    constexpr size_t kFloats = Tag::kFloats, kRows = kTileRows<Tag>;
    const size_t d = block.headChannels;
    if (d < kFloats) return sumFewChannels<VectorTag<kFloats / 2>>(block, stride, shares);
    size_t channel = 0;
    for (; channel + kFloats < d; channel += 2 * kFloats)
        sumAllValues<Tag, kRows, 2>(block, stride, 0, {channel, std::min(channel + kFloats, d - kFloats)}, shares);
    if (channel < d) sumAllValues<Tag, kRows, 1>(block, stride, 0, {d - kFloats}, shares);
}

// What each query takes of each value, but for a factor, `shares`. kVectors hold the queries.
template <typename Tag, size_t kVectors>
DUNLIN_INLINE inline void scoreBlock(const AttentionBlock& block, float* shares) {
    turnQueries(block, kVectors * Tag::kFloats);
    typename Tag::Vector largest[kVectors];
    for (auto& lane : largest) lane = splat<typename Tag::Vector>(-kInfinity);
    scoreAllKeys<Tag, kTileRows<Tag>>(block, 0, largest);
    shareOut<Tag>(block, largest, shares);
}

// The block's results, from its first to its last step.
template <typename Tag>
DUNLIN_INLINE inline void attend(const AttentionBlock& block) {
    alignas(64) float shares[kMaxBlockQueries];
    const bool isOneVector = block.queryCount <= Tag::kFloats;
    if (isOneVector)
        scoreBlock<Tag, 1>(block, shares);
    else
        scoreBlock<Tag, kBlockVectors>(block, shares);
    sumChannels<Tag>(block, isOneVector ? Tag::kFloats : kBlockVectors * Tag::kFloats, shares);
}

}  // namespace dunlin::cpu
