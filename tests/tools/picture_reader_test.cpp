// Pictures decoded on other threads, in the order of their files.
#include "tools/dunlin/picture_reader.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

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

}  // namespace
}  // namespace dunlin::cli
