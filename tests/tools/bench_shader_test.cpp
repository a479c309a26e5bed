// dunlin bench shader: compile errors where an editor finds them, verdicts on right, wrong, unstable and hanging
// shaders, and measuring again when a file changes. The shaders are copies of depthwise.comp, as a user would begin.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "runtime/plan/kernels.h"
#include "runtime/vulkan/device.h"
#include "tests/tools/command_fixture.h"
#include "tools/bench/shader_compiler.h"
#include "tools/bench/shader_interface.h"

namespace dunlin::bench {
namespace {

using test::contentOf, test::Words, test::operator+, test::quoted;
using Result = test::CommandResult;

constexpr const char* kLike = "depthwise/28x28x192/k3s1/relu6/fp32/tile4x2-storage";

std::string librarysShader(const std::string& name) {
    return contentOf(DUNLIN_SOURCE_DIR "/shaders/" + name);
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
    const size_t at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return at == std::string::npos ? text : text.replace(at, what.size(), by);
}

// ---- the compiler

class ShaderCompiler : public ::testing::Test {
  protected:
    void SetUp() override {
        if (!hasShaderCompiler()) GTEST_SKIP() << "built without the glslang library";
    }
    CompiledShader compile(const std::string& text, const std::vector<std::string>& defines = {}) const {
        return compileShader({folder_.file("mine.comp", text), defines, {folder_.path() / "more"}});
    }
    const test::TemporaryFolder folder_;
};

TEST_F(ShaderCompiler, EveryShaderOfTheLibraryCompilesFromAnywhere) {
    for (const KernelRow& kernel : kernelTable()) {
        for (const bool fp16 : {false, true}) {
            const std::string name = std::string(kernel.name) + ".comp";
            const CompiledShader shader =
                compile(librarysShader(name),
                        fp16 ? std::vector<std::string>{"FP16=1", "TEXEL=1"} : std::vector<std::string>{});
            EXPECT_FALSE(shader.code.empty()) << name << ": " << (shader.errors.empty() ? "" : shader.errors[0]);
            EXPECT_EQ(shader.files.size(), 1u) << "the library's includes are no files";
        }
    }
}

TEST_F(ShaderCompiler, ErrorsHaveFileLineAndTheLine) {
    const CompiledShader shader = compile("#version 450\nvoid main() {\n    float a = foo;\n}\n");
    EXPECT_TRUE(shader.code.empty());
    const std::vector<std::string> expected = {(folder_ / "mine.comp") +
                                               ":3: 'foo' : undeclared identifier\n    float a = foo;"};
    EXPECT_EQ(shader.errors, expected);
}

TEST_F(ShaderCompiler, ErrorsInIncludesNameTheInclude) {
    folder_.file("more/part.glsl", "int right;\nint wrong = ;\n");
    const CompiledShader shader = compile("#version 450\n#include \"part.glsl\"\nvoid main() {}\n");
    ASSERT_FALSE(shader.errors.empty());
    EXPECT_EQ(shader.errors[0].find((folder_ / "more/part.glsl") + ":2: "), 0u) << shader.errors[0];
    EXPECT_TRUE(shader.errors[0].ends_with("\n    int wrong = ;")) << shader.errors[0];
    ASSERT_EQ(shader.files.size(), 2u) << "both are to be watched";
    EXPECT_EQ(shader.files[1].path, folder_.path() / "more/part.glsl");
}

TEST_F(ShaderCompiler, EveryErrorNamesTheFileAndIsShort) {
    const auto errorOf = [&](const std::string& text, const std::vector<std::string>& defines = {}) {
        const CompiledShader shader = compile(text, defines);
        return shader.errors.empty() ? "" : shader.errors[0];
    };
    const std::string file = folder_ / "mine.comp";
    EXPECT_EQ(errorOf(""), file + ": has no main()");
    EXPECT_EQ(errorOf("#version 450\nvoid other() {}\n"), file + ": has no main()");
    EXPECT_EQ(errorOf("#version 450\nvoid main() {\n    int a = +* 4;\n}\n").find(file + ":3: syntax error"), 0u);
    const std::string odd = errorOf("#version 450\nvoid main() { int a = foo; /* \xff\x1b[31m \xc3\xa9 " +
                                    std::string(5000, 'x') + " */ }\n");
    EXPECT_NE(odd.find("int a = foo; /* ??[31m \xc3\xa9 xxx"), std::string::npos) << odd;
    EXPECT_TRUE(odd.ends_with("xxx...")) << odd;
    EXPECT_LT(odd.size(), file.size() + 200);
}

TEST_F(ShaderCompiler, AnIncludeIsLookedForBesideTheFileFirst) {
    folder_.file("more/part.glsl", "#error the wrong one\n");
    folder_.file("part.glsl", "#include \"sub/deep.glsl\"\n");
    folder_.file("sub/deep.glsl", "#include \"sibling.glsl\"\n");
    folder_.file("sub/sibling.glsl", "const int kThere = VALUE;\n");
    const std::string text = "#version 450\n#include \"part.glsl\"\nvoid main() { int a = kThere; }\n";
    const CompiledShader shader = compile(text, {"VALUE=1", "VALUE=2"});
    EXPECT_FALSE(shader.code.empty()) << shader.errors[0];
    ASSERT_EQ(shader.files.size(), 4u);
    // and each with the time that it had when it was read
    std::filesystem::last_write_time(shader.files[2].path, *shader.files[2].written + std::chrono::seconds(1));
    for (size_t i = 0; i < 4; ++i) EXPECT_EQ(shader.files[i].written == timeOf(shader.files[i].path), i != 2) << i;
    const CompiledShader missing = compile("#version 450\n#include \"nowhere.glsl\"\nvoid main() {}\n");
    ASSERT_FALSE(missing.errors.empty());
    EXPECT_NE(missing.errors[0].find("mine.comp:2: "), std::string::npos) << missing.errors[0];
    EXPECT_NE(missing.errors[0].find("nowhere.glsl"), std::string::npos) << missing.errors[0];
    EXPECT_EQ(compileShader({"no_such.comp", {}, {}}).errors.at(0), "no_such.comp: cannot be read");
}

// ---- the interface

TEST_F(ShaderCompiler, TheInterfaceIsReadFromTheSpirv) {
    const CompiledShader shader = compile(librarysShader("depthwise.comp"), {"TEXEL=1"});
    const auto interface = readInterface(shader.code);
    ASSERT_TRUE(interface.ok()) << interface.status().message();
    EXPECT_EQ(interface->pushConstantBytes, row(Kernel::Depthwise).pushConstantBytes);
    EXPECT_EQ(interface->workgroup[0].constantId, 0u) << "a specialization constant decides";
    EXPECT_EQ(interface->workgroup[1].constantId, std::nullopt);
    EXPECT_EQ(interface->workgroup[1].invocations, 1u);
    ASSERT_EQ(interface->resources.size(), 4u);
    for (const ShaderInterface::Resource& resource : interface->resources) {
        EXPECT_EQ(resource.set, 0u);
        EXPECT_EQ(resource.type,
                  resource.binding < 2 ? VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER)
            << resource.binding;
    }
    const std::string shared =
        "#version 450\nlayout(constant_id = 3) const uint kCount = 10u;\n"
        "shared vec4 some[kCount]; shared float one;\n"
        "void main() { some[0] = vec4(1.0); one = some[1].x; }\n";
    EXPECT_EQ(readInterface(compile(shared).code)->sharedBytes, 164u);
    EXPECT_EQ(readInterface(compile(shared).code, std::vector<uint32_t>{0, 0, 0, 100})->sharedBytes, 1604u);
    const auto fixed = readInterface(compile("#version 450\nlayout(local_size_x = 8, local_size_y = 4) in;\n"
                                             "void main() {}\n")
                                         .code);
    ASSERT_TRUE(fixed.ok());
    EXPECT_EQ(fixed->workgroup[0].invocations * fixed->workgroup[1].invocations, 32u);
    EXPECT_EQ(fixed->workgroup[0].constantId, std::nullopt);
}

TEST_F(ShaderCompiler, WhatIsNoSpirvIsRefused) {
    EXPECT_EQ(readInterface({}).status().message(), "0 words that are no SPIR-V");
    std::vector<uint32_t> code = compile(librarysShader("pool.comp")).code;
    for (size_t words = 5; words < code.size(); ++words) {
        const auto interface = readInterface(std::span(code).first(words));  // wherever it is cut, nothing is overrun
        EXPECT_TRUE(interface.ok() || interface.status().code() == StatusCode::InvalidArgument) << words;
    }
    code[5] = 0;
    EXPECT_EQ(readInterface(code).status().code(), StatusCode::InvalidArgument);
}

// ---- the command

class BenchShader : public test::CommandFixture {
  protected:
    void SetUp() override {
        if (!hasShaderCompiler()) GTEST_SKIP() << "built without the glslang library";
        const auto devices = vulkan::VulkanDevice::list();
        if (!devices.ok()) GTEST_SKIP() << devices.status().message();
        if (vulkan::bestDevice(*devices) < 0) GTEST_SKIP() << "no usable Vulkan device";
    }
    Words words(const std::string& file, const Words& more = {}) const {
        return Words{"bench",  "shader",        file,        "--like", kLike, "--device",
                     "vulkan", "--no-ceilings", "--seconds", "0.01"} +
               more;
    }
    Result bench(const std::string& text, const Words& more = {}) const {
        return dunlin(words(folder_.file("mine.comp", text), more));
    }
    // The row of the user's shader, which must be the first.
    static test::Json usersRow(const Result& result) {
        const test::Json document = result.json();
        if (!document.is_object() || document["results"].empty()) {
            ADD_FAILURE() << result.out << result.err;
            return {};
        }
        EXPECT_EQ(document["kind"], "shader");
        const test::Json& row = document["results"][0];
        EXPECT_EQ(row["isUser"], true);
        EXPECT_EQ(row["variant"], "mine.comp");
        EXPECT_EQ(row["id"], "depthwise/28x28x192/k3s1/relu6/fp32/mine.comp");
        return row;
    }
    const std::string depthwise_ = librarysShader("depthwise.comp");
};

TEST_F(BenchShader, ACopyOfTheLibrarysShaderIsRightAndTimedBesideTheOthers) {
    const Result result = bench(depthwise_, {"--json", "--validation"});
    EXPECT_EQ(result.exitStatus, 0) << result.err;
    const test::Json row = usersRow(result);
    EXPECT_EQ(row["correct"], true);
    EXPECT_EQ(row["deterministic"], true);
    EXPECT_GT(row["medianUs"], 0);
    EXPECT_GE(row["samplesUs"].size(), 5u);
    const test::Json document = result.json();
    EXPECT_EQ(document["complete"], true);
    EXPECT_GT(document["results"].size(), 4u);
    const auto isBest = [](const test::Json& one) { return one["isBest"] == true && one["isUser"] == false; };
    EXPECT_EQ(std::count_if(document["results"].begin(), document["results"].end(), isBest), 1);

    const Result table = bench(depthwise_);
    EXPECT_EQ(table.exitStatus, 0) << table.err;
    EXPECT_NE(table.out.find(" times as fast as the best built-in, "), std::string::npos) << table.out;
    EXPECT_LT(table.out.find("mine.comp"), table.out.find("tile4x2-storage")) << "the user's first\n" << table.out;
}

TEST_F(BenchShader, ATileOfTheUsersOwnIsDispatchedAsSuch) {
    const Result result = bench(depthwise_, {"-D", "TILE_X=3", "-D", "TILE_Y=1", "--json"});
    EXPECT_EQ(result.exitStatus, 0) << result.err;
    EXPECT_EQ(usersRow(result)["correct"], true);
    expectRefused(2, words(folder_ / "mine.comp", {"-D", "TILE_X=300"}), "TILE_X=300");
}

TEST_F(BenchShader, AWrongResultIsExitStatusOne) {
    const Result result = bench(replaced(depthwise_, "sum += window", "sum += 1.001 * window"), {"--json"});
    EXPECT_EQ(result.exitStatus, 1) << result.err;
    const test::Json row = usersRow(result);
    EXPECT_EQ(row["correct"], false);
    EXPECT_GT(row["maxRelativeError"], 1e-5);
    EXPECT_TRUE(row["medianUs"].is_null()) << "what is wrong is not timed";
}

TEST_F(BenchShader, AnUnstableResultIsExitStatusOne) {
    // given a shader that counts its runs in the last bits of one input, and lets the count shine through in the last
    // bits of what it writes
    std::string text = replaced(depthwise_, "struct Tile",
                                "layout(set = 0, binding = 0, std430) buffer Count { uint counter; };\nstruct Tile");
    text = replaced(text, "void main() {\n", "void main() {\n    if (flatInvocation() == 0) atomicAdd(counter, 1u);\n");
    text = replaced(text, "    const vec4 bias = ",
                    "    const float noise = 1.0 + float(counter % 13u) * 2e-7;\n    const vec4 bias = ");
    text = replaced(text, "activate(outputs[y * kTileX + x]", "noise * activate(outputs[y * kTileX + x]");
    const Result result = bench(text, {"--json"});
    EXPECT_EQ(result.exitStatus, 1) << result.err;
    const test::Json row = usersRow(result);
    EXPECT_EQ(row["correct"], true) << row["maxRelativeError"];
    EXPECT_EQ(row["deterministic"], false);
}

TEST_F(BenchShader, CompileErrorsAreExitStatusThree) {
    const Result result = bench("#version 450\nvoid main() {\n    float a = foo;\n}\n");
    EXPECT_EQ(result.exitStatus, 3);
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(result.err, (folder_ / "mine.comp") + ":3: 'foo' : undeclared identifier\n    float a = foo;\n");
}

TEST_F(BenchShader, TheResultReplacesNoSourceAndMustBeWritable) {
    const std::string part = folder_.file("part.glsl", "const int kPart = 1;\n");
    const std::string text = replaced(depthwise_, "struct Tile", "#include \"part.glsl\"\nstruct Tile");
    const std::string file = folder_.file("mine.comp", text);
    expectRefused(2, words(file, {"-o", file}), "mine.comp would replace a source of the shader");
    expectRefused(2, words(file, {"-o", folder_ / "./part.glsl"}), "part.glsl would replace a source of the shader");
    EXPECT_EQ(contentOf(file), text);
    EXPECT_EQ(contentOf(part), "const int kPart = 1;\n");
    expectRefused(3, words(folder_ / "no_such.comp", {"-o", folder_ / "nowhere/out.json"}), "nowhere/out.json");
}

TEST_F(BenchShader, StrayWritesAreExitStatusOne) {
    const auto errorOf = [&](const std::string& text) {
        const Result result = bench(text, {"--json"});
        EXPECT_EQ(result.exitStatus, 1) << result.err;
        return usersRow(result)["error"];
    };
    EXPECT_EQ(errorOf(replaced(depthwise_, "void main() {\n",
                               "void main() {\n    storeOutput(28 * 28 * 48 + 1 + p.outBase, vec4(1.0));\n")),
              "wrote outside of binding 2 (output)");
    EXPECT_EQ(errorOf(replaced(depthwise_, "void main() {\n", "void main() {\n    sumsElements[100] = vec4(1.0);\n")),
              "wrote to binding 3 (sums), which has no use here");
}

TEST_F(BenchShader, WhatDoesNotFitTheKernelsLayoutIsSaidBeforeItRuns) {
    const auto refused = [&](const std::string& text, const std::string& mentions) {
        folder_.file("mine.comp", text);
        expectRefused(3, words(folder_ / "mine.comp"), mentions);
    };
    refused(replaced(depthwise_, "binding = 3", "binding = 9"), "the shader has a binding 9, and those of depthwise");
    refused(replaced(depthwise_, "DepthwiseParams p; }", "DepthwiseParams p; vec4 more[4]; }"),
            "the shader reads 144 bytes of push constants, and depthwise has 68");
    refused("#version 450\nlayout(local_size_x = 32) in;\nvoid main() {}\n", "have 32 invocations, and 64 are");
    refused(
        "#version 450\nlayout(local_size_x_id = 0) in;\nlayout(set = 0, binding = 0) buffer B { double d; };\n"
        "void main() { d += 1.0; }\n",
        "Float64");
    refused(replaced(replaced(depthwise_, "struct Tile", "shared vec4 huge[1000000];\nstruct Tile"), "void main() {\n",
                     "void main() {\n    huge[gl_LocalInvocationIndex] = vec4(1.0);\n"),
            "of shared memory, and");
    folder_.file("mine.comp", depthwise_);
    expectRefused(3, words(folder_ / "mine.comp", {"-D", "TEXEL"}),
                  "binding 0 of the shader is a uniform texel buffer");
}

TEST_F(BenchShader, TheCaseMayBeOfAnyNetworkSizeAndBatch) {
    const std::string file = folder_.file("mine.comp", depthwise_);
    const Result result = dunlin({"bench", "shader", file, "--models", "mobilenetv2_050", "--size", "64x96", "--batch",
                                  "2", "--like", "depthwise/32x48x16/k3s1/relu6/b2/*", "--device", "vulkan",
                                  "--no-ceilings", "--seconds", "0.01", "--json"});
    EXPECT_EQ(result.exitStatus, 0) << result.err;
}

TEST_F(BenchShader, LikeMustNameOneCase) {
    folder_.file("mine.comp", depthwise_);
    const auto refused = [&](const std::string& like, const std::string& mentions) {
        expectRefused(2, {"bench", "shader", folder_ / "mine.comp", "--like", like, "--device", "vulkan"}, mentions);
    };
    refused("depthwise/1x2x3/k3s1", "no case fits depthwise/1x2x3/k3s1");
    refused("depthwise/*", "fits");
    refused("nonsense", "no case fits nonsense");
}

TEST_F(BenchShader, AShaderThatHangsIsNamedAndTheProcessEnds) {
    const auto devices = vulkan::VulkanDevice::list();
    const auto best = static_cast<size_t>(vulkan::bestDevice(*devices));
    if (!(*devices)[best].capabilities.isSoftware()) GTEST_SKIP() << "it would hang a real GPU";
    // llvmpipe leaves an invocation's loops after 65536 rounds of all of them, so each round takes long, too
    const std::string loops =
        "#define TWICE(x) x x\n"
        "void main() {\n"
        "    float value = float(p.images);\n"
        "    for (uint i = 0; i < 60000u; ++i) for (uint j = 0; j < 60000u; ++j) {\n"
        "        TWICE(TWICE(TWICE(TWICE(TWICE(TWICE(TWICE(TWICE(value = sin(value) + 1.5;))))))))\n"
        "        if (value == 7.0) sumsElements[i] = vec4(float(j));\n"
        "    }\n";
    const auto begin = std::chrono::steady_clock::now();
    const Result result =
        bench(replaced(depthwise_, "void main() {\n", loops), {"--timeout", "1", "--json", "-o", folder_ / "out.json"});
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    EXPECT_EQ(result.exitStatus, 4) << result.err;
    EXPECT_LT(seconds.count(), 60);
    EXPECT_NE(result.err.find("mine.comp: what was submitted did not finish within 1 s"), std::string::npos)
        << result.err;
    const test::Json row = usersRow(result);
    EXPECT_EQ(row["error"], "what was submitted did not finish within 1 s");
    const test::Json written = test::Json::parse(contentOf(folder_ / "out.json"), nullptr, false);
    EXPECT_EQ(written["complete"], false);
    EXPECT_EQ(written["results"][1]["correct"], true) << "the others were verified before";
}

TEST_F(BenchShader, AShaderThatBringsTheDriverDownIsNamed) {
    // given a driver that checks the bounds of buffers, and none of shared memory
    const auto devices = vulkan::VulkanDevice::list();
    const auto best = static_cast<size_t>(vulkan::bestDevice(*devices));
    if ((*devices)[best].capabilities.name.find("llvmpipe") == std::string::npos) GTEST_SKIP() << "others may survive";
    std::string text = replaced(depthwise_, "struct Tile", "shared vec4 some[64];\nstruct Tile");
    text = replaced(text, "void main() {\n",
                    "void main() {\n"
                    "    some[gl_LocalInvocationIndex + p.images * 100000000u] = vec4(p.channels);\n"
                    "    barrier();\n"
                    "    if (some[3].x == 7.5) return;\n");
    folder_.file("mine.comp", text);
    expectRefused(4, words(folder_ / "mine.comp"), "mine.comp: the driver crashed in compiling or running the shader");
}

size_t countOf(const std::string& text, const std::string& part) {
    size_t count = 0;
    for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
    return count;
}

TEST_F(BenchShader, WatchingMeasuresAgainAfterEachChange) {
    const auto waitFor = [&](const char* file, const std::string& part, size_t times) {
        for (int i = 0; i < 600; ++i) {
            if (countOf(contentOf(folder_ / file), part) >= times) return true;
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
        }
        return false;
    };
    // given a shader that is being watched and was measured
    folder_.file("part.glsl", "const float kFactor = 1.0;\n");
    folder_.file("mine.comp", replaced(replaced(depthwise_, "struct Tile", "#include \"part.glsl\"\nstruct Tile"),
                                       "sum += window", "sum += kFactor * window"));
    std::string line = quoted(DUNLIN_COMMAND);
    for (const std::string& word : words(folder_ / "mine.comp", {"--watch"})) line += " " + quoted(word);
    line += " >" + quoted(folder_ / "out") + " 2>" + quoted(folder_ / "err") + " </dev/null & echo $! >" +
            quoted(folder_ / "pid") + "; wait $!; echo $? >" + quoted(folder_ / "status");
    std::thread shell([&] { EXPECT_EQ(std::system(line.c_str()), 0); });
    EXPECT_TRUE(waitFor("err", "watching", 1)) << contentOf(folder_ / "err");
    EXPECT_EQ(countOf(contentOf(folder_ / "out"), "WRONG"), 0u) << contentOf(folder_ / "out");

    // when what it includes becomes wrong, broken and right again, then each is said, and no error ends the watching
    folder_.file("part.glsl", "const float kFactor = 1.5;\n");
    EXPECT_TRUE(waitFor("err", "watching", 2)) << contentOf(folder_ / "err");
    EXPECT_EQ(countOf(contentOf(folder_ / "out"), "WRONG"), 1u) << contentOf(folder_ / "out");
    folder_.file("part.glsl", "const float kFactor = ;\n");
    EXPECT_TRUE(waitFor("err", "watching", 3)) << contentOf(folder_ / "err");
    EXPECT_NE(contentOf(folder_ / "err").find("part.glsl:1: "), std::string::npos) << contentOf(folder_ / "err");
    folder_.file("part.glsl", "const float kFactor = 1.0;\n");
    EXPECT_TRUE(waitFor("err", "watching", 4)) << contentOf(folder_ / "err");
    EXPECT_EQ(countOf(contentOf(folder_ / "out"), "yours"), 3u) << contentOf(folder_ / "out");

    // and Ctrl-C is its usual end
    EXPECT_EQ(std::system(("kill -TERM $(cat " + quoted(folder_ / "pid") + ")").c_str()), 0);
    shell.join();
    EXPECT_EQ(contentOf(folder_ / "status"), "0\n");
}

}  // namespace
}  // namespace dunlin::bench
