// Verdicts between sessions, processes and machines: one file for each device, driver and set of shaders.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include "runtime/tuning/verdicts.h"

namespace dunlin::tuning {

// Where verdicts come from. What one source says about a problem goes before what those above it say. Whatever a file
// says is memory-safe (parseVerdicts), but without a budget nothing of it is run before it is taken: a form that this
// driver gets wrong would be. So files deserve as much trust as the library's own. What was shipped never counts as
// complete: the next tuning verifies its forms and finishes it.
struct VerdictSources {
    std::span<const std::byte> shipped = {};  // the content of a file as save() writes it; read once
    std::filesystem::path shippedPath = {};   // such a file, or a folder of them for several devices; never written
    std::filesystem::path folder = {};        // read, and written by save(); empty: none
};

// Not thread-safe.
class VerdictStore {
  public:
    // What of the sources is of another device, driver, version, or damaged, counts as absent, which `notify`,
    // optional, hears (Info).
    VerdictStore(const vulkan::Capabilities& capabilities, const VerdictSources& sources,
                 vulkan::NoticeListener notify = {});

    const Verdicts& verdicts() const { return verdicts_; }
    const std::filesystem::path& file() const { return file_; }  // in the folder; empty: none
    // In memory; save() writes them.
    void add(const std::string& key, Verdict verdict);
    void add(const std::string& key, BlockVerdict verdict);
    // Writes what was added to the folder's file, beside what is there by now: to a temporary file that takes the
    // other's place, so that a reader sees the old one or the new one, whole. Of two processes that save in the same
    // moment one may lose what it found, which costs only time; so does a failure (one Warning), and a file that would
    // become larger than what can be read, which is left as it was.
    void save();

    // The file's name for a device: "tuning-00010005-00000000-6b1f22a0.json".
    static std::string fileName(const Identity& identity);

  private:
    enum class Origin { Shipped, Here };
    bool read(const std::filesystem::path& file, Origin origin);  // false: there is none
    void adopt(std::string_view text, const std::string& source, Origin origin);

    Identity identity_;
    std::filesystem::path file_;
    vulkan::NoticeListener notify_;
    Verdicts verdicts_, added_;
    bool saveFailed_ = false;
};

}  // namespace dunlin::tuning
