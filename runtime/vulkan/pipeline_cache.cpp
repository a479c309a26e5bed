// The pipeline cache on disk: a header of our own before the driver's data, since drivers have been seen to crash on
// data that is not theirs or is damaged.
#include <cstring>
#include <fstream>
#include <system_error>

#include "runtime/plan/embedded_shaders.h"
#include "runtime/vulkan/cache_file.h"
#include "runtime/vulkan/pipelines.h"

namespace dunlin::vulkan {
namespace {

constexpr std::array<char, 8> kMagic = {'D', 'U', 'N', 'L', 'I', 'N', 'P', 'C'};
constexpr uint32_t kVersion = 1;
// Far above any cache that was seen (a few hundred KiB a network): a corrupt size allocates no more than this.
constexpr uint64_t kMaxPayloadBytes = uint64_t{1} << 30;

struct Header {
    std::array<char, 8> magic{};
    uint32_t version = 0;
    uint32_t vendorId = 0, deviceId = 0, driverVersion = 0;
    std::array<uint8_t, VK_UUID_SIZE> pipelineCacheUuid{};
    uint64_t shaderHash = 0;
    uint64_t payloadBytes = 0;
    uint64_t payloadHash = 0;
};
static_assert(sizeof(Header) == 64 && std::is_trivially_copyable_v<Header>);

constexpr uint64_t kFnvStart = 0xcbf29ce484222325;

uint64_t fnv1a64(std::span<const std::byte> bytes, uint64_t hash = kFnvStart) {
    for (std::byte byte : bytes) hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001b3;
    return hash;
}

Header headerFor(const PipelineCacheKey& key, std::span<const std::byte> payload) {
    Header header;
    header.magic = kMagic;
    header.version = kVersion;
    header.vendorId = key.vendorId;
    header.deviceId = key.deviceId;
    header.driverVersion = key.driverVersion;
    header.pipelineCacheUuid = key.pipelineCacheUuid;
    header.shaderHash = key.shaderHash;
    header.payloadBytes = payload.size();
    header.payloadHash = fnv1a64(payload);
    return header;
}

// The same for the same SPIR-V and planner, and a new one wherever a shader changed.
uint64_t hashOfShadersAndPlanner() {
    const auto mixIn = [](uint64_t value, uint64_t hash) {
        return fnv1a64(std::as_bytes(std::span<const uint64_t>(&value, 1)), hash);
    };
    uint64_t hash = mixIn(kPlannerVersion, kFnvStart);
    for (const EmbeddedShaders& shaders : embeddedShaders()) hash = mixIn(shaders.spirvHash, hash);
    return hash;
}

}  // namespace

PipelineCacheKey PipelineCacheKey::of(const Capabilities& capabilities) {
    PipelineCacheKey key;
    key.vendorId = capabilities.vendorId;
    key.deviceId = capabilities.deviceId;
    key.driverVersion = capabilities.driverVersion;
    key.pipelineCacheUuid = capabilities.pipelineCacheUuid;
    key.shaderHash = hashOfShadersAndPlanner();
    return key;
}

std::optional<std::vector<std::byte>> readPipelineCache(const std::filesystem::path& file,
                                                        const PipelineCacheKey& key) {
    std::ifstream stream(file, std::ios::binary);
    Header found;
    if (!stream.read(reinterpret_cast<char*>(&found), sizeof(found))) return std::nullopt;
    if (found.payloadBytes > kMaxPayloadBytes) return std::nullopt;
    std::error_code failure;
    const uint64_t fileBytes = std::filesystem::file_size(file, failure);
    if (failure || fileBytes != sizeof(Header) + found.payloadBytes) return std::nullopt;
    std::vector<std::byte> payload(found.payloadBytes);
    if (!stream.read(reinterpret_cast<char*>(payload.data()), static_cast<std::streamsize>(payload.size()))) {
        return std::nullopt;
    }
    const Header expected = headerFor(key, payload);
    if (std::memcmp(&found, &expected, sizeof(Header)) != 0) return std::nullopt;
    return payload;
}

bool writePipelineCache(const std::filesystem::path& file, const PipelineCacheKey& key,
                        std::span<const std::byte> payload) {
    const Header header = headerFor(key, payload);
    const std::span<const std::byte> parts[] = {std::as_bytes(std::span(&header, 1)), payload};
    return replaceCacheFile(file, parts);
}

}  // namespace dunlin::vulkan
