// pointwise: a 1x1 convolution or linear layer as a matrix product, with everything around it fused:
//
//   out[p][n] = activation(sum over k of in[p][k] * gate[image of p][k] * weight[k][n] + bias[n]) + residual[p][n]
//
// Residual   kResidual 1: added after the activation, as written; 2: before it (ResNet).
// Gate       kGate 1: squeeze-excite's, multiplied as written. 2: a LayerNorm over whole images; the gate is what
//            `moments` wrote and in[p][k] is (in - mean) / deviation.
// LayerNorm  kNorm 1: over the channels of each pixel, gathered in the same pass (include/window_norm.glsl).
//
// Layouts    input, residual, output [pixels][groups] of 4 channels; gate [images][input groups];
//            weights [output groups][1 + 4 * input groups] of 4 output channels, element 0 the bias.
// Tile       an invocation computes kTileX pixels x kTileY channel groups in registers. Pixel tiles do not cross
//            images. Channel tiles are adjacent in the flat index, so that neighbours share their input pixels.
//            Other methods: pointwise_shared.comp, pointwise_split.comp.
// Needs      nothing to be divisible: pixels and groups past the end are loaded clamped and not stored. Padding lanes
//            of the input are zero or meet zero weights; padding lanes of the output are written as zero.
// Macros     FP16, TEXEL (include/storage.glsl).
// Dispatch   at least images * tilesPerImage * ceil(outGroups / kTileY) invocations, workgroups over x and y.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "include/storage.glsl"
#include "include/pointwise.glsl"
#include "include/tile.glsl"

// Of each pixel and channel group. Not handed to functions, since drivers take long to see through the copies.
vec4 sums[kTileSize];
// For kNorm only, of each pixel: sums and sums of squares of how far its channels are from the pivot.
float pivots[kTileX];
vec2 moments[kTileX];

// The products of one group of input channels with the whole tile; `weights` come just before this group's.
void multiplyGroup(int group, int gateIndex, int inputs[kTileX], int weights[kTileY]) {
    Element4 values[kTileX];
    float scales[kTileX];  // of the values, for kNorm only
    [[unroll]] for (int x = 0; x < kTileX; ++x) values[x] = loadInput(inputs[x] + group);
    const Gate gate = loadGateOf(gateIndex, group);
    [[unroll]] for (int x = 0; x < kTileX; ++x) {
        values[x] = gated(values[x], gate);
        if (kNorm == 1u) values[x] = normed(values[x], pivots[x], group, moments[x], scales[x]);
    }
    [[unroll]] for (int y = 0; y < kTileY; ++y) {
        Element4 rows[4];
        [[unroll]] for (int row = 0; row < 4; ++row) rows[row] = loadWeights(weights[y] + 1 + row);
        [[unroll]] for (int x = 0; x < kTileX; ++x) {
            if (kNorm == 1u) accumulateScaled(sums[x * kTileY + y], values[x], scales[x], rows);
            else accumulate(sums[x * kTileY + y], values[x], rows);
        }
    }
}

// The first output is always inside. It is stored again in the place of those that are not, which costs less than a
// branch around each.
void storeTile(uint imageBegin, uint firstPixel, uint firstGroup, vec4 biases[kTileY]) {
    const int firstIndex = int((imageBegin + firstPixel) * p.outGroups + firstGroup);
    const vec4 first = finish(sums[0], deviationScale(moments[0]), biases[0], firstIndex, firstGroup);
    storeOutput(firstIndex + p.outBase, first);
    [[unroll]] for (uint i = 1; i < kTileSize; ++i) {
        const uint x = i / kTileY, y = i % kTileY;
        const bool inside = firstPixel + x < p.pixelsPerImage && firstGroup + y < p.outGroups;
        const int index = inside ? firstIndex + int(x * p.outGroups + y) : firstIndex;
        const vec4 value = finish(sums[i], deviationScale(moments[x]), biases[y], index, firstGroup + y);
        storeOutput(index + p.outBase, inside ? value : first);
    }
}

void main() {
    const uint channelTiles = (p.outGroups + kTileY - 1) / kTileY;
    const uint pixelTile = flatInvocation() / channelTiles;
    if (pixelTile >= p.images * p.tilesPerImage) return;
    const uint image = pixelTile / p.tilesPerImage;
    const uint imageBegin = p.pixelBegin + image * p.pixelsPerImage;
    const uint firstPixel = (pixelTile - image * p.tilesPerImage) * kTileX;  // in its image
    const uint firstGroup = (flatInvocation() - pixelTile * channelTiles) * kTileY;

    int inputs[kTileX];
    [[unroll]] for (uint x = 0; x < kTileX; ++x) {
        const uint pixel = imageBegin + min(firstPixel + x, p.pixelsPerImage - 1);
        inputs[x] = int(pixel * p.inGroups) + p.inBase;
    }
    int weights[kTileY];
    vec4 biases[kTileY];
    [[unroll]] for (uint y = 0; y < kTileY; ++y) {
        weights[y] = int(min(firstGroup + y, p.outGroups - 1) * (1 + 4 * p.inGroups));
        biases[y] = vec4(loadWeights(weights[y]));
        [[unroll]] for (uint x = 0; x < kTileX; ++x) sums[x * kTileY + y] = vec4(0.0);
    }
    [[unroll]] for (uint x = 0; x < kTileX; ++x) {
        moments[x] = vec2(0.0);
        pivots[x] = kNorm == 1u ? pivotOf(loadInput(inputs[x])) : 0.0;
    }
    const int gateIndex = gateOf(image);
    // The test is at the end, because some drivers run a loop's body once more, for nothing, where it is at the beginning.
    int group = 0;
    do {
        multiplyGroup(group, gateIndex, inputs, weights);
        [[unroll]] for (int y = 0; y < kTileY; ++y) weights[y] += 4;
    } while (++group < int(p.inGroups));
    storeTile(imageBegin, firstPixel, firstGroup, biases);
}
