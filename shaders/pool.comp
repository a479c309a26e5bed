// pool: the mean over some pixels of each image, in row-major order:
//
//   out[image][c] = sum over pixel in [pixelBegin, pixelBegin + pixels) of in[image][pixel][c] / pixels
//
// Layouts    input [images][pixelsPerImage][groups] of 4 channels; output [images][groups].
// Work       kGroupLanes invocations take channel groups, times kShareLanes lanes. Each lane adds up every so-manieth
//            pixel in float32; lane 0 adds up the lanes in order, so the same input gives the same bits.
// Needs      padding lanes of the input are zero, and so are those of the output.
// Macros     FP16, TEXEL (include/storage.glsl).
// Dispatch   images * ceil(groups / kGroupLanes) workgroups, over x and y.
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
    const uint blocks = (p.groups + kGroupLanes - 1) / kGroupLanes;
    const uint imageIndex = flatWorkgroup() / blocks;
    const uint group = (flatWorkgroup() - imageIndex * blocks) * kGroupLanes + groupLane();
    const bool working = imageIndex < p.images && group < p.groups;
    const uint image = p.imageBegin + imageIndex;

    vec4 sum = vec4(0.0);
    for (uint pixel = shareLane(); working && pixel < p.pixels; pixel += kShareLanes) {
        const uint index = (image * p.pixelsPerImage + p.pixelBegin + pixel) * p.groups + group;
        sum += vec4(loadInput(int(index) + p.inBase));
    }
    laneSums[gl_LocalInvocationIndex] = sum;
    barrier();
    if (shareLane() != 0 || !working) return;
    for (uint lane = 1; lane < kShareLanes; ++lane) sum += laneSums[lane * kGroupLanes + groupLane()];
    storeOutput(int(image * p.groups + group) + p.outBase, sum / float(p.pixels));
}
