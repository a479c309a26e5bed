#include "tools/dunlin/files.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>

#if defined(_WIN32)
#include <process.h>
#else
#include <sys/stat.h>
#include <unistd.h>
#endif

#include "tools/dunlin/text.h"

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

// The path that is meant, absolute, also where its last parts are still missing or a link leads to what is not there
// yet. Empty where links lead nowhere.
fs::path withoutLinks(fs::path path) {
    constexpr int kMaxLinks = 40;
    std::error_code failed;
    for (int links = 0; fs::is_symlink(fs::symlink_status(path, failed)); ++links) {
        const fs::path next = fs::read_symlink(path, failed);
        if (failed || links == kMaxLinks) return {};
        path = path.parent_path() / next;  // only `next` where that is absolute
    }
    path = fs::weakly_canonical(fs::absolute(path, failed), failed);
    return failed ? fs::path() : path;
}

// /dev/stdout, or the file that it goes to: there, a file of our own would be written over.
bool isStdout([[maybe_unused]] const fs::path& path) {
#if defined(_WIN32)
    return false;
#else
    struct stat its = {}, standard = {};
    return stat(path.c_str(), &its) == 0 && fstat(fileno(stdout), &standard) == 0 && its.st_dev == standard.st_dev &&
           its.st_ino == standard.st_ino && !S_ISCHR(its.st_mode);
#endif
}

// With errno where not.
bool mayWrite([[maybe_unused]] const fs::path& path) {
#if defined(_WIN32)
    return true;
#else
    return access(path.c_str(), W_OK) == 0;
#endif
}

// A new file beside the one that it becomes, under a name that nothing else has; null with errno.
File openTemporary(const fs::path& folder, fs::path& temporary) {
#if defined(_WIN32)
    const int process = _getpid();
#else
    const int process = getpid();
#endif
    constexpr int kAttempts = 1000;
    for (int i = 0; i < kAttempts; ++i) {
        temporary = folder / fmt::format(".dunlin-{}-{}.part", process, i);
        File file(std::fopen(temporary.string().c_str(), "wbx"));
        if (file || errno != EEXIST) return file;
    }
    return {};
}

Check writeContent(std::FILE* file, const fs::path& path, std::span<const std::byte> header,
                   std::span<const std::byte> content) {
    for (std::span<const std::byte> part : {header, content}) {
        if (!part.empty() && std::fwrite(part.data(), 1, part.size(), file) != part.size())
            return cannot("written", path, reasonOf(errno));
    }
    if (std::fflush(file) != 0) return cannot("written", path, reasonOf(errno));
    return {};
}

}  // namespace

Outcome<std::vector<std::byte>> readFile(const fs::path& path, size_t limit) {
    std::error_code failed;
    if (fs::is_directory(path, failed)) return cannot("read", path, "it is a folder");
    File file(std::fopen(path.string().c_str(), "rb"));
    if (!file) return cannot("read", path, reasonOf(errno));
    const uintmax_t size = fs::file_size(path, failed);
    if (!failed && size > limit) {
        return cannot("read", path, fmt::format("it has {} bytes, the limit is {}", size, limit));
    }
    std::vector<std::byte> content;
    try {
        content.resize(failed ? 0 : static_cast<size_t>(size));
        // A pipe or device has no size: it is read in pieces until it ends.
        for (size_t used = 0;;) {
            if (used == content.size()) content.resize(used + (failed ? size_t{1} << 16 : 1));
            const size_t got = std::fread(content.data() + used, 1, content.size() - used, file.get());
            used += got;
            if (used > limit) return cannot("read", path, fmt::format("it has more than {} bytes", limit));
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

bool sameFile(const fs::path& a, const fs::path& b) {
    std::error_code failed;
    if (fs::equivalent(a, b, failed) && !failed) return true;
    const fs::path first = withoutLinks(a), second = withoutLinks(b);
    return !first.empty() && first == second;
}

OutputFiles::~OutputFiles() {
    std::error_code ignored;
    for (const Pending& pending : pending_) fs::remove(pending.temporary, ignored);
}

Check OutputFiles::write(const fs::path& path, std::span<const std::byte> header, std::span<const std::byte> content) {
    std::error_code failed;
    if (fs::is_directory(path, failed)) return cannot("written", path, "it is a folder");
    if (isStdout(path)) return writeContent(stdout, path, header, content);
    const bool exists = fs::exists(path, failed);
    if (exists && !mayWrite(path)) return cannot("written", path, reasonOf(errno));
    if (exists && !fs::is_regular_file(path, failed)) {
        const File device(std::fopen(path.string().c_str(), "wb"));
        if (!device) return cannot("written", path, reasonOf(errno));
        return writeContent(device.get(), path, header, content);
    }
    Pending pending;
    pending.path = path;
    pending.target = withoutLinks(path);
    pending.isNew = !exists;
    if (pending.target.empty()) return cannot("written", path, "its links cannot be followed");
    File file = openTemporary(pending.target.parent_path(), pending.temporary);
    if (!file) return cannot("written", path, reasonOf(errno));
    pending_.push_back(pending);
    if (exists) fs::permissions(pending.temporary, fs::status(path, failed).permissions(), failed);
    DUNLIN_CLI_TRY(writeContent(file.get(), path, header, content));
    if (std::fclose(file.release()) != 0) return cannot("written", path, reasonOf(errno));
    return {};
}

Check OutputFiles::commit() {
    std::error_code failed;
    for (const Pending& pending : pending_) {
        if (fs::is_directory(pending.target, failed)) return cannot("written", pending.path, "it is a folder");
    }
    for (size_t i = 0; i < pending_.size(); ++i) {
        fs::rename(pending_[i].temporary, pending_[i].target, failed);
        if (!failed) continue;
        const std::string reason = failed.message();
        for (size_t done = 0; done < i; ++done) {
            if (pending_[done].isNew) fs::remove(pending_[done].target, failed);
        }
        return cannot("written", pending_[i].path, reason);
    }
    pending_.clear();
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

bool isPictureName(const fs::path& path) {
    static constexpr std::array<std::string_view, 12> kExtensions = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tga",
                                                                     ".psd", ".pic",  ".ppm", ".pgm", ".pnm", ".jpe"};
    return std::find(kExtensions.begin(), kExtensions.end(), lowered(path.extension().string())) != kExtensions.end();
}

std::vector<InputFile> expandFiles(std::span<const std::string> words) {
    std::vector<InputFile> files;
    for (const std::string& word : words) {
        std::error_code ignored;
        const bool folder = fs::is_directory(word, ignored);
        if (!folder && (fs::exists(word, ignored) || !isPattern(word))) {
            files.push_back({word, {}});
            continue;
        }
        const std::vector<fs::path> found = folder ? picturesIn(word) : matchingPaths(word);
        if (found.empty()) {
            const char* reason = folder ? "the folder has no pictures" : "no file fits the pattern";
            files.push_back({word, Failure{ExitStatus::BadInput, fmt::format("{}: {}", word, reason)}});
        }
        for (const fs::path& path : found) files.push_back({path.string(), {}});
    }
    return files;
}

}  // namespace dunlin::cli
