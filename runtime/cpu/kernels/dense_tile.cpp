#include "runtime/cpu/kernels/dense_tile.h"

#include "runtime/cpu/kernels/aligned.h"
#include "runtime/cpu/kernels/math.h"
#include "runtime/cpu/kernels/repeat.h"

namespace dunlin::cpu {
namespace {

// A line that need not be there.
DUNLIN_INLINE inline void fetchSoon(uintptr_t address) {
    constexpr int kToSecondLevel = 2;  // __builtin_prefetch's locality
    __builtin_prefetch(reinterpret_cast<const void*>(address), 0, kToSecondLevel);
}

// Calls body(row, vector) for all sums of a tile; both are constants.
template <size_t kRows, size_t kVectors, typename Body>
DUNLIN_INLINE inline void forSums(Body body) {
    repeat<kRows>([&](auto row)
                      DUNLIN_INLINE { repeat<kVectors>([&](auto vector) DUNLIN_INLINE { body(row, vector); }); });
}

// Rows that are addressed by one register and multiples of the stride.
constexpr size_t kRowsAPointer = 4;

// One float further. Compilers would make one pointer of several, with so many distances from it that they do not fit
// the registers: they must not know where a pointer comes from.
DUNLIN_INLINE inline void advance(const float*& pointer) {
    ++pointer;
    asm("" : "+r"(pointer));
}

template <typename Tag, size_t kRows, size_t kVectors>
DUNLIN_INLINE inline void computeTile(const Tile& tile) {
    constexpr size_t kPointers = (kRows + kRowsAPointer - 1) / kRowsAPointer;
    const float *tileInput = tile.input, *residual = tile.residual;
    float* output = tile.output;
    uintptr_t prefetch = tile.prefetch;
    const size_t inputStride = tile.inputStride, weightStride = tile.weightStride, prefetchStep = tile.prefetchStep;
    for (size_t count = tile.count; count > 0; --count) {
        typename Tag::Vector sums[kRows][kVectors];
        forSums<kRows, kVectors>([&](auto r, auto v) DUNLIN_INLINE {
            constexpr size_t row = decltype(r)::value, vector = decltype(v)::value;
            Tag::load(sums[row][vector], tile.bias + vector * Tag::kFloats);
        });
        const float* weights = tile.weights;
        for (size_t segment = 0; segment < tile.segments; ++segment) {
            const float* inputs[kPointers];
            repeat<kPointers>([&](auto p) DUNLIN_INLINE {
                constexpr size_t pointer = decltype(p)::value;
                inputs[pointer] = tileInput + tile.segmentOffsets[segment] + pointer * kRowsAPointer * inputStride;
            });
            for (size_t k = tile.segmentDepth; k > 0; --k) {
                fetchSoon(prefetch);
                // With few rows weights pass by faster than a line for each k.
                if constexpr (kRows <= 4) fetchSoon(prefetch + kCacheLine);
                typename Tag::Vector weight[kVectors];
                repeat<kVectors>([&](auto v) DUNLIN_INLINE {
                    constexpr size_t vector = decltype(v)::value;
                    Tag::load(weight[vector], weights + vector * Tag::kFloats);
                });
                repeat<kRows>([&](auto r) DUNLIN_INLINE {
                    constexpr size_t row = decltype(r)::value;
                    const float factor = inputs[row / kRowsAPointer][row % kRowsAPointer * inputStride];
                    repeat<kVectors>([&](auto v) DUNLIN_INLINE {
                        constexpr size_t vector = decltype(v)::value;
                        sums[row][vector] += factor * weight[vector];
                    });
                });
                repeat<kPointers>([&](auto p) DUNLIN_INLINE { advance(inputs[decltype(p)::value]); });
                weights += weightStride, prefetch += prefetchStep;
            }
        }

        if (residual) {
            forSums<kRows, kVectors>([&](auto r, auto v) DUNLIN_INLINE {
                constexpr size_t row = decltype(r)::value, vector = decltype(v)::value;
                typename Tag::Vector summand;
                Tag::load(summand, residual + row * tile.outputStride + vector * Tag::kFloats);
                sums[row][vector] += summand;
            });
            residual += kRows * tile.outputStride;
        }
        const auto apply = [&](auto function) DUNLIN_INLINE {
            forSums<kRows, kVectors>([&](auto r, auto v) DUNLIN_INLINE {
                typename Tag::Vector& sum = sums[decltype(r)::value][decltype(v)::value];
                sum = function(sum);
            });
        };
        const bool isRelu6 = tile.activation == Activation::Relu6;
        if (isRelu6 || tile.activation == Activation::Relu)
            apply([highest = isRelu6 ? 6 : kInfinity](auto x) DUNLIN_INLINE { return atMost(atLeast(x, 0), highest); });
        else if (tile.activation == Activation::HardSwish)
            apply([](auto x) DUNLIN_INLINE { return hardSwish(x); });
        forSums<kRows, kVectors>([&](auto r, auto v) DUNLIN_INLINE {
            constexpr size_t row = decltype(r)::value, vector = decltype(v)::value;
            Tag::store(output + row * tile.outputStride + vector * Tag::kFloats, sums[row][vector]);
        });
        tileInput += kRows * inputStride;
        output += kRows * tile.outputStride;
    }
}

DUNLIN_INLINE inline void copyFew(const float* from, float* to, size_t count) {
    const auto copy = [&](auto floats) DUNLIN_INLINE {
        std::memcpy(to, from, decltype(floats)::value * sizeof(float));
        to += decltype(floats)::value;
        from += decltype(floats)::value;
    };
    for (; count >= 16; count -= 16) copy(std::integral_constant<size_t, 16>());
    if (count & 8) copy(std::integral_constant<size_t, 8>());
    if (count & 4) copy(std::integral_constant<size_t, 4>());
    if (count & 2) copy(std::integral_constant<size_t, 2>());
    if (count & 1) copy(std::integral_constant<size_t, 1>());
}

template <typename Tag>
DUNLIN_INLINE inline void finishRows(Activation activation, float* tile, size_t tileStride, const float* residual,
                                     float* output, size_t outputStride, size_t rows, size_t columns) {
    if (residual)
        for (size_t row = 0; row < rows; ++row) {
            alignas(kCacheLine) float added[kPanelColumns];
            copyFew(residual + row * outputStride, added, columns);
            for (size_t c = 0; c < columns; ++c) tile[row * tileStride + c] += added[c];
        }
    activationLoopOf<Tag>()(activation, tile, tile, tileStride, rows, tileStride);
    for (size_t row = 0; row < rows; ++row) copyFew(tile + row * tileStride, output + row * outputStride, columns);
}

// Each processor's functions: those of parallel.h's targets.
#define DUNLIN_TILE_FUNCTIONS(name, floats, target)                                                             \
    struct name {                                                                                               \
        using Tag = VectorTag<floats>;                                                                          \
        template <size_t kRows, size_t kVectors>                                                                \
        target static void compute(const Tile& tile) {                                                          \
            computeTile<Tag, kRows, kVectors>(tile);                                                            \
        }                                                                                                       \
        static void activate(Activation activation, const float* from, float* to, size_t stride, size_t rows,   \
                             size_t columns) {                                                                  \
            activationLoopOf<Tag>()(activation, from, to, stride, rows, columns);                               \
        }                                                                                                       \
        target static void finish(Activation activation, float* tile, size_t tileStride, const float* residual, \
                                  float* output, size_t outputStride, size_t rows, size_t columns) {            \
            finishRows<Tag>(activation, tile, tileStride, residual, output, outputStride, rows, columns);       \
        }                                                                                                       \
    }
DUNLIN_TILE_FUNCTIONS(ForVectorsOf4, 4, DUNLIN_FOR_ANY);
#if defined(__x86_64__)
DUNLIN_TILE_FUNCTIONS(ForVectorsOf8, 8, DUNLIN_FOR_AVX2);
DUNLIN_TILE_FUNCTIONS(ForVectorsOf16, 16, DUNLIN_FOR_AVX512);
#endif

// The sums of a tile, its weights and a factor fit the registers.
template <typename Target, size_t kRows, size_t kVectors>
constexpr TileFunctions functionsOf() {
    constexpr size_t kFloats = Target::Tag::kFloats;
    TileFunctions functions = {};
    functions.rows = kRows;
    functions.columns = kVectors * kFloats;
    functions.narrow = kFloats;
    repeat<kRows>([&](auto r) {
        constexpr size_t row = decltype(r)::value;
        functions.wide[row] = Target::template compute<row + 1, kVectors>;
        if constexpr (kVectors >= 2) functions.half[row] = Target::template compute<row + 1, kVectors / 2>;
        if constexpr (kVectors >= 4) functions.quarter[row] = Target::template compute<row + 1, kVectors / 4>;
    });
    functions.activate = Target::activate;
    functions.finish = Target::finish;
    return functions;
}

}  // namespace

const TileFunctions& tileFunctions(Vectors vectors) {
#if defined(__x86_64__)
    static constexpr TileFunctions kOf16 = functionsOf<ForVectorsOf16, 14, 2>();
    static constexpr TileFunctions kOf8 = functionsOf<ForVectorsOf8, 6, 2>();
    static constexpr TileFunctions kOf4 = functionsOf<ForVectorsOf4, 2, 4>();
    if (vectors == Vectors::Of16) return kOf16;
    if (vectors == Vectors::Of8) return kOf8;
#else
    static constexpr TileFunctions kOf4 = functionsOf<ForVectorsOf4, 6, 4>();  // 32 registers
    static_cast<void>(vectors);
#endif
    return kOf4;
}

}  // namespace dunlin::cpu
