// Reading and writing whole files, and what a user may mean by a list of files.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tools/dunlin/outcome.h"

namespace dunlin::cli {

// No file that the tools read whole (pictures, arrays, labels, references) is larger.
constexpr size_t kMaxFileBytes = size_t{1} << 32;

// The whole file. BadInput, with its name and the reason, where it cannot be read.
Outcome<std::vector<std::byte>> readFile(const std::filesystem::path& path);

// Files that appear all at once or not at all: each is written under a temporary name beside its own, and commit()
// renames them. What was not committed is removed.
class OutputFiles {
  public:
    OutputFiles() = default;
    OutputFiles(const OutputFiles&) = delete;
    OutputFiles& operator=(const OutputFiles&) = delete;
    ~OutputFiles();

    Check write(const std::filesystem::path& path, std::span<const std::byte> header,
                std::span<const std::byte> content);
    Check commit();

  private:
    struct Pending {
        std::filesystem::path temporary, path;
    };
    std::vector<Pending> pending_;
};

// Whether `name` fits `pattern`, where * is any number of characters and ? is one.
bool matchesWildcard(std::string_view pattern, std::string_view name);

// The files that the words of a command line mean: a folder stands for the pictures in it (by their extension, not
// those in its subfolders), a pattern for the files that fit it, both sorted; everything else is taken as it is,
// whether it exists or not. BadInput where a folder or pattern has no file.
Outcome<std::vector<std::string>> expandFiles(std::span<const std::string> words);

}  // namespace dunlin::cli
