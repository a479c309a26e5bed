// What `dunlin bench ...` is told, and what it refuses.
#include <gtest/gtest.h>

#include "tools/bench/command_line.h"

namespace dunlin::bench {
namespace {

Outcome<Invocation> parse(std::vector<std::string> words) {
    return parseCommandLine(
        words, [](const char* name) -> const char* { return std::string(name) == "HOME" ? "/home/me" : nullptr; });
}

template <typename Options>
Options parsed(std::vector<std::string> words) {
    const Outcome<Invocation> invocation = parse(std::move(words));
    if (!invocation.ok()) {
        ADD_FAILURE() << invocation.failure().message;
        return {};
    }
    if (const auto* options = std::get_if<Options>(&*invocation)) return *options;
    ADD_FAILURE() << "another command";
    return {};
}

std::string refusal(std::vector<std::string> words) {
    const Outcome<Invocation> invocation = parse(std::move(words));
    if (invocation.ok()) return "accepted";
    EXPECT_EQ(invocation.failure().status, ExitStatus::WrongUse);
    return invocation.failure().message;
}

TEST(BenchCommandLine, modelsAreMeasuredOnceAsTheyAreByDefault) {
    const auto options = parsed<ModelBenchOptions>({"model", "mobilenetv2_100"});
    EXPECT_EQ(options.models, std::vector<std::string>{"mobilenetv2_100"});
    EXPECT_EQ(options.sizes, std::vector<cli::InputSize>{cli::InputSize{}});
    EXPECT_EQ(options.batches, std::vector<uint32_t>{1});
    EXPECT_EQ(options.measure.precisions, std::vector<DunlinPrecision>{DUNLIN_PRECISION_AUTO});
    EXPECT_TRUE(options.measure.devices.empty());
    EXPECT_TRUE(options.measure.ceilings);
    EXPECT_TRUE(options.starts);
    EXPECT_EQ(options.tuneSeconds, 0);
    EXPECT_EQ(parsed<ModelBenchOptions>({"model", "net", "--tune", "2.5"}).tuneSeconds, 2.5);
    EXPECT_FALSE(options.measure.cacheDirectory.empty());
}

TEST(BenchCommandLine, listsAreSeparatedByCommasOrRepeatedOptions) {
    const auto options =
        parsed<ModelBenchOptions>({"model", "a", "b", "--device", "cpu,vulkan:1", "--precision", "fp32", "--precision",
                                   "fp16", "--batch", "1,8,64", "--size", "224x224,160x320", "--cache", "none"});
    EXPECT_EQ(options.models, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(options.measure.devices, (std::vector<std::string>{"cpu", "vulkan:1"}));
    EXPECT_EQ(options.measure.precisions, (std::vector<DunlinPrecision>{DUNLIN_PRECISION_FP32, DUNLIN_PRECISION_FP16}));
    EXPECT_EQ(options.batches, (std::vector<uint32_t>{1, 8, 64}));
    EXPECT_EQ(options.sizes, (std::vector<cli::InputSize>{{224, 224}, {160, 320}}));
    EXPECT_TRUE(options.measure.cacheDirectory.empty());
}

TEST(BenchCommandLine, anOptionDoesNotSwallowTheModelAfterIt) {
    const auto options = parsed<ModelBenchOptions>({"model", "--device", "cpu", "--batch", "2", "mobilenetv2_100"});
    EXPECT_EQ(options.models, std::vector<std::string>{"mobilenetv2_100"});
    EXPECT_EQ(options.batches, std::vector<uint32_t>{2});
}

TEST(BenchCommandLine, whatMakesNoSenseIsRefused) {
    EXPECT_EQ(refusal({}), "bench needs a command; `dunlin bench --help` lists them");
    EXPECT_EQ(refusal({"models"}), "no command is called 'models'; `dunlin bench --help` lists them");
    EXPECT_NE(refusal({"model"}), "accepted");
    EXPECT_EQ(refusal({"model", "a", "a"}), "a MODEL is given twice");
    EXPECT_EQ(refusal({"model", "a", "--batch", "1,1"}), "--batch names a batch twice");
    EXPECT_EQ(refusal({"model", "a", "--size", "224"}), "--size: '224' is not HxW, height and width in pixels");
    EXPECT_EQ(refusal({"model", "a", "--device", "gpu"}), "--device: 'gpu' is none of cpu, vulkan and vulkan:N");
    EXPECT_NE(refusal({"model", "a", "--seconds", "0"}), "accepted");
    EXPECT_EQ(refusal({"model", "a", "b", "--weights", "w.pth"}), "--weights belongs to one MODEL, and 2 are given");
    EXPECT_EQ(refusal({"model", "a", "--frobnicate"}),
              "'--frobnicate' is no option of model; a file of that name is ./--frobnicate");
    EXPECT_NE(refusal({"shader", "a.comp"}), "accepted");
    EXPECT_EQ(refusal({"report", "a.json"}), "-o REPORT.html is missing");
    EXPECT_EQ(refusal({"report", "a.json", "-o", "a.html", "--markdown"}),
              "--markdown writes to stdout and takes no -o");
    EXPECT_NE(refusal({"compare", "a.json"}), "accepted");
}

TEST(BenchCommandLine, aThresholdIsAShareHoweverItIsWritten) {
    EXPECT_DOUBLE_EQ(parsed<CompareOptions>({"compare", "a", "b"}).threshold, 0.05);
    for (const char* text : {"3%", "0.03", "1.03"}) {
        EXPECT_NEAR(parsed<CompareOptions>({"compare", "a", "b", "--threshold", text}).threshold, 0.03, 1e-12) << text;
    }
    EXPECT_EQ(refusal({"compare", "a", "b", "--threshold", "5"}),
              "--threshold: '5' could be 5 % or 5 times as long; write 5% or a ratio like 1.05");
    for (const char* text : {"1", "2", "-1", "x", "3%%", "nan", "inf", "0x1"}) {
        EXPECT_NE(refusal({"compare", "a", "b", "--threshold", text}), "accepted") << text;
    }
}

TEST(BenchCommandLine, kernelsAreFilteredByIdKernelFamilyAndShape) {
    const auto options =
        parsed<KernelBenchOptions>({"kernels", "depthwise/*", "14x14", "--kernel", "depthwise,pointwise", "--family",
                                    "MobileNetV3", "--size", "64x64", "--list"});
    EXPECT_EQ(options.filters, (std::vector<std::string>{"depthwise/*", "14x14"}));
    EXPECT_EQ(options.kernels, (std::vector<std::string>{"depthwise", "pointwise"}));
    EXPECT_EQ(options.layers.families, std::vector<std::string>{"MobileNetV3"});
    EXPECT_EQ(options.layers.size, (cli::InputSize{64, 64}));
    EXPECT_TRUE(options.list);
}

TEST(BenchCommandLine, aShaderTakesMacrosAndFolders) {
    const auto options =
        parsed<ShaderBenchOptions>({"shader", "my.comp", "--like", "depthwise/*", "-D", "TILE_X=8", "-D", "FAST", "-I",
                                    ".", "--models", "mobilenetv2_050", "--size", "64x96", "--batch", "2", "--watch"});
    EXPECT_EQ(options.file, "my.comp");
    EXPECT_EQ(options.defines, (std::vector<std::string>{"TILE_X=8", "FAST"}));
    EXPECT_EQ(options.includes, std::vector<std::string>{"."});
    EXPECT_EQ(options.layers.models, std::vector<std::string>{"mobilenetv2_050"});
    EXPECT_EQ(options.layers.size, (cli::InputSize{64, 96}));
    EXPECT_EQ(options.layers.batch, 2u);
    EXPECT_TRUE(options.watch);
    EXPECT_EQ(refusal({"shader", "my.comp", "--like", "x", "-D", "1X=3"}), "-D 1X=3: '1X' is no name of a macro");
    EXPECT_EQ(refusal({"shader", "my.comp", "--like", "x", "-I", "/no/such"}), "-I /no/such: there is no such folder");
}

TEST(BenchCommandLine, helpIsText) {
    for (const std::vector<std::string>& words :
         {std::vector<std::string>{"--help"}, {"model", "--help"}, {"kernels", "-h"}, {"compare", "--help"}}) {
        const Outcome<Invocation> invocation = parse(words);
        ASSERT_TRUE(invocation.ok());
        const auto* print = std::get_if<cli::PrintText>(&*invocation);
        ASSERT_TRUE(print);
        EXPECT_NE(print->text.find("Examples:"), std::string::npos);
    }
}

}  // namespace
}  // namespace dunlin::bench
