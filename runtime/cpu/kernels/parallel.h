// Loops over a thread pool, compiled for the vectors of the processor that runs them.
//
// A job is a callable of one index, or of an index and a worker; it may take a vector tag after them. What it computes
// for an index must not depend on other indices or on the worker: then results have the same bits on any number of
// threads. Jobs and what they call are marked DUNLIN_INLINE: their loops are compiled once for every processor and once
// for wide vectors with fused multiply-add. Plain loops over kLanes floats become vector instructions in both; where a
// compiler must be told which partial results stay in registers, the tag says how long a vector is.
#pragma once

#include <pthreadpool.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#define DUNLIN_INLINE __attribute__((always_inline))
#if defined(__x86_64__)
#define DUNLIN_HAS_WIDE_VECTORS 1
#define DUNLIN_WIDE_VECTORS __attribute__((target("avx2,fma")))
#else
#define DUNLIN_HAS_WIDE_VECTORS 0
#define DUNLIN_WIDE_VECTORS
#endif

// The thread sanitizer does not see how an uninstrumented pool waits for its threads: it is told.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define DUNLIN_THREAD_SANITIZER
#endif
#elif defined(__SANITIZE_THREAD__)
#define DUNLIN_THREAD_SANITIZER
#endif
#if defined(DUNLIN_THREAD_SANITIZER)
#include <sanitizer/tsan_interface.h>
#define DUNLIN_HAPPENS_BEFORE(address) __tsan_release(address)
#define DUNLIN_HAPPENS_AFTER(address) __tsan_acquire(address)
#else
#define DUNLIN_HAPPENS_BEFORE(address) static_cast<void>(address)
#define DUNLIN_HAPPENS_AFTER(address) static_cast<void>(address)
#endif

namespace dunlin::cpu {

// Independent partial results of a loop: two vectors of eight floats, or four of four.
constexpr size_t kLanes = 16;

// Whether this processor has what DUNLIN_WIDE_VECTORS asks for.
inline bool hasWideVectors() {
#if DUNLIN_HAS_WIDE_VECTORS
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return false;
#endif
}

struct Workers {
    pthreadpool_t pool = nullptr;  // null: the calling thread
    size_t count = 1;
    // The pool's threads sleep after the loop instead of waiting busily for the next one: for the last of a run.
    bool sleepAfter = false;
    bool useWideVectors = hasWideVectors();

    uint32_t flags() const {
        // Numbers too small for full precision take a hundred times as long, here as in XNNPACK.
        return PTHREADPOOL_FLAG_DISABLE_DENORMALS | (sleepAfter ? uint32_t{PTHREADPOOL_FLAG_YIELD_WORKERS} : 0u);
    }
};

// Vectors of GCC's and Clang's language extension, 4 or 8 floats. Never arguments or results of functions that are not
// inlined: how those are passed differs between processors.
template <size_t floats>
struct VectorTag {
    static constexpr size_t kFloats = floats;
    static constexpr size_t kInLanes = kLanes / floats;
    typedef float Vector __attribute__((vector_size(floats * sizeof(float))));

    // From and to any place in memory: one instruction each.
    DUNLIN_INLINE static void load(Vector& vector, const float* from) { std::memcpy(&vector, from, sizeof(Vector)); }
    DUNLIN_INLINE static void store(float* to, const Vector& vector) { std::memcpy(to, &vector, sizeof(Vector)); }
};
using NarrowVectors = VectorTag<4>;
using WideVectors = VectorTag<8>;

template <typename Tag, typename Job, typename... Indices>
DUNLIN_INLINE inline void callWithTag(Job& job, Indices... indices) {
    if constexpr (std::is_invocable_v<Job&, Indices..., Tag>)
        job(indices..., Tag());
    else
        job(indices...);
}

template <typename Job>
void runForAnyProcessor(void* job, size_t index) {
    DUNLIN_HAPPENS_AFTER(job);
    callWithTag<NarrowVectors>(*static_cast<Job*>(job), index);
    DUNLIN_HAPPENS_BEFORE(job);
}
template <typename Job>
DUNLIN_WIDE_VECTORS void runForWideVectors(void* job, size_t index) {
    DUNLIN_HAPPENS_AFTER(job);
    callWithTag<WideVectors>(*static_cast<Job*>(job), index);
    DUNLIN_HAPPENS_BEFORE(job);
}

// Calls job(index) for 0 <= index < count, in any order and at once; returns when all are done.
template <typename Job>
void forEach(const Workers& workers, size_t count, Job job) {
    const auto run = workers.useWideVectors ? runForWideVectors<Job> : runForAnyProcessor<Job>;
    DUNLIN_HAPPENS_BEFORE(&job);
    pthreadpool_parallelize_1d(workers.pool, run, &job, count, workers.flags());
    DUNLIN_HAPPENS_AFTER(&job);
}

// Calls job(index, worker) likewise; no two calls have the same worker < workers.count at once, so that it may index
// scratch memory.
template <typename Job>
void forEachWithWorker(const Workers& workers, size_t count, Job job) {
    std::atomic<size_t> next = 0;
    forEach(workers, std::min(workers.count, count), [&next, &job, count](size_t worker, auto tag) DUNLIN_INLINE {
        for (size_t index = next.fetch_add(1, std::memory_order_relaxed); index < count;
             index = next.fetch_add(1, std::memory_order_relaxed))
            callWithTag<decltype(tag)>(job, index, worker);
    });
}

}  // namespace dunlin::cpu
