// Loops over a thread pool, compiled for the vectors of the processor that runs them.
//
// A job is a callable of one index, or of an index and a worker; it may take a vector tag after them. What it computes
// for an index must not depend on other indices or on the worker: then results have the same bits on any number of
// threads. Jobs and what they call are marked DUNLIN_INLINE, except for functions that they call through tables of
// functions for each processor (dense_tile.h, depthwise_strip.h): their loops are compiled once for every processor,
// once for AVX2 with fused multiply-add, and once for AVX-512. Plain loops over kLanes floats become vector
// instructions in all of them; where a compiler must be told which partial results stay in registers, the tag says how
// long a vector is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "runtime/cpu/thread_pool.h"
#include "runtime/processors.h"

#define DUNLIN_INLINE __attribute__((always_inline))
#define DUNLIN_FOR_ANY
#if defined(__x86_64__)
#define DUNLIN_FOR_AVX2 __attribute__((target("avx2,fma")))
#if defined(__clang__)
#define DUNLIN_FOR_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")))
#else
// GCC, told to tune for some processors, would make vectors of 256 bits of plain loops.
#define DUNLIN_FOR_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512")))
#endif
#else
#define DUNLIN_FOR_AVX2
#define DUNLIN_FOR_AVX512
#endif

namespace dunlin::cpu {

// Independent partial results of a loop: one vector of sixteen floats, two of eight, or four of four.
constexpr size_t kLanes = 16;

// What the loops of a job are compiled for, by the floats of a vector. Sums of more than one float come in another
// order, or with fewer roundings, for each: results have the same bits on every run, not on every processor.
enum class Vectors : uint8_t {
    Of4,   // every processor: SSE2, NEON
    Of8,   // AVX2 and FMA
    Of16,  // AVX-512 as of 2017: F, BW, DQ, VL
};
constexpr Vectors kAllVectors[] = {Vectors::Of4, Vectors::Of8, Vectors::Of16};

// "AVX-512", "AVX2", or what every processor of this architecture has: "SSE2", "NEON".
inline const char* name(Vectors vectors) {
    if (vectors == Vectors::Of16) return "AVX-512";
    if (vectors == Vectors::Of8) return "AVX2";
#if defined(__x86_64__)
    return "SSE2";
#elif defined(__aarch64__)
    return "NEON";
#else
    return "scalar";
#endif
}

// Whether this processor, and the system on it, can run what is compiled for `vectors`.
inline bool hasVectors(Vectors vectors) {
    return vectors == Vectors::Of4 || (vectors == Vectors::Of8 ? hasAvx2() : hasAvx512());
}

// The longest that this processor has.
inline Vectors longestVectors() {
    return hasVectors(Vectors::Of16) ? Vectors::Of16 : hasVectors(Vectors::Of8) ? Vectors::Of8 : Vectors::Of4;
}

// Who computes a loop, and how.
struct Workers {
    ThreadPool* pool = nullptr;          // null: the calling thread
    size_t count = 1;                    // of the pool's threads, the caller's included
    Vectors vectors = longestVectors();  // tests and measurements choose others, of those that hasVectors()
};

// Vectors of GCC's and Clang's language extension, 4, 8 or 16 floats. Never arguments or results of functions that are
// not inlined: how those are passed differs between processors.
template <size_t floats>
struct VectorTag {
    static constexpr size_t kFloats = floats;
    static constexpr size_t kInLanes = kLanes / floats;
    typedef float Vector __attribute__((vector_size(floats * sizeof(float))));

    // From and to any place in memory: one instruction each.
    DUNLIN_INLINE static void load(Vector& vector, const float* from) { std::memcpy(&vector, from, sizeof(Vector)); }
    DUNLIN_INLINE static void store(float* to, const Vector& vector) { std::memcpy(to, &vector, sizeof(Vector)); }
};

template <typename Tag, typename Job, typename... Indices>
DUNLIN_INLINE inline void callWithTag(Job& job, Indices... indices) {
    if constexpr (std::is_invocable_v<Job&, Indices..., Tag>)
        job(indices..., Tag());
    else
        job(indices...);
}

template <typename Job>
void runWithVectorsOf4(void* job, size_t index, size_t worker) {
    static_cast<Job*>(job)->template call<VectorTag<4>>(index, worker);
}
template <typename Job>
DUNLIN_FOR_AVX2 void runWithVectorsOf8(void* job, size_t index, size_t worker) {
    static_cast<Job*>(job)->template call<VectorTag<8>>(index, worker);
}
template <typename Job>
DUNLIN_FOR_AVX512 void runWithVectorsOf16(void* job, size_t index, size_t worker) {
    static_cast<Job*>(job)->template call<VectorTag<16>>(index, worker);
}

template <typename Job>
LoopFunction functionFor(Vectors vectors) {
#if defined(__x86_64__)
    if (vectors == Vectors::Of16) return runWithVectorsOf16<Job>;
    if (vectors == Vectors::Of8) return runWithVectorsOf8<Job>;
#else
    static_cast<void>(vectors);
#endif
    return runWithVectorsOf4<Job>;
}

template <typename Job>
struct JobOfIndex {
    Job& job;
    template <typename Tag>
    DUNLIN_INLINE void call(size_t index, size_t) {
        callWithTag<Tag>(job, index);
    }
};
template <typename Job>
struct JobOfIndexAndWorker {
    Job& job;
    template <typename Tag>
    DUNLIN_INLINE void call(size_t index, size_t worker) {
        callWithTag<Tag>(job, index, worker);
    }
};

template <typename Job>
void runLoop(const Workers& workers, size_t count, Job job) {
    const LoopFunction function = functionFor<Job>(workers.vectors);
    if (workers.pool) return workers.pool->run(function, &job, count);
    const DenormalsAreZero denormalsAreZero;
    for (size_t index = 0; index < count; ++index) function(&job, index, 0);
}

// Calls job(index) for 0 <= index < count, in any order and at once; returns when all are done.
template <typename Job>
void forEach(const Workers& workers, size_t count, Job job) {
    runLoop(workers, count, JobOfIndex<Job>{job});
}

// Calls job(index, worker) likewise; no two calls have the same worker < workers.count at once, so that it may index
// scratch memory.
template <typename Job>
void forEachWithWorker(const Workers& workers, size_t count, Job job) {
    runLoop(workers, count, JobOfIndexAndWorker<Job>{job});
}

}  // namespace dunlin::cpu
