// Who may include whom: architecture.md's floors, downwards only. Read from the #include lines of the sources.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

const fs::path kRoot = DUNLIN_SOURCE_DIR;

// What each part may include besides itself. "ground" is runtime/status.h and processors.h, "backend" runtime/backend.h
// and its source, "api" the sources of the glue, "public" the installed headers, "params" shaders/include.
const std::map<std::string, std::set<std::string>> kAllowed = {
    {"ground", {}},
    {"params", {}},
    {"public", {}},
    {"graph", {"ground"}},
    {"weights", {"ground", "graph"}},
    {"image", {"ground", "graph"}},
    {"plan", {"ground", "graph", "weights", "image", "params"}},
    {"backend", {"ground", "graph", "weights", "image", "plan"}},
    {"models", {"ground", "graph", "weights", "image", "backend"}},
    {"vulkan", {"ground", "graph", "weights", "image", "plan", "params", "models", "backend"}},
    {"cpu", {"ground", "graph", "weights", "image", "plan", "models", "backend"}},
    {"tuning", {"ground", "graph", "weights", "image", "plan", "params", "models", "backend", "vulkan", "cpu"}},
    {"api", {"public", "ground", "graph", "weights", "image", "plan", "models", "backend", "vulkan", "cpu", "tuning"}},
};

// Commands that show what the public interface can do: nothing of the library but the public headers.
const std::set<std::string> kPublicOnly = {"classify", "evaluate", "run", "devices", "models", "pull"};

// The part that a file relative to the root belongs to; empty for what has no floor (tools, tests).
std::string partOf(const std::string& file) {
    if (file.starts_with("dunlin/") || file.starts_with("runtime/include/")) return "public";
    if (file.starts_with("runtime/status.") || file.starts_with("runtime/processors.")) return "ground";
    if (file.starts_with("runtime/backend.")) return "backend";
    if (file.starts_with("runtime/api")) return "api";
    if (file.starts_with("shaders/include/")) return "params";
    if (file.starts_with("models/")) return "models";
    static const std::regex folder("runtime/([a-z]+)/.*");
    std::smatch match;
    return std::regex_match(file, match, folder) ? match[1].str() : "";
}

std::vector<std::string> sourcesUnder(const std::string& folder) {
    std::vector<std::string> files;
    if (!fs::exists(kRoot / folder)) return files;
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
        const std::string extension = entry.path().extension().string();
        if (extension == ".h" || extension == ".hpp" || extension == ".cpp") {
            files.push_back(fs::relative(entry.path(), kRoot).generic_string());
        }
    }
    return files;
}

// The files of the project that a file includes: "runtime/status.h". A bare name is a neighbour in the same folder.
std::vector<std::string> includesOf(const std::string& file) {
    std::vector<std::string> includes;
    std::ifstream stream(kRoot / file);
    static const std::regex pattern(R"re(\s*#\s*include\s*["<]([^">]+)[">].*)re");
    std::smatch match;
    for (std::string line; std::getline(stream, line);) {
        if (!std::regex_match(line, match, pattern)) continue;
        const std::string target = match[1];
        const std::string neighbour = fs::path(file).parent_path().generic_string() + "/" + target;
        if (fs::exists(kRoot / target) || target.starts_with("dunlin/"))
            includes.push_back(target);
        else if (fs::exists(kRoot / neighbour))
            includes.push_back(neighbour);
    }
    return includes;
}

TEST(Layering, EveryFolderOfTheLibraryHasAFloor) {
    for (const std::string& file : sourcesUnder("runtime")) {
        EXPECT_TRUE(kAllowed.contains(partOf(file)))
            << file << " is in part '" << partOf(file) << "', which has no floor";
    }
}

TEST(Layering, IncludesGoDownwards) {
    size_t checked = 0;
    for (const char* folder : {"runtime", "models", "shaders/include"}) {
        for (const std::string& file : sourcesUnder(folder)) {
            const std::string from = partOf(file);
            for (const std::string& target : includesOf(file)) {
                const std::string to = partOf(target);
                ++checked;
                EXPECT_TRUE(from == to || (kAllowed.contains(from) && kAllowed.at(from).contains(to)))
                    << file << " includes " << target << ": " << from << " must not know " << to;
            }
        }
    }
    EXPECT_GT(checked, 100u);
}

TEST(Layering, TheLibraryKnowsNeitherToolsNorTests) {
    for (const char* folder : {"runtime", "models"}) {
        for (const std::string& file : sourcesUnder(folder)) {
            for (const std::string& target : includesOf(file)) {
                EXPECT_FALSE(target.starts_with("tools/") || target.starts_with("tests/"))
                    << file << " includes " << target;
            }
        }
    }
}

TEST(Layering, PublicCommandsIncludeOnlyPublicHeaders) {
    for (const std::string& file : sourcesUnder("tools/dunlin")) {
        if (!kPublicOnly.contains(fs::path(file).stem().string())) continue;
        for (const std::string& target : includesOf(file)) {
            const bool isPrivate = target.starts_with("runtime/") || target.starts_with("models/");
            EXPECT_FALSE(isPrivate) << file << " includes " << target << ", which is not installed";
        }
    }
}

// The C++ skin and the runtime both have a dunlin::Session; a file that sees both cannot name either.
TEST(Layering, NobodyMixesTheSkinWithTheRuntime) {
    for (const char* folder : {"tools", "tests"}) {
        for (const std::string& file : sourcesUnder(folder)) {
            std::string skin, runtime;
            for (const std::string& target : includesOf(file)) {
                if (target.starts_with("dunlin/") && target.ends_with(".hpp")) skin = target;
                if (target.starts_with("runtime/") || target.starts_with("models/")) runtime = target;
            }
            EXPECT_TRUE(skin.empty() || runtime.empty()) << file << " includes both " << skin << " and " << runtime;
        }
    }
}

}  // namespace
