#include "tools/dunlin/part_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <system_error>
#include <vector>

#include "tools/dunlin/files.h"

namespace dunlin::cli {
namespace fs = std::filesystem;
namespace {

constexpr size_t kChunkBytes = size_t{1} << 20;

Failure failure(const fs::path& path, const char* what, int errorNumber) {
    return {ExitStatus::BadInput,
            fmt::format("{}: cannot be {}: {}", path.string(), what, std::generic_category().message(errorNumber))};
}

// All bytes of an open file into the hash. False with errno.
bool addAll(int file, Sha256& hash, uint64_t& size, const std::function<void(double)>& progress) {
    struct stat info = {};
    if (fstat(file, &info) != 0 || lseek(file, 0, SEEK_SET) != 0) return false;
    std::vector<std::byte> chunk(kChunkBytes);
    size = 0;
    for (;;) {
        const ssize_t got = read(file, chunk.data(), chunk.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return false;
        if (got == 0) return true;
        hash.add({chunk.data(), static_cast<size_t>(got)});
        size += static_cast<uint64_t>(got);
        progress(info.st_size > 0 ? static_cast<double>(size) / static_cast<double>(info.st_size) : 1.0);
    }
}

// Nothing where it is absent or broken: then the part is of no use.
std::optional<PartOrigin> readOrigin(const fs::path& path) {
    constexpr size_t kMaxBytes = 1 << 16;
    const Outcome<std::vector<std::byte>> bytes = readFile(path, kMaxBytes);
    if (!bytes.ok()) return {};
    const auto* text = reinterpret_cast<const char*>(bytes->data());
    const auto json = nlohmann::json::parse(text, text + bytes->size(), nullptr, false);
    if (!json.is_object() || !json.contains("url") || !json["url"].is_string() || !json.contains("validator") ||
        !json["validator"].is_string() || !json.contains("totalBytes")) {
        return {};
    }
    PartOrigin origin{json["url"], json["validator"], {}};
    if (json["totalBytes"].is_number_unsigned()) origin.totalBytes = json["totalBytes"].get<uint64_t>();
    return origin;
}

Check writeOrigin(const fs::path& path, const PartOrigin& origin) {
    const nlohmann::ordered_json json = {
        {"url", origin.url},
        {"validator", origin.validator},
        {"totalBytes", origin.totalBytes ? nlohmann::ordered_json(*origin.totalBytes) : nlohmann::ordered_json()}};
    const std::string text = json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    OutputFiles files;
    DUNLIN_CLI_TRY(files.write(path, {}, std::as_bytes(std::span(text))));
    return files.commit();
}

}  // namespace

PartFile::PartFile(fs::path target)
    : target_(std::move(target)), path_(target_.string() + ".part"), originPath_(path_.string() + ".json") {}

PartFile::~PartFile() {
    if (file_ >= 0) close(file_);
}

Failure PartFile::failed(const char* what) const {
    return failure(path_, what, errno);
}

Check PartFile::open(const std::string& url, const std::function<void(double)>& progress) {
    // No links: they would lead out of the folder.
    file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (file_ < 0) return failed("written");
    const std::optional<PartOrigin> origin = readOrigin(originPath_);
    if (!origin || origin->url != url) return restart({url, "", {}});
    origin_ = *origin;
    return readBack(progress);
}

Check PartFile::readBack(const std::function<void(double)>& progress) {
    hash_.restart();
    if (!addAll(file_, hash_, size_, progress)) return failed("read");
    return {};
}

Check PartFile::restart(const PartOrigin& origin) {
    // In this order: a part never stands beside the origin of another one.
    std::error_code ignored;
    fs::remove(originPath_, ignored);
    if (ftruncate(file_, 0) != 0 || lseek(file_, 0, SEEK_SET) != 0) return failed("written");
    size_ = 0;
    hash_.restart();
    origin_ = origin;
    return writeOrigin(originPath_, origin);
}

Check PartFile::append(std::span<const std::byte> bytes) {
    for (size_t written = 0; written < bytes.size();) {
        const ssize_t got = ::write(file_, bytes.data() + written, bytes.size() - written);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return failed("written");
        hash_.add(bytes.subspan(written, static_cast<size_t>(got)));
        written += static_cast<size_t>(got);
        size_ += static_cast<uint64_t>(got);
    }
    return {};
}

Check PartFile::commit() {
    if (fsync(file_) != 0) return failed("written");
    std::error_code failedTo;
    fs::rename(path_, target_, failedTo);
    if (failedTo) return failure(target_, "written", failedTo.value());
    fs::remove(originPath_, failedTo);
    return {};
}

void PartFile::remove() {
    std::error_code ignored;
    fs::remove(path_, ignored);
    fs::remove(originPath_, ignored);
}

FileLock::~FileLock() {
    if (file_ >= 0) close(file_);
}

Check FileLock::take(const fs::path& path, const std::function<void()>& wait) {
    for (bool waited = false;;) {
        file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (file_ < 0) return failure(path, "written", errno);
        if (flock(file_, LOCK_EX | LOCK_NB) != 0) {
            if (errno != EWOULDBLOCK) return failure(path, "locked", errno);
            if (!waited) wait();
            waited = true;
            while (flock(file_, LOCK_EX) != 0) {
                if (errno != EINTR) return failure(path, "locked", errno);
            }
        }
        // Who had the lock may have removed the file, and another process may hold that of a new one.
        struct stat held = {}, named = {};
        if (fstat(file_, &held) == 0 && stat(path.c_str(), &named) == 0 && held.st_dev == named.st_dev &&
            held.st_ino == named.st_ino) {
            return {};
        }
        close(file_);
    }
}

void sync(const fs::path& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    fsync(file);
    close(file);
}

Outcome<std::string> hashOf(const fs::path& path, const std::function<void(double)>& progress) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return failure(path, "read", errno);
    Sha256 hash;
    uint64_t size = 0;
    const bool good = addAll(file, hash, size, progress);
    const int reason = errno;
    close(file);
    if (!good) return failure(path, "read", reason);
    return hash.finish();
}

}  // namespace dunlin::cli
