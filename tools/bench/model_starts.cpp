#include "tools/bench/model_starts.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>

#include "tools/bench/child_process.h"
#include "tools/bench/statistics.h"

namespace dunlin::bench {
namespace {

namespace fs = std::filesystem;
using cli::ExitStatus;
using cli::Failure;
using Variables = std::vector<std::pair<std::string, std::string>>;

constexpr int kStarts = 3;
constexpr double kLongStartMs = 3000;  // from here on one has to do

// Gone with this object.
class TemporaryCache {
  public:
    TemporaryCache() {
        std::random_device random;
        std::error_code failed;
        path_ = fs::temp_directory_path(failed) / fmt::format("dunlin-bench-{:08x}{:08x}", random(), random());
        if (!failed) fs::create_directories(path_, failed);
        if (failed) path_.clear();
    }
    ~TemporaryCache() {
        std::error_code ignored;
        if (!path_.empty()) fs::remove_all(path_, ignored);
    }
    TemporaryCache(const TemporaryCache&) = delete;
    TemporaryCache& operator=(const TemporaryCache&) = delete;
    std::string path() const { return path_.string(); }  // empty: it could not be made

  private:
    fs::path path_;
};

// What a process that failed has to say: its last line, without the program's name.
std::string lastLine(std::string text) {
    while (!text.empty() && text.back() == '\n') text.pop_back();
    const size_t begin = text.rfind('\n');
    if (begin != std::string::npos) text.erase(0, begin + 1);
    constexpr std::string_view kProgram = "dunlin: ";
    if (text.starts_with(kProgram)) text.erase(0, kProgram.size());
    return text.empty() ? "it said nothing" : text;
}

Outcome<StartReport> startOnce(const ModelRun& run, const StartPlan& plan, const std::string& cacheDirectory,
                               const Variables& environment) {
    DUNLIN_CLI_ASSIGN(const ChildResult child,
                      runChild(plan.executable, startWords(run, cacheDirectory, plan.validation), environment,
                               plan.timeoutSeconds, plan.isInterrupted));
    if (child.exitStatus != 0) {
        return Failure{ExitStatus::DeviceFailed,
                       fmt::format("a start ended with exit status {}: {}", child.exitStatus, lastLine(child.text))};
    }
    if (const std::optional<StartReport> report = parseStartReport(child.text)) return *report;
    return Failure{ExitStatus::DeviceFailed, "a start did not say how long it took"};
}

// The median of a few starts; nothing where it was interrupted before one ended.
Outcome<std::optional<double>> medianStart(const ModelRun& run, const StartPlan& plan,
                                           const std::string& cacheDirectory, const Variables& environment,
                                           StartTimes& times) {
    std::vector<double> samples;
    for (int i = 0; i < kStarts; ++i) {
        if (plan.isInterrupted && plan.isInterrupted()) break;
        DUNLIN_CLI_ASSIGN(const StartReport report, startOnce(run, plan, cacheDirectory, environment));
        samples.push_back(report.firstResultMs);
        if (report.hostBytes) times.hostBytes = std::max(times.hostBytes.value_or(0), *report.hostBytes);
        if (report.firstResultMs > kLongStartMs) break;
    }
    if (samples.empty()) return std::optional<double>();
    return std::optional<double>(summarize(samples).median);
}

}  // namespace

const Variables& coldEnvironment() {
    static const Variables kVariables = {
        {"MESA_SHADER_CACHE_DISABLE", "true"},  // https://docs.mesa3d.org/envvars.html
        {"MESA_GLSL_CACHE_DISABLE", "true"},    // its older name
        {"__GL_SHADER_DISK_CACHE", "0"},        // NVIDIA's README, "Environment variables": of Vulkan, too
    };
    return kVariables;
}

std::vector<std::string> startWords(const ModelRun& run, const std::string& cacheDirectory, bool validation) {
    std::vector<std::string> words = {"bench",
                                      "start",
                                      run.place,
                                      "--device",
                                      run.target->id,
                                      "--size",
                                      fmt::format("{}x{}", run.input.h, run.input.w),
                                      "--batch",
                                      std::to_string(run.input.n),
                                      "--precision",
                                      run.precision == Precision::Fp16 ? "fp16" : "fp32",
                                      "--fusion",
                                      run.fusion == FusionLevel::Max ? "max" : "default",
                                      "--threads",
                                      std::to_string(run.target->threads),
                                      "--cache",
                                      cacheDirectory.empty() ? "none" : cacheDirectory};
    if (!run.weights.empty()) words.insert(words.end(), {"--weights", run.weights});
    if (validation) words.push_back("--validation");
    return words;
}

std::optional<StartReport> parseStartReport(const std::string& text) {
    const size_t end = text.find_last_not_of("\r\n");
    if (end == std::string::npos) return std::nullopt;
    const size_t before = text.rfind('\n', end);
    const size_t begin = before == std::string::npos ? 0 : before + 1;
    const auto json = nlohmann::json::parse(text.substr(begin, end + 1 - begin), nullptr, false);
    if (!json.is_object() || !json.contains("firstResultMs") || !json["firstResultMs"].is_number()) return std::nullopt;
    StartReport report;
    report.firstResultMs = json["firstResultMs"];
    if (json.contains("hostBytes") && json["hostBytes"].is_number_unsigned()) report.hostBytes = json["hostBytes"];
    return report;
}

Outcome<StartTimes> measureStarts(const ModelRun& run, const StartPlan& plan) {
    StartTimes times;
    const TemporaryCache cache;
    if (cache.path().empty()) return Failure{ExitStatus::DeviceFailed, "no temporary folder for a cache could be made"};
    // Fills that cache, and the system's with the files of the program and the driver: both kinds of start find them.
    DUNLIN_CLI_ASSIGN([[maybe_unused]] const StartReport filling, startOnce(run, plan, cache.path(), {}));
    DUNLIN_CLI_ASSIGN(times.coldMs, medianStart(run, plan, {}, coldEnvironment(), times));
    DUNLIN_CLI_ASSIGN(times.warmMs, medianStart(run, plan, cache.path(), {}, times));
    return times;
}

}  // namespace dunlin::bench
