// The built command, run as a user runs it: exit status, stdout, stderr and files. For programs that know where it is
// (DUNLIN_COMMAND).
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "tests/tools/temporary_folder.h"

namespace dunlin::test {

using Json = nlohmann::json;
using Words = std::vector<std::string>;

inline constexpr const char* kNetwork = "mobilenetv3_small_050";
inline const Words kSynthetic = {kNetwork, "--weights", "synthetic"};

inline Words operator+(Words a, const Words& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

inline std::string quoted(const std::string& word) {
    std::string text = "'";
    for (char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return text + "'";
}

inline std::string joined(const Words& words) {
    std::string line;
    for (const std::string& word : words) line += (line.empty() ? "" : " ") + word;
    return line;
}

struct CommandResult {
    int exitStatus = -1;  // 128 and more: killed by a signal
    std::string out, err;
    Json json() const { return Json::parse(out, nullptr, false); }
};

class CommandFixture : public ::testing::Test {
  protected:
    CommandResult dunlin(const Words& words) const {
        std::string line = quoted(DUNLIN_COMMAND);
        for (const std::string& word : words) line += " " + quoted(word);
        line += " >" + quoted(folder_ / "stdout") + " 2>" + quoted(folder_ / "stderr") + " </dev/null";
        const int status = std::system(line.c_str());
        return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), contentOf(folder_ / "stdout"),
                contentOf(folder_ / "stderr")};
    }
    // The exit status where stdout or stderr goes elsewhere.
    int shell(const Words& words, const std::string& redirections) const {
        std::string line = quoted(DUNLIN_COMMAND);
        for (const std::string& word : words) line += " " + quoted(word);
        const int status = std::system((line + " >/dev/null " + redirections + " </dev/null").c_str());
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    // On the CPU, one thread, in JSON; must succeed.
    Json answer(const Words& words) const {
        const CommandResult result = dunlin(words + Words{"--device", "cpu", "--threads", "1", "--json"});
        EXPECT_EQ(result.exitStatus, 0) << joined(words) << ": " << result.err;
        EXPECT_EQ(result.err, "") << joined(words);
        EXPECT_FALSE(result.json().is_discarded()) << result.out.substr(0, 300);
        return result.json();
    }
    void expectRefused(int exitStatus, const Words& words, const std::string& mentions) const {
        SCOPED_TRACE(joined(words));
        const CommandResult result = dunlin(words);
        EXPECT_EQ(result.exitStatus, exitStatus) << result.err;
        EXPECT_EQ(result.out, "");
        EXPECT_TRUE(std::regex_match(result.err, std::regex("dunlin: [^\n]+\n"))) << "not one line: " << result.err;
        EXPECT_NE(result.err.find(mentions), std::string::npos) << result.err;
    }

    const TemporaryFolder folder_;
    const std::string picture_ = DUNLIN_SOURCE_DIR "/tests/tools/data/rgb.jpg";
    const std::string tallPicture_ = DUNLIN_SOURCE_DIR "/tests/tools/data/orientation6.jpg";
};

}  // namespace dunlin::test
