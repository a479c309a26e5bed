#include "runtime/plan/kernel_forms.h"

#include <algorithm>
#include <bit>
#include <span>

namespace dunlin {
namespace {

constexpr uint32_t kWorkgroup = 64;  // 64 to 256 measured alike; 64 suits every device
// Where each invocation has much to do: cores take whole workgroups, of which a small map has few.
constexpr uint32_t kCpuWorkgroup = 16;

struct Tile {
    uint8_t x, y;
};

bool isDesktop(const DeviceLimits& limits) {
    switch (limits.family) {
        case DeviceFamily::Nvidia:
        case DeviceFamily::Amd:
        case DeviceFamily::Intel:
        case DeviceFamily::Apple:
            return true;
        default:
            return false;
    }
}

// Texel buffers are read faster by software drivers, and through the texture path of mobile GPUs.
LoadPath preferredLoad(const DeviceLimits& limits) {
    return isDesktop(limits) ? LoadPath::Storage : LoadPath::Texel;
}

// Invocations under which a device is not filled and a smaller tile pays.
int64_t fillingInvocations(const DeviceLimits& limits) {
    switch (limits.family) {
        case DeviceFamily::CpuDriver:
            return 64;
        case DeviceFamily::Nvidia:
        case DeviceFamily::Amd:
            return 32768;
        default:
            return 4096;
    }
}

// The largest tile (they come largest first) that still gives the device enough invocations.
template <typename CountInvocations>
Tile largestFillingTile(const DeviceLimits& limits, std::span<const Tile> tiles, CountInvocations count) {
    for (const Tile& tile : tiles.first(tiles.size() - 1)) {
        if (count(tile) >= fillingInvocations(limits)) return tile;
    }
    return tiles.back();
}

// Whether tiles of four output groups pay on a CPU driver: where it was measured, six of them took as long as eleven of
// two, and every core should get several workgroups.
bool prefersFour(int64_t pixels, int outGroups) {
    constexpr int64_t kFewestTiles = 256;
    const int fours = divideUp(outGroups, 4), twos = divideUp(outGroups, 2);
    return 11 * fours < 6 * twos && divideUp(pixels, int64_t{8}) * fours >= kFewestTiles;
}

std::span<const Tile> pointwiseTiles(const DeviceLimits& limits, int64_t pixels, int outGroups) {
    static constexpr Tile kLarge[] = {{8, 2}, {4, 1}}, kLargest[] = {{8, 4}, {4, 1}};
    // Two tiles a family: each further one multiplies the pipelines of a network.
    static constexpr Tile kMedium[] = {{4, 2}, {1, 1}};
    static constexpr Tile kSmall[] = {{4, 1}, {1, 1}};
    switch (limits.family) {
        case DeviceFamily::CpuDriver:
            return prefersFour(pixels, outGroups) ? kLargest : kLarge;
        case DeviceFamily::Mali:
        case DeviceFamily::PowerVr:
            return kSmall;
        default:
            return kMedium;
    }
}

// `kernelSide` is the filter's longer side. Two rows of the filter, one of the window and the results lie in registers:
// at 2x2 about 80 of them for 5x5 and 104 for 7x7. Mesa's compiler for Adreno spilled a 5x5 filter that was loaded
// whole; that mobile GPUs take 7x7 best singly was reasoned from such counts, not measured.
std::span<const Tile> depthwiseTiles(const DeviceLimits& limits, int kernelSide) {
    static constexpr Tile kLarge[] = {{4, 2}, {1, 1}};
    static constexpr Tile kMedium[] = {{2, 2}, {1, 1}};
    static constexpr Tile kSingle[] = {{1, 1}};
    const bool isWide = kernelSide > 5;
    switch (limits.family) {
        case DeviceFamily::CpuDriver:
            return kLarge;
        case DeviceFamily::Adreno:
            if (isWide) return kSingle;
            return kernelSide > 3 ? std::span<const Tile>(kMedium) : kLarge;
        case DeviceFamily::Mali:
            return kSingle;
        case DeviceFamily::PowerVr:
            return isWide ? std::span<const Tile>(kSingle) : kMedium;
        default:
            return kMedium;
    }
}

// Lanes for channel groups, adjacent in memory: the most, up to 16, that leave no more than an eighth of them idle.
uint32_t groupLanes(int groups) {
    for (int lanes : {16, 8, 4, 2}) {
        if ((roundUp(groups, lanes) - groups) * 8 <= groups) return static_cast<uint32_t>(lanes);
    }
    return 1;
}

// For kernels that are one workgroup an image: as many as share the work, except on a CPU, where each vector of them
// costs by itself, and so does each barrier.
uint32_t largestWorkgroup(const DeviceLimits& limits) {
    const uint32_t most = limits.family == DeviceFamily::CpuDriver ? kWorkgroup : 256;
    return std::min({limits.maxWorkgroupInvocations, limits.maxWorkgroupSize[0], most});
}

KernelForm formOf(const DeviceLimits& limits, Tile tile) {
    return {preferredLoad(limits), tile.x, tile.y, kWorkgroup, 1};
}

std::optional<KernelForm> splitForm(const DeviceLimits& limits, const Shape& in, const Shape& out) {
    // One number of shares, because each further one multiplies the pipelines of a network. Each of them takes two
    // input groups at least, or what they save goes into adding up.
    constexpr uint32_t kShares = 16;
    const int64_t pixels = int64_t{out.h} * out.w, outGroups = channelGroups(out.c);
    if (!isDesktop(limits) || pixels * outGroups >= fillingInvocations(limits)) return std::nullopt;
    if (channelGroups(in.c) < 2 * static_cast<int>(kShares)) return std::nullopt;
    KernelForm form = formOf(limits, pixels < 4 ? Tile{1, 1} : Tile{4, 1});
    form.method = Method::SplitK;
    form.groupLanes = kWorkgroup / kShares;
    return form;
}

}  // namespace

KernelForm pointwiseForm(const DeviceLimits& limits, const Shape& in, const Shape& out) {
    if (const std::optional<KernelForm> split = splitForm(limits, in, out)) return *split;
    const int64_t pixels = out.pixelCount();
    const int outGroups = channelGroups(out.c);
    // A vector of features: one output group an invocation; on a CPU in small workgroups, so that every core gets some.
    constexpr int64_t kFewPixels = 2;
    if (pixels <= kFewPixels) {
        const uint32_t local = limits.family == DeviceFamily::CpuDriver ? kCpuWorkgroup : kWorkgroup;
        return {preferredLoad(limits), 1, 1, local, 1};
    }
    const Tile tile = largestFillingTile(limits, pointwiseTiles(limits, pixels, outGroups), [&](Tile t) {
        return divideUp(pixels, int64_t{t.x}) * divideUp(outGroups, int{t.y});
    });
    KernelForm form = formOf(limits, tile);
    if (limits.family == DeviceFamily::CpuDriver) form.localSize = kCpuWorkgroup;
    return form;
}

KernelForm conv2dForm(const DeviceLimits& limits, const Shape& out) {
    static constexpr Tile kLarge[] = {{8, 2}, {4, 1}, {1, 1}};
    const std::span<const Tile> tiles(kLarge);
    const bool isCpu = limits.family == DeviceFamily::CpuDriver;
    const Tile tile = largestFillingTile(limits, isCpu ? tiles : tiles.subspan(1), [&](Tile t) {
        return out.pixelCount() / t.x * divideUp(channelGroups(out.c), int{t.y});
    });
    KernelForm form = formOf(limits, tile);
    if (isCpu) form.localSize = kCpuWorkgroup;
    return form;
}

KernelForm depthwiseForm(const DeviceLimits& limits, const Shape& out, int kernelSide, bool squeeze) {
    const Tile tile = largestFillingTile(limits, depthwiseTiles(limits, kernelSide), [&](Tile t) {
        return int64_t{out.n} * divideUp(out.h, int{t.y}) * divideUp(out.w, int{t.x}) * channelGroups(out.c);
    });
    KernelForm form = formOf(limits, tile);
    if (!squeeze) return form;
    // A CPU has no more lanes to fill than those of a vector, and layers that are alike share a pipeline.
    constexpr uint32_t kCpuLanes = 8;
    form.groupLanes = groupLanes(channelGroups(out.c));
    if (limits.family == DeviceFamily::CpuDriver) form.groupLanes = std::min(form.groupLanes, kCpuLanes);
    return form;
}

KernelForm squeezeExciteForm(const DeviceLimits& limits) {
    return {preferredLoad(limits), 1, 1, largestWorkgroup(limits), 1};
}

KernelForm poolForm(const DeviceLimits& limits, const Shape& in) {
    KernelForm form = formOf(limits, {1, 1});
    form.groupLanes = groupLanes(channelGroups(in.c));
    return form;
}

KernelForm headForm(const DeviceLimits& limits) {
    return {preferredLoad(limits), 1, 1, largestWorkgroup(limits), 1};
}

KernelForm preprocessForm(const DeviceLimits& limits) {
    KernelForm form = formOf(limits, {1, 1});
    // Rows of a column, which share the source rows that they are made of, where few invocations fill the device.
    if (limits.family == DeviceFamily::CpuDriver) form.groupLanes = 4;
    return form;
}

KernelForm elementwiseForm(const DeviceLimits& limits) {
    return formOf(limits, {1, 1});
}

KernelForm attentionForm(const DeviceLimits& limits, const AttentionCall& call) {
    if (limits.family == DeviceFamily::CpuDriver) {
        // A load is what costs there, so four queries share each, unless they are so wide that this takes seconds to
        // compile. Small workgroups, so that every core gets some.
        constexpr uint32_t kLocal = 16;
        constexpr int kWidestGroups = 16;
        const bool isWide = channelGroups(call.headChannels) > kWidestGroups;
        return {preferredLoad(limits), static_cast<uint8_t>(isWide ? 1 : 4), 1, kLocal, kLocal};
    }
    // A query an invocation while they fill the device; then up to eight that share out the keys.
    constexpr uint32_t kMostShares = 8;
    KernelForm form = formOf(limits, {1, 1});
    form.groupLanes = form.localSize;
    const int64_t queries = call.out.shape.pixelCount() * call.heads;
    constexpr int kSharing = 4, kMostChannels = 64;  // queries an invocation, and the channels of all of them
    const bool fitsRegisters = isDesktop(limits) && kSharing * call.headChannels <= kMostChannels;
    if (fitsRegisters && queries / kSharing >= fillingInvocations(limits)) {
        form.tileX = kSharing;
        return form;
    }
    for (uint32_t shares = 1; shares <= kMostShares; shares *= 2) {
        form.groupLanes = form.localSize / shares;
        if (queries * shares >= fillingInvocations(limits)) break;
    }
    return form;
}

KernelForm separableAttentionForm(const DeviceLimits& limits, const Shape& out) {
    KernelForm form = formOf(limits, {1, 1});
    form.groupLanes = groupLanes(channelGroups(out.c));
    return form;
}

KernelForm layerNormForm(const DeviceLimits& limits, const Shape& out) {
    KernelForm form = formOf(limits, {1, 1});
    // Neighbouring invocations read neighbouring groups, except where that is worth nothing and barriers cost.
    const bool isCpu = limits.family == DeviceFamily::CpuDriver;
    if (!isCpu || out.pixelCount() < fillingInvocations(limits)) form.groupLanes = groupLanes(channelGroups(out.c));
    return form;
}

KernelForm momentsForm(const DeviceLimits& limits) {
    return {preferredLoad(limits), 1, 1, largestWorkgroup(limits), 1};
}

// Every workgroup pools for itself, so there are few. The batch does not count, so that an image's bits do not hang on
// it.
KernelForm pooledLinearForm(const DeviceLimits& limits, const Shape& in, int outGroups) {
    uint8_t tile = 1;
    uint32_t localSize = std::bit_floor(largestWorkgroup(limits));
    int workgroups = limits.family == DeviceFamily::Nvidia || limits.family == DeviceFamily::Amd ? 16 : 8;
    if (limits.family == DeviceFamily::CpuDriver) {
        // Shared memory is slow there, so four output groups share each mean. Two to four cores get some; three and
        // four only where pooling, which takes as long as two weights a pixel, stays within a quarter of the work.
        tile = 4;
        localSize = std::min(localSize, kWorkgroup);
        workgroups = std::clamp(outGroups / std::max(2 * in.h * in.w, 1), 2, 4);
    }
    const auto lanes = std::bit_ceil(static_cast<uint32_t>(divideUp(divideUp(outGroups, int{tile}), workgroups)));
    return {preferredLoad(limits), 1, tile, localSize, std::min(lanes, localSize)};
}

namespace {

// The form with this tile that fits, if any.
std::optional<KernelForm> invertedResidualTile(const DeviceLimits& limits, const InvertedResidualCall& call,
                                               const Tile& tile) {
    // More would leave too few workgroups on each of a GPU's cores.
    constexpr uint64_t kMostSharedBytes = 16384;
    const uint64_t sharedBytes = std::min<uint64_t>(limits.sharedMemoryBytes, kMostSharedBytes);
    const uint32_t mostInvocations = std::min(limits.maxWorkgroupInvocations, limits.maxWorkgroupSize[0]);
    const int outGroups = channelGroups(call.out.shape.c);
    // The fewer the invocations, the more each shares in registers; on a CPU each vector of them costs by itself.
    const uint32_t fewest = limits.family == DeviceFamily::CpuDriver ? 8 : kWorkgroup;
    for (const uint32_t slice : {8u, 4u, 2u}) {
        for (uint32_t invocations = fewest; invocations <= std::min(mostInvocations, 128u); invocations *= 2) {
            // All loads are texels; the form says storage always, so that equal pipelines are one.
            const KernelForm form = {LoadPath::Storage, tile.x, tile.y, invocations, slice};
            if (invertedResidualSharedBytes(call, form) > sharedBytes) break;
            if (!call.projectWeights || projectedGroups(outGroups, form)) return form;
        }
    }
    return std::nullopt;
}

}  // namespace

std::optional<KernelForm> invertedResidualForm(const DeviceLimits& limits, const InvertedResidualCall& call) {
    // Large tiles recompute less of their neighbours' hidden pixels, if they leave room for enough channels and fill
    // the device.
    constexpr uint32_t kFewestGroups = 4;
    const std::optional<KernelForm> smaller = invertedResidualTile(limits, call, {4, 4});
    for (const Tile& tile : {Tile{8, 8}, Tile{8, 4}}) {
        const std::optional<KernelForm> form = invertedResidualTile(limits, call, tile);
        if (!form || form->groupLanes < kFewestGroups) continue;
        const Shape& out = call.out.shape;
        const int64_t tiles = int64_t{out.n} * divideUp(out.w, int{tile.x}) * divideUp(out.h, int{tile.y});
        const int64_t slices =
            call.projectWeights ? 1 : divideUp(channelGroups(out.c), static_cast<int>(form->groupLanes));
        if (!smaller || tiles * slices * form->localSize >= fillingInvocations(limits)) return form;
    }
    return smaller;
}

}  // namespace dunlin
