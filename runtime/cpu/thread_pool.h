// The threads of one session: loops whose iterations are shared out among a few threads that live as long as the pool.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "runtime/status.h"

namespace dunlin::cpu {

// Computes one iteration of a loop: `worker` is the thread that does, 0 for the one that called run().
using LoopFunction = void (*)(void* job, size_t index, size_t worker);

// Numbers too small for full precision count as zero on this thread while the object lives: they take a hundred times
// as long as others.
class DenormalsAreZero {
  public:
    DenormalsAreZero();
    ~DenormalsAreZero();
    DenormalsAreZero(const DenormalsAreZero&) = delete;
    DenormalsAreZero& operator=(const DenormalsAreZero&) = delete;

  private:
    uint64_t before_;
};

// The calling thread and `threads - 1` of the pool's own. Each iteration first belongs to a thread, in contiguous
// ranges, so that a thread meets in its caches what it has computed in the loop before; a thread that has finished its
// range takes from the ends of the others'. Nobody waits for a thread that has not begun: on a machine whose processors
// are busy with other programs, a loop is done by those that run.
//
// Waiting threads spin for kSpinMicroseconds, then sleep. Not thread-safe: one loop at a time, and none from within a
// loop. In the child of a fork that was made between loops, the pool has no threads of its own: the
// caller does its loops. After a fork while another thread was in a loop, the child may only destroy it.
class ThreadPool {
  public:
    // What the pool can count; resolveThreads() allows a session fewer.
    static constexpr size_t kMaxThreads = 4000;
    // Longer than what lies between two loops of a network, and nothing to a machine that has other work.
    static constexpr int kSpinMicroseconds = 50;

    // Starts the threads, which are named dunlin-1, dunlin-2 ... and get no signals. `threads`: 1 .. kMaxThreads.
    // OutOfHostMemory when the system starts no more.
    static Result<std::unique_ptr<ThreadPool>> create(size_t threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    size_t size() const { return threadCount_; }

    // Calls function(job, index, worker) once for each index < count < 2^32, and returns when all calls have returned.
    // No two at once have the same worker < size(). If a call throws, so does this, when those that were begun have
    // returned; none is begun any more once a thread has seen the exception.
    void run(LoopFunction function, void* job, size_t count);

    // No loop follows soon: the threads sleep instead of spinning for it.
    void rest();

  private:
    // Iterations begin..end - 1 that nobody has taken yet, in one word: begin in the lower half.
    struct alignas(64) Range {
        std::atomic<uint64_t> indices = 0;
    };
    struct Loop {
        LoopFunction function = nullptr;
        void* job = nullptr;
        size_t participants = 0;  // as many threads, and ranges
    };

    explicit ThreadPool(size_t threads);
    Status start();
    void serve(size_t worker);
    void announce(uint64_t word);
    void work(size_t worker);
    void invoke(size_t index, size_t worker);
    bool takeFirst(Range& range, size_t* index);
    bool takeLast(Range& range, size_t* index);
    void leave();
    void waitForThoseInside();
    bool waitForLoop(uint32_t last, bool spin);

    const size_t threadCount_;
    const uint64_t process_;
    std::vector<std::thread> threads_;
    std::unique_ptr<Range[]> ranges_;  // by worker
    Loop loop_;                        // written while nobody is inside

    // Which loop it is and who may take part; its parts are in thread_pool.cpp.
    alignas(64) std::atomic<uint64_t> gate_ = 0;
    alignas(64) std::atomic<uint32_t> sleepers_ = 0;
    std::atomic<uint32_t> wakeUps_ = 0;   // what sleeping threads wait for
    std::atomic<uint32_t> finished_ = 0;  // what a sleeping caller waits for
    std::atomic<bool> stop_ = false;

    std::mutex failureMutex_;
    std::exception_ptr failure_;
    std::atomic<bool> hasFailed_ = false;  // an iteration of this loop has thrown: no more are begun
};

}  // namespace dunlin::cpu
