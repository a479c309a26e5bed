#include <pthreadpool.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "tools/bench/ceilings_parts.h"
#include "tools/bench/probe.h"

namespace dunlin::bench {
namespace {

struct PoolDeleter {
    void operator()(pthreadpool_t pool) const { pthreadpool_destroy(pool); }
};
using ThreadPool = std::unique_ptr<pthreadpool, PoolDeleter>;

double nowNs() {
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Many short samples: other programs disturb some of them.
Sampling samplesOf(double sampleNs) {
    return {sampleNs, 25 * sampleNs};
}

// Calls work(thread, rounds) on all threads of the pool at once. Nanoseconds from their common start to the end of the
// last: waking them does not count.
template <typename Work>
double timeTogether(pthreadpool_t pool, size_t threads, uint32_t rounds, const Work& work) {
    struct Job {
        const Work& work;
        uint32_t rounds;
        size_t threads;
        std::atomic<size_t> arrived{0};
        std::atomic<double> longestNs{0};
    } job{work, rounds, threads};
    pthreadpool_parallelize_1d(
        pool,
        [](void* context, size_t thread) {
            Job& shared = *static_cast<Job*>(context);
            shared.arrived.fetch_add(1);
            while (shared.arrived.load() < shared.threads) std::this_thread::yield();
            const double begin = nowNs();
            shared.work(thread, shared.rounds);
            const double ns = nowNs() - begin;
            double longest = shared.longestNs.load();
            while (longest < ns && !shared.longestNs.compare_exchange_weak(longest, ns)) {
            }
        },
        &job, threads, 0);
    return job.longestNs.load();
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
        const auto work = [&](size_t thread, uint32_t repeats) {
            const float factor = 0.5f + 0.001f * static_cast<float>(thread);
            consumed.store(form.run(repeats * kRounds, factor, 0.75f), std::memory_order_relaxed);
        };
        const double ns = *fastestRoundNs(samplesOf(4e6), [&](uint32_t repeats) -> Result<double> {
            return timeTogether(pool, threads, repeats, work);
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
        const auto work = [&](size_t thread, uint32_t passes) {
            std::byte* part = memory.data() + thread * 2 * halfBytes;
            for (uint32_t pass = 0; pass < passes; ++pass) {
                std::memcpy(part + halfBytes, part, halfBytes);
                std::atomic_signal_fence(std::memory_order_seq_cst);  // no compiler leaves out a pass
            }
        };
        const double ns = *fastestRoundNs(samplesOf(4e6), [&](uint32_t passes) -> Result<double> {
            return timeTogether(pool, threads, passes, work);
        });
        points.push_back({setBytes, static_cast<double>(2 * halfBytes * threads) / ns * 1e9});
    }
    return points;
}

// Of threads that just worked: between two parallel parts of a network they are not asleep.
double measureWakeUp(pthreadpool_t pool, size_t threads) {
    constexpr int kMostCalls = 2000;
    constexpr double kBudgetNs = 200e6;
    const double begin = nowNs();
    double best = 0, last = begin;
    for (int call = 0; call < kMostCalls && last < begin + kBudgetNs; ++call) {
        pthreadpool_parallelize_1d(
            pool, [](void*, size_t) {}, nullptr, threads, 0);
        const double now = nowNs();
        best = call == 0 ? now - last : std::min(best, now - last);
        last = now;
    }
    return best;
}

}  // namespace

Ceilings measureCpuCeilings(uint32_t threads) {
    const size_t count = std::max(1u, threads);
    const ThreadPool pool(pthreadpool_create(count));
    Ceilings result;
    result.fp32 = measureFp32(pool.get(), count);
    result.bandwidth = measureBandwidth(pool.get(), count);
    result.dispatchNs = measureWakeUp(pool.get(), count);
    result.barrierNs = result.dispatchNs;  // each parallel part waits for the one before it
    return result;
}

}  // namespace dunlin::bench
