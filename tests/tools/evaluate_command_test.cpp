// dunlin evaluate, as a user runs it. What the network answers to small pictures is asked of `dunlin classify`, so that
// every figure is known beforehand.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <set>

#include "tests/support.h"
#include "tests/tools/command_fixture.h"

namespace dunlin::test {
namespace {

namespace fs = std::filesystem;
using Classes = std::vector<uint32_t>;

constexpr uint32_t kClasses = 1000;
// Its answers to different pictures differ, also with weights from a formula.
const Words kNet = {"convnext_atto", "--weights", "synthetic", "--size", "32x32"};
const Words kOnCpu = {"--device", "cpu", "--threads", "1"};

// 32x32 pixels in sixteen flat squares of random colours.
std::string pictureText(uint32_t seed) {
    const auto next = [&] { return static_cast<char>((seed = seed * 1664525 + 1013904223) >> 24); };
    std::string cells, pixels;
    for (int i = 0; i < 4 * 4 * 3; ++i) cells += next();
    for (size_t pixel = 0; pixel < 32 * 32; ++pixel) {
        const size_t x = pixel % 32, y = pixel / 32;
        pixels += cells.substr((y / 8 * 4 + x / 8) * 3, 3);
    }
    return "P6 32 32 255\n" + pixels;
}

class Evaluate : public CommandFixture {
  protected:
    // The five likeliest classes of pictures 0 to count - 1.
    std::vector<Classes> answersOf(size_t count, const Words& net = kNet) const {
        Words files;
        for (uint32_t i = 0; i < count; ++i) {
            files.push_back(folder_.file("asked/" + std::to_string(i) + ".ppm", pictureText(i)));
        }
        std::vector<Classes> answers;
        const Json document = answer(Words{"classify"} + net + files + Words{"--top", "5"});
        for (const Json& image : document.at("images")) {
            Classes top;
            for (const Json& one : image.at("top")) top.push_back(one.at("index"));
            answers.push_back(std::move(top));
        }
        return answers;
    }
    std::string add(const std::string& classFolder, size_t picture) const {
        const std::string name = "truth/" + classFolder + "/" + std::to_string(picture) + ".ppm";
        return folder_.file(name, pictureText(static_cast<uint32_t>(picture)));
    }
    Words evaluate(const Words& more = {}, const Words& net = kNet) const {
        return Words{"evaluate"} + net + Words{folder_ / "truth"} + more;
    }
    // A folder as published, whose weights come from the formula: four classes, the first of them background.
    Words netWithBackground() const {
        folder_.file("net/config.json",
                     R"({"architecture": "convnext_atto", "num_classes": 4, "label_names": ["ant", "bee", "red cat"],
                         "pretrained_cfg": {"label_offset": 1, "input_size": [3, 32, 32]}})");
        return {folder_ / "net", "--weights", "synthetic"};
    }
    Words netOf(int classes, int labelOffset) const {
        folder_.file("net/config.json", R"({"architecture": "convnext_atto", "num_classes": )" +
                                            std::to_string(classes) + R"(, "pretrained_cfg": {"label_offset": )" +
                                            std::to_string(labelOffset) + R"(, "input_size": [3, 32, 32]}})");
        return {folder_ / "net", "--weights", "synthetic"};
    }
};

// ---- figures

TEST_F(Evaluate, FoldersOfTheNetworksOwnAnswersAreAllRight) {
    const std::vector<Classes> answers = answersOf(9);
    std::map<uint32_t, uint64_t> imagesOf;
    for (size_t i = 0; i < answers.size(); ++i) {
        add(std::to_string(answers[i][0]), i);
        ++imagesOf[answers[i][0]];
    }
    ASSERT_GT(imagesOf.size(), 3u) << "a network that always says the same would show nothing";

    const Json document = answer(evaluate());

    EXPECT_EQ(document.at("model"), "convnext_atto");
    EXPECT_EQ(document.at("weights"), "synthetic");
    EXPECT_EQ(document.at("device"), "cpu");
    EXPECT_EQ(document.at("precision"), "fp32");
    EXPECT_EQ(document.at("images"), 9);
    EXPECT_EQ(document.at("top1"), 1.0);
    EXPECT_EQ(document.at("top5"), 1.0);
    EXPECT_NEAR(document.at("top1Interval").at(0), 0.7008, 1e-4);
    EXPECT_EQ(document.at("top1Interval").at(1), 1.0);
    EXPECT_EQ(document.at("classesBy"), "number");
    EXPECT_EQ(document.at("notFinite"), 0);
    EXPECT_EQ(document.at("failed"), Json::array());
    EXPECT_EQ(document.at("confusions"), Json::array());
    EXPECT_GT(document.at("imagesPerSecond"), 0);
    EXPECT_NEAR(document.at("imagesPerSecond").get<double>() * document.at("seconds").get<double>(), 9, 1e-6);
    EXPECT_GT(document.at("networkShare"), 0);
    EXPECT_LE(document.at("networkShare"), 1);
    ASSERT_EQ(document.at("classes").size(), imagesOf.size());
    auto expected = imagesOf.begin();
    for (const Json& its : document.at("classes")) {
        const auto& [classIndex, images] = *expected++;
        EXPECT_EQ(its, (Json{{"index", classIndex}, {"label", nullptr}, {"images", images}, {"top1", 1.0}}));
    }
}

TEST_F(Evaluate, AKnownMixtureGivesTheExactShares) {
    // Given ten pictures: five in the folder of the class that is answered, three in that of the second answer, and two
    // in that of a class that is not among the five likeliest,
    const std::vector<Classes> answers = answersOf(10);
    std::map<std::pair<uint32_t, uint32_t>, uint64_t> wrong;
    for (size_t i = 0; i < answers.size(); ++i) {
        const Classes& top = answers[i];
        uint32_t truth = i < 5 ? top[0] : top[1];
        if (i >= 8) {
            for (truth = 0; std::find(top.begin(), top.end(), truth) != top.end();) ++truth;
        }
        if (i >= 5) ++wrong[{truth, top[0]}];
        add(std::to_string(truth), i);
    }

    // when they are counted, in whatever batches,
    for (const char* batch : {"1", "3", "64"}) {
        const Json document = answer(evaluate({"--batch", batch}));

        // then these are the shares and the confusions.
        EXPECT_EQ(document.at("images"), 10);
        EXPECT_DOUBLE_EQ(document.at("top1"), 0.5);
        EXPECT_DOUBLE_EQ(document.at("top5"), 0.8);
        ASSERT_EQ(document.at("confusions").size(), wrong.size());
        for (const Json& confusion : document.at("confusions")) {
            const auto its = wrong.find({confusion.at("true"), confusion.at("predicted")});
            ASSERT_NE(its, wrong.end()) << confusion;
            EXPECT_EQ(confusion.at("count"), its->second);
        }
    }
    const CommandResult text = dunlin(evaluate(kOnCpu));
    EXPECT_EQ(text.exitStatus, 0) << text.err;
    EXPECT_NE(text.out.find("top-1     50.00 %  5 of 10; 95 % interval 23.66 to 76.34 %\n"), std::string::npos)
        << text.out;
    EXPECT_NE(text.out.find("top-5     80.00 %  8 of 10; "), std::string::npos) << text.out;
    EXPECT_NE(text.out.find("pictures a second, decoding included"), std::string::npos) << text.out;
}

TEST_F(Evaluate, TheWorstClassesAreShownWithWhatTheyWereTakenFor) {
    // Given a class with four pictures that are answers of others, and one with one right answer of two,
    const std::vector<Classes> answers = answersOf(6);
    ASSERT_EQ(std::set<uint32_t>({answers[0][0], answers[1][0], answers[2][0], answers[3][0]}).size(), 4u);
    ASSERT_NE(answers[4][0], answers[5][0]);
    std::set<uint32_t> used;
    for (const Classes& top : answers) used.insert(top[0]);
    uint32_t unused = 0;
    while (used.contains(unused)) ++unused;
    for (size_t i = 0; i < 4; ++i) add(std::to_string(unused), i);
    add(std::to_string(answers[4][0]), 4);
    add(std::to_string(answers[4][0]), 5);

    const std::string out = dunlin(evaluate(kOnCpu)).out;

    std::array<uint32_t, 4> taken = {answers[0][0], answers[1][0], answers[2][0], answers[3][0]};
    std::sort(taken.begin(), taken.end());
    const auto line = [](uint32_t truth, const char* rest) { return "\n  " + std::to_string(truth) + " +" + rest; };
    const std::regex worst(line(unused, "4 +0\\.0 %  ") + std::to_string(taken[0]) + " \\(1\\), " +
                           std::to_string(taken[1]) + " \\(1\\), " + std::to_string(taken[2]) +
                           " \\(1\\) and 1 more \\(1\\)" + line(answers[4][0], "2 +50\\.0 %  ") +
                           std::to_string(answers[5][0]) + " \\(1\\)\n");
    EXPECT_TRUE(std::regex_search(out, worst)) << out;
    const std::string one = dunlin(evaluate(kOnCpu + Words{"--worst", "1"})).out;
    EXPECT_NE(one.find("least accurate"), std::string::npos) << one;
    EXPECT_EQ(one.find(" 50.0 %"), std::string::npos) << one;
    const std::string none = dunlin(evaluate(kOnCpu + Words{"--worst", "0"})).out;
    EXPECT_EQ(none.find("least accurate"), std::string::npos) << none;
}

TEST_F(Evaluate, SaysWhichClassesTheSharesAreOf) {
    add("7", 0);
    add("8", 1);
    add("8", 2);
    EXPECT_TRUE(std::regex_search(dunlin(evaluate(kOnCpu)).out, std::regex("pictures +3  in 2 of the 1000 classes\n")));
    fs::remove_all(folder_ / "truth");
    for (const char* name : {"ant", "bee", "red_cat"}) add(name, 0);
    const std::string all = dunlin(evaluate(kOnCpu, netWithBackground())).out;
    EXPECT_TRUE(std::regex_search(all, std::regex("pictures +3  in all 3 classes\n"))) << all;
    EXPECT_TRUE(std::regex_search(all, std::regex("top-5 +-  says nothing with 3 classes\n"))) << all;
}

TEST_F(Evaluate, TheFiveLikeliestCountWhereThereAreMoreAnswers) {
    add("0", 0);
    EXPECT_TRUE(answer(evaluate({}, netOf(5, 0))).at("top5").is_null()) << "five of five are always right";
    EXPECT_TRUE(answer(evaluate({}, netOf(5, 1))).at("top5").is_null());
    EXPECT_TRUE(answer(evaluate({}, netOf(6, 0))).at("top5").is_number());
    EXPECT_TRUE(answer(evaluate({}, netOf(6, 1))).at("top5").is_number()) << "background is an answer";
    const std::string text = dunlin(evaluate(kOnCpu, netOf(5, 0))).out;
    EXPECT_TRUE(std::regex_search(text, std::regex("top-5 +-  says nothing with 5 classes\n"))) << text;
}

TEST_F(Evaluate, ALimitIsSpreadOverTheClasses) {
    for (size_t i = 0; i < 12; ++i) add(std::to_string(i / 4), i);
    const Json document = answer(evaluate({"--limit", "6"}));
    EXPECT_EQ(document.at("images"), 6);
    for (const Json& its : document.at("classes")) EXPECT_EQ(its.at("images"), 2) << its;
}

// ---- ground truth

TEST_F(Evaluate, LabelsNameFoldersAndClasses) {
    const std::vector<Classes> answers = answersOf(4);
    std::string names;
    for (uint32_t i = 0; i < kClasses; ++i)
        names += "n" + std::to_string(10000000 + i) + " kind " + std::to_string(i) + "\n";
    const std::string labels = folder_.file("names.txt", names);
    const auto expectAllRight = [&](const char* naming) {
        const Json document = answer(evaluate({"--labels", labels}));
        EXPECT_EQ(document.at("top1"), 1.0);
        EXPECT_EQ(document.at("classesBy"), naming);
        for (const Json& its : document.at("classes")) {
            EXPECT_EQ(its.at("label"), "kind " + std::to_string(its.at("index").get<int>()));
        }
    };
    for (size_t i = 0; i < answers.size(); ++i) add("Kind_" + std::to_string(answers[i][0]), i);
    expectAllRight("label");
    fs::remove_all(folder_ / "truth");
    for (size_t i = 0; i < answers.size(); ++i) add("n" + std::to_string(10000000 + answers[i][0]), i);
    expectAllRight("WordNet id");
}

TEST_F(Evaluate, AListGivesTheClasses) {
    const std::vector<Classes> answers = answersOf(4);
    std::string list = "image,label,note\n";
    for (size_t i = 0; i < answers.size(); ++i) {
        add("all", i);
        const uint32_t truth = i == 0 ? (answers[0][0] + 1) % kClasses : answers[i][0];
        list += "all/" + std::to_string(i) + ".ppm," + std::to_string(truth) + ",x\n";
    }
    const Json document = answer(evaluate({"--labels", folder_.file("truth.txt", list)}));
    EXPECT_EQ(document.at("images"), 4);
    EXPECT_DOUBLE_EQ(document.at("top1"), 0.75);
}

TEST_F(Evaluate, ABackgroundIsAClassOfTheNetworkButNoneOfThePictures) {
    // Given a network of three classes and background,
    const Words net = netWithBackground();
    const std::vector<Classes> answers = answersOf(12, net);
    std::string list;
    uint64_t right = 0;
    for (size_t i = 0; i < answers.size(); ++i) {
        // and pictures whose class is what it answers, if that is not background,
        const uint32_t truth = std::max(answers[i][0], 1u);
        right += truth == answers[i][0] ? 1 : 0;
        add(std::array{"ant", "bee", "red_cat"}[truth - 1], i);
        list += std::to_string(i) + ".ppm," + std::to_string(truth - 1) + "\n";
    }
    ASSERT_GT(right, 0u);

    // when these are in folders by name, or listed with numbers that do not count background,
    const std::string csv = folder_.file("truth.csv", list);
    const Json byFolder = answer(evaluate({}, net));
    const Json byList = answer(Words{"evaluate"} + net + Words{folder_ / "asked", "--labels", csv});

    // then both say the same, with class numbers that do.
    for (const Json& document : {byFolder, byList}) {
        EXPECT_EQ(document.at("images"), 12);
        EXPECT_DOUBLE_EQ(document.at("top1"), static_cast<double>(right) / 12);
        EXPECT_TRUE(document.at("top5").is_null()) << "of four classes, five likeliest are all";
        EXPECT_TRUE(document.at("top5Interval").is_null());
        for (const Json& its : document.at("classes")) {
            EXPECT_EQ(its.at("label"),
                      (std::array{"background", "ant", "bee", "red cat"}[its.at("index").get<size_t>()]));
        }
    }
    EXPECT_EQ(byFolder.at("classesBy"), "label");
    EXPECT_EQ(byList.at("classesBy"), "number");
    EXPECT_EQ(byFolder.at("classes"), byList.at("classes"));
    EXPECT_EQ(byFolder.at("confusions"), byList.at("confusions"));
}

TEST_F(Evaluate, SortedOrderIsTakenWithANotice) {
    const Words net = netWithBackground();
    const std::vector<Classes> answers = answersOf(12, net);
    const auto known = std::find_if(answers.begin(), answers.end(), [](const Classes& top) { return top[0] > 0; });
    ASSERT_NE(known, answers.end());
    for (const char* name : {"x", "y", "z"}) fs::create_directories(folder_ / ("truth/" + std::string(name)));
    add(std::array{"x", "y", "z"}[known->front() - 1], static_cast<size_t>(known - answers.begin()));

    const CommandResult loud = dunlin(evaluate(kOnCpu + Words{"--json"}, net));
    const CommandResult quiet = dunlin(evaluate(kOnCpu + Words{"--json", "--quiet"}, net));

    EXPECT_EQ(loud.exitStatus, 0);
    EXPECT_NE(loud.err.find("taken in sorted order: x is 0 'ant', y is 1 'bee', z is 2 'red cat'\n"), std::string::npos)
        << loud.err;
    EXPECT_NE(loud.err.find(": has no pictures\n"), std::string::npos) << loud.err;
    EXPECT_EQ(quiet.err, "");
    const Json document = quiet.json();
    EXPECT_EQ(document.at("classesBy"), "order");
    EXPECT_EQ(document.at("top1"), 1.0);
    EXPECT_EQ(document.at("classes").size(), 3u);
    size_t empty = 0;
    for (const Json& its : document.at("classes")) empty += its.at("images") == 0 && its.at("top1").is_null();
    EXPECT_EQ(empty, 2u);
}

// ---- what cannot be read

TEST_F(Evaluate, UnreadablePicturesAreNamedAndNotCounted) {
    const std::vector<Classes> answers = answersOf(3);
    for (size_t i = 0; i < answers.size(); ++i) add(std::to_string(answers[i][0]), i);
    const std::string truth = std::to_string(answers[0][0]);
    const std::string bad = folder_.file("truth/" + truth + "/bad.jpg", "no picture");
    fs::create_symlink("nowhere.png", folder_ / ("truth/" + truth + "/gone.png"));
    for (const char* batch : {"1", "2", "8"}) {
        const CommandResult result = dunlin(evaluate(kOnCpu + Words{"--batch", batch, "--json"}));
        EXPECT_EQ(result.exitStatus, 3);
        EXPECT_TRUE(std::regex_match(result.err, std::regex("dunlin: [^\n]*bad\\.jpg: [^\n]+\n"
                                                            "dunlin: [^\n]*gone\\.png: [^\n]+\n")))
            << result.err;
        const Json document = result.json();
        EXPECT_EQ(document.at("images"), 3);
        EXPECT_EQ(document.at("top1"), 1.0);
        ASSERT_EQ(document.at("failed").size(), 2u);
        EXPECT_EQ(document.at("failed")[0].at("file"), bad);
        EXPECT_NE(document.at("failed")[0].at("error").get<std::string>().find("bad.jpg"), std::string::npos);
    }
    const CommandResult text = dunlin(evaluate(kOnCpu));
    EXPECT_EQ(text.exitStatus, 3);
    EXPECT_NE(text.out.find("2 more could not be read and are not counted"), std::string::npos) << text.out;
}

TEST_F(Evaluate, FilesThatAreNoPicturesAreSaidToBePassedOver) {
    add("7", 0);
    EXPECT_EQ(answer(evaluate()).at("passedOver"), 0);
    folder_.file("truth/7/a.webp", "");
    ASSERT_EQ(mkfifo((folder_ / "truth/7/pipe.ppm").c_str(), 0600), 0);
    const CommandResult result = dunlin(evaluate(kOnCpu + Words{"--json"}));
    EXPECT_EQ(result.exitStatus, 0);
    EXPECT_EQ(result.err, "dunlin: " + folder_ / "truth" +
                              ": 2 files in class folders are no pictures that can be read and are passed over: "
                              "7/a.webp, 7/pipe.ppm\n");
    EXPECT_EQ(result.json().at("images"), 1);
    EXPECT_EQ(result.json().at("passedOver"), 2);
}

TEST_F(Evaluate, WithoutAnyReadablePictureThereAreNoShares) {
    folder_.file("truth/7/bad.jpg", "no picture");
    const CommandResult result = dunlin(evaluate(kOnCpu + Words{"--json"}));
    EXPECT_EQ(result.exitStatus, 3);
    for (const char* field : {"top1", "top5", "top1Interval", "top5Interval"}) {
        EXPECT_TRUE(result.json().at(field).is_null()) << field;
    }
    EXPECT_EQ(result.json().at("images"), 0);
    const CommandResult text = dunlin(evaluate(kOnCpu));
    EXPECT_EQ(text.exitStatus, 3);
    EXPECT_EQ(text.out.find("top-1"), std::string::npos) << text.out;
}

TEST_F(Evaluate, RefusesWrongUse) {
    add("7", 0);
    const std::string list = folder_.file("list.csv", "7/0.ppm,7\n");
    expectRefused(2, Words{"evaluate"} + kNet, "FOLDER");
    expectRefused(2, evaluate({"--limit", "0"}), "'0'");
    expectRefused(2, evaluate({"--worst", "-1"}), "'-1'");
    expectRefused(2, evaluate({"--batch", "65"}), "'65'");
    expectRefused(2, evaluate({"--size", "32"}, kSynthetic), "'32'");
    expectRefused(2, evaluate(kOnCpu + Words{"--precision", "fp16"}), "fp16");
    expectRefused(2, evaluate(kOnCpu + Words{"--labels", list, "--labels", list}), "a second list of pictures");
    expectRefused(2, evaluate({"--top", "3"}), "'--top'");
}

TEST_F(Evaluate, RefusesFoldersAndListsThatMakeNoSense) {
    add("7", 0);
    const auto evaluateFolder = [&](const std::string& folder) {
        return Words{"evaluate"} + kNet + Words{folder} + kOnCpu;
    };
    expectRefused(3, evaluateFolder(folder_ / "absent"), "absent: there is no such folder");
    expectRefused(3, evaluateFolder(folder_ / "truth/7/0.ppm"), "0.ppm: is a file, not a folder");
    expectRefused(3, evaluateFolder(folder_ / "truth/7"), "7: has no class folders");
    fs::create_directories(folder_ / "bare/7");
    expectRefused(3, evaluateFolder(folder_ / "bare"), "bare: its class folders have no pictures");
    expectRefused(3, evaluate(kOnCpu + Words{"--labels", folder_ / "absent.txt"}), "absent.txt");
    expectRefused(3, evaluate(kOnCpu + Words{"--labels", folder_.file("two.txt", "a\nb\n")}),
                  "2 labels, the network has 1000 classes");
    expectRefused(3, evaluate(kOnCpu + Words{"--labels", folder_.file("far.csv", "7/0.ppm,1000\n")}),
                  "far.csv: line 1: '1000' fits no class");
    using namespace std::string_literals;
    expectRefused(3,
                  evaluate(kOnCpu + Words{"--labels", folder_.file("wide.txt",
                                                                   "\xff\xfe"
                                                                   "c\0a\0t\0"s)}),
                  "wide.txt: is UTF-16 text, or none; class names are UTF-8 text");
    add("cat", 1);
    expectRefused(3, evaluate(kOnCpu), "truth/cat fits no class, while others fit by number");
    for (const char* name : {"1", "2"}) add(name, 1);  // with 7 and cat, four
    expectRefused(3, evaluate(kOnCpu, netWithBackground()), "4 class folders, the network has 3 classes");
}

// ---- real weights

TEST_F(Evaluate, PhotographsGetTheAnswersOfTheReference) {
    const fs::path weights = sharedFolder() / "weights/mobilenetv2_100.tf", images = sharedFolder() / "images";
    DUNLIN_NEEDS_SHARED("weights/mobilenetv2_100.tf");
    DUNLIN_NEEDS_SHARED("images/expected.csv");
    // The reference's own answers, by the columns of the list.
    std::istringstream list(contentOf(images / "expected.csv"));
    std::string line;
    std::getline(list, line);
    const auto fieldsOf = [](const std::string& row) {
        std::istringstream stream(row);
        Words fields;
        for (std::string field; std::getline(stream, field, ',');) fields.push_back(field);
        return fields;
    };
    const Words titles = fieldsOf(line);
    const auto column = std::find(titles.begin(), titles.end(), "mobilenetv2_100.tf") - titles.begin();
    ASSERT_LT(static_cast<size_t>(column), titles.size());
    double right = 0, rows = 0;
    while (std::getline(list, line)) {
        const Words fields = fieldsOf(line);
        right += fields[1] == fields[static_cast<size_t>(column)] ? 1 : 0;
        ++rows;
    }

    const Json document = answer({"evaluate", weights.string(), images.string(), "--labels", images / "expected.csv",
                                  "--labels", images / "imagenet_classes.txt"});

    EXPECT_EQ(document.at("images"), rows);
    EXPECT_NEAR(document.at("top1").get<double>(), right / rows, 2 / rows) << "decoders may differ on a picture or two";
    EXPECT_GE(document.at("top5"), document.at("top1"));
    EXPECT_EQ(document.at("classes").at(0), (Json{{"index", 1}, {"label", "tench"}, {"images", 1}, {"top1", 1.0}}))
        << "class 0 is background";
}

}  // namespace
}  // namespace dunlin::test
