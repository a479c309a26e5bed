#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "runtime/cpu/thread_pool.h"
#include "tools/bench/ceilings_parts.h"
#include "tools/bench/probe.h"

namespace dunlin::bench {
namespace {

using cpu::ThreadPool;

double nowNs() {
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Many short samples in several passes: other programs disturb some of them.
constexpr int kPasses = 3;
constexpr Sampling kSampling = {1e6, 40e6};
constexpr uint64_t kLineBytes = 64;

// Calls work(thread, rounds) on all threads of the pool at once. Nanoseconds from their common start to the end of the
// last: waking them does not count.
template <typename Work>
double timeTogether(ThreadPool& pool, uint32_t rounds, const Work& work) {
    struct Job {
        const Work& work;
        uint32_t rounds;
        size_t threads;
        std::atomic<size_t> arrived{0};
        std::atomic<double> longestNs{0};
    } job{work, rounds, pool.size()};
    pool.run(
        [](void* context, size_t thread, size_t) {
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
        &job, pool.size());
    return job.longestNs.load();
}

// Chains of multiply-adds that do not wait for one another, as many as there are registers for: two units whose results
// take five cycles are busy with 10, four units of four cycles with 16.
constexpr int kChainsOf16Registers = 10, kChainsOf32Registers = 16;
#if defined(__aarch64__) || defined(__AVX512F__)
constexpr int kDefaultChains = kChainsOf32Registers;
#else
constexpr int kDefaultChains = kChainsOf16Registers;
#endif

// Lanes numbers side by side in each chain. x * factor + addend stays near a number.
template <int Lanes, int kChains>
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
    int lanes, chains;
    float (*run)(uint64_t rounds, float factor, float addend);
};

#if defined(__GNUC__) && defined(__x86_64__)
[[gnu::target("avx512f")]] float multiplyAddsAvx512(uint64_t rounds, float factor, float addend) {
    return multiplyAdds<16, kChainsOf32Registers>(rounds, factor, addend);
}
[[gnu::target("avx2,fma")]] float multiplyAddsAvx2(uint64_t rounds, float factor, float addend) {
    return multiplyAdds<8, kDefaultChains>(rounds, factor, addend);
}
#endif

// What this processor has: the library's own kernels choose at run time, too.
std::vector<ArithmeticForm> arithmeticForms() {
    std::vector<ArithmeticForm> forms;
#if defined(__GNUC__)
    forms.push_back({4, kDefaultChains, multiplyAdds<4, kDefaultChains>});
#else
    forms.push_back({1, kDefaultChains, multiplyAdds<1, kDefaultChains>});
#endif
#if defined(__GNUC__) && defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        forms.push_back({8, kDefaultChains, multiplyAddsAvx2});
    }
    if (__builtin_cpu_supports("avx512f")) forms.push_back({16, kChainsOf32Registers, multiplyAddsAvx512});
#endif
    return forms;
}

double measureFp32(ThreadPool& pool) {
    double best = 0;
    std::atomic<float> consumed = 0;
    for (const ArithmeticForm& form : arithmeticForms()) {
        constexpr uint64_t kRounds = 1000;
        const auto work = [&](size_t thread, uint32_t repeats) {
            const float factor = 0.5f + 0.001f * static_cast<float>(thread);
            consumed.store(form.run(repeats * kRounds, factor, 0.75f), std::memory_order_relaxed);
        };
        const double ns = *fastestRoundNs(
            kSampling, [&](uint32_t repeats) -> Result<double> { return timeTogether(pool, repeats, work); });
        const double operations = 2.0 * form.chains * kRounds * form.lanes * static_cast<double>(pool.size());
        best = std::max(best, operations / ns * 1e9);
    }
    return best;
}

// Bytes a second where each thread copies a part of `memory` of its own, half of it read and half written.
double measureCopies(ThreadPool& pool, std::vector<std::byte>& memory, uint64_t halfBytes) {
    const auto work = [&](size_t thread, uint32_t passes) {
        std::byte* part = memory.data() + thread * 2 * halfBytes;
        for (uint32_t pass = 0; pass < passes; ++pass) {
            std::memcpy(part + halfBytes, part, halfBytes);
            std::atomic_signal_fence(std::memory_order_seq_cst);  // no compiler leaves out a pass
        }
    };
    const double ns =
        *fastestRoundNs(kSampling, [&](uint32_t passes) -> Result<double> { return timeTogether(pool, passes, work); });
    return static_cast<double>(2 * halfBytes * pool.size()) / ns * 1e9;
}

// Of threads that just worked: between two parallel parts of a network they are not asleep.
double measureWakeUp(ThreadPool& pool) {
    constexpr int kMostCalls = 200;
    constexpr double kBudgetNs = 20e6;
    const double begin = nowNs();
    double best = 0, last = begin;
    for (int call = 0; call < kMostCalls && last < begin + kBudgetNs; ++call) {
        pool.run([](void*, size_t, size_t) {}, nullptr, pool.size());
        const double now = nowNs();
        best = call == 0 ? now - last : std::min(best, now - last);
        last = now;
    }
    return best;
}

}  // namespace

Result<Ceilings> measureCpuCeilings(uint32_t threads) {
    DUNLIN_ASSIGN(const std::unique_ptr<ThreadPool> owner, ThreadPool::create(std::max(1u, threads)));
    ThreadPool& pool = *owner;
    const size_t count = pool.size();
    constexpr uint64_t kMostBytes = uint64_t{256} << 20;
    std::vector<std::byte> memory(kMostBytes, std::byte{1});
    Ceilings result;
    for (uint64_t setBytes : workingSets(kMostBytes)) {
        if (setBytes / 2 / count >= kLineBytes) result.bandwidth.push_back({setBytes, 0});
    }
    // All in turns, several times, so that what disturbs one measurement for a while does not disturb all of it.
    for (int pass = 0; pass < kPasses; ++pass) {
        result.fp32 = std::max(result.fp32.value_or(0), measureFp32(pool));
        for (BandwidthPoint& point : result.bandwidth) {
            const uint64_t halfBytes = point.workingSetBytes / 2 / count / kLineBytes * kLineBytes;
            point.bytesPerSecond = std::max(point.bytesPerSecond, measureCopies(pool, memory, halfBytes));
            const double wakeUpNs = measureWakeUp(pool);
            result.dispatchNs = result.dispatchNs == 0 ? wakeUpNs : std::min(result.dispatchNs, wakeUpNs);
        }
    }
    result.barrierNs = result.dispatchNs;  // each parallel part waits for the one before it
    return result;
}

}  // namespace dunlin::bench
