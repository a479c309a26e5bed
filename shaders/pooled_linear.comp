// pooled_linear: global average pooling and the linear layer, or 1x1 convolution, behind it:
//
//   out[image][n] = activation(sum over k of mean[image][k] * weight[k][n] + bias[n])
//   mean[image][k] = sum over pixel in [pixelBegin, pixelBegin + pixels) of in[image][pixel][k] / pixels
//
// Layouts    input [images][pixelsPerImage][input groups] of 4 channels; output [images][output groups];
//            weights [output groups][1 + 4 * input groups] of 4 output channels, element 0 the bias.
// Work       a workgroup computes kGroupLanes * kTileY output groups of an image, and all means for itself. The input
//            groups are taken in chunks of one an invocation. The pixels of each are shared by as many invocations as
//            there are to spare; then each output is shared by kShareLanes, every one of which takes every so-manieth
//            input group. Partial sums are added up in order, so the same input gives the same bits. Arithmetic is
//            float32 in every precision.
// Tile       an invocation adds up for kTileY adjacent output groups, so that each mean is read once for all of them.
// Memory     2 * workgroup size * 16 bytes.
// Needs      nothing to be divisible: output groups past the end are loaded clamped and not stored. Padding lanes of
//            the input are zero or meet zero weights; padding lanes of the output are written as zero.
// Macros     FP16, TEXEL (include/storage.glsl).
// Dispatch   [ceil(outGroups / (kGroupLanes * kTileY)), images, 1] workgroups.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "include/storage.glsl"
#include "include/activation.glsl"
#include "include/index.glsl"
#include "include/params.h"
#include "include/tile.glsl"

layout(constant_id = 2) const uint kActivation = 0u;

layout(push_constant) uniform Push { PooledLinearParams p; };

READS(0, loadInput)
READS(1, loadWeights)
WRITES(2, storeOutput)

shared vec4 means[kInvocations];    // of one chunk
shared vec4 scratch[kInvocations];  // one partial sum an invocation

// Neighbouring invocations share an output, because their weights are neighbours too.
uint part() { return gl_LocalInvocationIndex % kShareLanes; }

int weightRow(uint group) { return int(min(group, p.outGroups - 1) * (1 + 4 * p.inGroups)); }

// means[i] = mean of channel group begin + i, for i < count, which is at most kInvocations. All invocations must call
// this.
void computeMeans(uint image, uint begin, uint count) {
    const uint shares = min(kInvocations / count, p.pixels);
    const uint share = gl_LocalInvocationIndex / count;
    const uint group = begin + gl_LocalInvocationIndex - share * count;
    const uint firstPixel = image * p.pixelsPerImage + p.pixelBegin + share;
    const uint endPixel = share < shares ? p.pixels : 0;
    int index = int(firstPixel * p.inGroups + group) + p.inBase;
    vec4 sum = vec4(0.0);
    for (uint pixel = share; pixel < endPixel; pixel += shares) {
        sum += vec4(loadInput(index));
        index += int(shares * p.inGroups);
    }
    scratch[gl_LocalInvocationIndex] = sum;
    barrier();
    if (gl_LocalInvocationIndex < count) {
        for (uint i = 1; i < shares; ++i) sum += scratch[i * count + gl_LocalInvocationIndex];
        means[gl_LocalInvocationIndex] = sum / float(p.pixels);
    }
    barrier();
}

// The products of this invocation's part of a chunk.
void multiplyChunk(uint begin, uint count, int rows[kTileY], inout vec4 sums[kTileY]) {
    for (uint i = part(); i < count; i += kShareLanes) {
        const vec4 mean = means[i];
        const int column = 1 + 4 * int(begin + i);
        [[unroll]] for (int y = 0; y < kTileY; ++y) {
            const int weights = rows[y] + column;
            sums[y] += mean.x * vec4(loadWeights(weights));
            sums[y] += mean.y * vec4(loadWeights(weights + 1));
            sums[y] += mean.z * vec4(loadWeights(weights + 2));
            sums[y] += mean.w * vec4(loadWeights(weights + 3));
        }
    }
}

// The parts of one output group for each of the first kGroupLanes invocations. All invocations must call this.
void storeSum(uint image, uint group, vec4 partSum) {
    scratch[gl_LocalInvocationIndex] = partSum;
    barrier();
    if (gl_LocalInvocationIndex < kGroupLanes && group < p.outGroups) {
        vec4 sum = vec4(loadWeights(weightRow(group)));
        for (uint i = 0; i < kShareLanes; ++i) sum += scratch[gl_LocalInvocationIndex * kShareLanes + i];
        const vec4 value = activate(sum, kActivation);
        storeOutput(int(image * p.outGroups + group) + p.outBase, keepChannels(value, group, p.outChannels));
    }
    barrier();
}

void main() {
    const uint image = p.imageBegin + gl_WorkGroupID.y;
    const uint firstGroup = gl_WorkGroupID.x * kGroupLanes * kTileY;
    const uint lane = gl_LocalInvocationIndex / kShareLanes;
    int rows[kTileY];
    vec4 sums[kTileY];
    [[unroll]] for (uint y = 0; y < kTileY; ++y) {
        rows[y] = weightRow(firstGroup + lane * kTileY + y);
        sums[y] = vec4(0.0);
    }
    for (uint begin = 0; begin < p.inGroups; begin += kInvocations) {
        const uint count = min(kInvocations, p.inGroups - begin);
        computeMeans(image, begin, count);
        multiplyChunk(begin, count, rows, sums);
    }
    [[unroll]] for (uint y = 0; y < kTileY; ++y) {
        storeSum(image, firstGroup + gl_LocalInvocationIndex * kTileY + y, sums[y]);
    }
}
