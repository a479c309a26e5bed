// The newcomer's first command: the sample pictures are recognised, and tools/demo calls what it should.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/tools/temporary_folder.h"

namespace dunlin::cli {
namespace {

using Json = nlohmann::json;
using Words = std::vector<std::string>;
namespace fs = std::filesystem;

const fs::path kSamples = fs::path(DUNLIN_SOURCE_DIR) / "models/samples";

using test::contentOf;

std::string commandLine(const Words& words) {
    std::string line;
    for (const std::string& word : words) line += (line.empty() ? "'" : " '") + word + "'";
    return line;
}

// Pictures of a folder of class folders, sorted.
Words picturesIn(const fs::path& folder) {
    Words pictures;
    std::error_code absent;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder, absent)) {
        if (entry.path().extension() == ".png") pictures.push_back(entry.path().string());
    }
    std::sort(pictures.begin(), pictures.end());
    return pictures;
}

struct Result {
    int exitStatus = -1;
    std::string out, err;
};

class Demo : public ::testing::Test {
  protected:
    // In a folder of its own, as far from the checkout as a user may be.
    Result run(const Words& words, const std::string& environment = "") const {
        const std::string line = "cd '" + folder_.path().string() + "' && " + environment + " " + commandLine(words) +
                                 " >'" + (folder_ / "stdout") + "' 2>'" + (folder_ / "stderr") + "' </dev/null";
        const int status = std::system(line.c_str());
        return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), contentOf(folder_ / "stdout"),
                contentOf(folder_ / "stderr")};
    }
    Result dunlin(Words words, const std::string& environment = "") const {
        words.insert(words.begin(), DUNLIN_COMMAND);
        for (const char* word : {"--device", "cpu", "--cache", "none"}) words.emplace_back(word);
        return run(words, environment);
    }
    Result demo(Words words, const std::string& command) const {
        words.insert(words.begin(), DUNLIN_SOURCE_DIR "/tools/demo");
        return run(words, "DUNLIN_COMMAND='" + command + "'");
    }
    // What tools/demo would run, one call a line, words separated by |.
    std::string callsOf(const Words& words) const {
        const std::string printer =
            folder_.file("print words", "#!/bin/sh\nfor word; do printf '%s|' \"$word\"; done\necho\n");
        fs::permissions(printer, fs::perms::owner_all);
        const Result result = demo(words, printer);
        EXPECT_EQ(result.exitStatus, 0) << result.err;
        EXPECT_EQ(result.err, "");
        return result.out;
    }
    // That `model` gives each picture the class that its folder is called.
    void expectRecognised(const std::string& model, const Words& pictures) const {
        Words words = {"classify", model, "--json", "--top", "1", "--quiet"};
        words.insert(words.end(), pictures.begin(), pictures.end());
        const Result result = dunlin(words);
        ASSERT_EQ(result.exitStatus, 0) << result.err;
        const Json images = Json::parse(result.out)["images"];
        ASSERT_EQ(images.size(), pictures.size());
        for (const Json& image : images) {
            const fs::path file = image["file"].get<std::string>();
            EXPECT_EQ(image["top"][0]["label"], file.parent_path().filename().string()) << model << ": " << file;
        }
    }

    const test::TemporaryFolder folder_;
};

// ---- the samples

TEST_F(Demo, EverySampleDigitIsRecognised) {
    const Words digits = picturesIn(kSamples / "digits");
    for (const char digit : std::string("0123456789")) {
        const std::string folder = std::string("/digits/") + digit + '/';
        EXPECT_GE(std::count_if(digits.begin(), digits.end(),
                                [&](const std::string& path) { return path.find(folder) != std::string::npos; }),
                  2)
            << "pictures of a " << digit;
    }
    expectRecognised("digits", digits);
}

TEST_F(Demo, EverySampleSceneIsRecognised) {
    const Words scenes = picturesIn(kSamples / "photos");
    ASSERT_FALSE(scenes.empty());
    for (const char* network : {"photos10", "photos10_mobilevit"}) expectRecognised(network, scenes);
}

// ---- classify --show

TEST_F(Demo, ShowDrawsWithoutEscapeCodesOffATerminal) {
    const Result result =
        dunlin({"classify", "digits", "--show", "--quiet", "--top", "2", (kSamples / "digits/1/hand-c.png").string()},
               "LC_ALL=C.UTF-8 COLORTERM=truecolor TERM=xterm-256color COLUMNS=80");
    EXPECT_EQ(result.exitStatus, 0);
    EXPECT_EQ(result.err, "");
    EXPECT_EQ(result.out.find('\x1b'), std::string::npos);
    EXPECT_NE(result.out.find("█"), std::string::npos);
    EXPECT_NE(result.out.find("hand-c.png\n"), std::string::npos) << result.out;
    EXPECT_NE(result.out.find("   1   "), std::string::npos) << result.out;
}

TEST_F(Demo, ShowDrawsInAsciiWhereTheLocaleIsNotUtf8) {
    const Result result =
        dunlin({"classify", "digits", "--show", "--top", "1", (kSamples / "digits/1/hand-c.png").string()}, "LC_ALL=C");
    EXPECT_EQ(result.exitStatus, 0);
    EXPECT_NE(result.out.find("@@@@"), std::string::npos) << result.out;
    EXPECT_TRUE(std::all_of(result.out.begin(), result.out.end(), [](char c) { return (c & 0x80) == 0; }));
}

TEST_F(Demo, ShowGoesOnAfterWhatIsNoPicture) {
    folder_.file("one pixel.ppm", "P6 1 1 255\n\xff\xff\xff");
    folder_.file("text.png", "no picture");
    for (const char* top : {"1", "3"}) {
        const Result result = dunlin(
            {"classify", "digits", "--show", "--quiet", "--top", top, "text.png", "one pixel.ppm", "absent.png"});
        EXPECT_EQ(result.exitStatus, 3);
        EXPECT_NE(result.err.find("text.png"), std::string::npos) << result.err;
        EXPECT_NE(result.err.find("absent.png"), std::string::npos) << result.err;
        EXPECT_NE(result.out.find("one pixel.ppm\n"), std::string::npos) << result.out;
        EXPECT_NE(result.out.find("1 picture, "), std::string::npos) << result.out;
    }
}

TEST_F(Demo, ShowIsNotForPrograms) {
    const Result result = dunlin({"classify", "digits", "--show", "--json", "x.png"});
    EXPECT_EQ(result.exitStatus, 2);
    EXPECT_EQ(result.out, "");
    EXPECT_NE(result.err.find("--show"), std::string::npos) << result.err;
}

// ---- tools/demo

TEST_F(Demo, WithoutWordsItShowsEverySampleAndWhatToTryNext) {
    const Result result = demo({}, DUNLIN_COMMAND);
    EXPECT_EQ(result.exitStatus, 0) << result.err;
    for (const std::string& picture : picturesIn(kSamples / "digits")) {
        const std::string name = fs::relative(picture, kSamples / "digits").string();
        EXPECT_NE(result.out.find(name), std::string::npos) << name;
    }
    EXPECT_NE(result.out.find("20 pictures, "), std::string::npos);
    EXPECT_NE(result.out.find("Next: "), std::string::npos);
}

TEST_F(Demo, APictureGoesToPhotos10AndOptionsGoAlong) {
    folder_.file("my cat.jpg", "");
    fs::create_directories(folder_ / "a folder");
    const std::string begin = "classify|--show|photos10|";
    EXPECT_EQ(callsOf({"my cat.jpg", "--device", "vulkan"}), begin + "my cat.jpg|--device|vulkan|\n");
    EXPECT_EQ(callsOf({"--device", "vulkan", "my cat.jpg", "absent.png"}),
              begin + "--device|vulkan|my cat.jpg|absent.png|\n");
    EXPECT_EQ(callsOf({"--top=3", "--show", "a folder"}), "classify|photos10|--top=3|--show|a folder|\n");
    EXPECT_EQ(callsOf({"*.jpg", "--json"}), "classify|photos10|*.jpg|--json|\n");
    EXPECT_EQ(callsOf({"--", "--odd.jpg"}), begin + "--|--odd.jpg|\n");
}

TEST_F(Demo, AModelGoesToClassifyAsItIs) {
    folder_.file("weights folder/config.json", "{}");
    folder_.file("bare/model.safetensors", "");
    fs::create_directories(folder_ / "digits");  // a word without a slash is a name, whatever lies here
    for (const char* model : {"resnet18", "digits", "resnet50.a1_in1k", "my-model", "name@publisher", "weights folder",
                              "./bare", "some/where.safetensors", "x.pth"}) {
        EXPECT_EQ(callsOf({model, "cat.jpg", "--top", "3"}),
                  "classify|--show|" + std::string(model) + "|cat.jpg|--top|3|\n");
    }
}

TEST_F(Demo, OptionsAloneGoWithTheSamples) {
    const std::string calls = callsOf({"--device", "vulkan"});
    EXPECT_TRUE(calls.starts_with("classify|--show|digits|")) << calls;
    EXPECT_NE(calls.find("/9/hand-d.png|--top|1|--device|vulkan|\n"), std::string::npos) << calls;
    EXPECT_EQ(callsOf({"--top", "2"}).find("--top|1"), std::string::npos);
    const std::string json = callsOf({"--json"});
    EXPECT_EQ(std::count(json.begin(), json.end(), '\n'), 1) << "more than one document: " << json;
}

TEST_F(Demo, TheExitStatusIsTheCommands) {
    folder_.file("text.png", "no picture");
    EXPECT_EQ(demo({"digits", "absent.png"}, DUNLIN_COMMAND).exitStatus, 3);
    EXPECT_EQ(demo({"digits", "text.png"}, DUNLIN_COMMAND).exitStatus, 3);
    EXPECT_EQ(demo({"no_such_network", "text.png"}, DUNLIN_COMMAND).exitStatus, 2);
    EXPECT_EQ(demo({"--device", "vulkan:99"}, DUNLIN_COMMAND).exitStatus, 2);
}

}  // namespace
}  // namespace dunlin::cli
