// dunlin bench model, run as a user runs it.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "runtime/vulkan/device.h"
#include "tests/tools/command_fixture.h"

namespace dunlin::bench {
namespace {

using test::contentOf, test::Json, test::kNetwork, test::quoted, test::Words, test::operator+;

bool hasVulkan() {
    const auto devices = vulkan::VulkanDevice::list();
    return devices.ok() && vulkan::bestDevice(*devices) >= 0;
}

#define NEEDS_VULKAN() \
    if (!hasVulkan()) GTEST_SKIP() << "no usable Vulkan device"

class BenchModel : public test::CommandFixture {
  protected:
    // Small and quick; one thread, which other programs cannot hold up.
    Words bench(const Words& more) const {
        return Words{"bench", "model",     kNetwork, "--size",  "64x64",          "--seconds",
                     "0.02",  "--threads", "1",      "--cache", folder_ / "cache"} +
               more;
    }
    Json measured(const Words& more) const {
        const test::CommandResult result = dunlin(bench(more + Words{"--json", "--quiet"}));
        EXPECT_EQ(result.exitStatus, 0) << result.err;
        EXPECT_FALSE(result.json().is_discarded()) << result.out.substr(0, 300);
        return result.json();
    }
    void expectPositive(const Json& row, const Words& fields) const {
        for (const std::string& field : fields) {
            ASSERT_TRUE(row.contains(field) && row[field].is_number()) << field << " in " << row.dump().substr(0, 400);
            EXPECT_GT(row[field].get<double>(), 0) << field;
        }
    }
    // How far apart a timeline's clocks may be: "..., to within 17 ns".
    static double deviationUs(const Json& trace) {
        double ns = 0;
        for (const Json& text : trace["otherData"]) {
            const std::string words = text.is_string() ? text.get<std::string>() : std::string();
            const size_t at = words.find("to within ");
            if (at != std::string::npos) ns = std::max(ns, std::stod(words.substr(at + 10)));
        }
        return ns / 1e3;
    }
    void expectNull(const Json& row, const Words& fields) const {
        for (const std::string& field : fields) EXPECT_TRUE(row.contains(field) && row[field].is_null()) << field;
    }
    const Words quick_ = {"--no-starts", "--no-ceilings"};
};

TEST_F(BenchModel, MeasuresTheCpu) {
    const Json document = measured(Words{"--device", "cpu"} + quick_);
    EXPECT_EQ(document["format"], 1);
    EXPECT_EQ(document["kind"], "model");
    EXPECT_EQ(document["complete"], true);
    EXPECT_EQ(document["devices"][0]["id"], "cpu");
    ASSERT_EQ(document["results"].size(), 1u);
    const Json& row = document["results"][0];
    EXPECT_EQ(row["id"], "mobilenetv3_small_050/64x64/b1/fp32/cpu");
    EXPECT_EQ(row["model"], kNetwork);
    EXPECT_EQ(row["family"], "MobileNetV3");
    EXPECT_EQ(row["threads"], 1);
    expectPositive(row, {"wallMedianMs", "wallP95Ms", "wallMinMs", "deviceBytes", "runs"});
    EXPECT_GE(row["runs"], 10);
    EXPECT_EQ(row["samples"]["wallMs"].size(), row["runs"]);
    EXPECT_LE(row["wallMinMs"], row["wallMedianMs"]);
    EXPECT_LE(row["wallMedianMs"], row["wallP95Ms"]);
    expectNull(row, {"correct", "gpuMedianMs", "cpuSubmitUs", "frameMs2", "frameMs3", "dispatches", "barriers",
                     "coldStartMs", "warmStartMs", "hostBytes", "limitMs", "limitShare"});
    EXPECT_TRUE(row["layers"].empty());
}

TEST_F(BenchModel, MeasuresAVulkanDevice) {
    NEEDS_VULKAN();
    const Json document = measured(Words{"--device", "vulkan:0", "--precision", "fp32"} + quick_);
    const Json& row = document["results"][0];
    expectPositive(row,
                   {"gpuMedianMs", "wallMedianMs", "cpuSubmitUs", "submitUs", "frameMs2", "frameMs3", "deviceBytes"});
    EXPECT_EQ(row["correct"], true) << "beside the CPU";
    EXPECT_EQ(row["deterministic"], true);
    EXPECT_LT(row["maxRelativeError"], 1e-3);
    EXPECT_EQ(row["dispatches"], 48) << "what `dunlin inspect` counts";
    EXPECT_EQ(row["layers"].size(), 48u);
    double layersMs = 0;
    for (const Json& layer : row["layers"]) {
        layersMs += layer["medianUs"].get<double>() / 1e3;
        EXPECT_FALSE(layer["name"].get<std::string>().empty());
        EXPECT_GT(layer["bytes"], 0);
    }
    EXPECT_LT(layersMs, 3 * row["gpuMedianMs"].get<double>());
    EXPECT_GT(layersMs, row["gpuMedianMs"].get<double>() / 3);
    EXPECT_EQ(row["layers"][1]["name"], "conv_stem");
    EXPECT_EQ(row["layers"][1]["kernel"], "conv2d");
    EXPECT_EQ(row["layers"][1]["shape"], "1x32x32x16");
    EXPECT_GT(row["layers"][1]["flops"], 0);
}

TEST_F(BenchModel, MeasuresStartsInProcessesOfTheirOwn) {
    const Json document = measured({"--device", "cpu", "--no-ceilings"});
    EXPECT_EQ(document["notices"].dump().find("starts are not measured"), std::string::npos)
        << document["notices"].dump();
    expectPositive(document["results"][0], {"coldStartMs", "warmStartMs", "hostBytes"});
    EXPECT_GT(document["results"][0]["coldStartMs"], document["results"][0]["wallMinMs"]);
}

TEST_F(BenchModel, SaysHowFarTheLimitIs) {
    const Json document = measured({"--device", "cpu", "--no-starts"});
    EXPECT_TRUE(document["ceilings"].contains("cpu"));
    const Json& row = document["results"][0];
    expectPositive(row, {"limitMs", "limitShare"});
    EXPECT_NEAR(row["limitShare"], row["limitMs"].get<double>() / row["wallMedianMs"].get<double>(), 1e-9);
}

TEST_F(BenchModel, GoesOnWhereOneCombinationCannotBe) {
    const test::CommandResult result =
        dunlin({"bench", "model", kNetwork, "no_such_network", "--size", "64x64,16x16", "--precision", "fp32,fp16",
                "--device", "cpu", "--threads", "1", "--seconds", "0.01", "--no-starts", "--no-ceilings", "--json"});
    EXPECT_EQ(result.exitStatus, 2);
    const Json document = result.json();
    ASSERT_FALSE(document.is_discarded()) << result.out.substr(0, 300);
    ASSERT_EQ(document["results"].size(), 8u);
    std::map<std::string, std::string> errors;
    for (const Json& row : document["results"]) {
        if (row.contains("error")) errors[row["id"]] = row["error"];
    }
    EXPECT_EQ(errors.size(), 7u);
    EXPECT_FALSE(errors.contains("mobilenetv3_small_050/64x64/b1/fp32/cpu"));
    EXPECT_NE(errors["mobilenetv3_small_050/64x64/b1/fp16/cpu"].find("fp16"), std::string::npos);
    EXPECT_NE(errors["mobilenetv3_small_050/16x16/b1/fp32/cpu"].find("16"), std::string::npos);
    EXPECT_NE(errors["no_such_network/64x64/b1/fp32/cpu"].find("no_such_network"), std::string::npos);
    EXPECT_EQ(document["complete"], true) << "what could be measured was";
}

TEST_F(BenchModel, RefusesWrongUse) {
    expectRefused(2, bench(Words{"--device", "cpu", "--precision", "fp16"} + quick_), "fp16");
    expectRefused(2, {"bench", "model", "no_such_network", "--device", "cpu"}, "no_such_network");
    expectRefused(2, bench(Words{"--device", "vulkan:99"} + quick_), "vulkan:99");
    expectRefused(3, {"bench", "model", folder_ / "absent.safetensors", "--device", "cpu"}, "absent.safetensors");
    expectRefused(2, bench({"--device", "cpu", "-o", folder_ / "x.json", "--trace", folder_ / "./x.json"}), "twice");
}

TEST_F(BenchModel, FindsOutFirstThatAFileCannotBeWritten) {
    const auto begin = std::chrono::steady_clock::now();
    expectRefused(3, {"bench", "model", kNetwork, "--device", "cpu", "--seconds", "3000", "-o", folder_ / "no/x.json"},
                  "no/x.json");
    expectRefused(3, {"bench", "model", kNetwork, "--device", "cpu", "--seconds", "3000", "--trace", folder_ / "no/x"},
                  "no/x");
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
}

TEST_F(BenchModel, WritesTheDocumentToAFileToo) {
    const std::string file = folder_ / "result.json";
    const Json document = measured(Words{"--device", "cpu", "-o", file} + quick_);
    EXPECT_EQ(Json::parse(contentOf(file)), document);
}

TEST_F(BenchModel, ShowsPeopleTablesThatFit) {
    const test::CommandResult result = dunlin(bench(Words{"--device", "cpu"} + quick_));
    EXPECT_EQ(result.exitStatus, 0) << result.err;
    for (const char* part : {"mobilenetv3_small_050/64x64/b1/fp32/cpu", "wall: median", "p95", "cold start", "host"}) {
        EXPECT_NE(result.out.find(part), std::string::npos) << part << " in\n" << result.out;
    }
    std::istringstream lines(result.out);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 122u) << line;
}

TEST_F(BenchModel, WritesATimelineOfOneFrameOfEachRun) {
    NEEDS_VULKAN();
    const std::string file = folder_ / "trace.json";
    measured(Words{"--device", "vulkan:0,cpu", "--precision", "fp32", "--trace", file} + quick_);
    const Json trace = Json::parse(contentOf(file), nullptr, false);
    ASSERT_FALSE(trace.is_discarded());
    std::map<int, double> frameBegins, frameEnds;
    std::map<std::pair<int, int>, double> trackEnds;
    std::map<std::string, int> slices;
    const double kRoundingUs = 1e-3;
    for (const Json& event : trace["traceEvents"]) {
        ASSERT_TRUE(event["ph"] == "X" || event["ph"] == "M") << event.dump();
        if (event["ph"] != "X") continue;
        const double begin = event["ts"], end = begin + event["dur"].get<double>();
        const std::pair<int, int> track = {event["pid"], event["tid"]};
        EXPECT_GE(event["dur"], 0) << event.dump();
        if (trackEnds.contains(track)) {
            EXPECT_GE(begin, trackEnds[track] - kRoundingUs) << "overlaps: " << event.dump();
        }
        trackEnds[track] = end;
        ++slices[event["cat"]];
        if (event["cat"] == "cpu") {
            frameBegins.try_emplace(track.first, begin);
            frameEnds[track.first] = end;
        } else {
            EXPECT_TRUE(event["args"].contains("kernel") && event["args"].contains("bytes")) << event.dump();
        }
    }
    EXPECT_EQ(slices["cpu"], 4) << "record, submit and wait; run";
    EXPECT_EQ(slices["gpu"], 48);
    // Calibration says how wrong it may be; a slow machine may be away for long between the clocks it compares.
    const double slackUs = 100 + deviationUs(trace);
    for (const auto& [track, end] : trackEnds) {
        EXPECT_LE(end, frameEnds[track.first] + slackUs) << "the GPU's slices lie within the frame";
    }
    EXPECT_EQ(trace["otherData"].size(), 3u);
}

TEST_F(BenchModel, PrintsWhatThereIsWhenInterrupted) {
    const std::string file = folder_ / "result.json";
    Words words = {"timeout", "--foreground", "--preserve-status", "--signal=INT", "4", DUNLIN_COMMAND};
    words = words + Words{"bench", "model",     kNetwork, "--size",        "64x64",  "--device", "cpu", "--threads",
                          "1",     "--seconds", "3000",   "--no-ceilings", "--json", "-o",       file};
    std::string line;
    for (const std::string& word : words) line += quoted(word) + " ";
    const int status = std::system(
        (line + ">" + quoted(folder_ / "stdout") + " 2>/dev/null; echo $? >" + quoted(folder_ / "status")).c_str());
    EXPECT_EQ(status, 0);
    EXPECT_EQ(contentOf(folder_ / "status"), "130\n");
    const Json document = Json::parse(contentOf(folder_ / "stdout"), nullptr, false);
    ASSERT_FALSE(document.is_discarded());
    EXPECT_EQ(document["complete"], false);
    ASSERT_EQ(document["results"].size(), 1u);
    EXPECT_GE(document["results"][0]["runs"], 3);
    EXPECT_EQ(Json::parse(contentOf(file)), document);
}

}  // namespace
}  // namespace dunlin::bench
