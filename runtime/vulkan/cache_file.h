// Files that processes share in a cache folder: a name for each device and driver, and writing so that a reader sees
// the old content or the new one, whole.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include "runtime/vulkan/pipelines.h"

namespace dunlin::vulkan {

// "tuning-00010005-00000000-6b1f22a0.json" of "tuning" and "json": with the start of the driver's own identity, so that
// two drivers of one GPU keep a file each.
std::string cacheFileName(const char* prefix, const PipelineCacheKey& key, const char* extension);

// Writes the parts, one behind the other, to a temporary file beside `file` and renames it; makes the folder where it
// is missing. False on failure, with nothing left behind. Any thread or process may write the same file.
bool replaceCacheFile(const std::filesystem::path& file, std::span<const std::span<const std::byte>> parts);

}  // namespace dunlin::vulkan
