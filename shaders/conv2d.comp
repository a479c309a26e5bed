// conv2d: direct convolution of any kernel size, stride and padding (groups == 1), with the epilogue of pointwise:
//
//   out[y][x][n] = activation(sum over ky, kx, k of in[y * strideH - padTop + ky][x * strideW - padLeft + kx][k]
//                             * weight[ky][kx][k][n] + bias[n]) + residual[y][x][n]
//
// Residual   kOther 1: added after the activation, as written; 2: before it (ResNet).
// Concat     kOther 3: the channels k are those of the input, then those of a second input of the same size.
// LayerNorm  kNorm 1: over all channels of the window, padding included (Swin's patch merging), gathered in the same
//            pass (include/window_norm.glsl). Not with a second input.
// Layouts    input, residual, output [images][height][width][groups] of 4 channels;
//            weights [output groups][1 + kernelH * kernelW * 4 * input groups] of 4 output channels, element 0 the
//            bias; with a second input, its groups follow those of the first within each place of the window.
// Colours    kColours 1: the input has three channels, so that the fourth weight of each place need not be loaded.
// Tile       an invocation computes kTileX columns of one row and kTileY channel groups; channel groups are adjacent.
// Needs      nothing to be divisible: columns past the end are computed from clamped loads and not stored. Padding
//            lanes of the output are written as zero. Reads only input rows inside the image that the rows asked for
//            need.
// Macros     FP16, TEXEL (include/storage.glsl).
// Dispatch   at least images * rows * ceil(outWidth / kTileX) * ceil(outGroups / kTileY) invocations, workgroups over
//            x and y.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "include/storage.glsl"
#include "include/activation.glsl"
#include "include/index.glsl"
#include "include/params.h"
#include "include/tile.glsl"
#include "include/window_norm.glsl"

layout(constant_id = 2) const uint kActivation = 0u;
layout(constant_id = 3) const uint kOther = 0u;
layout(constant_id = 4) const int kKernelH = 3;
layout(constant_id = 5) const int kKernelW = 3;
layout(constant_id = 6) const int kStrideH = 1;
layout(constant_id = 7) const int kStrideW = 1;
layout(constant_id = 8) const uint kNorm = 0u;
layout(constant_id = 9) const uint kColours = 0u;

layout(push_constant) uniform Push { Conv2dParams p; };

READS(0, loadInput)
READS(1, loadWeights)
READS(2, loadOther)
WRITES(3, storeOutput)

const int kRows = 4 * kTileY;  // of weights, for a group of input channels
const int kWindowW = (kTileX - 1) * kStrideW + kKernelW;

// Not handed to functions, since drivers take long to see through the copies.
vec4 sums[kTileSize];
Element4 window[kWindowW];  // of one row of the input
Element4 rows[kRows];       // of weights
// For kNorm only, of each output's window: sums and sums of squares of how far its inputs are from the pivot.
float pivots[kTileX];
vec2 moments[kTileX];

// Which columns of the input the windows of a tile share: where each lies in a row, and whether the map has it.
struct Columns {
    int offset[kWindowW];
    bool inside[kWindowW];
};

// Whether a window meets column c of those; some lie between windows where the stride exceeds the filter.
bool isMet(int c) { return c % kStrideW < kKernelW; }

void multiplyGroup(Element4 value, uint group, int x) {
    float scale = 1.0;
    if (kNorm == 1u) {
        const vec4 distances = keepChannels(vec4(value) - pivots[x], group, p.inChannels);
        addMoments(moments[x], distances);
        value = blockOf(distances, scale);
    }
    [[unroll]] for (int y = 0; y < kTileY; ++y) {
        const Element4 four[4] = Element4[](rows[4 * y], rows[4 * y + 1], rows[4 * y + 2], rows[4 * y + 3]);
        if (kNorm == 1u) accumulateScaled(sums[x * kTileY + y], value, scale, four);
        else if (kColours == 1u) accumulateThree(sums[x * kTileY + y], value, four);
        else accumulate(sums[x * kTileY + y], value, four);
    }
}

// One row of the filter over one channel group of a row of the input. What several columns of the filter meet is loaded
// once. `weights` are the first column's rows for this channel group, one place of the filter `weightStep` apart.
void multiplyRow(uint group, int weights[kTileY], int weightStep) {
    [[unroll]] for (int kx = 0; kx < kKernelW; ++kx) {
        [[unroll]] for (int y = 0; y < kTileY; ++y) {
            [[unroll]] for (int row = 0; row < 4; ++row) {
                const bool isRead = kColours == 0u || row < 3;
                rows[4 * y + row] = isRead ? loadWeights(weights[y] + kx * weightStep + row) : Element4(0.0);
            }
        }
        [[unroll]] for (int x = 0; x < kTileX; ++x) multiplyGroup(window[x * kStrideW + kx], group, x);
    }
}

// The filter over the first input, or the second. One loop for rows and channel groups, with its test at the end: some
// drivers run a body once more, for nothing, where the test is at the beginning. Others lose what invocations that leave
// such a loop early have computed; here all leave it together.
void convolve(bool second, uint image, int inRow, int inColumn, int filters[kTileY]) {
    const int inGroups = int(p.inGroups), groups = second ? int(p.secondGroups) : inGroups;
    const int weightStep = 4 * int(p.inGroups + p.secondGroups);
    const int rowGroups = int(p.inWidth) * groups;
    const int imageBegin = int(image * p.inHeight) * rowGroups + (second ? p.otherBase : p.inBase);
    Columns columns;
    [[unroll]] for (int c = 0; c < kWindowW; ++c) {
        const int column = inColumn + c;
        columns.inside[c] = column >= 0 && column < int(p.inWidth);
        columns.offset[c] = clamp(column, 0, int(p.inWidth) - 1) * groups;
    }
    int ky = 0, group = 0;
    do {
        const int row = clamp(inRow + ky, 0, int(p.inHeight) - 1);
        const bool rowInside = row == inRow + ky;
        const int rowBegin = imageBegin + row * rowGroups + group;
        [[unroll]] for (int c = 0; c < kWindowW; ++c) {
            if (!isMet(c)) continue;
            const int index = rowBegin + columns.offset[c];
            const Element4 value = second ? loadOther(index) : loadInput(index);
            window[c] = rowInside && columns.inside[c] ? value : Element4(0.0);
        }
        const int place = 1 + ky * kKernelW * weightStep + 4 * (second ? inGroups + group : group);
        int weights[kTileY];
        [[unroll]] for (int y = 0; y < kTileY; ++y) weights[y] = filters[y] + place;
        multiplyRow(uint(group), weights, weightStep);
        const bool isLast = ++group == groups;
        ky += int(isLast);
        group = isLast ? 0 : group;
    } while (ky < kKernelH);
}

vec4 finish(vec4 sum, uint x, vec4 bias, int index, uint group) {
    const float inputs = float(kKernelH * kKernelW) * float(p.inChannels);
    const float scale = kNorm == 1u ? inverseDeviation(moments[x], inputs, p.epsilon) : 1.0;
    vec4 value = sum * scale + bias;
    if (kOther == 2u) value += vec4(loadOther(index + p.otherBase));
    value = activate(value, kActivation);
    if (kOther == 1u) value += vec4(loadOther(index + p.otherBase));
    return keepChannels(value, group, p.outChannels);
}

// The first output is always inside. It is stored again in the place of those that are not, which costs less than a
// branch around each.
void storeTile(uint pixelBegin, uint firstColumn, uint firstGroup, int filters[kTileY]) {
    vec4 biases[kTileY];
    [[unroll]] for (int y = 0; y < kTileY; ++y) biases[y] = vec4(loadWeights(filters[y]));
    const int firstIndex = int((pixelBegin + firstColumn) * p.outGroups + firstGroup);
    const vec4 first = finish(sums[0], 0, biases[0], firstIndex, firstGroup);
    storeOutput(firstIndex + p.outBase, first);
    [[unroll]] for (uint i = 1; i < kTileSize; ++i) {
        const uint x = i / kTileY, y = i % kTileY;
        const bool inside = firstColumn + x < p.outWidth && firstGroup + y < p.outGroups;
        const int index = inside ? firstIndex + int(x * p.outGroups + y) : firstIndex;
        const vec4 value = finish(sums[i], x, biases[y], index, firstGroup + y);
        storeOutput(index + p.outBase, inside ? value : first);
    }
}

void main() {
    const uint columnTiles = (p.outWidth + kTileX - 1) / kTileX;
    const uint groupTiles = (p.outGroups + kTileY - 1) / kTileY;
    const uint tile = flatInvocation() / groupTiles;
    const uint firstGroup = (flatInvocation() - tile * groupTiles) * kTileY;
    const uint rowIndex = tile / columnTiles;  // of all rows of all images
    if (rowIndex >= p.images * p.rows) return;
    const uint image = p.imageBegin + rowIndex / p.rows;
    const uint row = p.rowBegin + rowIndex % p.rows;
    const uint firstColumn = (tile - rowIndex * columnTiles) * kTileX;

    int filters[kTileY];
    const int filterSize = 1 + kKernelH * kKernelW * 4 * int(p.inGroups + p.secondGroups);
    [[unroll]] for (uint y = 0; y < kTileY; ++y) filters[y] = int(min(firstGroup + y, p.outGroups - 1)) * filterSize;
    [[unroll]] for (int i = 0; i < kTileSize; ++i) sums[i] = vec4(0.0);

    const int inRow = int(row) * kStrideH - p.padTop;
    const int inColumn = int(firstColumn) * kStrideW - p.padLeft;
    if (kNorm == 1u) {
        const int rowBegin = int(image * p.inHeight + uint(max(0, inRow))) * int(p.inWidth);
        [[unroll]] for (int x = 0; x < kTileX; ++x) {
            const int pixel = rowBegin + clamp(inColumn + x * kStrideW, 0, int(p.inWidth) - 1);
            pivots[x] = pivotOf(loadInput(pixel * int(p.inGroups) + p.inBase));
            moments[x] = vec2(0.0);
        }
    }
    convolve(false, image, inRow, inColumn, filters);
    if (kOther == 3u) convolve(true, image, inRow, inColumn, filters);
    storeTile((image * p.outHeight + row) * p.outWidth, firstColumn, firstGroup, filters);
}
