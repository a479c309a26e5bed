// pointwise by shared-memory tiles: what pointwise.comp computes, for GPUs whose loads are what binds.
//
// Work       a workgroup computes kShareLanes * kTileX pixels x kGroupLanes * kTileY channel groups. It loads slabs of
//            kSlab input groups once, for all of its invocations, each of which keeps kTileX x kTileY sums in registers:
//            of pixels kShareLanes apart and groups kGroupLanes apart, so that neighbours read and write neighbours.
//            Sums are added up in the order of pointwise.comp: the bits are the same.
// Memory     16 bytes (float16: 8) * kSlab * (pixels + 4 * groups) of the workgroup: 8 KiB for 64 x 16.
// Macros     FP16, TEXEL (include/storage.glsl).
// Dispatch   images * tilesPerImage * ceil(outGroups / (kGroupLanes * kTileY)) workgroups over x and y, where a tile of
//            tilesPerImage has the workgroup's pixels.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "include/storage.glsl"
#include "include/pointwise.glsl"
#include "include/tile.glsl"

const uint kSlab = 4u;
const uint kPixels = kShareLanes * kTileX;
const uint kGroups = kGroupLanes * kTileY;
shared Element4 slabInputs[kSlab * kPixels];         // [group][pixel]
shared Element4 slabWeights[4u * kSlab * kGroups];   // [row][output group]

struct Tile {
    uint image, firstPixel;  // in its image
    uint firstGroup;
};

// This invocation's sums, and for kNorm those of include/window_norm.glsl, of each pixel.
vec4 sums[kTileSize];
float pivots[kTileX];
vec2 moments[kTileX];

uint pixelOf(Tile tile, uint x) { return tile.firstPixel + x * kShareLanes + shareLane(); }
uint groupOf(Tile tile, uint y) { return tile.firstGroup + y * kGroupLanes + groupLane(); }

// Pixels past the end of the image take its last one.
int inputOf(Tile tile, uint pixel) {
    const uint inImage = min(pixel, p.pixelsPerImage - 1);
    return int((p.pixelBegin + tile.image * p.pixelsPerImage + inImage) * p.inGroups) + p.inBase;
}

// Neighbours load neighbouring groups of a pixel, and neighbouring rows of an output group. What lies past the last
// input group is not read by multiplySlab.
void loadSlab(Tile tile, uint firstGroup) {
    const uint slab = min(kSlab, p.inGroups - firstGroup);
    for (uint i = gl_LocalInvocationIndex; i < kSlab * kPixels; i += kInvocations) {
        const uint pixel = i / kSlab, group = i % kSlab;
        if (group >= slab) continue;
        const int from = int(firstGroup + group);
        const Element4 value = loadInput(inputOf(tile, tile.firstPixel + pixel) + from);
        slabInputs[group * kPixels + pixel] = gated(value, loadGateOf(gateOf(tile.image), from));
    }
    for (uint i = gl_LocalInvocationIndex; i < 4u * kSlab * kGroups; i += kInvocations) {
        const uint group = i / (4u * kSlab), row = i % (4u * kSlab);
        if (row >= 4u * slab) continue;
        slabWeights[row * kGroups + group] =
            loadWeights(weightsOf(tile.firstGroup + group) + 1 + int(4u * firstGroup + row));
    }
}

void multiplyGroup(uint firstGroup, uint group) {
    Element4 values[kTileX];
    float scales[kTileX];
    [[unroll]] for (uint x = 0; x < kTileX; ++x) {
        values[x] = slabInputs[group * kPixels + x * kShareLanes + shareLane()];
        if (kNorm == 1u) values[x] = normed(values[x], pivots[x], int(firstGroup + group), moments[x], scales[x]);
    }
    [[unroll]] for (uint y = 0; y < kTileY; ++y) {
        Element4 rows[4];
        [[unroll]] for (uint row = 0; row < 4u; ++row) {
            rows[row] = slabWeights[(4u * group + row) * kGroups + y * kGroupLanes + groupLane()];
        }
        [[unroll]] for (uint x = 0; x < kTileX; ++x) {
            if (kNorm == 1u) accumulateScaled(sums[x * kTileY + y], values[x], scales[x], rows);
            else accumulate(sums[x * kTileY + y], values[x], rows);
        }
    }
}

void storeTile(Tile tile) {
    [[unroll]] for (uint x = 0; x < kTileX; ++x) {
        const uint pixel = pixelOf(tile, x);
        const float scale = deviationScale(moments[x]);
        [[unroll]] for (uint y = 0; y < kTileY; ++y) {
            const uint group = groupOf(tile, y);
            if (pixel >= p.pixelsPerImage || group >= p.outGroups) continue;
            const uint inBatch = p.pixelBegin + tile.image * p.pixelsPerImage + pixel;
            const int index = int(inBatch * p.outGroups + group);
            const vec4 bias = vec4(loadWeights(weightsOf(group)));
            storeOutput(index + p.outBase, finish(sums[x * kTileY + y], scale, bias, index, group));
        }
    }
}

void main() {
    const uint channelTiles = (p.outGroups + kGroups - 1u) / kGroups;
    const uint pixelTile = flatWorkgroup() / channelTiles;
    if (pixelTile >= p.images * p.tilesPerImage) return;  // the whole workgroup, or none of it
    const uint image = pixelTile / p.tilesPerImage;
    const Tile tile = Tile(image, (pixelTile - image * p.tilesPerImage) * kPixels,
                           (flatWorkgroup() - pixelTile * channelTiles) * kGroups);
    [[unroll]] for (uint x = 0; x < kTileX; ++x) {
        moments[x] = vec2(0.0);
        pivots[x] = kNorm == 1u ? pivotOf(loadInput(inputOf(tile, pixelOf(tile, x)))) : 0.0;
        [[unroll]] for (uint y = 0; y < kTileY; ++y) sums[x * kTileY + y] = vec4(0.0);
    }
    for (uint firstGroup = 0; firstGroup < p.inGroups; firstGroup += kSlab) {
        loadSlab(tile, firstGroup);
        barrier();
        const uint slab = min(kSlab, p.inGroups - firstGroup);
        for (uint group = 0; group < slab; ++group) multiplyGroup(firstGroup, group);
        barrier();
    }
    storeTile(tile);
}
