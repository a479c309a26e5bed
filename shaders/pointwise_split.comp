// pointwise with the input channels shared out (split-K): what pointwise.comp computes, for maps of so few pixels that
// one invocation a tile would leave most of a large GPU idle.
//
// Work       kShareLanes neighbours share a tile of kTileX pixels x kTileY channel groups: each takes every
//            kShareLanes-th input group, so that they read neighbouring inputs and weights. Then they share out the
//            outputs, and each adds up what all have of its own, in the order of the lanes: the same input gives the same
//            bits, but not those of pointwise.comp.
// Memory     16 * kTileX * kTileY bytes an invocation, and 8 * kTileX for kNorm: 8 KiB for 128 of 4x1.
// Macros     FP16, TEXEL (include/storage.glsl).
// Dispatch   kGroupLanes tiles a workgroup, over x and y: at least images * tilesPerImage * ceil(outGroups / kTileY)
//            tiles, which are numbered as in pointwise.comp.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "include/storage.glsl"
#include "include/pointwise.glsl"
#include "include/tile.glsl"

const uint kOutputs = kTileX * kTileY;
const uint kMomentSlots = kNorm == 1u ? kInvocations * kTileX : 1u;
shared vec4 laneSums[kOutputs * kInvocations];  // [output][invocation]
shared vec2 laneMoments[kMomentSlots];          // [pixel][invocation]

struct Tile {
    uint image, firstPixel;  // in its image
    uint firstGroup;
};

// Neighbours share a tile; index.glsl numbers them the other way, for other kernels.
uint splitLane() { return gl_LocalInvocationIndex % kShareLanes; }
uint tileLane() { return gl_LocalInvocationIndex / kShareLanes; }

// This invocation's share of the sums, and for kNorm of those of include/window_norm.glsl.
vec4 sums[kOutputs];
vec2 moments[kTileX];

int inputOf(Tile tile, uint x) {
    const uint pixel = min(tile.firstPixel + x, p.pixelsPerImage - 1);
    return int((p.pixelBegin + tile.image * p.pixelsPerImage + pixel) * p.inGroups) + p.inBase;
}

void multiplyShare(Tile tile) {
    int inputs[kTileX];
    float pivots[kTileX];
    [[unroll]] for (uint x = 0; x < kTileX; ++x) {
        inputs[x] = inputOf(tile, x);
        pivots[x] = kNorm == 1u ? pivotOf(loadInput(inputs[x])) : 0.0;
    }
    int weights[kTileY];
    [[unroll]] for (uint y = 0; y < kTileY; ++y) weights[y] = weightsOf(tile.firstGroup + y) + 1;
    const int gateIndex = gateOf(tile.image);
    for (int group = int(splitLane()); group < int(p.inGroups); group += int(kShareLanes)) {
        Element4 values[kTileX];
        float scales[kTileX];
        const Gate gate = loadGateOf(gateIndex, group);
        [[unroll]] for (uint x = 0; x < kTileX; ++x) {
            values[x] = gated(loadInput(inputs[x] + group), gate);
            if (kNorm == 1u) values[x] = normed(values[x], pivots[x], group, moments[x], scales[x]);
        }
        [[unroll]] for (uint y = 0; y < kTileY; ++y) {
            Element4 rows[4];
            [[unroll]] for (int row = 0; row < 4; ++row) rows[row] = loadWeights(weights[y] + 4 * group + row);
            [[unroll]] for (uint x = 0; x < kTileX; ++x) {
                if (kNorm == 1u) accumulateScaled(sums[x * kTileY + y], values[x], scales[x], rows);
                else accumulate(sums[x * kTileY + y], values[x], rows);
            }
        }
    }
}

// What all lanes have of output `i`, and the scale of its pixel.
vec4 sumOf(uint i, out float scale) {
    const uint firstLane = tileLane() * kShareLanes;
    vec4 sum = vec4(0.0);
    vec2 moment = vec2(0.0);
    for (uint lane = 0; lane < kShareLanes; ++lane) {
        sum += laneSums[i * kInvocations + firstLane + lane];
        if (kNorm == 1u) moment += laneMoments[i / kTileY * kInvocations + firstLane + lane];
    }
    scale = deviationScale(moment);
    return sum;
}

void storeShare(Tile tile) {
    for (uint i = splitLane(); i < kOutputs; i += kShareLanes) {
        const uint pixel = tile.firstPixel + i / kTileY, group = tile.firstGroup + i % kTileY;
        if (pixel >= p.pixelsPerImage || group >= p.outGroups) continue;
        float scale;
        const vec4 sum = sumOf(i, scale);
        const uint inBatch = p.pixelBegin + tile.image * p.pixelsPerImage + pixel;
        const int index = int(inBatch * p.outGroups + group);
        const vec4 bias = vec4(loadWeights(weightsOf(group)));
        storeOutput(index + p.outBase, finish(sum, scale, bias, index, group));
    }
}

void main() {
    const uint channelTiles = (p.outGroups + kTileY - 1) / kTileY;
    const uint flatTile = flatWorkgroup() * kGroupLanes + tileLane();
    const uint pixelTile = flatTile / channelTiles;
    const bool isWorking = pixelTile < p.images * p.tilesPerImage;
    const uint image = pixelTile / p.tilesPerImage;
    const Tile tile = Tile(image, (pixelTile - image * p.tilesPerImage) * kTileX,
                           (flatTile - pixelTile * channelTiles) * kTileY);
    [[unroll]] for (uint i = 0; i < kOutputs; ++i) sums[i] = vec4(0.0);
    [[unroll]] for (uint x = 0; x < kTileX; ++x) moments[x] = vec2(0.0);
    if (isWorking) multiplyShare(tile);
    [[unroll]] for (uint i = 0; i < kOutputs; ++i) laneSums[i * kInvocations + gl_LocalInvocationIndex] = sums[i];
    if (kNorm == 1u) {
        [[unroll]] for (uint x = 0; x < kTileX; ++x) {
            laneMoments[x * kInvocations + gl_LocalInvocationIndex] = moments[x];
        }
    }
    barrier();
    if (isWorking) storeShare(tile);
}
