// depthwise: one filter a channel, any kernel size, stride and padding:
//
//   out[y][x][c] = activation(sum over ky, kx of in[y * strideH - padTop + ky][x * strideW - padLeft + kx][c]
//                             * weight[ky][kx][c] + bias[c])
//
// Layouts    input, output [images][height][width][groups] of 4 channels; weights [1 + kernelH * kernelW][groups], row
//            0 the bias; sums [images][partialsPerImage][groups] of float32, whatever the precision.
// Tile       an invocation computes kTileX columns x kTileY rows of one channel group and loads each input of their
//            common window once. Kernel size and stride are specialization constants, so the window lies in registers:
//            one row of it at a time, and the rows of the filter that meet it.
// Squeeze    with kSqueeze == 1 each workgroup also adds up its outputs, activated, before they are rounded for
//            storage, in a fixed order: the partial sums of squeeze-excite's mean. Its shape is then [channel groups,
//            tiles].
// Needs      nothing to be divisible: outputs past the end are not stored; reads only input rows inside the image that
//            the rows asked for need. Padding lanes of the output are written as zero.
// Macros     FP16, TEXEL (include/storage.glsl).
// Dispatch   with tiles = ceil(outWidth / kTileX) * ceil(rows / kTileY):
//            kSqueeze == 0: at least images * tiles * groups invocations, workgroups over x and y;
//            kSqueeze == 1: [ceil(groups / kGroupLanes), ceil(tiles / kShareLanes), images] workgroups; y is the number
//            of partials that this dispatch writes, from partialBegin on.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "include/storage.glsl"
#include "include/activation.glsl"
#include "include/index.glsl"
#include "include/params.h"
#include "include/tile.glsl"

layout(constant_id = 2) const uint kActivation = 0u;
layout(constant_id = 3) const uint kSqueeze = 0u;
layout(constant_id = 4) const int kKernelH = 3;
layout(constant_id = 5) const int kKernelW = 3;
layout(constant_id = 6) const int kStrideH = 1;
layout(constant_id = 7) const int kStrideW = 1;

layout(push_constant) uniform Push { DepthwiseParams p; };

READS(0, loadInput)
READS(1, loadWeights)
WRITES(2, storeOutput)
layout(set = 0, binding = 3, std430) writeonly restrict buffer SumsBuffer { vec4 sumsElements[]; };

// Array lengths are named: glslang takes two equal expressions of specialization constants for two types, and loses the
// values of an array that is passed from one to the other.
const int kTaps = kKernelH * kKernelW;
const int kWindowW = (kTileX - 1) * kStrideW + kKernelW;
const int kWindowH = (kTileY - 1) * kStrideH + kKernelH;
const uint kReduced = kSqueeze == 1u ? kInvocations : 1u;
shared vec4 invocationSums[kReduced];

struct Tile {
    uint group, image;
    uint column, row;  // of the first output
};

// Not handed to functions, since drivers take long to see through the copies.
vec4 outputs[kTileSize];
Element4 weights[kTaps];
Element4 window[kWindowW];  // of one row of the input

void addRow(int ky, int tileRow) {
    [[unroll]] for (int x = 0; x < kTileX; ++x) {
        Element4 sum = Element4(0.0);
        [[unroll]] for (int kx = 0; kx < kKernelW; ++kx) {
            sum += window[x * kStrideW + kx] * weights[ky * kKernelW + kx];
        }
        outputs[tileRow * kTileX + x] += vec4(sum);
    }
}

void convolve(Tile tile) {
    const int firstRow = int(tile.row) * kStrideH - p.padTop;
    const int firstColumn = int(tile.column) * kStrideW - p.padLeft;
    // Rows below those that are needed may not be bound; a tile that hangs over the end of the strip must not read
    // them.
    const int lastNeeded = int(p.rowBegin + p.rows - 1) * kStrideH - p.padTop + kKernelH - 1;
    const int lastRow = max(0, min(lastNeeded, int(p.inHeight) - 1));
    int columns[kWindowW];  // where they lie in a row of the input
    [[unroll]] for (int c = 0; c < kWindowW; ++c) {
        columns[c] = clamp(firstColumn + c, 0, int(p.inWidth) - 1) * int(p.groups);
    }
    const int rowGroups = int(p.inWidth * p.groups);
    const int imageBegin = int(tile.image * p.inHeight) * rowGroups + int(tile.group) + p.inBase;
    [[unroll]] for (int r = 0; r < kWindowH; ++r) {
        // A row of the filter is loaded where it is first needed: all of a 7x7 filter would take 196 registers.
        if (r < kKernelH) {
            [[unroll]] for (int kx = 0; kx < kKernelW; ++kx) {
                const int tap = r * kKernelW + kx;
                weights[tap] = loadWeights((1 + tap) * int(p.groups) + int(tile.group));
            }
        }
        const int row = firstRow + r;
        const bool rowInside = row >= 0 && row < int(p.inHeight);
        const int rowBegin = imageBegin + clamp(row, 0, lastRow) * rowGroups;
        [[unroll]] for (int c = 0; c < kWindowW; ++c) {
            const int column = firstColumn + c;
            const bool inside = rowInside && column >= 0 && column < int(p.inWidth);
            const Element4 value = loadInput(rowBegin + columns[c]);
            window[c] = inside ? value : Element4(0.0);
        }
        [[unroll]] for (int y = 0; y < kTileY; ++y) {
            const int ky = r - y * kStrideH;
            if (ky >= 0 && ky < kKernelH) addRow(ky, y);
        }
    }
}

// Returns the sum of what it stores.
vec4 computeTile(Tile tile) {
    const vec4 bias = vec4(loadWeights(int(tile.group)));
    [[unroll]] for (int i = 0; i < kTileSize; ++i) outputs[i] = bias;
    convolve(tile);

    // The first output is always inside. It is stored again in the place of those that are not, which costs less than a
    // branch around each.
    const uint firstPixel = (tile.image * p.outHeight + tile.row) * p.outWidth + tile.column;
    const int firstIndex = int(firstPixel * p.groups + tile.group) + p.outBase;
    const vec4 first = keepChannels(activate(outputs[0], kActivation), tile.group, p.channels);
    vec4 sum = vec4(0.0);
    [[unroll]] for (uint y = 0; y < kTileY; ++y) {
        [[unroll]] for (uint x = 0; x < kTileX; ++x) {
            const bool inside = tile.row + y < p.rowBegin + p.rows && tile.column + x < p.outWidth;
            const int index = firstIndex + int((y * p.outWidth + x) * p.groups);
            const vec4 value = keepChannels(activate(outputs[y * kTileX + x], kActivation), tile.group, p.channels);
            storeOutput(inside ? index : firstIndex, inside ? value : first);
            sum += inside ? value : vec4(0.0);
        }
    }
    return sum;
}

// Adds up the tiles of each channel group, in order; the first tile's invocation writes the workgroup's partial sum.
void reduceSums(vec4 sum, uint group, uint image) {
    invocationSums[gl_LocalInvocationIndex] = sum;
    barrier();
    if (shareLane() != 0 || group >= p.groups) return;
    for (uint lane = 1; lane < kShareLanes; ++lane) sum += invocationSums[lane * kGroupLanes + groupLane()];
    const uint partial = image * p.partialsPerImage + p.partialBegin + gl_WorkGroupID.y;
    sumsElements[int(partial * p.groups + group) + p.sumsBase] = sum;
}

void main() {
    const uint columnTiles = (p.outWidth + kTileX - 1) / kTileX;
    const uint tiles = columnTiles * ((p.rows + kTileY - 1) / kTileY);
    uint group, tile, image;
    if (kSqueeze == 1u) {
        group = gl_WorkGroupID.x * kGroupLanes + groupLane();
        tile = gl_WorkGroupID.y * kShareLanes + shareLane();
        image = gl_WorkGroupID.z;
    } else {
        const uint tileOfAll = flatInvocation() / p.groups;
        group = flatInvocation() - tileOfAll * p.groups;
        image = tileOfAll / tiles;
        tile = tileOfAll - image * tiles;
    }
    vec4 sum = vec4(0.0);
    if (group < p.groups && tile < tiles && image < p.images) {
        const uint tileRow = tile / columnTiles;
        sum = computeTile(Tile(group, p.imageBegin + image, (tile - tileRow * columnTiles) * kTileX,
                               p.rowBegin + tileRow * kTileY));
    }
    if (kSqueeze == 1u) reduceSums(sum, group, p.imageBegin + image);
}
