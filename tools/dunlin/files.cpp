#include "tools/dunlin/files.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>

namespace dunlin::cli {
namespace fs = std::filesystem;
namespace {

struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

Failure cannot(const char* what, const fs::path& path, const std::string& reason) {
    return {ExitStatus::BadInput, fmt::format("{}: cannot be {}: {}", path.string(), what, reason)};
}

std::string reasonOf(int errorNumber) {
    return std::generic_category().message(errorNumber);
}

bool isPictureName(const fs::path& path) {
    static constexpr std::array<std::string_view, 12> kExtensions = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tga",
                                                                     ".psd", ".pic",  ".ppm", ".pgm", ".pnm", ".jpe"};
    std::string extension = path.extension().string();
    std::transform(extension.begin(), extension.end(), extension.begin(),
                   [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); });
    return std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end();
}

bool isPattern(std::string_view word) {
    return word.find_first_of("*?") != std::string_view::npos;
}

// The entries of a folder whose names fit, sorted; nothing where the folder cannot be read.
std::vector<fs::path> matchingEntries(const fs::path& folder, std::string_view pattern) {
    std::vector<fs::path> found;
    std::error_code failed;
    for (fs::directory_iterator entry(folder.empty() ? fs::path(".") : folder, failed), end; !failed && entry != end;
         entry.increment(failed)) {
        const std::string name = entry->path().filename().string();
        const bool hidden = name.starts_with('.') && !pattern.starts_with('.');
        if (!hidden && matchesWildcard(pattern, name)) found.push_back(folder / name);
    }
    std::sort(found.begin(), found.end());
    return found;
}

// Component by component, so that photos/*/a?.jpg works too.
std::vector<fs::path> matchingPaths(const fs::path& pattern) {
    std::vector<fs::path> found = {pattern.root_path()};
    for (const fs::path& component : pattern.relative_path()) {
        std::vector<fs::path> next;
        for (const fs::path& folder : found) {
            if (!isPattern(component.string())) {
                next.push_back(folder / component);
                continue;
            }
            const std::vector<fs::path> entries = matchingEntries(folder, component.string());
            next.insert(next.end(), entries.begin(), entries.end());
        }
        found = std::move(next);
    }
    std::error_code ignored;
    std::erase_if(found, [&](const fs::path& path) { return !fs::is_regular_file(path, ignored); });
    return found;
}

std::vector<fs::path> picturesIn(const fs::path& folder) {
    std::vector<fs::path> found = matchingEntries(folder, "*");
    std::error_code ignored;
    std::erase_if(found,
                  [&](const fs::path& path) { return !isPictureName(path) || !fs::is_regular_file(path, ignored); });
    return found;
}

}  // namespace

Outcome<std::vector<std::byte>> readFile(const fs::path& path) {
    std::error_code failed;
    if (fs::is_directory(path, failed)) return cannot("read", path, "it is a folder");
    File file(std::fopen(path.string().c_str(), "rb"));
    if (!file) return cannot("read", path, reasonOf(errno));
    const uintmax_t size = fs::file_size(path, failed);
    if (!failed && size > kMaxFileBytes) {
        return cannot("read", path, fmt::format("it has {} bytes, the limit is {}", size, kMaxFileBytes));
    }
    std::vector<std::byte> content;
    try {
        content.resize(failed ? 0 : static_cast<size_t>(size));
        // A pipe or device has no size: it is read in pieces until it ends.
        for (size_t used = 0;;) {
            if (used == content.size()) content.resize(used + (failed ? size_t{1} << 16 : 1));
            const size_t got = std::fread(content.data() + used, 1, content.size() - used, file.get());
            used += got;
            if (used > kMaxFileBytes)
                return cannot("read", path, fmt::format("it has more than {} bytes", kMaxFileBytes));
            if (got == 0) {
                content.resize(used);
                break;
            }
        }
    } catch (const std::bad_alloc&) {
        return Failure{ExitStatus::DeviceFailed, fmt::format("{}: no memory for its {} bytes", path.string(), size)};
    }
    if (std::ferror(file.get())) return cannot("read", path, reasonOf(errno));
    return content;
}

OutputFiles::~OutputFiles() {
    std::error_code ignored;
    for (const Pending& pending : pending_) fs::remove(pending.temporary, ignored);
}

Check OutputFiles::write(const fs::path& path, std::span<const std::byte> header, std::span<const std::byte> content) {
    std::error_code failed;
    if (fs::is_directory(path, failed)) return cannot("written", path, "it is a folder");
    fs::path temporary = path;
    temporary += ".part";
    File file(std::fopen(temporary.string().c_str(), "wb"));
    if (!file) return cannot("written", path, reasonOf(errno));
    pending_.push_back({temporary, path});
    bool written = true;
    for (std::span<const std::byte> part : {header, content}) {
        written = written && (part.empty() || std::fwrite(part.data(), 1, part.size(), file.get()) == part.size());
    }
    const int reason = errno;
    if (std::fclose(file.release()) != 0) return cannot("written", path, reasonOf(errno));
    if (!written) return cannot("written", path, reasonOf(reason));
    return {};
}

Check OutputFiles::commit() {
    while (!pending_.empty()) {
        std::error_code failed;
        fs::rename(pending_.back().temporary, pending_.back().path, failed);
        if (failed) return cannot("written", pending_.back().path, failed.message());
        pending_.pop_back();
    }
    return {};
}

bool matchesWildcard(std::string_view pattern, std::string_view name) {
    size_t p = 0, n = 0, star = std::string_view::npos, resume = 0;
    while (n < name.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            resume = n;
        } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
            ++p, ++n;
        } else if (star != std::string_view::npos) {
            // The last star takes one character more, and the rest of the pattern is tried again.
            p = star + 1;
            n = ++resume;
        } else {
            return false;
        }
    }
    return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

Outcome<std::vector<std::string>> expandFiles(std::span<const std::string> words) {
    std::vector<std::string> files;
    for (const std::string& word : words) {
        std::error_code ignored;
        const bool folder = fs::is_directory(word, ignored);
        if (!folder && (fs::exists(word, ignored) || !isPattern(word))) {
            files.push_back(word);
            continue;
        }
        const std::vector<fs::path> found = folder ? picturesIn(word) : matchingPaths(word);
        if (found.empty()) {
            return Failure{
                ExitStatus::BadInput,
                fmt::format("{}: {}", word, folder ? "the folder has no pictures" : "no file fits the pattern")};
        }
        for (const fs::path& path : found) files.push_back(path.string());
    }
    return files;
}

}  // namespace dunlin::cli
