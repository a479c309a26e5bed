// A file that is on its way: FILE.part, and FILE.part.json which says what it is a part of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "tools/dunlin/outcome.h"
#include "tools/dunlin/sha256.h"

namespace dunlin::cli {

// What FILE.part.json says: bytes of another address or version are not continued.
struct PartOrigin {
    std::string url, validator;
    std::optional<uint64_t> totalBytes;
};

// Everything is written at once and without a buffer of its own, so that whatever ends the process leaves a part that
// can be continued. BadInput names the file and the reason.
class PartFile {
  public:
    // `target`: what the file becomes.
    explicit PartFile(std::filesystem::path target);
    ~PartFile();
    PartFile(const PartFile&) = delete;
    PartFile& operator=(const PartFile&) = delete;

    // What is there of `url` is kept and hashed, with progress from 0 to 1; anything else is thrown away.
    Check open(const std::string& url, const std::function<void(double)>& progress);
    // Empty again, for another version.
    Check restart(const PartOrigin& origin);
    Check append(std::span<const std::byte> bytes);

    const std::filesystem::path& path() const { return path_; }  // FILE.part
    uint64_t size() const { return size_; }
    const PartOrigin& origin() const { return origin_; }
    // Of all bytes. Nothing can be appended afterwards.
    std::string hash() { return hash_.finish(); }

    // To the disk, and under its name.
    Check commit();
    void remove();

  private:
    Check readBack(const std::function<void(double)>& progress);
    Failure failed(const char* what) const;

    const std::filesystem::path target_, path_, originPath_;
    int file_ = -1;
    uint64_t size_ = 0;
    PartOrigin origin_;
    Sha256 hash_;
};

// Holds a lock on a file while it lives; the kernel lets go of it when the process ends, however that happens.
class FileLock {
  public:
    ~FileLock();
    FileLock() = default;
    FileLock(const FileLock&) = delete;
    FileLock& operator=(const FileLock&) = delete;

    // `wait` is called once where another process has it. Whoever holds the lock may remove the file.
    Check take(const std::filesystem::path& path, const std::function<void()>& wait);

  private:
    int file_ = -1;
};

// What is in the file, or was renamed or made in the folder, stays after a power cut. Where that is not possible it is
// no error.
void sync(const std::filesystem::path& path);

// The hash of a file, with progress from 0 to 1.
Outcome<std::string> hashOf(const std::filesystem::path& path, const std::function<void(double)>& progress);

}  // namespace dunlin::cli
