// The bytes of a file, without a copy where the system can map it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/status.h"

namespace dunlin {

// Bytes with a name for messages. `owner` keeps them alive; copies share them.
struct FileBytes {
    std::string name;
    std::span<const std::byte> bytes;
    std::shared_ptr<const void> owner;
};

// A whole file mapped read-only and unmapped with the object. Whoever cuts the file short while it is mapped makes a
// read past its new end fatal (SIGBUS), as with every mapped file: replace files by renaming, not by rewriting in
// place. Systems without mmap (Windows) get the file read into memory instead: same interface, more memory.
class MappedFile {
  public:
    // BadFile where there is no such file, where it is no regular file, or where it cannot be read.
    static Result<std::shared_ptr<const MappedFile>> open(const std::filesystem::path& path);

    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;
    ~MappedFile();

    std::span<const std::byte> bytes() const { return bytes_; }

  private:
    MappedFile() = default;

    std::span<const std::byte> bytes_;
    std::vector<std::byte> copy_;  // only where there is no mmap
};

// `path` mapped, under the name by which the user knows it.
Result<FileBytes> openFile(const std::filesystem::path& path);

// Bytes that came from elsewhere: a test, a fuzzer, an asset in an archive.
FileBytes inMemory(std::string name, std::vector<std::byte> bytes);

}  // namespace dunlin
