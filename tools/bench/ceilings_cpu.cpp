#include <pthreadpool.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <vector>

#include "tools/bench/ceilings_parts.h"

namespace dunlin::bench {
namespace {

struct PoolDeleter {
    void operator()(pthreadpool_t pool) const { pthreadpool_destroy(pool); }
};
using ThreadPool = std::unique_ptr<pthreadpool, PoolDeleter>;

constexpr double kSampleNs = 10e6;
constexpr int kSamples = 8;

double nowNs() {
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Nanoseconds of one round, the best of some samples, after finding out how many rounds make one.
template <typename Run>
double fastestRoundNs(Run run) {
    uint64_t rounds = 1;
    double best = 0;
    for (int samples = 0; samples < kSamples;) {
        const double begin = nowNs();
        run(rounds);
        const double ns = nowNs() - begin;
        if (ns < kSampleNs / 2 && samples == 0 && rounds < (uint64_t{1} << 32)) {
            rounds *= 2;
            continue;
        }
        best = samples == 0 ? ns / static_cast<double>(rounds) : std::min(best, ns / static_cast<double>(rounds));
        ++samples;
    }
    return best;
}

// Calls work(thread) once on each thread of the pool; the pool may give one thread two calls, and then the sample is
// not the best.
template <typename Work>
void onEachThread(pthreadpool_t pool, size_t threads, Work& work) {
    pthreadpool_parallelize_1d(
        pool, [](void* context, size_t thread) { (*static_cast<Work*>(context))(thread); }, &work, threads, 0);
}

constexpr int kChains = 10;  // enough to hide the latency of two multiply-adds a cycle

// Lanes numbers side by side, in chains that do not wait for one another. x * factor + addend stays near a number.
template <int Lanes>
[[gnu::always_inline]] inline float multiplyAdds(uint64_t rounds, float factor, float addend) {
#if defined(__GNUC__)
    typedef float Vector __attribute__((vector_size(Lanes * sizeof(float))));
#else
    using Vector = float;
    static_assert(Lanes == 1);
#endif
    Vector x[kChains];
    for (int i = 0; i < kChains; ++i) x[i] = Vector{} + addend * static_cast<float>(i + 1);
    for (uint64_t round = 0; round < rounds; ++round) {
        for (int i = 0; i < kChains; ++i) x[i] = x[i] * factor + addend;
    }
    Vector sum = x[0];
    for (int i = 1; i < kChains; ++i) sum += x[i];
    float lanes[Lanes], total = 0;
    std::memcpy(lanes, &sum, sizeof(lanes));
    for (float lane : lanes) total += lane;
    return total;
}

struct ArithmeticForm {
    int lanes;
    float (*run)(uint64_t rounds, float factor, float addend);
};

#if defined(__GNUC__) && defined(__x86_64__)
[[gnu::target("avx512f")]] float multiplyAddsAvx512(uint64_t rounds, float factor, float addend) {
    return multiplyAdds<16>(rounds, factor, addend);
}
[[gnu::target("avx2,fma")]] float multiplyAddsAvx2(uint64_t rounds, float factor, float addend) {
    return multiplyAdds<8>(rounds, factor, addend);
}
#endif

// What this processor has: the library's own kernels choose at run time, too.
std::vector<ArithmeticForm> arithmeticForms() {
    std::vector<ArithmeticForm> forms;
#if defined(__GNUC__)
    forms.push_back({4, multiplyAdds<4>});
#else
    forms.push_back({1, multiplyAdds<1>});
#endif
#if defined(__GNUC__) && defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) forms.push_back({8, multiplyAddsAvx2});
    if (__builtin_cpu_supports("avx512f")) forms.push_back({16, multiplyAddsAvx512});
#endif
    return forms;
}

double measureFp32(pthreadpool_t pool, size_t threads) {
    double best = 0;
    std::atomic<float> consumed = 0;
    for (const ArithmeticForm& form : arithmeticForms()) {
        constexpr uint64_t kRounds = 1000;
        const double ns = fastestRoundNs([&](uint64_t repeats) {
            auto work = [&](size_t thread) {
                const float result = form.run(repeats * kRounds, 0.5f + 0.001f * static_cast<float>(thread), 0.75f);
                consumed.store(result, std::memory_order_relaxed);
            };
            onEachThread(pool, threads, work);
        });
        const double operations = 2.0 * kChains * kRounds * form.lanes * static_cast<double>(threads);
        best = std::max(best, operations / ns * 1e9);
    }
    return best;
}

// Each thread copies a part of its own, half of it read and half written.
std::vector<BandwidthPoint> measureBandwidth(pthreadpool_t pool, size_t threads) {
    constexpr uint64_t kMostBytes = uint64_t{256} << 20;
    std::vector<std::byte> memory(kMostBytes, std::byte{1});
    std::vector<BandwidthPoint> points;
    for (uint64_t setBytes : workingSets(kMostBytes)) {
        const uint64_t halfBytes = setBytes / 2 / threads / 64 * 64;
        if (halfBytes == 0) continue;
        const double ns = fastestRoundNs([&](uint64_t passes) {
            auto work = [&](size_t thread) {
                std::byte* part = memory.data() + thread * 2 * halfBytes;
                for (uint64_t pass = 0; pass < passes; ++pass) {
                    std::memcpy(part + halfBytes, part, halfBytes);
                    std::atomic_signal_fence(std::memory_order_seq_cst);  // no compiler leaves out a pass
                }
            };
            onEachThread(pool, threads, work);
        });
        points.push_back({setBytes, static_cast<double>(2 * halfBytes * threads) / ns * 1e9});
    }
    return points;
}

}  // namespace

Ceilings measureCpuCeilings(uint32_t threads) {
    const size_t count = std::max(1u, threads);
    const ThreadPool pool(pthreadpool_create(count));
    Ceilings result;
    result.fp32 = measureFp32(pool.get(), count);
    result.bandwidth = measureBandwidth(pool.get(), count);
    result.dispatchNs = fastestRoundNs([&](uint64_t rounds) {
        auto nothing = [](size_t) {};
        for (uint64_t round = 0; round < rounds; ++round) onEachThread(pool.get(), count, nothing);
    });
    result.barrierNs = result.dispatchNs;  // each parallel part waits for the one before it
    return result;
}

}  // namespace dunlin::bench
