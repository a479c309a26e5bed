#include "runtime/cpu/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <climits>
#include <cstdio>
#include <system_error>
#include <utility>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#endif
#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace dunlin::cpu {
namespace {

// The gate's word, from the lowest bit: how many of the pool's threads are inside the loop, how many more may come in,
// three flags, and in the upper half the loop's number. Whoever takes part goes in and takes a seat in one atomic step,
// and only while the gate is open. The caller closes it when no iteration is left to take, and then waits for those
// inside alone: what they work on is not touched before they have left, and nobody can enter a loop that is over.
constexpr uint64_t kInside = 0xfff;
constexpr int kSeatShift = 12;
constexpr uint64_t kSeats = kInside << kSeatShift;
constexpr uint64_t kOpen = uint64_t{1} << 24;
constexpr uint64_t kRest = uint64_t{1} << 25;  // this is no loop, and none follows soon
constexpr uint64_t kCallerSleeps = uint64_t{1} << 26;
constexpr int kNumberShift = 32;
static_assert(ThreadPool::kMaxThreads <= kInside);

uint32_t numberOf(uint64_t gate) {
    return static_cast<uint32_t>(gate >> kNumberShift);
}

// Returns when the word may have changed from `value`.
void sleepWhile(std::atomic<uint32_t>& word, uint32_t value) {
#if defined(__linux__)
    static_assert(sizeof(word) == sizeof(uint32_t));
    syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
#else
    word.wait(value);
#endif
}

// After the word has changed.
void wake(std::atomic<uint32_t>& word, size_t count) {
#if defined(__linux__)
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, static_cast<int>(std::min<size_t>(count, INT_MAX)), nullptr, nullptr,
            0);
#else
    if (count == 1)
        word.notify_one();
    else
        word.notify_all();
#endif
}

void relax() {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("isb");  // "yield" does nothing on most processors
#endif
}

// Whether `condition` has become true within the time for which it pays to spin.
template <typename Condition>
bool spinUntil(Condition condition) {
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + std::chrono::microseconds(ThreadPool::kSpinMicroseconds);
    do {
        for (int i = 0; i < 16; ++i) {
            if (condition()) return true;
            relax();
        }
    } while (Clock::now() < end);
    return false;
}

uint64_t processNumber() {
#if defined(__unix__) || defined(__APPLE__)
    return static_cast<uint64_t>(getpid());
#else
    return 0;
#endif
}

// While it lives, threads that are started get no signals: an application's handlers run on threads of its own.
class SignalsBlocked {
  public:
#if defined(__unix__) || defined(__APPLE__)
    SignalsBlocked() {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~SignalsBlocked() {
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

  private:
    sigset_t before_;
#endif
};

void nameThread(size_t number) {
#if defined(__linux__)
    char name[16];
    std::snprintf(name, sizeof(name), "dunlin-%zu", number);
    pthread_setname_np(pthread_self(), name);
#else
    static_cast<void>(number);
#endif
}

// The register that says what becomes of small numbers, and the bits that make zeros of them.
#if defined(__x86_64__)
constexpr uint64_t kFlushToZero = 0x8000, kOperandsAreZero = 0x0040, kDenormalBits = kFlushToZero | kOperandsAreZero;
uint64_t readControl() {
    return _mm_getcsr();
}
void writeControl(uint64_t control) {
    _mm_setcsr(static_cast<unsigned>(control));
}
#elif defined(__aarch64__)
constexpr uint64_t kDenormalBits = uint64_t{1} << 24;
uint64_t readControl() {
    uint64_t control;
    asm volatile("mrs %0, fpcr" : "=r"(control));
    return control;
}
void writeControl(uint64_t control) {
    asm volatile("msr fpcr, %0" : : "r"(control));
}
#else
constexpr uint64_t kDenormalBits = 0;
uint64_t readControl() {
    return 0;
}
void writeControl(uint64_t) {}
#endif

}  // namespace

DenormalsAreZero::DenormalsAreZero() : before_(readControl()) {
    if ((before_ & kDenormalBits) != kDenormalBits) writeControl(before_ | kDenormalBits);
}

// What a computation has left in the register beside these bits (x86 notes exceptions there) stays.
DenormalsAreZero::~DenormalsAreZero() {
    if ((before_ & kDenormalBits) != kDenormalBits)
        writeControl((readControl() & ~kDenormalBits) | (before_ & kDenormalBits));
}

Result<std::unique_ptr<ThreadPool>> ThreadPool::create(size_t threads) {
    std::unique_ptr<ThreadPool> pool(new ThreadPool(threads));
    DUNLIN_TRY(pool->start());
    return pool;
}

ThreadPool::ThreadPool(size_t threads)
    : threadCount_(threads), process_(processNumber()), ranges_(std::make_unique<Range[]>(threads)) {}

Status ThreadPool::start() {
    threads_.reserve(threadCount_ - 1);
    const SignalsBlocked signalsBlocked;
    for (size_t worker = 1; worker < threadCount_; ++worker) try {
            threads_.emplace_back([this, worker] { serve(worker); });
        } catch (const std::system_error&) {
            return error(StatusCode::OutOfHostMemory, "%zu threads were asked for, but the system starts only %zu",
                         threadCount_, worker);
        }
    return {};
}

ThreadPool::~ThreadPool() {
    if (processNumber() != process_) {
        for (std::thread& thread : threads_) thread.detach();  // they have stayed behind in the parent
        return;
    }
    stop_ = true;
    ++wakeUps_;
    wake(wakeUps_, threads_.size());
    for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::run(LoopFunction function, void* job, size_t count) {
    const DenormalsAreZero denormalsAreZero;
    if (count == 0) return;
    if (count == 1 || threadCount_ == 1) {
        for (size_t index = 0; index < count; ++index) function(job, index, 0);
        return;
    }
    loop_ = {function, job, std::min(threadCount_, count)};
    for (size_t worker = 0; worker < loop_.participants; ++worker) {
        const uint64_t begin = count * worker / loop_.participants, end = count * (worker + 1) / loop_.participants;
        ranges_[worker].indices.store(begin | end << 32, std::memory_order_relaxed);
    }
    const size_t seats = loop_.participants - 1;
    announce(kOpen | seats << kSeatShift);
    if (sleepers_.load() != 0) {
        ++wakeUps_;
        wake(wakeUps_, seats);
    }
    work(0);
    waitForThoseInside();
    if (!failure_) return;
    hasFailed_.store(false, std::memory_order_relaxed);
    std::rethrow_exception(std::exchange(failure_, nullptr));
}

void ThreadPool::rest() {
    announce(kRest);
}

// The next loop's word. Sequentially consistent, as is what a thread does before it sleeps: either the thread sees the
// loop, or the caller sees the sleeper.
void ThreadPool::announce(uint64_t word) {
    const uint64_t number = (gate_.load(std::memory_order_relaxed) >> kNumberShift) + 1;
    gate_.store(number << kNumberShift | word);
}

void ThreadPool::work(size_t worker) {
    const size_t participants = loop_.participants;
    const auto goesOn = [this] { return !hasFailed_.load(std::memory_order_relaxed); };
    size_t index = 0;
    if (worker < participants)
        while (goesOn() && takeFirst(ranges_[worker], &index)) invoke(index, worker);
    for (size_t i = 1; i <= participants; ++i) {
        Range& other = ranges_[(worker + i) % participants];
        while (goesOn() && takeLast(other, &index)) invoke(index, worker);
    }
}

void ThreadPool::invoke(size_t index, size_t worker) try { loop_.function(loop_.job, index, worker); } catch (...) {
    const std::lock_guard lock(failureMutex_);
    if (!failure_) failure_ = std::current_exception();
    hasFailed_.store(true, std::memory_order_relaxed);
}

// What an iteration reads has come through the gate, and what it writes leaves through it: ranges need no order.
bool ThreadPool::takeFirst(Range& range, size_t* index) {
    uint64_t indices = range.indices.load(std::memory_order_relaxed);
    do {
        const uint64_t begin = indices & 0xffffffff, end = indices >> 32;
        if (begin >= end) return false;
        *index = begin;
    } while (!range.indices.compare_exchange_weak(indices, indices + 1, std::memory_order_relaxed));
    return true;
}

bool ThreadPool::takeLast(Range& range, size_t* index) {
    uint64_t indices = range.indices.load(std::memory_order_relaxed);
    do {
        const uint64_t begin = indices & 0xffffffff, end = indices >> 32;
        if (begin >= end) return false;
        *index = end - 1;
    } while (!range.indices.compare_exchange_weak(indices, indices - (uint64_t{1} << 32), std::memory_order_relaxed));
    return true;
}

void ThreadPool::waitForThoseInside() {
    const auto isEmpty = [this] { return (gate_.load(std::memory_order_acquire) & kInside) == 0; };
    const uint64_t before = gate_.fetch_and(~kOpen, std::memory_order_acq_rel);
    if ((before & kInside) == 0 || spinUntil(isEmpty)) return;
    gate_.fetch_or(kCallerSleeps);
    for (;;) {
        const uint32_t finished = finished_.load();
        if (isEmpty()) break;
        sleepWhile(finished_, finished);
    }
}

void ThreadPool::leave() {
    const uint64_t before = gate_.fetch_sub(1, std::memory_order_acq_rel);
    if ((before & kInside) != 1 || (before & kCallerSleeps) == 0) return;
    ++finished_;
    wake(finished_, 1);
}

// A thread's life. `last` is the number of the loop that it has taken part in, or has let pass.
void ThreadPool::serve(size_t worker) {
    nameThread(worker);
    const DenormalsAreZero denormalsAreZero;
    uint32_t last = 0;
    for (bool spin = false; waitForLoop(last, spin);) {
        uint64_t gate = gate_.load(std::memory_order_acquire);
        bool isInside = false;
        while (!isInside && (gate & kOpen) != 0 && (gate & kSeats) != 0)
            isInside = gate_.compare_exchange_weak(gate, gate + 1 - (uint64_t{1} << kSeatShift),
                                                   std::memory_order_acq_rel, std::memory_order_acquire);
        last = numberOf(gate);
        spin = (gate & kRest) == 0;
        if (!isInside) continue;
        work(worker);
        leave();
    }
}

// Whether there is a loop other than `last`, which may be over by now; false when the pool stops.
bool ThreadPool::waitForLoop(uint32_t last, bool spin) {
    const auto isNew = [this, last] { return numberOf(gate_.load(std::memory_order_acquire)) != last; };
    if (spin && spinUntil(isNew)) return true;
    while (!stop_.load()) {
        const uint32_t wakeUps = wakeUps_.load();
        ++sleepers_;
        const bool mustSleep = numberOf(gate_.load()) == last && !stop_.load();
        if (mustSleep) sleepWhile(wakeUps_, wakeUps);
        --sleepers_;
        if (isNew()) return true;
    }
    return false;
}

}  // namespace dunlin::cpu
