// pool: the mean over the pixels of each image, out[image][c] = sum over pixels of in[image][pixel][c] / pixels.
//
// Layouts    input [images][pixels][groups] of 4 channels; output [images][groups].
// Work       a workgroup has [channel groups, lanes] invocations. Each lane adds up every so-manieth pixel in float32;
//            lane 0 adds up the lanes in order, so the same input gives the same bits.
// Needs      padding lanes of the input are zero, and so are those of the output.
// Macros     FP16, TEXEL (include/storage.glsl).
// Dispatch   images * ceil(groups / size x) workgroups, over x and y.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "include/storage.glsl"
#include "include/index.glsl"
#include "include/params.h"

layout(push_constant) uniform Push { PoolParams p; };

READS(0, loadInput)
WRITES(1, storeOutput)

shared vec4 laneSums[kInvocations];

void main() {
    const uint blocks = (p.groups + gl_WorkGroupSize.x - 1) / gl_WorkGroupSize.x;
    const uint imageIndex = flatWorkgroup() / blocks;
    const uint group = (flatWorkgroup() - imageIndex * blocks) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    const bool working = imageIndex < p.images && group < p.groups;
    const uint image = p.imageBegin + imageIndex;

    vec4 sum = vec4(0.0);
    for (uint pixel = gl_LocalInvocationID.y; working && pixel < p.pixels; pixel += gl_WorkGroupSize.y) {
        sum += vec4(loadInput(int((image * p.pixels + pixel) * p.groups + group) + p.inBase));
    }
    laneSums[gl_LocalInvocationIndex] = sum;
    barrier();
    if (gl_LocalInvocationID.y != 0 || !working) return;
    for (uint lane = 1; lane < gl_WorkGroupSize.y; ++lane) {
        sum += laneSums[lane * gl_WorkGroupSize.x + gl_LocalInvocationID.x];
    }
    storeOutput(int(image * p.groups + group) + p.outBase, sum / float(p.pixels));
}
