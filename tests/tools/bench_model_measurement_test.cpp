// How networks take turns, what their timeline and rows look like, and what starts are made of: without a device.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <map>

#include "tests/support.h"
#include "tools/bench/child_process.h"
#include "tools/bench/host_load.h"
#include "tools/bench/interruption.h"
#include "tools/bench/model_document.h"
#include "tools/bench/model_measurement.h"
#include "tools/bench/model_starts.h"
#include "tools/bench/roofline.h"
#include "tools/bench/trace.h"

namespace dunlin::bench {
namespace {

using Names = std::vector<std::string>;

// A network that takes as long as it is told, and notes what is asked of it.
class PretendSession final : public NetworkSession {
  public:
    PretendSession(std::string name, Names& log) : name_(std::move(name)), log_(log) {}

    const SessionFacts& facts() const override { return facts_; }
    bool hasGpuClock() const override { return gpuClock; }
    Result<double> runMs() override {
        log_.push_back(name_);
        if (++runs == failAt) return error(failure, "%s gave up", name_.c_str());
        return runs <= static_cast<int>(warmUp.size()) ? warmUp[static_cast<size_t>(runs) - 1] : ms;
    }
    Result<double> gpuMs() override {
        ++gpuRuns;
        return clockStandsStill ? 0 : ms * gpuShare;
    }
    Result<std::vector<double>> layerTimesNs() override { return std::vector<double>{ms * 4e5, ms * 4e5}; }
    Result<double> frameMs(int inFlight, int frames) override {
        framesAsked.push_back(frames);
        return ms / inFlight;
    }
    Result<SubmitTime> submitTime() override { return SubmitTime{3, 4}; }
    Result<TracedFrame> traceFrame() override { return TracedFrame{}; }

    double ms = 1, gpuShare = 0.8;
    std::vector<double> warmUp;  // the first runs
    bool gpuClock = false, clockStandsStill = false;
    int failAt = 0, runs = 0, gpuRuns = 0;  // the first two of runMs()
    StatusCode failure = StatusCode::DeviceError;
    SessionFacts facts_;
    std::vector<int> framesAsked;

  private:
    const std::string name_;
    Names& log_;
};

class Turns : public ::testing::Test {
  protected:
    PretendSession& add(const std::string& name, const void* device = nullptr) {
        auto session = std::make_unique<PretendSession>(name, log_);
        PretendSession& added = *session;
        runs_.push_back({name, device, std::move(session), {}, {}});
        return added;
    }
    void measure(double seconds) {
        Pace pace;
        pace.seconds = seconds;
        measureInTurns(runs_, pace, hooks_);
    }
    // Who had turns after the warm-up, each turn once.
    Names turns() const {
        Names names;
        for (const std::string& name : log_) {
            if (names.empty() || names.back() != name) names.push_back(name);
        }
        names.erase(names.begin(), names.begin() + static_cast<ptrdiff_t>(runs_.size()));
        return names;
    }

    Names log_;
    std::vector<MeasuredRun> runs_;
    MeasurementHooks hooks_;
};

TEST_F(Turns, RotateAmongTheRuns) {
    for (const char* name : {"a", "b", "c"}) add(name).ms = 30;  // longer than a turn: one sample each
    measure(0.12);
    const Names turns = this->turns();
    ASSERT_GE(turns.size(), 9u);
    // a b c, b c a, c a b: where a round begins with the run that the last one ended with, it goes on
    EXPECT_EQ(Names(turns.begin(), turns.begin() + 3), (Names{"a", "b", "c"}));
    std::map<std::string, int> firsts;
    for (size_t i = 0; i + 2 < turns.size(); i += 3) ++firsts[turns[i]];
    EXPECT_EQ(firsts.size(), 3u);
}

TEST_F(Turns, GoOnUntilEachHasItsTimeAndItsSamples) {
    add("short").ms = 0.5;
    add("long").ms = 200;
    measure(0.1);
    EXPECT_EQ(runs_[0].samples.wallMs.size(), 200u) << "0.1 s of 0.5 ms";
    EXPECT_EQ(runs_[1].samples.wallMs.size(), 10u) << "no fewer, however long they take";
    for (const MeasuredRun& run : runs_) EXPECT_TRUE(run.failure.ok());
}

TEST_F(Turns, DivideTheTimeBetweenTheClocks) {
    PretendSession& session = add("gpu");
    session.gpuClock = true;
    measure(0.1);
    EXPECT_EQ(runs_[0].samples.wallMs.size(), 50u);
    EXPECT_EQ(runs_[0].samples.gpuMs.size(), 50u) << "each 0.8 ms, and 1 ms by the wall, which is what counts";
    EXPECT_DOUBLE_EQ(runs_[0].samples.gpuMs[0], 0.8);
    EXPECT_GE(runs_[0].samples.layerNs.size(), 3u);
    EXPECT_LE(runs_[0].samples.layerNs.size(), 30u) << "runs of their own, and fewer";
}

TEST_F(Turns, DropAGpuClockThatStandsStill) {
    PretendSession& session = add("gpu");
    session.gpuClock = session.clockStandsStill = true;
    measure(0.1);
    EXPECT_TRUE(runs_[0].samples.isGpuClockStill);
    EXPECT_TRUE(runs_[0].samples.gpuMs.empty());
    EXPECT_TRUE(runs_[0].samples.layerNs.empty());
    EXPECT_EQ(runs_[0].samples.wallMs.size(), 50u);
    EXPECT_LT(session.gpuRuns, 30) << "not asked again after the first turn";
}

TEST_F(Turns, AreBoundByTheWallWhereTheGpuIsMuchFaster) {
    PretendSession& session = add("gpu");
    session.gpuClock = true;
    session.gpuShare = 1e-4;
    measure(0.1);
    EXPECT_EQ(runs_[0].samples.gpuMs.size(), 50u);
}

TEST_F(Turns, BeginWithARunThatDoesNotCountAfterACheckpoint) {
    PretendSession& session = add("alone");
    session.ms = 10;
    int checkpoints = 0;
    hooks_.checkpoint = [&] { return ++checkpoints % 2 == 0; };
    measure(0.2);
    const auto counted = runs_[0].samples.warmUps + runs_[0].samples.wallMs.size();
    EXPECT_EQ(runs_[0].samples.wallMs.size(), 20u) << "ten turns of two";
    EXPECT_EQ(static_cast<size_t>(session.runs), counted + 4) << "one after each that took its time";
}

TEST_F(Turns, BeginWithARunThatDoesNotCountWhereOthersUsedTheCaches) {
    PretendSession& alone = add("alone");
    alone.ms = 10;
    measure(0.1);
    const size_t warmUps = runs_[0].samples.warmUps;
    EXPECT_EQ(static_cast<size_t>(alone.runs), warmUps + runs_[0].samples.wallMs.size());

    runs_.clear();
    PretendSession& first = add("first");
    add("second");
    first.ms = 10;
    measure(0.1);
    EXPECT_GT(static_cast<size_t>(first.runs), runs_[0].samples.warmUps + runs_[0].samples.wallMs.size());
}

TEST_F(Turns, WaitForTheEndOfWarmUp) {
    PretendSession& session = add("cold");
    for (int i = 0; i < 40; ++i) session.warmUp.push_back(100.0 - 2 * i);
    session.ms = 10;
    measure(10);
    EXPECT_TRUE(runs_[0].samples.isSteady);
    EXPECT_GT(runs_[0].samples.warmUps, 40u);
    EXPECT_EQ(std::ranges::max(runs_[0].samples.wallMs), 10);
}

TEST_F(Turns, DoNotTakeTheFirstRunForTheWarmUp) {
    add("compiles first").warmUp = {60000, 100};
    measure(0.1);
    EXPECT_TRUE(runs_[0].samples.isSteady);
    EXPECT_GE(runs_[0].samples.warmUps, 8u);
    EXPECT_EQ(std::ranges::max(runs_[0].samples.wallMs), 1);
}

TEST_F(Turns, SayThatWarmUpWasCutShort) {
    PretendSession& session = add("ever faster");
    for (int i = 0; i < 2000; ++i) session.warmUp.push_back(500.0 - 0.2 * i);
    measure(0.1);
    EXPECT_FALSE(runs_[0].samples.isSteady);
    EXPECT_LT(runs_[0].samples.warmUps, 20u);
}

TEST_F(Turns, TakeFramesInFlightOfThoseThatHaveThem) {
    PretendSession& two = add("two slots");
    two.facts_.maxInFlight = 2;
    add("cpu");
    measure(0.2);
    EXPECT_FALSE(runs_[0].samples.frameMs2.empty());
    EXPECT_TRUE(runs_[0].samples.frameMs3.empty()) << "the third frame did not fit";
    EXPECT_EQ(runs_[0].samples.submitCpuUs.front(), 3);
    EXPECT_EQ(runs_[0].samples.submitWallUs.front(), 4);
    for (int frames : two.framesAsked) EXPECT_EQ(frames, 10) << "half of the time, in five rounds of two";
    EXPECT_TRUE(runs_[1].samples.frameMs2.empty());
    EXPECT_TRUE(runs_[1].samples.submitCpuUs.empty());
}

TEST_F(Turns, GoOnWithoutTheOneThatFails) {
    PretendSession& bad = add("bad");
    bad.failAt = 20;
    add("good");
    measure(0.1);
    EXPECT_EQ(runs_[0].failure.code(), StatusCode::DeviceError);
    EXPECT_EQ(bad.runs, 20) << "not asked again";
    EXPECT_TRUE(runs_[1].failure.ok());
    EXPECT_EQ(runs_[1].samples.wallMs.size(), 100u);
}

TEST_F(Turns, EndForAllOnADeviceThatIsLost) {
    const int gpu = 0, cpu = 0;
    PretendSession& one = add("one", &gpu);
    one.failAt = 30;
    one.failure = StatusCode::DeviceLost;
    PretendSession& other = add("other", &gpu);
    add("elsewhere", &cpu);
    measure(0.1);
    const int runsOfOther = other.runs;
    EXPECT_EQ(runs_[0].failure.code(), StatusCode::DeviceLost);
    EXPECT_EQ(runs_[1].failure.code(), StatusCode::DeviceLost);
    EXPECT_NE(runs_[1].failure.message().find("one"), std::string::npos)
        << "who lost it: " << runs_[1].failure.message();
    EXPECT_LT(runsOfOther, 100);
    EXPECT_TRUE(isWorthKeeping(runs_[0].samples)) << "what was measured before is there";
    EXPECT_EQ(runs_[2].samples.wallMs.size(), 100u);
}

TEST_F(Turns, EndWithTheTurnInWhichTheyAreInterrupted) {
    PretendSession& session = add("a");
    session.ms = 10;
    hooks_.isInterrupted = [&] { return session.runs >= 20; };
    measure(100);
    EXPECT_LT(session.runs, 24);
    EXPECT_TRUE(runs_[0].failure.ok()) << "which is no failure";
    EXPECT_TRUE(isWorthKeeping(runs_[0].samples));
}

// ---- timeline

TracedRun tracedRun(bool calibrated) {
    using namespace std::chrono_literals;
    const TracedFrame::Time begin = std::chrono::steady_clock::now();
    TracedRun run;
    run.id = "net/b1/vulkan:0";
    run.device = "GPU";
    run.frame.recordBegin = begin;
    run.frame.submitBegin = begin + 100us;
    run.frame.waitBegin = begin + 130us;
    run.frame.end = begin + 1ms;
    run.frame.gpuBegin = begin + 150us;
    run.frame.dispatchEnds = {begin + 250us, begin + 850us + 333ns};
    run.frame.calibrated = calibrated;
    run.frame.maxDeviationNs = 17;
    run.layers = {{"conv_stem", "conv2d", "conv2d.f32", {1, 16, 16, 8}, {1000, 5000, true}},
                  {"head", "head", "head.f32", {}, {64, 0, false}}};
    run.limitsNs = {50000, 10};
    return run;
}

TEST(Timeline, HasATrackForEachClockOfEachRun) {
    TracedRun cpu;
    cpu.id = "net/b1/cpu";
    cpu.isCpu = true;
    cpu.frame = tracedRun(true).frame;
    cpu.frame.dispatchEnds.clear();
    const std::vector<TracedRun> runs = {tracedRun(true), cpu};
    const Json trace = chromeTrace(runs);
    std::map<std::pair<int, int>, std::vector<Json>> tracks;
    std::map<int, std::string> processes;
    for (const Json& event : trace["traceEvents"]) {
        if (event["ph"] == "X") tracks[{event["pid"], event["tid"]}].push_back(event);
        if (event["name"] == "process_name") processes[event["pid"]] = event["args"]["name"];
    }
    EXPECT_EQ(processes, (std::map<int, std::string>{{1, "net/b1/vulkan:0"}, {2, "net/b1/cpu"}}));
    ASSERT_EQ(tracks.size(), 3u) << "CPU and GPU, and CPU alone";
    EXPECT_EQ(tracks[std::pair(1, 1)].size(), 3u);
    EXPECT_EQ(tracks[std::pair(1, 2)].size(), 2u);
    EXPECT_EQ(tracks[std::pair(2, 1)].size(), 1u);
    for (const auto& [track, slices] : tracks) {
        for (size_t i = 1; i < slices.size(); ++i) {
            const double end = slices[i - 1]["ts"].get<double>() + slices[i - 1]["dur"].get<double>();
            EXPECT_GE(slices[i]["ts"].get<double>(), end - 1e-6) << "slices of a track overlap";
        }
    }
}

TEST(Timeline, SaysWhatADispatchIsAndHowFastItWas) {
    const std::vector<TracedRun> runs = {tracedRun(true)};
    const Json trace = chromeTrace(runs);
    const auto found =
        std::ranges::find_if(trace["traceEvents"], [](const Json& e) { return e["name"] == "conv_stem"; });
    ASSERT_NE(found, trace["traceEvents"].end());
    EXPECT_DOUBLE_EQ((*found)["ts"], 150);
    EXPECT_DOUBLE_EQ((*found)["dur"], 100);
    const Json& arguments = (*found)["args"];
    EXPECT_EQ(arguments["kernel"], "conv2d");
    EXPECT_EQ(arguments["shape"], "1x16x16x8");
    EXPECT_DOUBLE_EQ(arguments["gflops"], 5000.0 / 100000);
    EXPECT_DOUBLE_EQ(arguments["gbps"], 1000.0 / 100000);
    EXPECT_DOUBLE_EQ(arguments["rooflineShare"], 0.5);
}

TEST(Timeline, SaysHowTheClocksWereAligned) {
    const std::vector<TracedRun> calibrated = {tracedRun(true)}, assumed = {tracedRun(false)};
    EXPECT_NE(chromeTrace(calibrated)["otherData"]["net/b1/vulkan:0"].get<std::string>().find("within 17 ns"),
              std::string::npos);
    EXPECT_NE(chromeTrace(assumed)["otherData"]["net/b1/vulkan:0"].get<std::string>().find("not aligned"),
              std::string::npos);
}

// ---- limits

Graph smallGraph() {
    Graph graph({1, 8, 8, 4});
    Conv2d conv;
    conv.input = graph.input();
    conv.outChannels = 8;
    conv.kernelH = conv.kernelW = 3;
    conv.padding = {1, 1, 1, 1};
    conv.parameters.weight = "conv.weight";
    conv.parameters.bias = "conv.bias";
    const ValueId map = graph.add("conv", conv);
    graph.setOutput(graph.add("activation", Activate{map, Activation::Relu}));
    return graph;
}

TEST(Limits, NodesReadAndWriteTheirMapsAndWeightsOnce) {
    const std::vector<DispatchCost> costs = nodeCosts(smallGraph());
    ASSERT_EQ(costs.size(), 2u);
    const uint64_t in = 8 * 8 * 4 * 4, out = 8 * 8 * 8 * 4, weights = (8 * 4 * 9 + 8) * 4;
    EXPECT_EQ(costs[0].bytes, in + out + weights);
    EXPECT_EQ(costs[0].flops, 2 * 8 * 8 * 8 * 4 * 9);
    EXPECT_TRUE(costs[0].isMatrixProduct);
    EXPECT_EQ(costs[1].bytes, 2 * out);
    EXPECT_FALSE(costs[1].isMatrixProduct);
}

TEST(Limits, ANetworkIsItsPartsAndWhatItTakesToStartEach) {
    Ceilings ceilings;
    ceilings.fp32 = 1e9;
    ceilings.bandwidth = {{1 << 20, 1e9}};
    ceilings.dispatchNs = 100;
    ceilings.barrierNs = 1000;
    const std::vector<DispatchCost> costs = {{4000, 100, false}, {10, 7000, false}};
    const double parts = ceilings.limitNs(costs[0], Precision::Fp32) + ceilings.limitNs(costs[1], Precision::Fp32);
    EXPECT_DOUBLE_EQ(parts, 4000 + 7000) << "bytes of the one, arithmetic of the other";
    EXPECT_DOUBLE_EQ(networkLimitNs(ceilings, costs, {false, true}, Precision::Fp32), parts + 100 + 1000);
}

// ---- verification

TEST(Verification, MeasuresErrorsByTheLargestValue) {
    const std::vector<float> expected = {1, -4, 2};
    EXPECT_DOUBLE_EQ(maxRelativeError(expected, expected), 0);
    EXPECT_DOUBLE_EQ(maxRelativeError(std::vector<float>{1, -3, 2.5f}, expected), 0.25);
    EXPECT_EQ(maxRelativeError(std::vector<float>{1, NAN, 2}, expected), INFINITY);
    EXPECT_EQ(maxRelativeError(std::vector<float>{1}, std::vector<float>{0}), INFINITY);
    EXPECT_EQ(maxRelativeError(std::vector<float>{0}, std::vector<float>{0}), 0);
}

TEST(Verification, WantsTheSameBitsTwice) {
    EXPECT_TRUE((NetworkCheck{1e-4, 1e-3, true}).isRight());
    EXPECT_FALSE((NetworkCheck{1e-4, 1e-3, false}).isRight());
    EXPECT_FALSE((NetworkCheck{2e-3, 1e-3, true}).isRight());
    EXPECT_FALSE((NetworkCheck{INFINITY, 1e-3, true}).isRight());
}

// ---- starts

TEST(Starts, AreReadFromTheLastLine) {
    const auto report = parseStartReport("a driver says hello\n{\"firstResultMs\":12.5,\"hostBytes\":1024}\n");
    ASSERT_TRUE(report);
    EXPECT_EQ(report->firstResultMs, 12.5);
    EXPECT_EQ(report->hostBytes, 1024u);
    EXPECT_FALSE(parseStartReport("{\"firstResultMs\":1,\"hostBytes\":null}")->hostBytes);
    for (const char* text : {"", "\n", "words", "{}", "{\"firstResultMs\":\"soon\"}", "{\"firstResultMs\":1}\nwords"}) {
        EXPECT_FALSE(parseStartReport(text)) << text;
    }
}

TEST(ChildProcess, GetsItsWordsAndVariables) {
    const auto child = runChild("/bin/sh", {"-c", "echo \"$0 $COLD $HOME\"; echo oops >&2; exit 7", "word"},
                                {{"COLD", "yes"}, {"HOME", "here"}}, 60);
    ASSERT_TRUE(child.ok()) << child.failure().message;
    EXPECT_EQ(child->exitStatus, 7);
    EXPECT_EQ(child->text, "word yes here\noops\n");
}

TEST(ChildProcess, IsStoppedWhenItTakesTooLong) {
    const auto begin = std::chrono::steady_clock::now();
    const auto child = runChild("/bin/sh", {"-c", "exec sleep 60"}, {}, 0.2);
    ASSERT_FALSE(child.ok());
    EXPECT_NE(child.failure().message.find("stopped after"), std::string::npos) << child.failure().message;
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
}

TEST(ChildProcess, IsStoppedByAnInterruption) {
    const auto begin = std::chrono::steady_clock::now();
    const auto isInterrupted = [&] {
        return std::chrono::steady_clock::now() - begin > std::chrono::milliseconds(300);
    };
    const auto child = runChild("/bin/sh", {"-c", "exec sleep 60"}, {}, 60, isInterrupted);
    ASSERT_FALSE(child.ok());
    EXPECT_EQ(child.failure().status, ExitStatus::Interrupted);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
}

TEST(Interruption, RestoresTheHandlersThatWereThere) {
    const auto own = [](int) {};
    const auto before = std::signal(SIGTERM, own);
    {
        const InterruptionGuard guard;
        std::raise(SIGTERM);
        EXPECT_TRUE(InterruptionGuard::requested());
    }
    EXPECT_EQ(std::signal(SIGTERM, before), static_cast<void (*)(int)>(own));
}

TEST(Interruption, LeavesIgnoredSignalsIgnored) {
    const auto before = std::signal(SIGINT, SIG_IGN);
    {
        const InterruptionGuard guard;
        std::raise(SIGINT);
        EXPECT_FALSE(InterruptionGuard::requested()) << "as under nohup";
    }
    EXPECT_EQ(std::signal(SIGINT, before), SIG_IGN);
}

TEST(HostLoad, IsWorthANoticeAboveHalfOfTheProcessors) {
    EXPECT_FALSE(busyNotice(1.0, 2));
    EXPECT_FALSE(busyNotice(0, 0)) << "neither is known";
    ASSERT_TRUE(busyNotice(3.2, 2));
    EXPECT_NE(busyNotice(3.2, 2)->find("load 3.2 on 2 processors"), std::string::npos);
}

TEST(ChildProcess, SaysHowItDied) {
    const auto killed = runChild("/bin/sh", {"-c", "kill -9 $$"}, {}, 60);
    ASSERT_FALSE(killed.ok());
    EXPECT_NE(killed.failure().message.find("signal 9"), std::string::npos) << killed.failure().message;
    const auto absent = runChild("/no/such/program", {}, {}, 60);
    ASSERT_FALSE(absent.ok());
    EXPECT_NE(absent.failure().message.find("could not be started"), std::string::npos) << absent.failure().message;
}

// ---- runs and rows

class Runs : public ::testing::Test {
  protected:
    ModelBenchOptions options(const Names& models) const {
        ModelBenchOptions options;
        options.models = models;
        options.measure.precisions = {DUNLIN_PRECISION_AUTO};
        options.sizes = {{64, 96}};
        options.batches = {1};
        return options;
    }
    Names idsOf(const PlannedRuns& planned) const {
        Names ids;
        for (const ModelRun& run : planned.runs) ids.push_back(run.id);
        return ids;
    }
    const std::vector<Target> cpu_ = {{"cpu", "a processor", nullptr, 2, false}};
};

TEST_F(Runs, AreEveryCombination) {
    ModelBenchOptions all = options({"mobilenetv3_small_050", "resnet18"});
    all.batches = {1, 2};
    const PlannedRuns planned = planRuns(all, cpu_);
    EXPECT_EQ(idsOf(planned),
              (Names{"mobilenetv3_small_050/64x96/b1/fp32/cpu", "mobilenetv3_small_050/64x96/b2/fp32/cpu",
                     "resnet18/64x96/b1/fp32/cpu", "resnet18/64x96/b2/fp32/cpu"}));
    for (const ModelRun& run : planned.runs) {
        EXPECT_FALSE(run.failure) << run.id;
        EXPECT_EQ(run.weights, "synthetic") << "an architecture gets formula weights";
    }
    EXPECT_EQ(planned.runs[0].family, "MobileNetV3");
}

TEST_F(Runs, AreMeasuredOnceWhereTheyComeOutTheSame) {
    ModelBenchOptions twice = options({"mobilenetv3_small_050"});
    twice.measure.precisions = {DUNLIN_PRECISION_AUTO, DUNLIN_PRECISION_FP32};
    EXPECT_EQ(planRuns(twice, cpu_).runs.size(), 1u);
}

TEST_F(Runs, HaveIdsOfTheirOwnWhereTwoFilesHoldOneArchitecture) {
    const std::filesystem::path weights = test::sharedFolder() / "weights";
    DUNLIN_NEEDS_SHARED("weights/torchvision_mobilenet_v2.pth");
    ModelBenchOptions same = options({(weights / "torchvision_mobilenet_v2.pth").string(), "mobilenetv2_100"});
    const PlannedRuns planned = planRuns(same, cpu_);
    EXPECT_EQ(idsOf(planned), (Names{"mobilenetv2_100#2/64x96/b1/fp32/cpu", "mobilenetv2_100/64x96/b1/fp32/cpu"}));
    ASSERT_EQ(planned.notices.size(), 1u);
    EXPECT_NE(planned.notices[0].find("torchvision_mobilenet_v2.pth"), std::string::npos);
}

TEST_F(Runs, SayWhyTheyCannotBe) {
    ModelBenchOptions bad = options({"mobilenetv3_small_050", "no_such_network", "/no/such/file.safetensors"});
    bad.measure.precisions = {DUNLIN_PRECISION_FP16};
    bad.sizes = {{}};
    const PlannedRuns planned = planRuns(bad, cpu_);
    EXPECT_EQ(idsOf(planned), (Names{"mobilenetv3_small_050/224x224/b1/fp16/cpu", "no_such_network/own/b1/fp16/cpu",
                                     "/no/such/file.safetensors/own/b1/fp16/cpu"}));
    EXPECT_EQ(planned.runs[0].failure->status, ExitStatus::WrongUse);
    EXPECT_NE(planned.runs[0].failure->message.find("fp16"), std::string::npos);
    EXPECT_EQ(planned.runs[1].failure->status, ExitStatus::WrongUse);
    EXPECT_EQ(planned.runs[2].failure->status, ExitStatus::BadInput);

    ModelBenchOptions small = options({"mobilenetv3_small_050"});
    small.sizes = {{16, 16}};
    ASSERT_TRUE(planRuns(small, cpu_).runs[0].failure);
    EXPECT_EQ(planRuns(small, cpu_).runs[0].failure->status, ExitStatus::WrongUse);
}

TEST_F(Runs, BecomeRows) {
    const PlannedRuns planned = planRuns(options({"mobilenetv3_small_050"}), cpu_);
    ModelResult result;
    result.samples.wallMs = {3, 1, 2};
    result.facts.deviceBytes = 77;
    result.starts.coldMs = 9;
    const Json row = rowOf(planned.runs[0], result, nullptr);
    EXPECT_EQ(row["size"], (Json{64, 96}));
    EXPECT_EQ(row["wallMedianMs"], 2);
    EXPECT_EQ(row["wallMinMs"], 1);
    EXPECT_EQ(row["samples"]["wallMs"], (Json{3, 1, 2})) << "in the order taken";
    EXPECT_EQ(row["coldStartMs"], 9);
    EXPECT_EQ(row["runs"], 3);
    for (const char* field : {"warmStartMs", "gpuMedianMs", "cpuSubmitUs", "frameMs2", "frameMs3", "hostBytes",
                              "dispatches", "limitMs", "limitShare"}) {
        EXPECT_TRUE(row.contains(field) && row[field].is_null()) << field << " was not measured";
    }

    result.samples.gpuMs = {0, 0, 1};  // a clock of coarse ticks
    result.facts.costs = {{1000, 5000, true}};
    result.facts.waits = {true};
    Ceilings ceilings;
    ceilings.fp32 = 1e9;
    const Json coarse = rowOf(planned.runs[0], result, &ceilings);
    EXPECT_TRUE(coarse["limitMs"].is_number());
    EXPECT_TRUE(coarse["limitShare"].is_null()) << "of no time";

    ModelResult failed;
    failed.failure = cli::Failure{ExitStatus::WrongUse, "too large"};
    const Json error = rowOf(planned.runs[0], failed, nullptr);
    EXPECT_EQ(error["error"], "too large");
    EXPECT_FALSE(error.contains("wallMedianMs"));
}

}  // namespace
}  // namespace dunlin::bench
