#include "runtime/tuning/verdict_store.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <functional>
#include <system_error>
#include <thread>

#if defined(_WIN32)
#include <process.h>
#else
#include <unistd.h>
#endif

namespace dunlin::tuning {
namespace {

namespace fs = std::filesystem;

unsigned long processId() {
#if defined(_WIN32)
    return static_cast<unsigned long>(_getpid());
#else
    return static_cast<unsigned long>(getpid());
#endif
}

// Nothing where it is absent; of a file that is larger than any verdicts, one byte more than they may have.
std::optional<std::string> readText(const fs::path& file) {
    std::error_code failure;
    if (!fs::is_regular_file(file, failure)) return std::nullopt;
    std::ifstream stream(file, std::ios::binary);
    if (!stream) return std::nullopt;
    const uint64_t fileBytes = fs::file_size(file, failure);
    if (failure) return std::nullopt;
    std::string text(std::min<uint64_t>(fileBytes, kMaxVerdictBytes + 1), '\0');
    stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<size_t>(stream.gcount()));
    return text;
}

bool writeText(const fs::path& file, const std::string& text) {
    std::error_code failure;
    fs::create_directories(file.parent_path(), failure);
    // Unique, since processes and threads may save at once.
    char suffix[64];
    std::snprintf(suffix, sizeof suffix, ".%lu-%zx.tmp", processId(),
                  std::hash<std::thread::id>()(std::this_thread::get_id()));
    fs::path temporary = file;
    temporary += suffix;
    std::ofstream stream(temporary, std::ios::binary | std::ios::trunc);
    stream.write(text.data(), static_cast<std::streamsize>(text.size()));
    stream.close();
    if (stream) {
        fs::rename(temporary, file, failure);
        if (!failure) return true;
    }
    fs::remove(temporary, failure);
    return false;
}

}  // namespace

std::string VerdictStore::fileName(const Identity& identity) {
    const auto& uuid = identity.pipelineCacheUuid;
    char name[64];
    std::snprintf(name, sizeof name, "tuning-%08x-%08x-%02x%02x%02x%02x.json", identity.vendorId, identity.deviceId,
                  uuid[0], uuid[1], uuid[2], uuid[3]);
    return name;
}

VerdictStore::VerdictStore(const vulkan::Capabilities& capabilities, const VerdictSources& sources,
                           vulkan::NoticeListener notify)
    : identity_(Identity::of(capabilities)), notify_(std::move(notify)) {
    const std::string name = fileName(identity_);
    if (!sources.shipped.empty()) {
        adopt({reinterpret_cast<const char*>(sources.shipped.data()), sources.shipped.size()}, "given in memory",
              Origin::Shipped);
    }
    std::error_code failure;
    const bool isFolder = fs::is_directory(sources.shippedPath, failure);
    if (!sources.shippedPath.empty() &&
        !read(isFolder ? sources.shippedPath / name : sources.shippedPath, Origin::Shipped) && !isFolder && notify_) {
        notify_(vulkan::NoticeSeverity::Info, "the tuning cache " + sources.shippedPath.string() + " cannot be read");
    }
    if (sources.folder.empty()) return;
    file_ = sources.folder / name;
    read(file_, Origin::Here);
}

bool VerdictStore::read(const fs::path& file, Origin origin) {
    const std::optional<std::string> text = readText(file);
    if (text) adopt(*text, file.string(), origin);
    return text.has_value();
}

void VerdictStore::adopt(std::string_view text, const std::string& source, Origin origin) {
    std::optional<Verdicts> verdicts = parseVerdicts(text, identity_);
    if (verdicts && origin == Origin::Shipped) {
        for (auto& [key, verdict] : verdicts->problems) {
            verdict.complete = false;
            verdict.rejected.clear();  // of a driver elsewhere: what this one gets wrong is found out here
        }
    }
    if (verdicts) {
        verdicts_.add(*verdicts);
    } else if (notify_) {
        notify_(vulkan::NoticeSeverity::Info,
                "the tuning cache " + source + " is of another device, driver or version, or damaged, and is ignored");
    }
}

void VerdictStore::add(const std::string& key, Verdict verdict) {
    added_.problems.insert_or_assign(key, verdict);
    verdicts_.problems.insert_or_assign(key, std::move(verdict));
}

void VerdictStore::add(const std::string& key, BlockVerdict verdict) {
    added_.blocks.insert_or_assign(key, verdict);
    verdicts_.blocks.insert_or_assign(key, verdict);
}

void VerdictStore::save() {
    if (file_.empty() || added_ == Verdicts()) return;
    Verdicts all;
    if (const std::optional<std::string> text = readText(file_)) {
        if (const std::optional<Verdicts> there = parseVerdicts(*text, identity_)) all = *there;
    }
    all.add(added_);
    const std::string text = toText(all, identity_);
    const bool isTooLarge = !parseVerdicts(text, identity_);
    if (!isTooLarge && writeText(file_, text)) {
        added_ = {};
        return;
    }
    if (notify_ && !saveFailed_) {
        const std::string why = isTooLarge ? "would have " + std::to_string(text.size()) + " bytes of at most " +
                                                 std::to_string(kMaxVerdictBytes) + " and is left as it was"
                                           : "could not be written";
        notify_(vulkan::NoticeSeverity::Warning,
                "the tuning cache " + file_.string() + " " + why + ": the next process tunes again");
    }
    saveFailed_ = true;  // once is enough; later calls try again in silence
}

}  // namespace dunlin::tuning
