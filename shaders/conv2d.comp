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
// Tile       an invocation computes TILE_X columns of one row and one channel group; channel groups are adjacent.
// Needs      nothing to be divisible: columns past the end are computed from clamped loads and not stored. Padding
//            lanes of the output are written as zero. Reads only input rows inside the image that the rows asked for
//            need.
// Macros     FP16, TEXEL (include/storage.glsl), TILE_X.
// Dispatch   at least images * rows * ceil(outWidth / TILE_X) * outGroups invocations, workgroups over x and y.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "include/storage.glsl"
#include "include/activation.glsl"
#include "include/index.glsl"
#include "include/params.h"
#include "include/window_norm.glsl"

#ifndef TILE_X
#define TILE_X 4
#endif

layout(constant_id = 2) const uint kActivation = 0u;
layout(constant_id = 3) const uint kOther = 0u;
layout(constant_id = 4) const int kKernelH = 3;
layout(constant_id = 5) const int kKernelW = 3;
layout(constant_id = 6) const int kStrideH = 1;
layout(constant_id = 7) const int kStrideW = 1;
layout(constant_id = 8) const uint kNorm = 0u;

layout(push_constant) uniform Push { Conv2dParams p; };

READS(0, loadInput)
READS(1, loadWeights)
READS(2, loadOther)
WRITES(3, storeOutput)

// For kNorm only, of each output's window: sums and sums of squares of how far its inputs are from the pivot.
float pivots[TILE_X];
vec2 moments[TILE_X];

void multiplyGroup(Element4 value, uint group, uint x, Element4 rows[4], inout vec4 sums[TILE_X]) {
    if (kNorm == 0u) {
        accumulate(sums[x], value, rows);
        return;
    }
    const vec4 distances = keepChannels(vec4(value) - pivots[x], group, p.inChannels);
    float scale;
    const Element4 block = blockOf(distances, scale);
    addMoments(moments[x], distances);
    accumulateScaled(sums[x], block, scale, rows);
}

// One column of the filter over one row of the input; `rowBegin` counts pixels, `weights` is the filter's row and
// column.
void multiplyColumn(uint rowBegin, bool rowInside, int firstColumn, int weights, inout vec4 sums[TILE_X]) {
    const int inGroups = int(p.inGroups), secondGroups = int(p.secondGroups);
    bool inside[TILE_X];
    int pixels[TILE_X];
    [[unroll]] for (int x = 0; x < TILE_X; ++x) {
        const int column = firstColumn + x * kStrideW;
        inside[x] = rowInside && column >= 0 && column < int(p.inWidth);
        pixels[x] = int(rowBegin) + clamp(column, 0, int(p.inWidth) - 1);
    }
    Element4 rows[4];
    for (int group = 0; group < inGroups; ++group) {
        [[unroll]] for (int row = 0; row < 4; ++row) rows[row] = loadWeights(weights + 4 * group + row);
        [[unroll]] for (uint x = 0; x < TILE_X; ++x) {
            const Element4 value = loadInput(pixels[x] * inGroups + group + p.inBase);
            multiplyGroup(inside[x] ? value : Element4(0.0), uint(group), x, rows, sums);
        }
    }
    if (kOther != 3u) return;
    for (int group = 0; group < secondGroups; ++group) {
        [[unroll]] for (int row = 0; row < 4; ++row) rows[row] = loadWeights(weights + 4 * (inGroups + group) + row);
        [[unroll]] for (uint x = 0; x < TILE_X; ++x) {
            const Element4 value = loadOther(pixels[x] * secondGroups + group + p.otherBase);
            accumulate(sums[x], inside[x] ? value : Element4(0.0), rows);
        }
    }
}

void storeRow(uint pixelBegin, uint firstColumn, uint group, vec4 bias, vec4 sums[TILE_X]) {
    [[unroll]] for (uint x = 0; x < TILE_X; ++x) {
        if (firstColumn + x >= p.outWidth) continue;
        const int index = int((pixelBegin + firstColumn + x) * p.outGroups + group);
        const float inputs = float(kKernelH * kKernelW) * float(p.inChannels);
        const float scale = kNorm == 1u ? inverseDeviation(moments[x], inputs, p.epsilon) : 1.0;
        vec4 value = sums[x] * scale + bias;
        if (kOther == 2u) value += vec4(loadOther(index + p.otherBase));
        value = activate(value, kActivation);
        if (kOther == 1u) value += vec4(loadOther(index + p.otherBase));
        storeOutput(index + p.outBase, keepChannels(value, group, p.outChannels));
    }
}

void main() {
    const uint columnTiles = (p.outWidth + TILE_X - 1) / TILE_X;
    const uint tile = flatInvocation() / p.outGroups;
    const uint group = flatInvocation() - tile * p.outGroups;
    const uint rowIndex = tile / columnTiles;  // of all rows of all images
    if (rowIndex >= p.images * p.rows) return;
    const uint image = p.imageBegin + rowIndex / p.rows;
    const uint row = p.rowBegin + rowIndex % p.rows;
    const uint firstColumn = (tile - rowIndex * columnTiles) * TILE_X;

    const int allGroups = int(p.inGroups + p.secondGroups);
    const int filterBegin = int(group) * (1 + kKernelH * kKernelW * 4 * allGroups);
    vec4 sums[TILE_X];
    [[unroll]] for (int x = 0; x < TILE_X; ++x) {
        sums[x] = vec4(0.0);
        moments[x] = vec2(0.0);
    }

    const int inRow = int(row) * kStrideH - p.padTop;
    const int inColumn = int(firstColumn) * kStrideW - p.padLeft;
    // Rows outside the map add nothing, except that a LayerNorm counts them.
    const int firstInside = max(0, -inRow), endInside = min(kKernelH, int(p.inHeight) - inRow);
    const int kyBegin = kNorm == 1u ? 0 : firstInside, kyEnd = kNorm == 1u ? kKernelH : endInside;
    if (kNorm == 1u) {
        const int rowBegin = int(image * p.inHeight + uint(inRow + firstInside)) * int(p.inWidth);
        [[unroll]] for (int x = 0; x < TILE_X; ++x) {
            const int pixel = rowBegin + clamp(inColumn + x * kStrideW, 0, int(p.inWidth) - 1);
            pivots[x] = pivotOf(loadInput(pixel * int(p.inGroups) + p.inBase));
        }
    }
    for (int ky = kyBegin; ky < kyEnd; ++ky) {
        const bool rowInside = ky >= firstInside && ky < endInside;
        const uint rowBegin = (image * p.inHeight + uint(inRow + clamp(ky, firstInside, endInside - 1))) * p.inWidth;
        for (int kx = 0; kx < kKernelW; ++kx) {
            const int weights = filterBegin + 1 + (ky * kKernelW + kx) * 4 * allGroups;
            multiplyColumn(rowBegin, rowInside, inColumn + kx, weights, sums);
        }
    }
    storeRow((image * p.outHeight + row) * p.outWidth, firstColumn, group, vec4(loadWeights(filterBegin)), sums);
}
