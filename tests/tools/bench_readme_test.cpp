// tools/bench/update-readme, and that README.md's table is what tools/bench/results gives.
#include <algorithm>
#include <filesystem>

#include "tests/tools/command_fixture.h"

namespace dunlin::test {
namespace {

namespace fs = std::filesystem;

const std::string kScript = DUNLIN_SOURCE_DIR "/tools/bench/update-readme";
const std::string kResults = DUNLIN_SOURCE_DIR "/tools/bench/results";
const std::string kBegin = "<!-- results: written by tools/bench/update-readme -->\n";
const std::string kEnd = "<!-- end of results -->\n";

class UpdateReadme : public CommandFixture {
  protected:
    int update(const Words& words) const {
        std::string line = "DUNLIN=" + quoted(DUNLIN_COMMAND) + " " + quoted(kScript);
        for (const std::string& word : words) line += " " + quoted(word);
        const int status = std::system((line + " >" + quoted(folder_ / "out") + " 2>&1").c_str());
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
    }
    // A folder of results with one document.
    std::string results() const {
        folder_.file("results/device-20261121.json",
                     contentOf(DUNLIN_SOURCE_DIR "/tests/tools/data/bench/before.json"));
        return folder_ / "results";
    }
};

TEST_F(UpdateReadme, WritesTheTableBetweenTheMarks) {
    const std::string readme = folder_.file("README.md", "# A\n\n" + kBegin + "old\n" + kEnd + "\nB & \\1\n");
    ASSERT_EQ(update({readme, results()}), 0) << contentOf(folder_ / "out");
    const std::string text = contentOf(readme);
    EXPECT_TRUE(text.starts_with("# A\n\n" + kBegin + "\n| ms (share of the limit) |")) << text;
    EXPECT_TRUE(text.ends_with("|\n\n" + kEnd + "\nB & \\1\n")) << text;
    EXPECT_EQ(text.find("old"), std::string::npos);
    EXPECT_NE(text.find("| mobilevit_xxs 224x224 | "), std::string::npos) << text;

    EXPECT_EQ(update({"--check", readme, results()}), 0) << contentOf(folder_ / "out");
    ASSERT_EQ(update({readme, results()}), 0);
    EXPECT_EQ(contentOf(readme), text) << "nothing changes the second time";
}

TEST_F(UpdateReadme, FindsAnOldTable) {
    const std::string readme = folder_.file("README.md", kBegin + "old\n" + kEnd);
    EXPECT_EQ(update({"--check", readme, results()}), 1);
    EXPECT_EQ(contentOf(readme), kBegin + "old\n" + kEnd) << "a check changes nothing";
}

TEST_F(UpdateReadme, RefusesAReadmeWithoutMarks) {
    const std::string readme = folder_.file("README.md", "# A\n");
    EXPECT_EQ(update({readme, results()}), 2);
    EXPECT_EQ(contentOf(readme), "# A\n");
}

TEST_F(UpdateReadme, LeavesTheReadmeAloneWithoutResults) {
    const std::string readme = folder_.file("README.md", "# A\n");
    fs::create_directories(folder_ / "none");
    EXPECT_EQ(update({readme, folder_ / "none"}), 0);
    EXPECT_EQ(contentOf(readme), "# A\n");
}

TEST_F(UpdateReadme, ReadmeShowsTheResults) {
    const fs::directory_iterator files(kResults);
    if (std::none_of(begin(files), end(files), [](const auto& file) { return file.path().extension() == ".json"; })) {
        GTEST_SKIP() << "there are no results in tools/bench/results";
    }
    EXPECT_EQ(update({"--check"}), 0) << contentOf(folder_ / "out");
}

}  // namespace
}  // namespace dunlin::test
