#include "tools/dunlin/pulled_models.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <span>

#include "tools/dunlin/files.h"

namespace dunlin::cli {
namespace fs = std::filesystem;

fs::path pulledModelsFolder(const std::string& cacheDirectory) {
    return fs::path(cacheDirectory) / "models";
}

bool isModelName(std::string_view name) {
    constexpr size_t kLongest = 128;
    constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-@";
    return !name.empty() && name.size() <= kLongest && name.front() != '.' &&
           name.find_first_not_of(kAllowed) == std::string_view::npos && !name.ends_with(".safetensors") &&
           !name.ends_with(".pth");
}

std::string shownUrl(std::string_view url) {
    url = url.substr(0, url.find_first_of("?#"));
    const size_t scheme = url.find("://");
    const size_t host = scheme == std::string_view::npos ? 0 : scheme + 3;
    const size_t at = url.substr(0, url.find('/', host)).rfind('@');
    if (at == std::string_view::npos || at < host) return std::string(url);
    return std::string(url.substr(0, host)) + std::string(url.substr(at + 1));
}

Outcome<PullRecord> readPullRecord(const fs::path& modelFolder) {
    constexpr size_t kMaxRecordBytes = 1 << 16;
    const fs::path path = modelFolder / kPullRecordName;
    DUNLIN_CLI_ASSIGN(const std::vector<std::byte> bytes, readFile(path, kMaxRecordBytes));
    const auto* text = reinterpret_cast<const char*>(bytes.data());
    const auto json = nlohmann::json::parse(text, text + bytes.size(), nullptr, false);
    const auto has = [&](const char* key) { return json.contains(key) && json[key].is_string(); };
    if (!json.is_object() || !has("url") || !has("file") || !has("sha256") || !json.contains("bytes") ||
        !json["bytes"].is_number_unsigned()) {
        return Failure{ExitStatus::BadInput, fmt::format("{}: it is no record of `dunlin pull`", path.string())};
    }
    return PullRecord{shownUrl(json["url"].get<std::string>()),
                      json["file"],
                      json["sha256"],
                      json["bytes"],
                      has("licence") ? json["licence"].get<std::string>() : "",
                      has("publisher") ? json["publisher"].get<std::string>() : ""};
}

std::string textOf(const PullRecord& record) {
    const auto orNull = [](const std::string& text) {
        return text.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(text);
    };
    const nlohmann::ordered_json json = {{"url", record.url},
                                         {"file", record.file},
                                         {"sha256", record.sha256},
                                         {"bytes", record.bytes},
                                         {"licence", orNull(record.licence)},
                                         {"publisher", orNull(record.publisher)}};
    return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace dunlin::cli
