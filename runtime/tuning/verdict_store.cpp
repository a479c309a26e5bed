#include "runtime/tuning/verdict_store.h"

#include <algorithm>
#include <fstream>
#include <system_error>

#include "runtime/vulkan/cache_file.h"

namespace dunlin::tuning {
namespace {

namespace fs = std::filesystem;

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
    const std::span<const std::byte> parts[] = {std::as_bytes(std::span(text))};
    return vulkan::replaceCacheFile(file, parts);
}

}  // namespace

std::string VerdictStore::fileName(const Identity& identity) {
    return vulkan::cacheFileName("tuning", identity, "json");
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
