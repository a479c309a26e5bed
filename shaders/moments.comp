// moments: the mean and variance of all channels of all pixels of an image, for layer_norm:
//
//   mean = out[image].x + out[image].y, sqrt(variance + epsilon) = out[image].z + out[image].w
//
// Layouts    input [images][pixels][groups] of 4 channels; output [images] of one group: each number in two parts, so
//            that float16 loses no digits that matter.
// Work       a workgroup takes an image: each invocation every so-manieth group, first for the mean, then for the
//            variance around it, in float32. Invocations are added up in a fixed order, so the same input gives the
//            same bits.
// Macros     FP16, TEXEL (include/storage.glsl).
// Dispatch   [images, 1, 1] workgroups.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "include/storage.glsl"
#include "include/index.glsl"
#include "include/params.h"

layout(push_constant) uniform Push { MomentsParams p; };

READS(0, loadInput)
WRITES(1, storeOutput)

shared float laneSums[kInvocations];

// The sum over all invocations, in each of them.
float sumOfImage(vec4 values) {
    laneSums[gl_LocalInvocationIndex] = (values.x + values.y) + (values.z + values.w);
    barrier();
    for (uint count = kInvocations; count > 1; count = (count + 1) / 2) {
        const uint other = gl_LocalInvocationIndex + (count + 1) / 2;
        if (other < count) laneSums[gl_LocalInvocationIndex] += laneSums[other];
        barrier();
    }
    const float sum = laneSums[0];
    barrier();
    return sum;
}

void main() {
    const uint image = p.imageBegin + flatWorkgroup();
    const uint groupsOfImage = p.pixels * p.groups;
    const int begin = int(image * groupsOfImage) + p.inBase;
    const float count = float(p.pixels) * float(p.channels);

    vec4 sum = vec4(0.0);
    for (uint i = gl_LocalInvocationIndex; i < groupsOfImage; i += kInvocations) sum += vec4(loadInput(begin + int(i)));
    const float mean = sumOfImage(sum) / count;

    vec4 squares = vec4(0.0);
    const uint step = kInvocations % p.groups;
    uint group = gl_LocalInvocationIndex % p.groups;  // of the pixel
    for (uint i = gl_LocalInvocationIndex; i < groupsOfImage; i += kInvocations) {
        const vec4 difference = keepChannels(vec4(loadInput(begin + int(i))) - mean, group, p.channels);
        squares += difference * difference;
        group += step;
        group -= group >= p.groups ? p.groups : 0;
    }
    const float variance = sumOfImage(squares) / count;
    if (gl_LocalInvocationIndex != 0) return;
    storeOutput(int(image) + p.outBase, vec4(inTwoElements(mean), inTwoElements(sqrt(variance + p.epsilon))));
}
