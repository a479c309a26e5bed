// separable_attention: MobileViTv2's attention of linear cost (Mehta and Rastegari 2023). Over the pixels of one place
// in their patch, equal (y mod patchH, x mod patchW):
//
//   context[c] = sum over pixels of softmax(score)[pixel] * key[pixel][c]
//   out[pixel][c] = relu(value[pixel][c]) * context[c]
//
// Layouts    input [images][pixels][1 + groups + groups] of 4 channels: the score in lane 0 of the first group, keys,
//            values; output [images][pixels][groups].
// Work       a workgroup takes kGroupLanes channel groups of one place: its kShareLanes lanes each take every
//            so-manieth pixel. Arithmetic is float32; sums are added in a fixed order, so the same input gives the same
//            bits.
// Needs      padding lanes of the input are zero, and so are then those of the output. The patch divides the map.
// Macros     FP16, TEXEL (include/storage.glsl).
// Dispatch   [ceil(groups / kGroupLanes) * patchH * patchW, images, 1] workgroups.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "include/storage.glsl"
#include "include/index.glsl"
#include "include/params.h"

layout(push_constant) uniform Push { SeparableAttentionParams p; };

READS(0, loadInput)
WRITES(1, storeOutput)

const float kLowest = -3.402823466e38;
shared vec4 laneValues[kInvocations];

// The pixels of one place, of which a lane takes every `stride`-th.
struct Walk {
    uint y, x;  // patch
    uint stepY, stepX;
};

Walk walkFrom(uint first, uint stride) {
    const uint across = p.mapWidth / p.patchW;
    return Walk(first / across, first % across, stride / across, stride % across);
}

void advance(inout Walk walk) {
    const uint across = p.mapWidth / p.patchW;
    walk.y += walk.stepY;
    walk.x += walk.stepX;
    const bool wraps = walk.x >= across;
    walk.x -= wraps ? across : 0;
    walk.y += wraps ? 1 : 0;
}

bool isInside(Walk walk) { return walk.y < p.mapHeight / p.patchH; }

uint image() { return p.imageBegin + gl_WorkGroupID.y; }
uint place() { return gl_WorkGroupID.x % (p.patchH * p.patchW); }

int pixelOf(Walk walk) {
    const uint y = walk.y * p.patchH + place() / p.patchW, x = walk.x * p.patchW + place() % p.patchW;
    return int((image() * p.mapHeight + y) * p.mapWidth + x);
}

Element4 loadPixel(Walk walk, uint group) {
    return loadInput(pixelOf(walk) * int(1 + 2 * p.groups) + int(group) + p.inBase);
}
float loadScore(Walk walk) { return float(loadPixel(walk, 0).x); }

float largestOfAll(float value) {
    laneValues[gl_LocalInvocationIndex].x = value;
    barrier();
    for (uint count = kInvocations; count > 1; count = (count + 1) / 2) {
        const uint other = gl_LocalInvocationIndex + (count + 1) / 2;
        if (other < count) {
            laneValues[gl_LocalInvocationIndex].x =
                max(laneValues[gl_LocalInvocationIndex].x, laneValues[other].x);
        }
        barrier();
    }
    value = laneValues[0].x;
    barrier();
    return value;
}

// The sum over the lanes of a channel group, in each of them.
vec4 sumOfLanes(vec4 value) {
    laneValues[gl_LocalInvocationIndex] = value;
    barrier();
    vec4 sum = vec4(0.0);
    for (uint lane = 0; lane < kShareLanes; ++lane) sum += laneValues[lane * kGroupLanes + groupLane()];
    barrier();
    return sum;
}

void main() {
    const uint group = gl_WorkGroupID.x / (p.patchH * p.patchW) * kGroupLanes + groupLane();
    const bool isWorking = group < p.groups;

    float largest = kLowest;
    for (Walk walk = walkFrom(gl_LocalInvocationIndex, kInvocations); isInside(walk); advance(walk)) {
        largest = max(largest, loadScore(walk));
    }
    largest = largestOfAll(largest);

    // Each channel group's lanes add up the weights too: an exponential for each key, and no further pass.
    vec4 context = vec4(0.0);
    float weights = 0.0;
    for (Walk walk = walkFrom(shareLane(), kShareLanes); isWorking && isInside(walk); advance(walk)) {
        const float weight = exp(loadScore(walk) - largest);
        weights += weight;
        context += vec4(loadPixel(walk, 1 + group)) * weight;
    }
    context = sumOfLanes(context);
    weights = sumOfLanes(vec4(weights)).x;
    context /= weights;

    for (Walk walk = walkFrom(shareLane(), kShareLanes); isWorking && isInside(walk); advance(walk)) {
        const vec4 value = max(vec4(loadPixel(walk, 1 + p.groups + group)), 0.0);
        storeOutput(pixelOf(walk) * int(p.groups) + int(group) + p.outBase, value * context);
    }
}
