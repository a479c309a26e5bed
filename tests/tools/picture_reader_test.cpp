// Pictures decoded on other threads, in the order of their files.
#include "tools/dunlin/picture_reader.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <thread>

#if defined(__linux__)
#include <pthread.h>
#include <sys/resource.h>
#endif

#include "tests/tools/temporary_folder.h"

namespace dunlin::cli {
namespace {

using Pace = PictureReader::Pace;

// A picture whose width is its number, from 1; every fifth is none.
std::vector<std::string> numberedFiles(const test::TemporaryFolder& folder, size_t count) {
    std::vector<std::string> files;
    for (size_t i = 1; i <= count; ++i) {
        const std::string width = std::to_string(i);
        const std::string name = width + ".ppm";
        files.push_back(folder.file(name, i % 5 == 0 ? "none" : "P6 " + width + " 1 255\n" + std::string(i * 3, 'x')));
    }
    return files;
}

TEST(PictureReader, GivesPicturesInOrderAtAnyPace) {
    const test::TemporaryFolder folder;
    const std::vector<std::string> files = numberedFiles(folder, 40);
    for (const Pace pace : {Pace::Ahead, Pace::OnDemand}) {
        for (const size_t threads : {0, 1, 3, 8}) {
            for (const size_t ahead : {1, 4, 100}) {
                PictureReader reader(files, threads, ahead, pace);
                for (size_t i = 1; i <= files.size(); ++i) {
                    const Outcome<Picture> picture = reader.next();
                    ASSERT_EQ(picture.ok(), i % 5 != 0) << i;
                    if (!picture.ok()) continue;
                    ASSERT_EQ(picture->width, static_cast<int>(i)) << threads << " threads, " << ahead << " ahead";
                }
            }
        }
    }
}

TEST(PictureReader, OnDemandBeginsNothingBeyondWhatIsWanted) {
    const test::TemporaryFolder folder;
    std::vector<std::string> files = numberedFiles(folder, 4);
    files.push_back(folder / "late.ppm");
    PictureReader reader(files, 2, 4, Pace::OnDemand);
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(reader.next().ok());
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    // The fifth file would have been found absent, had it been begun while the first four were used.
    folder.file("late.ppm", "P6 5 1 255\n" + std::string(15, 'x'));
    EXPECT_TRUE(reader.next().ok());
}

TEST(PictureReader, StopsWithPicturesUntaken) {
    const test::TemporaryFolder folder;
    for (const Pace pace : {Pace::Ahead, Pace::OnDemand}) {
        PictureReader reader(numberedFiles(folder, 20), 3, 6, pace);
        EXPECT_TRUE(reader.next().ok());
    }
}

#if defined(__linux__)
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
constexpr bool kSanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool kSanitized = false;
#endif

// Leaves this process address space for the stacks of `count` threads and no more.
void allowThreads(size_t count) {
    constexpr size_t kStack = size_t{64} << 20;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, kStack);
    pthread_setattr_default_np(&attributes);
    size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    const rlim_t limit = pages * static_cast<size_t>(sysconf(_SC_PAGESIZE)) + count * kStack + kStack / 2;
    const rlimit both = {limit, limit};
    setrlimit(RLIMIT_AS, &both);
}

TEST(PictureReaderDeathTest, GoesOnWithTheThreadsThatThereAre) {
    if (kSanitized) GTEST_SKIP() << "the address space cannot be limited under a sanitizer";
    const test::TemporaryFolder folder;
    const std::vector<std::string> files = numberedFiles(folder, 20);
    const auto readAll = [&](size_t available) {
        allowThreads(available);
        PictureReader reader(files, 4, 4);
        for (size_t i = 1; i <= files.size(); ++i) {
            const Outcome<Picture> picture = reader.next();
            if (picture.ok() != (i % 5 != 0)) std::_Exit(1);
            if (picture.ok() && picture->width != static_cast<int>(i)) std::_Exit(2);
        }
        std::_Exit(0);
    };
    EXPECT_EXIT(readAll(0), ::testing::ExitedWithCode(0), "");
    EXPECT_EXIT(readAll(2), ::testing::ExitedWithCode(0), "");
}
#endif

}  // namespace
}  // namespace dunlin::cli
