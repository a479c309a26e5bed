// dunlin bench start: one start of an application, from nothing to the first result. Not for people: `bench model` runs
// it in processes of its own (model_starts.h).
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "tools/bench/bench_picture.h"
#include "tools/bench/commands.h"
#include "tools/dunlin/library.h"
#include "tools/dunlin/output.h"

namespace dunlin::bench {
namespace {

// A line of /proc/self/status, like VmHWM, the most memory that was ever resident. Nothing on other systems.
std::optional<uint64_t> statusBytes(const std::string& name) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (!line.starts_with(name + ":")) continue;
        return std::strtoull(line.c_str() + name.size() + 1, nullptr, 10) * 1024;
    }
    return std::nullopt;
}

std::optional<uint64_t> difference(std::optional<uint64_t> peak, std::optional<uint64_t> before) {
    if (!peak || !before) return std::nullopt;
    return *peak > *before ? *peak - *before : 0;
}

}  // namespace

Outcome<ExitStatus> start(const StartOptions& options) {
    const std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
    const std::optional<uint64_t> before = statusBytes("VmRSS");
    DUNLIN_CLI_ASSIGN(const cli::OpenedDevice device, cli::openDevice(options.common));
    // MODEL is a place already: pulled models are not looked up in the cache of this start.
    DUNLIN_CLI_ASSIGN(const cli::OpenedModel model, cli::openModel(options.model, {}));
    SessionOptions session;
    session.batch = options.batch;
    session.height = options.size.height;
    session.width = options.size.width;
    session.fusion = options.fusion;
    session.inputKinds = DUNLIN_INPUT_PICTURES;
    DUNLIN_CLI_ASSIGN(cli::OpenedSession opened, cli::openSession(device, model, options.common, session));
    const std::vector<uint8_t> pixels = benchPicture(opened.info.width, opened.info.height);
    const std::vector<Picture> pictures(opened.info.batch, {pixels.data(), opened.info.width, opened.info.height, 0});
    std::vector<std::byte> output(opened.info.outputBytes);
    if (const auto done = opened.session.run(pictures, output); !done) return cli::failureOf(done.error());
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;

    nlohmann::ordered_json report = {{"firstResultMs", took.count()}, {"hostBytes", nullptr}};
    if (const auto bytes = difference(statusBytes("VmHWM"), before)) report["hostBytes"] = *bytes;
    cli::printOut("{}\n", report.dump());
    DUNLIN_CLI_TRY(device.messages->check());
    return ExitStatus::Done;
}

}  // namespace dunlin::bench
