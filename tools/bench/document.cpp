#include "tools/bench/document.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <set>
#include <thread>

#include "dunlin/dunlin.h"
#include "runtime/cpu/processor.h"
#include "source_commit.h"
#include "tools/dunlin/files.h"

namespace dunlin::bench {
namespace {

using cli::Check;
using cli::ExitStatus;
using cli::Failure;

const char* systemName() {
#if defined(__ANDROID__)
    return "Android";
#elif defined(__linux__)
    return "Linux";
#elif defined(_WIN32)
    return "Windows";
#elif defined(__APPLE__)
    return "macOS";
#else
    return "unknown";
#endif
}

std::string now() {
    const std::time_t time = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(time));
}

Failure broken(const std::filesystem::path& file, const std::string& reason) {
    return {ExitStatus::BadInput, fmt::format("{}: {}", file.string(), reason)};
}

Check checkResult(const std::filesystem::path& file, const Json& row, size_t index,
                  const std::set<std::string>& devices, std::set<std::string>& ids) {
    const auto isText = [&](const char* field) { return row.contains(field) && row[field].is_string(); };
    if (!row.is_object() || !isText("id")) return broken(file, fmt::format("results[{}] has no text id", index));
    const std::string id = row["id"];
    if (!ids.insert(id).second) return broken(file, fmt::format("results[{}] has the id {} again", index, id));
    if (!isText("device") || !devices.contains(row["device"].get<std::string>())) {
        return broken(file, fmt::format("results[{}], {}, names no device of the document", index, id));
    }
    return {};
}

Check checkDocument(const std::filesystem::path& file, const Json& document) {
    if (!document.is_object() || !document.contains("format")) {
        return broken(file, "not a result of `dunlin bench` (it has no format)");
    }
    if (document["format"] != kFormat) {
        return broken(file, fmt::format("has format {}, and this dunlin reads {}", document["format"].dump(), kFormat));
    }
    const auto kind = document.find("kind");
    if (kind == document.end() || (*kind != "model" && *kind != "kernels" && *kind != "shader")) {
        return broken(file, "kind is none of model, kernels and shader");
    }
    for (const char* field : {"devices", "results", "notices"}) {
        if (!document.contains(field) || !document[field].is_array()) {
            return broken(file, fmt::format("{} is no list", field));
        }
    }
    for (const char* field : {"host", "ceilings"}) {
        if (!document.contains(field) || !document[field].is_object()) {
            return broken(file, fmt::format("{} is no object", field));
        }
    }
    std::set<std::string> devices, ids;
    for (const Json& device : document["devices"]) {
        if (!device.is_object() || !device.contains("id") || !device["id"].is_string()) {
            return broken(file, "a device has no text id");
        }
        devices.insert(device["id"].get<std::string>());
    }
    for (size_t i = 0; i < document["results"].size(); ++i) {
        DUNLIN_CLI_TRY(checkResult(file, document["results"][i], i, devices, ids));
    }
    return {};
}

}  // namespace

Json newDocument(std::string_view kind) {
    return {{"format", kFormat},
            {"kind", kind},
            {"version", fmt::format("{}.{}.{}", DUNLIN_VERSION_MAJOR, DUNLIN_VERSION_MINOR, DUNLIN_VERSION_PATCH)},
            {"commit", kSourceCommit},
            {"date", now()},
            {"host",
             {{"system", systemName()}, {"processor", processorName()}, {"cpus", std::thread::hardware_concurrency()}}},
            {"devices", Json::array()},
            {"ceilings", Json::object()},
            {"notices", Json::array()},
            {"complete", true},
            {"results", Json::array()}};
}

cli::Outcome<Json> readDocument(const std::filesystem::path& file) {
    constexpr size_t kMaxDocumentBytes = size_t{1} << 28;
    DUNLIN_CLI_ASSIGN(const std::vector<std::byte> bytes, cli::readFile(file, kMaxDocumentBytes));
    const auto* const text = reinterpret_cast<const char*>(bytes.data());
    constexpr int kMaxDepth = 32;  // deeper than any result, and shallow enough for the parser's recursion
    bool tooDeep = false;
    const auto limitDepth = [&](int level, Json::parse_event_t, Json&) {
        tooDeep = tooDeep || level > kMaxDepth;
        return !tooDeep;
    };
    Json document = Json::parse(text, text + bytes.size(), limitDepth, false);
    if (tooDeep) return broken(file, fmt::format("is nested deeper than {} levels", kMaxDepth));
    if (document.is_discarded()) return broken(file, "not a JSON document");
    DUNLIN_CLI_TRY(checkDocument(file, document));
    return document;
}

cli::Check checkWritable(const std::filesystem::path& file) {
    if (file.empty()) return {};
    cli::OutputFiles probe;  // which is not committed
    return probe.write(file, {}, {});
}

cli::Check writeDocument(const Json& document, const std::filesystem::path& file) {
    const std::string text = document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
    cli::OutputFiles files;
    DUNLIN_CLI_TRY(files.write(file, {}, std::as_bytes(std::span(text))));
    return files.commit();
}

}  // namespace dunlin::bench
