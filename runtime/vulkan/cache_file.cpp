#include "runtime/vulkan/cache_file.h"

#include <cstdio>
#include <fstream>
#include <functional>
#include <system_error>
#include <thread>

#if defined(_WIN32)
#include <process.h>
#else
#include <unistd.h>
#endif

namespace dunlin::vulkan {
namespace {

unsigned long processId() {
#if defined(_WIN32)
    return static_cast<unsigned long>(_getpid());
#else
    return static_cast<unsigned long>(getpid());
#endif
}

}  // namespace

std::string cacheFileName(const char* prefix, const PipelineCacheKey& key, const char* extension) {
    const auto& uuid = key.pipelineCacheUuid;
    char name[64];
    std::snprintf(name, sizeof(name), "%s-%08x-%08x-%02x%02x%02x%02x.%s", prefix, key.vendorId, key.deviceId, uuid[0],
                  uuid[1], uuid[2], uuid[3], extension);
    return name;
}

bool replaceCacheFile(const std::filesystem::path& file, std::span<const std::span<const std::byte>> parts) {
    std::error_code failure;
    std::filesystem::create_directories(file.parent_path(), failure);
    // Unique, since processes and threads may save at once.
    char suffix[64];
    std::snprintf(suffix, sizeof(suffix), ".%lu-%zx.tmp", processId(),
                  std::hash<std::thread::id>()(std::this_thread::get_id()));
    std::filesystem::path temporary = file;
    temporary += suffix;
    std::ofstream stream(temporary, std::ios::binary | std::ios::trunc);
    for (const std::span<const std::byte> part : parts)
        stream.write(reinterpret_cast<const char*>(part.data()), static_cast<std::streamsize>(part.size()));
    stream.close();
    if (stream) {
        std::filesystem::rename(temporary, file, failure);
        if (!failure) return true;
    }
    std::filesystem::remove(temporary, failure);
    return false;
}

}  // namespace dunlin::vulkan
