// The CPU backend's threads: every iteration is done once, whoever does it, and nobody waits for a thread that sleeps.
#include "runtime/cpu/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cfloat>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#ifdef __linux__
#include <sys/wait.h>
#include <unistd.h>
#endif

namespace dunlin::cpu {
namespace {

std::unique_ptr<ThreadPool> poolOf(size_t threads) {
    auto pool = ThreadPool::create(threads);
    EXPECT_TRUE(pool.ok());
    return pool.ok() ? *std::move(pool) : nullptr;
}

template <typename Job>
void runOn(ThreadPool& pool, size_t count, Job job) {
    const auto call = [](void* callable, size_t index, size_t worker) {
        (*static_cast<Job*>(callable))(index, worker);
    };
    pool.run(call, &job, count);
}

TEST(ThreadPool, DoesEveryIterationOnceOnAnyNumberOfThreads) {
    for (size_t threads : {1, 2, 3, 8}) {
        const auto pool = poolOf(threads);
        EXPECT_EQ(pool->size(), threads);
        for (size_t count : {0, 1, 2, 3, 7, 64, 1000}) {
            std::vector<int> calls(count, 0);
            runOn(*pool, count, [&](size_t index, size_t) { ++calls[index]; });
            EXPECT_EQ(calls, std::vector<int>(count, 1)) << threads << " threads";
        }
    }
}

TEST(ThreadPool, GivesAWorkerOneIterationAtATime) {
    const auto pool = poolOf(4);
    std::atomic<int> busy[4] = {};
    std::atomic<bool> hasMet = false;
    for (int loop = 0; loop < 200; ++loop)
        runOn(*pool, 40, [&](size_t, size_t worker) {
            ASSERT_LT(worker, 4u);
            if (++busy[worker] != 1) hasMet = true;
            --busy[worker];
        });
    EXPECT_FALSE(hasMet);
}

TEST(ThreadPool, ShowsALoopWhatTheLoopBeforeHasWritten) {
    const auto pool = poolOf(3);
    std::vector<uint64_t> numbers(61, 1);
    for (int loop = 0; loop < 20000; ++loop) {
        std::vector<uint64_t> next(numbers.size());
        const size_t count = numbers.size();
        runOn(*pool, count, [&](size_t i, size_t) { next[i] = 3 * numbers[(i + 30) % count] + 1; });
        if (loop % 50 == 0) pool->rest();
        numbers = next;
    }
    uint64_t expected = 1;
    for (int loop = 0; loop < 20000; ++loop) expected = 3 * expected + 1;
    EXPECT_EQ(numbers, std::vector<uint64_t>(61, expected));
}

TEST(ThreadPool, SharesWorkAmongThreadsThatSlept) {
    const auto pool = poolOf(2);
    std::set<std::thread::id> threads;
    std::mutex mutex;
    // Iterations of a millisecond: time enough to wake up.
    for (int loop = 0; loop < 50 && threads.size() < 2; ++loop) {
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        runOn(*pool, 8, [&](size_t, size_t) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
            const std::lock_guard lock(mutex);
            threads.insert(std::this_thread::get_id());
        });
    }
    EXPECT_EQ(threads.size(), 2u);
}

TEST(ThreadPool, UsesNoProcessorTimeBetweenRuns) {
    const auto pool = poolOf(4);
    runOn(*pool, 100, [](size_t, size_t) {});
    pool->rest();
    timespec before, after;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    const double seconds =
        static_cast<double>(after.tv_sec - before.tv_sec) + 1e-9 * static_cast<double>(after.tv_nsec - before.tv_nsec);
    EXPECT_LT(seconds, 0.02);
}

TEST(ThreadPool, PassesAnExceptionOnAndWorksAfterIt) {
    const auto pool = poolOf(3);
    for (size_t bad : {size_t{0}, size_t{99}}) {
        const auto job = [&](size_t index, size_t) {
            if (index == bad) throw std::runtime_error("bad");
        };
        EXPECT_THROW(runOn(*pool, 100, job), std::runtime_error);
        EXPECT_NO_THROW(runOn(*pool, 50, [](size_t, size_t) {}));
    }
    std::atomic<size_t> sum = 0;
    runOn(*pool, 100, [&](size_t index, size_t) { sum += index; });
    EXPECT_EQ(sum, 4950u);
}

TEST(ThreadPool, BeginsNoMoreIterationsAfterAnException) {
    for (size_t threads : {1, 3}) {
        const auto pool = poolOf(threads);
        std::atomic<size_t> calls = 0;
        std::atomic<bool> throws = false;
        const auto job = [&](size_t index, size_t) {
            ++calls;
            if (index == 0) {
                throws = true;
                throw std::runtime_error("bad");
            }
            while (!throws) std::this_thread::yield();
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        };
        EXPECT_THROW(runOn(*pool, 1000, job), std::runtime_error);
        EXPECT_LT(calls, 1000u) << threads << " threads";  // by far: the others take half a second
        calls = 0;
        runOn(*pool, 1000, [&](size_t, size_t) { ++calls; });
        EXPECT_EQ(calls, 1000u) << threads << " threads";
    }
}

#if defined(__x86_64__) || defined(__aarch64__)
TEST(ThreadPool, CountsDenormalsAsZeroWithinLoopsAlone) {
    const auto half = [](float x) {
        volatile float number = x;
        number = number * 0.5f;
        return static_cast<float>(number);
    };
    for (size_t threads : {1, 3}) {
        const auto pool = poolOf(threads);
        for (size_t count : {1, 64}) {
            std::vector<float> halves(count, 1.0f);
            runOn(*pool, count, [&](size_t i, size_t) { halves[i] = half(FLT_MIN); });
            EXPECT_EQ(halves, std::vector<float>(count, 0.0f));
            EXPECT_GT(half(FLT_MIN), 0.0f);
        }
    }
}
#endif

#ifdef __linux__
std::vector<std::string> threadNames() {
    std::vector<std::string> names;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        std::ifstream file(task.path() / "comm");
        std::string name;
        if (std::getline(file, name)) names.push_back(name);
    }
    return names;
}

TEST(ThreadPool, HasAsManyThreadsAsAskedForAndEndsThem) {
    const size_t before = threadNames().size();
    {
        const auto pool = poolOf(4);
        std::atomic<int> named = 0;
        // The names are there once every thread has run.
        for (int tries = 0; tries < 1000 && named < 3; ++tries) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
            named = 0;
            for (const std::string& name : threadNames()) named += name.starts_with("dunlin-");
        }
        EXPECT_EQ(named, 3);
        EXPECT_EQ(threadNames().size(), before + 3);
    }
    EXPECT_EQ(threadNames().size(), before);
}

TEST(ThreadPool, WorksInTheChildOfAForkWithoutItsThreads) {
    auto pool = poolOf(4);
    runOn(*pool, 100, [](size_t, size_t) {});
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        size_t sum = 0;
        runOn(*pool, 100, [&](size_t index, size_t worker) { sum += worker == 0 ? index : 0; });
        pool.reset();
        _exit(sum == 4950 ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
}
#endif

}  // namespace
}  // namespace dunlin::cpu
