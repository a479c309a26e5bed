// Where `dunlin pull` puts models and the other commands find them: CACHE/models/NAME, a folder as published on the
// hub, with a record of where it came from. What has no record is not there.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "tools/dunlin/outcome.h"

namespace dunlin::cli {

inline constexpr const char* kPullRecordName = "pulled.json";
// What weights are called in a model's folder, as on the hub; the second is what torch.save writes.
inline constexpr const char* kSafetensorsName = "model.safetensors";
inline constexpr const char* kCheckpointName = "pytorch_model.bin";

// An address as messages and records have it: without what may be a password or token, which are the user and what
// follows a question mark or #.
std::string shownUrl(std::string_view url);

// What pulled.json says.
struct PullRecord {
    std::string url, file;  // where it came from, as shownUrl() has it; the weights' name in the folder
    std::string sha256;     // of the weights, 64 digits
    uint64_t bytes = 0;
    std::string licence, publisher;  // empty: not known
};

// The folder of all pulled models. `cacheDirectory` is not empty.
std::filesystem::path pulledModelsFolder(const std::string& cacheDirectory);

// Whether a folder can have this name: letters, digits and . _ - @, not beginning with a dot, at most 128. Nothing that
// leads elsewhere or means a file of weights.
bool isModelName(std::string_view name);

// BadInput where the record is absent or broken.
Outcome<PullRecord> readPullRecord(const std::filesystem::path& modelFolder);
std::string textOf(const PullRecord& record);

}  // namespace dunlin::cli
