// classify, evaluate, run, devices and models use nothing of the library but its public headers, so that they show what
// an application can do. Followed through the tool's own headers.
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <set>
#include <string>

namespace {

// Every file that these include, as written, through headers of the tool.
void collect(const std::string& file, std::set<std::string>& included) {
    std::ifstream source(std::string(DUNLIN_SOURCE_DIR) + "/" + file);
    ASSERT_TRUE(source) << file;
    const std::regex include("#include [\"<]([^\">]+)[\">]");
    for (std::string line; std::getline(source, line);) {
        std::smatch match;
        if (!std::regex_search(line, match, include) || !included.insert(match[1]).second) continue;
        if (match[1].str().starts_with("tools/")) collect(match[1], included);
    }
}

TEST(PublicInterface, IsAllThatTheCommandsForUsersNeed) {
    for (const char* command : {"classify", "evaluate", "run", "devices", "models", "pull", "library"}) {
        std::set<std::string> included;
        collect(std::string("tools/dunlin/") + command + ".cpp", included);
        EXPECT_TRUE(included.contains("dunlin/dunlin.hpp")) << command;
        for (const std::string& file : included) {
            EXPECT_FALSE(file.starts_with("runtime/") || file.starts_with("models/"))
                << command << " includes " << file;
        }
    }
}

}  // namespace
