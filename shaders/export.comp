// export: a map as tight float32 NHWC, for outputs that a caller reads: out[pixel][c] = in[pixel][c].
//
// Layouts    input [pixels][groups] of 4 channels; output [pixels][channels] of float32.
// Work       an invocation copies one channel group, without its padding lanes.
// Macros     FP16 (input), TEXEL (include/storage.glsl).
// Dispatch   at least pixels * groups invocations, workgroups over x and y.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "include/storage.glsl"
#include "include/index.glsl"
#include "include/params.h"

layout(push_constant) uniform Push { ExportParams p; };

READS(0, loadInput)
layout(set = 0, binding = 1, std430) writeonly restrict buffer OutputBuffer { float outputs[]; };

void main() {
    const uint pixelIndex = flatInvocation() / p.groups;
    if (pixelIndex >= p.pixels) return;
    const uint group = flatInvocation() - pixelIndex * p.groups;
    const uint pixel = p.pixelBegin + pixelIndex;
    const vec4 value = vec4(loadInput(int(pixel * p.groups + group) + p.inBase));
    const int first = int(pixel * p.channels + 4 * group) + p.outBase;
    for (uint lane = 0; lane < 4 && 4 * group + lane < p.channels; ++lane) outputs[first + int(lane)] = value[lane];
}
