// `dunlin bench kernels`, as it is called.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "runtime/plan/kernels.h"
#include "runtime/vulkan/device.h"
#include "tests/tools/command_fixture.h"
#include "tools/bench/document.h"

namespace dunlin::bench {
namespace {

using test::CommandResult;
using test::Words;
using test::operator+;

class BenchKernels : public test::CommandFixture {
  protected:
    void SetUp() override {
        const auto devices = vulkan::VulkanDevice::list();
        if (!devices.ok() || vulkan::bestDevice(*devices) < 0) GTEST_SKIP() << "no usable Vulkan device";
    }
    // Little work: a small network, few samples.
    const Words small_ = {"bench", "kernels",   "--models", "mobilenetv3_small_050", "--size", "32x32", "--precision",
                          "fp32",  "--seconds", "0.001",    "--no-ceilings"};
};

TEST_F(BenchKernels, theTableHasEveryKernel) {
    const CommandResult result = dunlin({"bench", "kernels", "--list", "--json"});
    ASSERT_EQ(result.exitStatus, 0) << result.err;
    const Json document = result.json();
    std::set<std::string> kernels, ids;
    for (const Json& id : document["ids"]) {
        const auto text = id.get<std::string>();
        kernels.insert(text.substr(0, text.find('/')));
        EXPECT_TRUE(ids.insert(text).second) << text << " is there twice";
    }
    for (const KernelRow& kernel : kernelTable()) EXPECT_TRUE(kernels.contains(kernel.name)) << kernel.name;
}

TEST_F(BenchKernels, everyVariantIsVerifiedAndTimed) {
    const CommandResult result = dunlin(small_ + Words{"--kernel", "squeeze_excite,head,pool", "--json"});
    ASSERT_EQ(result.exitStatus, 0) << result.err;
    const Json document = result.json();
    EXPECT_EQ(document["kind"], "kernels");
    EXPECT_EQ(document["complete"], true);
    ASSERT_GT(document["results"].size(), 10u);
    std::map<std::string, int> defaults, bests;
    for (const Json& row : document["results"]) {
        SCOPED_TRACE(row["id"].get<std::string>());
        EXPECT_EQ(row["correct"], true);
        EXPECT_EQ(row["deterministic"], true);
        EXPECT_LE(row["maxRelativeError"], row["tolerance"]);
        EXPECT_GE(row["samplesUs"].size(), 5u);
        EXPECT_GT(row["medianUs"], 0.0);
        EXPECT_LE(row["minUs"], row["medianUs"]);
        EXPECT_LE(row["medianUs"], row["p95Us"]);
        EXPECT_GT(row["gbps"], 0.0);
        EXPECT_EQ(row["rooflineShare"], Json());  // the ceilings were not measured
        EXPECT_EQ(row["id"], row["case"].get<std::string>() + "/fp32/" + row["variant"].get<std::string>());
        defaults[row["case"]] += row["isDefault"] == true;
        bests[row["case"]] += row["isBest"] == true;
    }
    for (const auto& [problem, count] : defaults) EXPECT_EQ(count, 1) << problem;
    for (const auto& [problem, count] : bests) EXPECT_EQ(count, 1) << problem;
}

TEST_F(BenchKernels, theDocumentGoesToAFileAsWell) {
    const CommandResult result = dunlin(small_ + Words{"--kernel", "head", "--json", "-o", folder_ / "a.json"});
    ASSERT_EQ(result.exitStatus, 0) << result.err;
    const auto document = readDocument(folder_ / "a.json");
    ASSERT_TRUE(document.ok()) << document.failure().message;
    EXPECT_EQ(result.json(), test::Json(*document));
}

TEST_F(BenchKernels, peopleReadALineForEachVariant) {
    const CommandResult result = dunlin(small_ + Words{"--kernel", "head"});
    ASSERT_EQ(result.exitStatus, 0) << result.err;
    EXPECT_NE(result.out.find("head/"), std::string::npos) << result.out;
    EXPECT_NE(result.out.find("default"), std::string::npos) << result.out;
    EXPECT_NE(result.out.find("are correct and repeatable"), std::string::npos) << result.out;
}

TEST_F(BenchKernels, whatWasMeasuredBeforeAnInterruptionIsKept) {
    const std::string file = folder_ / "a.json";
    const Words everything = {"bench", "kernels", "--no-ceilings", "--quiet", "-o", file};
    // The signal comes when the first result is written.
    std::string line = test::quoted(DUNLIN_COMMAND);
    for (const std::string& word : everything) line += " " + test::quoted(word);
    const std::string wait = "for i in $(seq 600); do [ -s " + test::quoted(file) + " ] && break; sleep 0.1; done";
    const std::string script = line + " >/dev/null 2>&1 </dev/null & " + wait + "; kill -TERM $!; wait $!";
    const int status = std::system(script.c_str());
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 130);
    const auto document = readDocument(file);
    ASSERT_TRUE(document.ok()) << document.failure().message;
    EXPECT_EQ((*document)["complete"], false);
    EXPECT_FALSE((*document)["results"].empty());
    for (const Json& row : (*document)["results"]) EXPECT_EQ(row["error"], Json()) << row["id"];
}

TEST_F(BenchKernels, whatDoesNotExistIsRefused) {
    expectRefused(2, {"bench", "kernels", "--kernel", "pointwize"}, "there is no kernel pointwize");
    expectRefused(2, {"bench", "kernels", "--family", "AlexNet"}, "there is no family AlexNet");
    expectRefused(2, {"bench", "kernels", "--models", "mobilenet_v9"}, "mobilenet_v9");
    expectRefused(2, {"bench", "kernels", "no such id"}, "no case fits the filters");
    expectRefused(2, {"bench", "kernels", "--device", "cpu"}, "shaders do not run on the cpu");
    expectRefused(2, {"bench", "kernels", "--device", "vulkan:99"}, "vulkan:99");
    expectRefused(2, {"bench", "kernels", "--size", "8x8"}, "8x8");
}

}  // namespace
}  // namespace dunlin::bench
