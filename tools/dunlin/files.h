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

// The whole file. BadInput, with its name and the reason, where it cannot be read or has more than `limit` bytes.
Outcome<std::vector<std::byte>> readFile(const std::filesystem::path& path, size_t limit = kMaxFileBytes);

// Whether two paths name one file, or will once it is written: through links, and however they are spelt.
bool sameFile(const std::filesystem::path& a, const std::filesystem::path& b);

// Files that appear all at once or not at all: each is written under a temporary name of its own in the folder of the
// file that it becomes (through links, so these stay), and commit() renames them. What was not committed is removed.
// What exists and is no regular file, like /dev/null, is written to at once and never replaced.
class OutputFiles {
  public:
    OutputFiles() = default;
    OutputFiles(const OutputFiles&) = delete;
    OutputFiles& operator=(const OutputFiles&) = delete;
    ~OutputFiles();

    // BadInput, with the file's name, where it cannot be written or exists without permission to write.
    Check write(const std::filesystem::path& path, std::span<const std::byte> header,
                std::span<const std::byte> content);
    // Where one cannot take its name, the files that were not there before are removed again.
    Check commit();

  private:
    struct Pending {
        std::filesystem::path temporary, target, path;  // the path as the user gave it
        bool isNew = true;
    };
    std::vector<Pending> pending_;
};

// Whether `name` fits `pattern`, where * is any number of characters and ? is one.
bool matchesWildcard(std::string_view pattern, std::string_view name);

// Whether the extension is one of those that pictures have.
bool isPictureName(const std::filesystem::path& path);

// A file that was meant, or a word that means none.
struct InputFile {
    std::string path;
    Check failure;
};

// The files that the words of a command line mean: a folder stands for the pictures in it (by their extension, not
// those in its subfolders), a pattern for the files that fit it, both sorted; everything else is taken as it is,
// whether it exists or not. A folder or pattern without a file comes with a BadInput of its own.
std::vector<InputFile> expandFiles(std::span<const std::string> words);

}  // namespace dunlin::cli
