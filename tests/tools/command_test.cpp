// The built command, run as a user runs it: exit status, stdout, stderr and files.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <regex>
#include <sstream>

#include "runtime/image/preprocess.h"
#include "tests/support.h"
#include "tests/tools/command_fixture.h"
#include "tools/dunlin/npy.h"
#include "tools/dunlin/picture.h"

namespace dunlin::cli {
namespace {

using test::contentOf, test::joined, test::kNetwork, test::kSynthetic, test::Words, test::operator+;
using Json = nlohmann::json;
using Result = test::CommandResult;

class Command : public test::CommandFixture {
  protected:
    std::string writeArray(const std::string& name, const std::vector<int64_t>& shape,
                           const std::vector<float>& values) const {
        OutputFiles files;
        EXPECT_FALSE(writeNpy(files, folder_ / name, shape, values));
        EXPECT_FALSE(files.commit());
        return folder_ / name;
    }
    std::string zeros(const std::string& name, const std::vector<int64_t>& shape) const {
        int64_t count = 1;
        for (int64_t dimension : shape) count *= dimension;
        return writeArray(name, shape, std::vector<float>(static_cast<size_t>(count)));
    }
};

// ---- wrong use: 2

TEST_F(Command, RefusesWrongUse) {
    const Words classify = Words{"classify"} + kSynthetic + Words{picture_, "--device", "cpu"};
    const Words inspect = Words{"inspect"} + kSynthetic;
    expectRefused(2, {}, "no command");
    expectRefused(2, {"no-such-command"}, "no-such-command");
    expectRefused(2, {"classify"}, "MODEL");
    expectRefused(2, {"classify", "no_such_network", picture_, "--device", "cpu"}, "no_such_network");
    expectRefused(2, {"classify", "mobilenetv3_large", "--weights", "synthetic", picture_}, "mobilenetv3_large_100");
    expectRefused(2, {"classify", kNetwork, picture_, "--device", "cpu"}, "weights");
    expectRefused(2, Words{"classify"} + kSynthetic + Words{picture_, "--device", "vulkan:99"}, "vulkan:99");
    expectRefused(2, classify + Words{"--precision", "fp16"}, "fp16");
    expectRefused(2, classify + Words{"--size", "16x16"}, "16");
    expectRefused(2, classify + Words{"--size", "224x1025"}, "1025");
    expectRefused(2, inspect + Words{"--size", "0x0"}, "0x0");
    expectRefused(2, inspect + Words{"--size", "-1x7"}, "-1x7");
    expectRefused(2, inspect + Words{"--size", "31x224"}, "31");
    expectRefused(2, inspect + Words{"--batch", "0"}, "--batch");
    expectRefused(2, inspect + Words{"--device", "vulkan:99"}, "vulkan:99");
    expectRefused(2, inspect + Words{"--device", "cpu", "--precision", "fp16"}, "fp16");
}

TEST_F(Command, RefusesOutputsThatWouldReplaceEachOtherOrTheInput) {
    const std::string input = zeros("x.npy", {1, 3, 32, 32}), before = contentOf(input);
    const Words run = Words{"run"} + kSynthetic + Words{"--device", "cpu", "--input", input};
    std::filesystem::create_symlink("x.npy", folder_ / "link.npy");
    expectRefused(2, run + Words{"--output", input}, "is the input");
    expectRefused(2, run + Words{"--output", folder_ / "link.npy"}, "is the input");
    expectRefused(2, run + Words{"--output", folder_ / "y.npy", "--tap", "features=" + (folder_ / "./y.npy")}, "twice");
    EXPECT_EQ(contentOf(input), before);
    EXPECT_FALSE(std::filesystem::exists(folder_ / "y.npy"));
}

TEST_F(Command, RefusesOptionsWithoutTheirValues) {
    const Words run = Words{"run"} + kSynthetic + Words{"--input", "x.npy"};
    expectRefused(2, run + Words{"--output", "--json"}, "--output needs a value");
    expectRefused(2, run + Words{"--cache=", "--device", "cpu"}, "--cache needs a value");
    expectRefused(2, run + Words{"--tap", "--quiet"}, "--tap needs a value");
    expectRefused(2, run + Words{"--output", ""}, "--output needs a value");
    expectRefused(2, run + Words{"--output"}, "--output needs a value");
    EXPECT_FALSE(std::filesystem::exists("--json"));
    for (const char* command : {"classify", "inspect"}) {
        const Words words = Words{command} + kSynthetic + (command[0] == 'c' ? Words{picture_} : Words{});
        for (const char* device : {"vulkan:00", "vulkan:", "vulkan:+1", "vulkan:1x", "Cpu"})
            expectRefused(2, words + Words{"--device", device}, device);
        expectRefused(2, words + Words{"--device", ""}, "--device needs a value");
    }
}

TEST_F(Command, NamesTheWordThatMakesNoSense) {
    const Words classify = Words{"classify"} + kSynthetic;
    expectRefused(2, classify + Words{"-dash.png"}, "'-dash.png'");
    expectRefused(2, classify + Words{picture_, "--tpo", "3"}, "'--tpo'");
    expectRefused(2, classify + Words{""}, "empty");
    for (const char* top : {"abc", "0", "-1", "1.5", "99999999999999999999"}) {
        expectRefused(2, classify + Words{picture_, "--top", top}, "'" + std::string(top) + "'");
        expectRefused(2, classify + Words{picture_, "--top", top}, "from 1 to 100000");
    }
}

// ---- bad input: 3

TEST_F(Command, RefusesBrokenWeights) {
    const auto refuse = [&](const std::string& file) {
        expectRefused(3, {"classify", file, picture_, "--device", "cpu"}, file);
        expectRefused(3, {"inspect", file, "--device", "cpu"}, file);
    };
    using namespace std::string_literals;
    refuse(folder_ / "absent.safetensors");
    refuse(folder_ / "absent/");
    refuse(folder_.file("empty.safetensors", ""));
    refuse(folder_.file("huge_header.safetensors", std::string(8, '\xff') + "{}"));
    refuse(folder_.file("not_json.safetensors", "\x10\0\0\0\0\0\0\0this is not json"s));
    refuse(folder_.file("not_zip.pth", "PK\3\4 but no archive"));
    refuse(folder_.file("pickle.pth",
                        "\x80\x02"
                        "cos\nsystem\nX\x04\x00\x00\x00trueq\x00\x85R."s));
    expectRefused(3, {"classify", kNetwork, "--weights", folder_ / "absent.safetensors", picture_, "--device", "cpu"},
                  "absent.safetensors");
}

TEST_F(Command, RefusesBrokenFolders) {
    folder_.file("empty/readme.txt", "nothing here");
    folder_.file("broken/config.json", "{\"architecture\": ");
    folder_.file("unknown/config.json", "{\"architecture\": \"no_such_network\"}");
    for (const char* name : {"empty", "broken", "unknown"}) {
        const Result result = dunlin({"classify", folder_ / name, picture_, "--device", "cpu"});
        EXPECT_EQ(result.exitStatus, 3) << name << ": " << result.err;
        EXPECT_EQ(result.out, "");
        EXPECT_NE(result.err.find(name), std::string::npos) << result.err;
    }
}

TEST_F(Command, RefusesBrokenPictures) {
    const Words classify = Words{"classify"} + kSynthetic + Words{"--device", "cpu", "--threads", "1"};
    for (const std::string& file :
         {folder_ / "absent.jpg", folder_.file("empty.jpg", ""), folder_.file("text.png", "no picture"),
          folder_.file("cut.jpg", contentOf(picture_).substr(0, 300)),
          folder_.file("gif.jpg", "GIF89a" + std::string(20, '\0')), folder_.file("bomb.ppm", "P6 60000 60000 255\n"),
          folder_ / "*.tga"}) {
        expectRefused(3, classify + Words{file}, file);
    }
    folder_.file("none/notes.txt", "x");
    expectRefused(3, classify + Words{folder_ / "none"}, "no pictures");
}

TEST_F(Command, RefusesADamagedPng) {
    std::string png = contentOf(DUNLIN_SOURCE_DIR "/tests/tools/data/rgb.png");
    png[png.find("IDAT") + 10] ^= 1;
    expectRefused(3, Words{"classify"} + kSynthetic + Words{"--device", "cpu", folder_.file("damaged.png", png)},
                  "damaged.png: a damaged PNG");
}

TEST_F(Command, RefusesLabelsThatAreNotTheNetworks) {
    const Words classify = Words{"classify"} + kSynthetic + Words{picture_, "--device", "cpu"};
    expectRefused(3, classify + Words{"--labels", folder_ / "absent.txt"}, "absent.txt");
    expectRefused(3, classify + Words{"--labels", folder_.file("two.txt", "a\nb\n")},
                  "2 labels, the network has 1000 classes");
}

TEST_F(Command, RefusesBrokenArraysAndWritesNothing) {
    const std::string output = folder_ / "y.npy", tap = folder_ / "t.npy";
    const Words run =
        Words{"run"} + kSynthetic + Words{"--device", "cpu", "--output", output, "--tap", "features=" + tap};
    const std::string good = zeros("good.npy", {1, 3, 32, 32});
    const auto refuse = [&](int exitStatus, const Words& more, const std::string& mentions) {
        expectRefused(exitStatus, run + more, mentions);
        EXPECT_FALSE(std::filesystem::exists(output));
        EXPECT_FALSE(std::filesystem::exists(tap));
    };
    refuse(3, {"--input", folder_ / "absent.npy"}, "absent.npy");
    refuse(3, {"--input", picture_}, picture_);
    refuse(3, {"--input", folder_.file("cut.npy", contentOf(good).substr(0, 500))}, "cut.npy");
    refuse(3, {"--input", zeros("flat.npy", {3, 32, 32})}, "[3, 32, 32]");
    refuse(3, {"--input", zeros("four.npy", {1, 4, 32, 32})}, "[1, 4, 32, 32]");
    refuse(3, {"--input", zeros("none.npy", {0, 3, 32, 32})}, "[0, 3, 32, 32]");
    refuse(3, {"--input", zeros("small.npy", {1, 3, 31, 32})}, "32 to 1024");
    refuse(3, {"--input", zeros("many.npy", {65, 3, 32, 32})}, "1 to 64");
    refuse(2, {"--input", good, "--tap", "no.such.module=" + (folder_ / "n.npy")}, "no.such.module");
    // One of two outputs cannot be written: then neither is.
    refuse(3, {"--input", good, "--tap", "pooled=" + (folder_ / "absent/p.npy")}, "absent/p.npy");
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
        EXPECT_NE(entry.path().extension(), ".part") << entry.path();
    }
}

TEST_F(Command, KeepsAnOldOutputWhereItFails) {
    const std::string output = folder_.file("y.npy", "precious");
    expectRefused(3, Words{"run"} + kSynthetic + Words{"--input", folder_ / "absent.npy", "--output", output},
                  "absent.npy");
    EXPECT_EQ(contentOf(output), "precious");
}

TEST_F(Command, RefusesBrokenReferences) {
    for (const std::string& file :
         {folder_ / "absent.json", folder_.file("text.json", "no JSON"), folder_.file("empty.json", "{}")}) {
        expectRefused(3, {"verify", file, "--device", "cpu"}, file);
    }
}

// ---- answers: 0

TEST_F(Command, ListsDevicesAndModels) {
    const Result devices = dunlin({"devices", "--json"});
    ASSERT_EQ(devices.exitStatus, 0) << devices.err;
    const Json cpu = devices.json().at("devices").back();
    EXPECT_EQ(cpu.at("id"), "cpu");
    EXPECT_EQ(cpu.at("usable"), true);
    for (const char* field : {"name", "type", "driver", "apiVersion", "reason", "features"})
        EXPECT_TRUE(cpu.contains(field)) << field;

    const Result models = dunlin({"models", "--json"});
    ASSERT_EQ(models.exitStatus, 0) << models.err;
    const Json all = models.json().at("models");
    const auto large = std::find_if(all.begin(), all.end(),
                                    [](const Json& model) { return model["name"] == "mobilenetv3_large_100"; });
    ASSERT_NE(large, all.end());
    EXPECT_EQ(large->at("family"), "MobileNetV3");
    EXPECT_EQ(large->at("parameters"), 5483032);
    EXPECT_EQ(large->at("input"), (Json{3, 224, 224}));
    EXPECT_GT(large->at("macs"), 210'000'000);
}

TEST_F(Command, InspectCountsWhatItPrints) {
    const Json inspected =
        answer(Words{"inspect"} + kSynthetic + Words{"--program", "--graph", "--plan", "--batch", "2"});
    EXPECT_EQ(inspected.at("model"), kNetwork);
    EXPECT_EQ(inspected.at("submits"), 1);
    EXPECT_EQ(inspected.at("program").size(), inspected.at("dispatches"));
    size_t kernels = 0;
    for (const Json& count : inspected.at("kernels")) kernels += count.get<size_t>();
    EXPECT_EQ(kernels, inspected.at("dispatches"));
    EXPECT_GE(inspected.at("arenaBytes"), inspected.at("arenaLowerBoundBytes"));
    const std::string barriers = inspected.at("plan").back();  // "barriers before dispatches: 1 2 ..."
    std::istringstream words(barriers.substr(barriers.find(':') + 1));
    EXPECT_EQ(std::distance(std::istream_iterator<int>(words), {}), inspected.at("barriers"));
    const Json single = answer(Words{"inspect"} + kSynthetic);
    EXPECT_EQ(single.at("macs"), inspected.at("macs")) << "multiply-adds are those of one image";
    EXPECT_LT(single.at("arenaBytes"), inspected.at("arenaBytes"));
}

TEST_F(Command, ClassifyGivesTheLikeliestClasses) {
    const std::string labels = folder_ / "labels.txt";
    std::ofstream file(labels);
    for (int i = 0; i < 1000; ++i) file << "n01440764 class " << i << "\n";
    file.close();

    const Json document = answer(Words{"classify"} + kSynthetic + Words{picture_, "--top", "7", "--labels", labels});
    EXPECT_EQ(document.at("model"), kNetwork);
    EXPECT_EQ(document.at("device"), "cpu");
    EXPECT_EQ(document.at("precision"), "fp32");
    const Json& image = document.at("images").at(0);
    EXPECT_EQ(image.at("file"), picture_);
    ASSERT_EQ(image.at("top").size(), 7u);
    for (size_t i = 0; i < 7; ++i) {
        const Json& top = image.at("top")[i];
        EXPECT_EQ(top.at("label"), "class " + std::to_string(top.at("index").get<int>()));
        if (i > 0) {
            EXPECT_LE(top.at("probability"), image.at("top")[i - 1].at("probability"));
        }
    }
}

TEST_F(Command, BatchesOfPicturesOfSeveralSizesChangeNothing) {
    const Words pictures = {picture_, tallPicture_, DUNLIN_SOURCE_DIR "/tests/tools/data/alpha.png"};
    const Json one = answer(Words{"classify"} + kSynthetic + pictures);
    const Json two = answer(Words{"classify"} + kSynthetic + pictures + Words{"--batch", "2"});
    ASSERT_EQ(one.at("images").size(), 3u);
    for (size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(two.at("images").at(i).at("file"), pictures[i]);
        EXPECT_EQ(two.at("images").at(i).at("top").at(0).at("index"),
                  one.at("images").at(i).at("top").at(0).at("index"));
        EXPECT_NEAR(two.at("images").at(i).at("top").at(0).at("probability"),
                    one.at("images").at(i).at("top").at(0).at("probability"), 1e-5);
    }
}

TEST_F(Command, OneUnreadablePictureDoesNotStopTheOthers) {
    const std::string bad = folder_.file("bad.jpg", "no picture");
    for (const char* batch : {"1", "2", "3"}) {
        const Result result =
            dunlin(Words{"classify"} + kSynthetic +
                   Words{picture_, bad, tallPicture_, "--device", "cpu", "--threads", "1", "--batch", batch, "--json"});
        EXPECT_EQ(result.exitStatus, 3);
        EXPECT_TRUE(std::regex_match(result.err, std::regex("dunlin: [^\n]*bad\\.jpg: [^\n]+\n"))) << result.err;
        const Json images = result.json().at("images");
        ASSERT_EQ(images.size(), 3u);
        EXPECT_TRUE(images[0].contains("top") && images[2].contains("top"));
        EXPECT_FALSE(images[1].contains("top"));
        EXPECT_EQ(images[1].at("file"), bad);
        EXPECT_NE(images[1].at("error").get<std::string>().find("bad.jpg"), std::string::npos);
    }
}

TEST_F(Command, AFolderWithoutPicturesDoesNotStopTheOthers) {
    folder_.file("none/notes.txt", "x");
    const Result result =
        dunlin(Words{"classify"} + kSynthetic +
               Words{folder_ / "none", picture_, folder_ / "*.tga", "--device", "cpu", "--batch", "2", "--json"});
    EXPECT_EQ(result.exitStatus, 3);
    const Json images = result.json().at("images");
    ASSERT_EQ(images.size(), 3u);
    EXPECT_EQ(images[0].at("file"), folder_ / "none");
    EXPECT_NE(images[0].at("error").get<std::string>().find("no pictures"), std::string::npos);
    EXPECT_TRUE(images[1].contains("top"));
    EXPECT_TRUE(images[2].contains("error"));
}

TEST_F(Command, RunAndClassifyAgreeOnAPicture) {
    // Given a picture, preprocessed here and written as NCHW,
    const Outcome<Picture> picture = readPicture(picture_);
    ASSERT_TRUE(picture.ok());
    const PixelView view{picture->pixels.data(), picture->width, picture->height,
                         static_cast<size_t>(picture->width) * 4};
    const size_t pixels = 224 * 224;
    std::vector<float> nhwc(pixels * 3), nchw(pixels * 3);
    PreprocessSpec spec;
    spec.interpolation = Interpolation::Bicubic;  // as timm's mobilenetv3_small_050
    preprocess(spec, view, 224, 224, 3, nhwc);
    for (size_t i = 0; i < nhwc.size(); ++i) nchw[i % 3 * pixels + i / 3] = nhwc[i];
    const std::string input = writeArray("x.npy", {1, 3, 224, 224}, nchw), output = folder_ / "y.npy";

    // when it is run and when the picture is classified,
    const Json document = answer(Words{"run"} + kSynthetic + Words{"--input", input, "--output", output});
    const Json top = answer(Words{"classify"} + kSynthetic + Words{picture_}).at("images").at(0).at("top").at(0);

    // then the logits say the same.
    EXPECT_EQ(document.at("outputs").at(0).at("name"), "logits");
    EXPECT_EQ(document.at("outputs").at(0).at("shape"), (Json{1, 1000}));
    const Outcome<NpyArray> logits = readNpy(output);
    ASSERT_TRUE(logits.ok());
    EXPECT_EQ(logits->shape, (std::vector<int64_t>{1, 1000}));
    const auto likeliest = std::max_element(logits->values.begin(), logits->values.end());
    EXPECT_EQ(top.at("index"), likeliest - logits->values.begin());
    double sum = 0;
    for (float logit : logits->values) sum += std::exp(static_cast<double>(logit) - *likeliest);
    EXPECT_NEAR(top.at("probability"), 1 / sum, 1e-5);
}

TEST_F(Command, RunWritesTapsAsPytorchHasThem) {
    const std::string input = zeros("x.npy", {2, 3, 64, 96}), features = folder_ / "f.npy", pooled = folder_ / "p.npy";
    const Json document = answer(Words{"run"} + kSynthetic +
                                 Words{"--input", input, "--tap", "features=" + features, "--tap", "pooled=" + pooled});
    ASSERT_EQ(document.at("outputs").size(), 3u);
    EXPECT_EQ(document.at("outputs").at(1).at("name"), "features");
    const Outcome<NpyArray> map = readNpy(features), mean = readNpy(pooled);
    ASSERT_TRUE(map.ok() && mean.ok());
    ASSERT_EQ(map->shape, (std::vector<int64_t>{2, 288, 2, 3}));
    ASSERT_EQ(mean->shape, (std::vector<int64_t>{2, 288, 1, 1}));
    // The mean over each channel's plane is the pooled value only if the planes are where NCHW has them.
    for (size_t plane = 0; plane < 2 * 288; ++plane) {
        float sum = 0;
        for (size_t pixel = 0; pixel < 6; ++pixel) sum += map->values[plane * 6 + pixel];
        ASSERT_NEAR(sum / 6, mean->values[plane], 1e-4f) << "plane " << plane;
    }
}

TEST_F(Command, RunWritesToDevicesAndPipes) {
    const std::string input = zeros("x.npy", {1, 3, 32, 32});
    const Words run = Words{"run"} + kSynthetic + Words{"--device", "cpu", "--input", input, "--output"};
    EXPECT_EQ(dunlin(run + Words{"/dev/null"}).exitStatus, 0);
    EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
    const Result result = dunlin(run + Words{"/dev/stdout"});
    EXPECT_EQ(result.exitStatus, 0) << result.err;
    EXPECT_TRUE(result.out.starts_with("\x93NUMPY")) << result.out.substr(0, 100);
    EXPECT_NE(result.out.find("logits"), std::string::npos) << "and then what it did";
    EXPECT_EQ(dunlin(run + Words{"/dev/full"}).exitStatus, 3);
}

TEST_F(Command, VerifyPassesARightReferenceAndFailsAWrongOne) {
    const std::filesystem::path right = test::sharedFolder() / "reference" / "mobilenetv3_small_050.json";
    DUNLIN_NEEDS_SHARED("reference/mobilenetv3_small_050.json");
    const Json row = answer({"verify", right.string()}).at("results").at(0);
    EXPECT_EQ(row.at("model"), "mobilenetv3_small_050");
    EXPECT_EQ(row.at("pass"), true);
    EXPECT_LE(row.at("maxRelativeError"), 1e-3);

    Json altered = Json::parse(contentOf(right.string()));
    const double largest = std::abs(altered["logits"][0][0].get<double>()) + 1;
    altered["logits"][0][0] = largest;
    const std::string wrong = folder_.file("wrong.json", altered.dump());
    const Result result = dunlin({"verify", right.string(), wrong, "--device", "cpu", "--json"});
    EXPECT_EQ(result.exitStatus, 1) << result.err;
    const Json results = result.json().at("results");
    ASSERT_EQ(results.size(), 2u);
    EXPECT_EQ(results[0].at("pass"), true);
    EXPECT_EQ(results[1].at("pass"), false);
    EXPECT_GT(results[1].at("maxRelativeError"), 1e-3);
}

TEST_F(Command, WeightsAloneGiveTheAnswersOfTheirFolder) {
    for (const char* name : {"mobilenetv1_100.tf", "mobilenetv2_100.tf", "tf_mobilenetv3_small_100.tf"}) {
        const std::filesystem::path published = test::sharedFolder() / "weights" / name;
        if (!std::filesystem::exists(published / "model.safetensors")) GTEST_SKIP() << published << " is absent";
        std::filesystem::create_symlink(published / "model.safetensors",
                                        folder_ / (std::string(name) + ".safetensors"));
        const Words on = {picture_, "--device", "cpu", "--threads", "1", "--json"};
        const Result folder = dunlin(Words{"classify", published.string()} + on);
        const Result alone = dunlin(Words{"classify", folder_ / (std::string(name) + ".safetensors")} + on);
        ASSERT_EQ(alone.exitStatus, 0) << alone.err;
        EXPECT_EQ(alone.json().at("model"), folder.json().at("model"));
        EXPECT_EQ(alone.json().at("images").at(0).at("top").at(0).at("index"),
                  folder.json().at("images").at(0).at("top").at(0).at("index"));
        EXPECT_NEAR(alone.json().at("images").at(0).at("top").at(0).at("probability"),
                    folder.json().at("images").at(0).at("top").at(0).at("probability"), 1e-6);
        EXPECT_EQ(alone.err.find("give --architecture") != std::string::npos, std::string(name).starts_with("tf_"));
        EXPECT_EQ(folder.err, "");
    }
}

TEST_F(Command, VerifySaysOfEveryReferenceWhatItIs) {
    const std::filesystem::path right = test::sharedFolder() / "reference" / "mobilenetv3_small_050.json";
    DUNLIN_NEEDS_SHARED("reference/mobilenetv3_small_050.json");
    Json altered = Json::parse(contentOf(right.string()));
    altered["model"] = "no_such_network";
    const std::string unknown = folder_.file("unknown.json", altered.dump()),
                      cut = folder_.file("cut.json", "{\"a\": ");
    const Result result = dunlin({"verify", unknown, cut, folder_.path().string(), "--device", "cpu", "--json"});
    EXPECT_EQ(result.exitStatus, 3) << "what a file says wrongly is bad input";
    const Json document = result.json();
    for (const Json& row : document.at("results")) EXPECT_TRUE(row.contains("model") && row.contains("precision"));
    EXPECT_NE(result.err.find("cut.json: is no JSON at byte 7"), std::string::npos) << result.err;
    EXPECT_NE(result.err.find("folder"), std::string::npos) << result.err;
    for (const char* internal : {"json.exception", "basic_filebuf"})
        EXPECT_EQ(result.err.find(internal), std::string::npos) << result.err;
}

TEST_F(Command, HelpAndVersionGoToStdout) {
    for (const Words& words :
         {Words{"--help"}, Words{"classify", "--help"}, Words{"inspect", "--help"}, Words{"--version"}}) {
        const Result result = dunlin(words);
        EXPECT_EQ(result.exitStatus, 0);
        EXPECT_EQ(result.err, "");
        EXPECT_TRUE(result.out.find("dunlin") != std::string::npos) << joined(words);
    }
}

TEST_F(Command, KeepsItsExitStatusWhereStderrIsClosedOrFull) {
    for (const char* stream : {"2>&-", "2>/dev/full"}) {
        SCOPED_TRACE(stream);
        const std::string absent = folder_ / "absent.jpg";
        EXPECT_EQ(shell(Words{"classify"} + kSynthetic + Words{picture_, absent, "--device", "cpu"}, stream), 3);
        EXPECT_EQ(shell({"no-such-command"}, stream), 2);
    }
}

TEST_F(Command, SaysWhereStdoutIsFull) {
    EXPECT_EQ(shell({"models", "--json"}, ">/dev/full 2>/dev/null"), 3);
}

TEST_F(Command, ShowsNoControlCharactersOfFileNames) {
    const std::string strange = folder_ / "a\033[31m\nb\xc2\x9b.jpg";
    std::filesystem::copy_file(picture_, strange);
    const Result result = dunlin(Words{"classify"} + kSynthetic + Words{strange, strange + "\033", "--device", "cpu"});
    EXPECT_EQ(result.exitStatus, 3);
    EXPECT_NE(result.out.find("a?[31m b?.jpg\n"), std::string::npos) << result.out;
    EXPECT_EQ((result.out + result.err).find_first_of("\033\x9b"), std::string::npos);
}

TEST_F(Command, SaysOnStderrThatTheCpuTakesTheGpusPlace) {
    const Words classify = Words{"classify"} + kSynthetic + Words{picture_, "--json"};
    const Result loud = dunlin(classify), quiet = dunlin(classify + Words{"--quiet"});
    EXPECT_EQ(loud.exitStatus, 0);
    const std::string device = loud.json().at("device");
    EXPECT_EQ(device == "cpu", loud.err.find("runs on the CPU") != std::string::npos) << loud.err;
    EXPECT_EQ(quiet.err, "");
    EXPECT_EQ(quiet.json().at("device"), device);
}

}  // namespace
}  // namespace dunlin::cli
