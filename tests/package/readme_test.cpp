// The program in the README is the one that is built and run here.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace {

std::string readFile(const std::filesystem::path& path) {
    std::ifstream stream(path);
    EXPECT_TRUE(stream.good()) << path;
    return {std::istreambuf_iterator<char>(stream), {}};
}

TEST(Readme, ShowsTheProgramThatIsTested) {
    const std::filesystem::path root = DUNLIN_SOURCE_DIR;
    const std::string program = readFile(root / "tests/package/consumer/classify.cpp");
    const std::string readme = readFile(root / "README.md");
    EXPECT_NE(readme.find("```cpp\n" + program + "```\n"), std::string::npos)
        << "README.md has no code block that equals tests/package/consumer/classify.cpp";
}

}  // namespace
