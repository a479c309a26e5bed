// layer_norm: (x - mean) / sqrt(variance + epsilon) * gamma + beta, with the mean and variance of each pixel's
// channels, or of each image as `moments` found them (kMoments == 1: GroupNorm with one group).
//
// Layouts    input, output [images][pixels][groups] of 4 channels; weights [gamma, beta][groups]; moments [images] as
//            that kernel writes them.
// Work       kGroupLanes invocations share a pixel, each taking every so-manieth group; a workgroup takes kShareLanes
//            pixels. The mean is found first, then the variance around it, in float32. Lanes are added up in order, so
//            the same input gives the same bits.
// Needs      padding lanes of the weights are zero, and so are then those of the output.
// Macros     FP16, TEXEL (include/storage.glsl).
// Dispatch   ceil(pixels / kShareLanes) workgroups over x and y.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "include/storage.glsl"
#include "include/index.glsl"
#include "include/params.h"

layout(constant_id = 2) const uint kMoments = 0u;

layout(push_constant) uniform Push { LayerNormParams p; };

READS(0, loadInput)
READS(1, loadWeights)
READS_TEXELS(2, loadMoments)
WRITES(3, storeOutput)

shared float laneSums[kInvocations];

// The sum over the invocations that share this pixel, in each of them. All invocations must call this.
float sumOfPixel(vec4 values) {
    const float own = (values.x + values.y) + (values.z + values.w);
    if (kGroupLanes == 1u) return own;
    laneSums[gl_LocalInvocationIndex] = own;
    barrier();
    float sum = 0.0;
    for (uint lane = 0; lane < kGroupLanes; ++lane) sum += laneSums[shareLane() * kGroupLanes + lane];
    barrier();
    return sum;
}

// The mean and 1 / sqrt(variance + epsilon) of the pixel whose groups [0, groups) lie at `begin`.
vec2 momentsOfPixel(int begin, uint groups) {
    vec4 sum = vec4(0.0);
    for (uint group = groupLane(); group < groups; group += kGroupLanes) sum += vec4(loadInput(begin + int(group)));
    const float mean = sumOfPixel(sum) / float(p.channels);
    vec4 squares = vec4(0.0);
    for (uint group = groupLane(); group < groups; group += kGroupLanes) {
        const vec4 difference = keepChannels(vec4(loadInput(begin + int(group))) - mean, group, p.channels);
        squares += difference * difference;
    }
    return vec2(mean, inversesqrt(sumOfPixel(squares) / float(p.channels) + p.epsilon));
}

void main() {
    const uint pixelIndex = flatWorkgroup() * kShareLanes + shareLane();
    // Invocations past the end have no groups, but take part in the sums.
    const uint groups = pixelIndex < p.pixels ? p.groups : 0u;
    const uint pixel = p.pixelBegin + pixelIndex;
    const int index = int(pixel * p.groups);

    vec2 moments = vec2(0.0);
    if (kMoments == 0u) {
        moments = momentsOfPixel(index + p.inBase, groups);
    } else if (groups > 0) {
        const vec4 stored = vec4(loadMoments(int(pixel / p.pixelsPerImage) + p.momentsBase));
        moments = vec2(stored.x + stored.y, 1.0 / (stored.z + stored.w));
    }
    for (uint group = groupLane(); group < groups; group += kGroupLanes) {
        const vec4 normal = (vec4(loadInput(index + int(group) + p.inBase)) - moments.x) * moments.y;
        const vec4 gamma = vec4(loadWeights(int(group))), beta = vec4(loadWeights(int(p.groups + group)));
        storeOutput(index + int(group) + p.outBase, normal * gamma + beta);
    }
}
