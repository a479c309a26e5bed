// Parsing as a pure function: nothing is opened.
#include "tools/dunlin/command_line.h"
#include "tools/dunlin/option_parsing.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "tools/dunlin/output.h"

namespace dunlin::cli {
namespace {

using Words = std::vector<std::string>;

Environment environmentOf(std::map<std::string, std::string> variables) {
    return [variables = std::move(variables)](const char* name) {
        const auto found = variables.find(name);
        return found == variables.end() ? nullptr : found->second.c_str();
    };
}

Outcome<Invocation> parse(const Words& words) {
    return parseCommandLine(words, environmentOf({{"HOME", "/home/me"}}));
}

template <typename Options>
Options parsed(const Words& words) {
    const Outcome<Invocation> invocation = parse(words);
    EXPECT_TRUE(invocation.ok()) << invocation.failure().message;
    return invocation.ok() ? std::get<Options>(*invocation) : Options();
}

void expectWrongUse(const Words& words, const std::string& mentions) {
    const Outcome<Invocation> invocation = parse(words);
    std::string line;
    for (const std::string& word : words) line += " " + word;
    ASSERT_FALSE(invocation.ok()) << line;
    EXPECT_EQ(invocation.failure().status, ExitStatus::WrongUse) << line;
    EXPECT_NE(invocation.failure().message.find(mentions), std::string::npos) << invocation.failure().message;
    EXPECT_EQ(invocation.failure().message.find('\n'), std::string::npos) << invocation.failure().message;
}

TEST(ParseCommandLine, ClassifyHasDefaults) {
    const auto options = parsed<ClassifyOptions>({"classify", "net", "a.jpg", "b.jpg"});
    EXPECT_FALSE(options.show);
    EXPECT_TRUE(parsed<ClassifyOptions>({"classify", "net", "a.jpg", "--show"}).show);
    EXPECT_EQ(options.model.name, "net");
    EXPECT_EQ(options.images, (Words{"a.jpg", "b.jpg"}));
    EXPECT_EQ(options.top, 5u);
    EXPECT_EQ(options.batch, 1u);
    EXPECT_EQ(options.size, (InputSize{0, 0}));
    EXPECT_EQ(options.common.device, "");
    EXPECT_EQ(options.common.precision, DUNLIN_PRECISION_AUTO);
    EXPECT_FALSE(options.common.json || options.common.quiet || options.common.validation);
}

TEST(ParseCommandLine, ClassifyTakesItsOptionsAnywhere) {
    const auto options = parsed<ClassifyOptions>(
        {"classify",    "--top",  "3",         "net",       "--labels=l.txt", "a.jpg",    "--batch",
         "8",           "--size", "160x224",   "--weights", "w.pth",          "--device", "vulkan:12",
         "--precision", "fp16",   "--threads", "2",         "--validation",   "--quiet",  "--json"});
    EXPECT_EQ(options.top, 3u);
    EXPECT_EQ(options.labels, "l.txt");
    EXPECT_EQ(options.images, Words{"a.jpg"});
    EXPECT_EQ(options.batch, 8u);
    EXPECT_EQ(options.size, (InputSize{160, 224}));
    EXPECT_EQ(options.model.weights, "w.pth");
    EXPECT_EQ(options.common.device, "vulkan:12");
    EXPECT_EQ(options.common.precision, DUNLIN_PRECISION_FP16);
    EXPECT_EQ(options.common.threads, 2u);
    EXPECT_TRUE(options.common.json && options.common.quiet && options.common.validation);
}

TEST(ParseCommandLine, EvaluateHasDefaultsAndTakesTwoLabelFiles) {
    const auto plain = parsed<EvaluateOptions>({"evaluate", "net", "val"});
    EXPECT_EQ(plain.model.name, "net");
    EXPECT_EQ(plain.folder, "val");
    EXPECT_TRUE(plain.labels.empty());
    EXPECT_EQ(plain.limit, 0u) << "all";
    EXPECT_EQ(plain.worst, 5u);
    EXPECT_EQ(plain.batch, 0u) << "by the input's size";
    const auto options = parsed<EvaluateOptions>({"evaluate", "--labels", "names.txt", "net", "--labels=truth.csv",
                                                  "val", "--limit", "100", "--worst", "0", "--batch", "16", "--size",
                                                  "64x96", "--architecture", "a", "--json"});
    EXPECT_EQ(options.labels, (Words{"names.txt", "truth.csv"}));
    EXPECT_EQ(options.folder, "val");
    EXPECT_EQ(options.limit, 100u);
    EXPECT_EQ(options.worst, 0u);
    EXPECT_EQ(options.batch, 16u);
    EXPECT_EQ(options.size, (InputSize{64, 96}));
    EXPECT_EQ(options.model.architecture, "a");
    EXPECT_TRUE(options.common.json);
}

TEST(ParseCommandLine, RunTakesSeveralTaps) {
    const auto options =
        parsed<RunOptions>({"run", "--input", "x.npy", "--tap", "blocks.2=b=2.npy", "net", "--tap", "pooled=p.npy"});
    EXPECT_EQ(options.model.name, "net");
    EXPECT_EQ(options.input, "x.npy");
    EXPECT_EQ(options.output, "");
    EXPECT_EQ(options.taps, (std::vector<RunOptions::Tap>{{"blocks.2", "b=2.npy"}, {"pooled", "p.npy"}}));
}

TEST(ParseCommandLine, InspectTakesWhatToShow) {
    const auto options =
        parsed<InspectOptions>({"inspect", "net", "--graph", "--plan", "--fusion", "max", "--batch", "4"});
    EXPECT_TRUE(options.graph && options.plan);
    EXPECT_FALSE(options.program);
    EXPECT_EQ(options.fusion, DUNLIN_FUSION_MAX);
    EXPECT_EQ(options.batch, 4u);
}

TEST(ParseCommandLine, WhatRunsANetworkCanBeTuned) {
    EXPECT_EQ(parsed<ClassifyOptions>({"classify", "net", "a.png"}).common.tuneSeconds, 0);
    EXPECT_EQ(parsed<ClassifyOptions>({"classify", "net", "a.png", "--tune", "2.5"}).common.tuneSeconds, 2.5);
    EXPECT_EQ(parsed<EvaluateOptions>({"evaluate", "net", "folder", "--tune", "1"}).common.tuneSeconds, 1);
    EXPECT_EQ(parsed<RunOptions>({"run", "net", "--input", "x.npy", "--tune", "3"}).common.tuneSeconds, 3);
    EXPECT_EQ(parsed<InspectOptions>({"inspect", "net", "--tune", "4"}).common.tuneSeconds, 4);
    expectWrongUse({"inspect", "net", "--tune", "-1"}, "--tune");
    expectWrongUse({"inspect", "net", "--tune", "soon"}, "soon");
    for (const char* odd : {"nan", "-nan", "inf", "1e9"}) expectWrongUse({"inspect", "net", "--tune", odd}, "--tune");
}

TEST(ParseCommandLine, VerifyTakesReferences) {
    EXPECT_EQ(parsed<VerifyOptions>({"verify", "a.json", "b.json"}).references, (Words{"a.json", "b.json"}));
}

TEST(ParseCommandLine, PullTakesANameOrAnAddressWithItsHash) {
    const auto plain = parsed<PullOptions>({"pull", "resnet50"});
    EXPECT_EQ(plain.model, "resnet50");
    EXPECT_EQ(plain.sha256 + plain.as, "");
    EXPECT_EQ(plain.cacheDirectory, "/home/me/.cache/dunlin");
    EXPECT_FALSE(plain.list || plain.force || plain.quiet || plain.json);
    const std::string hash = std::string(32, 'A') + std::string(32, '0');
    const auto all = parsed<PullOptions>(
        {"pull", "https://x/y.pth", "--sha256", hash, "--as", "y", "--force", "--quiet", "--json", "--cache", "none"});
    EXPECT_EQ(all.sha256, std::string(32, 'a') + std::string(32, '0'));
    EXPECT_EQ(all.as, "y");
    EXPECT_EQ(all.cacheDirectory, "");
    EXPECT_TRUE(all.force && all.quiet && all.json);
    EXPECT_TRUE(parsed<PullOptions>({"pull", "--list"}).list);
    expectWrongUse({"pull"}, "MODEL is missing");
    expectWrongUse({"pull", "resnet50", "--list"}, "takes none");
    expectWrongUse({"pull", "resnet50", "--sha256", hash.substr(1)}, "64 hexadecimal digits");
    expectWrongUse({"pull", "resnet50", "--sha256"}, "--sha256 needs a value");
    expectWrongUse({"pull", "resnet50", "resnet18"}, "resnet18");
}

TEST(ParseCommandLine, HelpAndVersionAreText) {
    EXPECT_NE(parsed<PrintText>({"--help"}).text.find("dunlin classify"), std::string::npos);
    EXPECT_NE(parsed<PrintText>({"run", "--help"}).text.find("--tap"), std::string::npos);
    EXPECT_NE(parsed<PrintText>({"run", "--help"}).text.find("Examples:"), std::string::npos);
    EXPECT_TRUE(parsed<PrintText>({"--version"}).text.starts_with("dunlin 0."));
}

TEST(ParseCommandLine, RefusesWhatMakesNoSense) {
    expectWrongUse({}, "no command is given");
    expectWrongUse({"no-such-command"}, "no-such-command");
    expectWrongUse({"--no-such-option"}, "--no-such-option");
    expectWrongUse({"classify"}, "MODEL is required");
    expectWrongUse({"classify", "net"}, "IMAGE is required");
    expectWrongUse({"classify", "net", "a.jpg", "--top", "0"}, "--top");
    expectWrongUse({"classify", "net", "a.jpg", "--top", "many"}, "many");
    expectWrongUse({"classify", "net", "a.jpg", "--batch", "65"}, "'65' is no whole number from 1 to 64");
    expectWrongUse({"classify", "net", "a.jpg", "--threads", "-1"}, "-1");
    expectWrongUse({"classify", "net", "a.jpg", "--precision", "int8"}, "int8");
    expectWrongUse({"classify", "net", "a.jpg", "--device", "gpu"}, "'gpu' is none of cpu, vulkan and vulkan:N");
    expectWrongUse({"classify", "net", "a.jpg", "--device", "vulkan:"}, "'vulkan:'");
    expectWrongUse({"classify", "net", "a.jpg", "--device", "vulkan:-1"}, "'vulkan:-1'");
    expectWrongUse({"classify", "net", "a.jpg", "--device"}, "--device");
    expectWrongUse({"evaluate", "net"}, "FOLDER is required");
    expectWrongUse({"evaluate", "net", "val", "more"}, "more");
    expectWrongUse({"evaluate", "net", "val", "--limit", "0"}, "'0' is no whole number from 1");
    expectWrongUse({"evaluate", "net", "val", "--labels"}, "--labels needs a value");
    expectWrongUse({"classify", "net", "a.jpg", "--show", "--json"}, "--show draws for people");
    expectWrongUse({"run", "net"}, "--input is required");
    expectWrongUse({"run", "net", "--input", "x.npy", "--tap", "features"}, "'features' is not NAME=FILE.npy");
    expectWrongUse({"run", "net", "--input", "x.npy", "--tap", "=f.npy"}, "'=f.npy'");
    expectWrongUse({"run", "net", "--input", "x.npy", "--output", "y.npy", "--tap", "pooled=y.npy"}, "written twice");
    expectWrongUse({"verify"}, "REFERENCE is required");
    expectWrongUse({"inspect", "net", "--fusion", "none"}, "none");
    expectWrongUse({"devices", "now"}, "now");
}

TEST(ParseSize, IsHeightByWidth) {
    EXPECT_EQ(*parseSize("160x224"), (InputSize{160, 224}));
    for (const char* text : {"", "x", "224", "224x", "x224", "0x0", "224x0", "-1x7", "224x-7", "1.5x2", "224x224x3",
                             "224 x 224", "99999999999x1", "+1x1", "0x1F"}) {
        const Outcome<InputSize> size = parseSize(text);
        ASSERT_FALSE(size.ok()) << text;
        EXPECT_EQ(size.failure().status, ExitStatus::WrongUse);
        expectWrongUse({"inspect", "net", "--size", text}, "--size");
    }
}

TEST(CacheDirectory, IsTheUsersUnlessToldOtherwise) {
    const Words plain = {"verify", "a.json"};
    const auto directory = [&](const Words& words, const Environment& environment) {
        return std::get<VerifyOptions>(*parseCommandLine(words, environment)).common.cacheDirectory;
    };
#if !defined(_WIN32) && !defined(__APPLE__)
    EXPECT_EQ(directory(plain, environmentOf({{"HOME", "/home/me"}})), "/home/me/.cache/dunlin");
    EXPECT_EQ(directory(plain, environmentOf({{"HOME", "/home/me"}, {"XDG_CACHE_HOME", "/c"}})), "/c/dunlin");
    EXPECT_EQ(directory(plain, environmentOf({{"HOME", "/home/me"}, {"XDG_CACHE_HOME", ""}})),
              "/home/me/.cache/dunlin");
#endif
    EXPECT_EQ(directory(plain, environmentOf({})), "");
    EXPECT_EQ(directory({"verify", "a.json", "--cache", "none"}, environmentOf({{"HOME", "/home/me"}})), "");
    EXPECT_EQ(directory({"verify", "a.json", "--cache", "here"}, environmentOf({{"HOME", "/home/me"}})), "here");
}

TEST(Output, TablesAlignByCharacters) {
    Table table({{"name"}, {"n", Table::Align::Right}, {""}});
    table.addRow({"é", "10", "x"});
    table.addRow({"longer", "7"});
    EXPECT_EQ(table.text(1), " name     n\n é       10  x\n longer   7\n");
}

TEST(Output, UnitsHaveThreeDigits) {
    EXPECT_EQ(formatBytes(0), "0 B");
    EXPECT_EQ(formatBytes(1023), "1023 B");
    EXPECT_EQ(formatBytes(1024), "1.00 KiB");
    EXPECT_EQ(formatBytes(14092861), "13.4 MiB");
    EXPECT_EQ(formatBytes(uint64_t{1} << 27), "128 MiB");
    EXPECT_EQ(formatCount(999), "999");
    EXPECT_EQ(formatCount(5483032), "5.48 M");
    EXPECT_EQ(formatCount(219000000), "219 M");
    EXPECT_EQ(formatMilliseconds(5.214), "5.21 ms");
    EXPECT_EQ(formatMilliseconds(0.0567), "0.06 ms");
    EXPECT_EQ(formatVulkanVersion((1u << 22) | (3u << 12) | 230u), "1.3.230");
}

TEST(Output, BarsAreAsLongAsTheirShare) {
    EXPECT_EQ(formatBar(0.5, 10, false), "#####");
    EXPECT_EQ(formatBar(2, 4, true), "████");
    EXPECT_EQ(formatBar(-1, 4, true), "");
    EXPECT_EQ(formatBar(std::nan(""), 4, true), "");
}

}  // namespace
}  // namespace dunlin::cli
