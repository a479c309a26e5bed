// inverted_residual: the block of MobileNetV2 (Sandler et al. 2018) in one dispatch, hidden maps in shared memory only:
//
//   hidden[y][x][e] = firstActivation(convolution of in, any window, stride and padding (mostly 1x1) + bias[e])
//   deep[y][x][e]   = activation(sum over ky, kx of hidden[y * strideH - padTop + ky][x * strideW - padLeft + kx][e]
//                                * weight[ky][kx][e] + bias[e]), hidden being zero outside its map
//   kProject == 0   out = deep, with kSqueeze == 1 also its partial sums, as depthwise writes them: one a tile
//   kProject > 0    out[p][n] = projectActivation(sum over e of deep[p][e] * project[e][n] + bias[n]) + residual[p][n]
//
// Layouts    input, residual, output [images][height][width][groups] of 4 channels; weights of the first convolution
//            and of the projection as conv2d's and pointwise's, those between as depthwise's; sums
//            [images][partialsPerImage][groups] of float32, whatever the precision.
// Work       a workgroup computes kTileX columns x kTileY rows of one image; without projection kGroupLanes channel
//            groups of them, with it all output channels from slices of kGroupLanes hidden groups, one after another.
//            An invocation then sums 4 pixels of up to kProject output groups in registers. Float16 rounds neither
//            hidden maps nor sums, only what the projection reads.
// Memory     16 * kGroupLanes * (kWindowW * kWindowH + kTileX * kTileY with projection) bytes of shared memory; with
//            kSqueeze 16 * invocations instead of the second term.
// Needs      kGroupLanes even; 4 divides kTileX; kTileX * kTileY / 4 divides the invocations. Nothing else has to be
//            divisible. Reads only input rows that the rows asked for need. Padding lanes of the output are zero.
// Macros     FP16 (include/storage.glsl).
// Dispatch   images * tiles workgroups over x and y, tiles = ceil(outWidth / kTileX) * ceil(rows / kTileY); without
//            projection times ceil(hiddenGroups / kGroupLanes). A tile's partial is partialBegin + its index.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "include/storage.glsl"
#include "include/activation.glsl"
#include "include/index.glsl"
#include "include/params.h"
#include "include/tile.glsl"

#include "include/inverted_residual.glsl"

// The products of one place in the first convolution's window; `weights` are its first elements.
void multiplyPlace(Tile tile, ivec2 corners[kStrip], ivec2 offset, int weights[kPair],
                   inout vec4 sums[kStrip * kPair]) {
    const ivec2 size = ivec2(p.inWidth, p.inHeight);
    int inputs[kStrip];
    bool inside[kStrip];
    [[unroll]] for (int x = 0; x < kStrip; ++x) {
        const ivec2 place = corners[x] + offset, clamped = clamp(place, ivec2(0), size - 1);
        inside[x] = place == clamped;
        inputs[x] = ((tile.image * size.y + clamped.y) * size.x + clamped.x) * int(p.inGroups) + p.inBase;
    }
    for (int group = 0; group < int(p.inGroups); ++group) {
        Element4 values[kStrip];
        [[unroll]] for (int x = 0; x < kStrip; ++x) {
            const Element4 value = loadInput(inputs[x] + group);
            values[x] = inside[x] ? value : Element4(0.0);
        }
        [[unroll]] for (int y = 0; y < kPair; ++y) {
            Element4 rows[4];
            [[unroll]] for (int row = 0; row < 4; ++row) rows[row] = loadFirstWeights(weights[y] + 4 * group + row);
            [[unroll]] for (int x = 0; x < kStrip; ++x) accumulate(sums[x * kPair + y], values[x], rows);
        }
    }
}

// Pixels [pixel, pixel + 4) of the window's inside, two groups from `lane` of the slice on.
void computeHidden(Tile tile, int sliceBegin, int lane, int pixel) {
    const int tapGroups = 4 * int(p.inGroups), filterSize = 1 + kFirstKernelH * kFirstKernelW * tapGroups;
    ivec2 corners[kStrip];
    vec4 sums[kStrip * kPair];
    [[unroll]] for (int x = 0; x < kStrip; ++x) {
        corners[x] = placeOf(tile, pixel + x) * ivec2(kFirstStrideW, kFirstStrideH) -
                     ivec2(p.firstPadLeft, p.firstPadTop);
        [[unroll]] for (int y = 0; y < kPair; ++y) sums[x * kPair + y] = vec4(0.0);
    }
    int filters[kPair];
    [[unroll]] for (int y = 0; y < kPair; ++y) {
        filters[y] = min(sliceBegin + lane + y, int(p.hiddenGroups) - 1) * filterSize;
    }
    for (int ky = 0; ky < kFirstKernelH; ++ky) {
        for (int kx = 0; kx < kFirstKernelW; ++kx) {
            int weights[kPair];
            [[unroll]] for (int y = 0; y < kPair; ++y) {
                weights[y] = filters[y] + 1 + (ky * kFirstKernelW + kx) * tapGroups;
            }
            multiplyPlace(tile, corners, ivec2(kx, ky), weights, sums);
        }
    }
    [[unroll]] for (int x = 0; x < kStrip; ++x) {
        if (pixel + x >= tile.insidePixels) continue;
        const ivec2 place = placeOf(tile, pixel + x) - tile.windowBegin;
        [[unroll]] for (int y = 0; y < kPair; ++y) {
            const vec4 bias = vec4(loadFirstWeights(filters[y]));
            hidden[(place.y * kWindowW + place.x) * kSliceGroups + lane + y] =
                activate(sums[x * kPair + y] + bias, kFirstActivation);
        }
    }
}

// Four columns of one row of the depthwise convolution, one group.
void convolveStrip(int strip, int group, inout vec4 sums[kStrip]) {
    const int row = strip * kStrip / kTileX, column = strip * kStrip % kTileX;
    [[unroll]] for (int ky = 0; ky < kKernelH; ++ky) {
        const int begin = (row * kStrideH + ky) * kWindowW + column * kStrideW;
        vec4 window[kStripWindow];
        [[unroll]] for (int c = 0; c < kStripWindow; ++c) {
            window[c] = hidden[(begin + c) * kSliceGroups + int(groupLane())];
        }
        [[unroll]] for (int kx = 0; kx < kKernelW; ++kx) {
            const int tap = 1 + ky * kKernelW + kx;
            const vec4 weight = vec4(loadDepthwiseWeights(tap * int(p.hiddenGroups) + group));
            [[unroll]] for (int x = 0; x < kStrip; ++x) sums[x] += window[x * kStrideW + kx] * weight;
        }
    }
}

bool isStored(Tile tile, int pixel) {
    return tile.row + pixel / kTileX < int(p.rowBegin + p.rows) && tile.column + pixel % kTileX < int(p.outWidth);
}

// Index of an output group, but for the binding's base.
int outputIndex(Tile tile, int pixel, int group) {
    const int row = tile.image * int(p.outHeight) + tile.row + pixel / kTileX;
    return (row * int(p.outWidth) + tile.column + pixel % kTileX) * int(p.outGroups) + group;
}

// This invocation's strips of one slice, for the projection or stored. Returns the sum of what it stores.
vec4 computeDeep(Tile tile, int sliceBegin) {
    const int group = sliceBegin + int(groupLane()), loaded = min(group, int(p.hiddenGroups) - 1);
    vec4 sum = vec4(0.0);
    for (int strip = int(shareLane()); strip < kStrips; strip += int(kShareLanes)) {
        vec4 sums[kStrip];
        const vec4 bias = vec4(loadDepthwiseWeights(loaded));
        [[unroll]] for (int x = 0; x < kStrip; ++x) sums[x] = bias;
        convolveStrip(strip, loaded, sums);
        [[unroll]] for (int x = 0; x < kStrip; ++x) {
            const int pixel = strip * kStrip + x;
            const vec4 value = activate(sums[x], kActivation);
            if (kProject > 0u) {
                deep[pixel * kSliceGroups + int(groupLane())] = value;
            } else if (isStored(tile, pixel) && group < int(p.hiddenGroups)) {
                const vec4 kept = keepChannels(value, uint(group), p.outChannels);
                storeOutput(outputIndex(tile, pixel, group) + p.outBase, kept);
                sum += kept;
            }
        }
    }
    return sum;
}

// Adds up each group's strips, in order.
void reduceSums(Tile tile, int group, vec4 sum) {
    deep[gl_LocalInvocationIndex] = sum;
    barrier();
    if (shareLane() != 0 || group >= int(p.hiddenGroups)) return;
    for (uint lane = 1; lane < kShareLanes; ++lane) sum += deep[lane * kGroupLanes + groupLane()];
    const int partial = tile.image * int(p.partialsPerImage) + int(p.partialBegin) + tile.index;
    sumsElements[partial * int(p.hiddenGroups) + group + p.sumsBase] = sum;
}

int projectStrip() { return int(gl_LocalInvocationIndex / kProjectLanes); }
int projectGroup(int index) { return int(gl_LocalInvocationIndex % kProjectLanes) + index * int(kProjectLanes); }

void addProjection(int sliceBegin) {
    const int groups = min(kSliceGroups, int(p.hiddenGroups) - sliceBegin);
    for (int group = 0; group < groups; ++group) {
        Element4 values[kStrip];
        [[unroll]] for (int x = 0; x < kStrip; ++x) {
            values[x] = TO_ELEMENT4(deep[(projectStrip() * kStrip + x) * kSliceGroups + group]);
        }
        [[unroll]] for (int n = 0; n < kProjected; ++n) {
            const int filterBegin = min(projectGroup(n), int(p.outGroups) - 1) * (1 + 4 * int(p.hiddenGroups));
            const int weights = filterBegin + 1 + 4 * (sliceBegin + group);
            Element4 rows[4];
            [[unroll]] for (int row = 0; row < 4; ++row) rows[row] = loadProjectWeights(weights + row);
            [[unroll]] for (int x = 0; x < kStrip; ++x) accumulate(projected[n * kStrip + x], values[x], rows);
        }
    }
}

void storeProjection(Tile tile) {
    [[unroll]] for (int n = 0; n < kProjected; ++n) {
        const int group = projectGroup(n);
        if (group >= int(p.outGroups)) continue;
        const vec4 bias = vec4(loadProjectWeights(group * (1 + 4 * int(p.hiddenGroups))));
        [[unroll]] for (int x = 0; x < kStrip; ++x) {
            const int pixel = projectStrip() * kStrip + x;
            if (!isStored(tile, pixel)) continue;
            const int index = outputIndex(tile, pixel, group);
            vec4 value = activate(projected[n * kStrip + x] + bias, kProjectActivation);
            if (kResidual == 1u) value += vec4(loadResidual(index + p.residualBase));
            storeOutput(index + p.outBase, keepChannels(value, uint(group), p.outChannels));
        }
    }
}

void main() {
    const uint tiles = ((p.outWidth + kTileX - 1) / kTileX) * ((p.rows + kTileY - 1) / kTileY);
    const uint slices = kProject > 0u ? 1u : (p.hiddenGroups + kGroupLanes - 1) / kGroupLanes;
    const uint tileOfAll = flatWorkgroup() / slices;
    if (tileOfAll >= p.images * tiles) return;  // all invocations of the workgroup
    const uint image = tileOfAll / tiles;
    const Tile tile = tileAt(image, tileOfAll - image * tiles);

    // Outside the map hidden pixels stay as they are set here.
    if (tile.insidePixels < kWindowW * kWindowH) {
        for (uint i = gl_LocalInvocationIndex; i < uint(kHiddenGroups); i += kInvocations) hidden[i] = vec4(0.0);
    }
    [[unroll]] for (int i = 0; i < kProjectedSums; ++i) projected[i] = vec4(0.0);
    barrier();

    const uint pairs = kGroupLanes / uint(kPair);
    const int lane = int(gl_LocalInvocationIndex % pairs) * kPair;
    const int firstPixel = int(gl_LocalInvocationIndex / pairs) * kStrip, step = int(kInvocations / pairs) * kStrip;
    int sliceBegin = int(flatWorkgroup() - tileOfAll * slices) * kSliceGroups;
    const int sliceEnd = kProject > 0u ? int(p.hiddenGroups) : sliceBegin + 1;
    vec4 sum = vec4(0.0);
    for (; sliceBegin < sliceEnd; sliceBegin += kSliceGroups) {
        for (int pixel = firstPixel; pixel < tile.insidePixels; pixel += step) {
            computeHidden(tile, sliceBegin, lane, pixel);
        }
        barrier();  // nobody reads `deep` of the slice before any more
        sum = computeDeep(tile, sliceBegin);
        if (kProject > 0u) {
            barrier();  // nobody reads `hidden` any more
            addProjection(sliceBegin);
        }
    }
    if (kProject > 0u) storeProjection(tile);
    if (kSqueeze == 1u) reduceSums(tile, sliceBegin - kSliceGroups + int(groupLane()), sum);
}
