// squeeze_excite: both fully connected layers of squeeze-excite, one image a workgroup:
//
//   gate[c] = gateActivation(sum over r of expand[r][c] * hidden[r] + expandBias[c])
//   hidden[r] = reduceActivation(sum over c of reduce[c][r] * mean[c] + reduceBias[r])
//
// The mean comes from the partial sums that depthwise wrote. The gate is multiplied inside the projection's load.
//
// Layouts    sums [images][partialsPerImage][groups] of float32; gate [images][groups];
//            reduce weights [reduced groups][1 + 4 * groups], expand weights [groups][1 + 4 * reduced groups], both of
//            4 output channels, element 0 the bias.
// Work       every output group of a layer is shared by as many invocations as there are to spare; each takes every
//            so-manieth input group, and one adds up theirs in order. Arithmetic is float32 in every precision.
// Memory     kMaxGroups + kMaxReducedGroups + workgroup size, times 16 bytes. kMaxGroups may be smaller than the number
//            of groups, which are then taken in chunks of it; kMaxReducedGroups may not.
// Needs      padding lanes of the gate are written as zero.
// Macros     FP16 (weights and gate), TEXEL (weights) (include/storage.glsl).
// Dispatch   [images, 1, 1] workgroups.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "include/storage.glsl"
#include "include/activation.glsl"
#include "include/index.glsl"
#include "include/params.h"

layout(constant_id = 2) const uint kReduceActivation = 0u;
layout(constant_id = 3) const uint kGateActivation = 0u;
layout(constant_id = 4) const uint kMaxGroups = 256u;
layout(constant_id = 5) const uint kMaxReducedGroups = 64u;

layout(push_constant) uniform Push { SqueezeExciteParams p; };

layout(set = 0, binding = 0, std430) readonly restrict buffer Sums { vec4 sums[]; };
READS(1, loadReduceWeights)
READS(2, loadExpandWeights)
WRITES(3, storeGate)

shared vec4 means[kMaxGroups];
shared vec4 hidden[kMaxReducedGroups];
shared vec4 scratch[kInvocations];  // one partial result an invocation

// How `outputs` results of `terms` terms each are spread over the workgroup.
struct Split {
    uint parts;    // invocations that share one output
    uint atOnce;   // outputs in one pass
};

Split splitOver(uint outputs, uint terms) {
    const uint parts = max(1, min(kInvocations / outputs, terms));
    return Split(parts, kInvocations / parts);
}

// The sum of the parts of this invocation's output, for the first of them; all invocations must call this.
vec4 addParts(vec4 partSum, uint parts) {
    scratch[gl_LocalInvocationIndex] = partSum;
    barrier();
    vec4 sum = vec4(0.0);
    if (gl_LocalInvocationIndex % parts == 0) {
        for (uint i = 0; i < parts; ++i) sum += scratch[min(gl_LocalInvocationIndex + i, kInvocations - 1)];
    }
    barrier();
    return sum;
}

// means[i] = mean of channel group begin + i, for i < count.
void computeMeans(uint image, uint begin, uint count) {
    const Split split = splitOver(count, p.partialsPerImage);
    const uint part = gl_LocalInvocationIndex % split.parts;
    for (uint first = 0; first < count; first += split.atOnce) {
        const uint slot = gl_LocalInvocationIndex / split.parts;
        const bool working = slot < split.atOnce && first + slot < count;
        vec4 sum = vec4(0.0);
        for (uint partial = part; working && partial < p.partialsPerImage; partial += split.parts) {
            const uint index = (image * p.partialsPerImage + partial) * p.groups + begin + first + slot;
            sum += sums[int(index) + p.sumsBase];
        }
        sum = addParts(sum, split.parts);
        if (working && part == 0) means[first + slot] = sum * p.inversePixels;
    }
    barrier();
}

// A row of 4 x 4 weights of one layer times 4 values.
vec4 multiplyReduce(int weights, vec4 value) {
    return value.x * vec4(loadReduceWeights(weights)) + value.y * vec4(loadReduceWeights(weights + 1)) +
           value.z * vec4(loadReduceWeights(weights + 2)) + value.w * vec4(loadReduceWeights(weights + 3));
}
vec4 multiplyExpand(int weights, vec4 value) {
    return value.x * vec4(loadExpandWeights(weights)) + value.y * vec4(loadExpandWeights(weights + 1)) +
           value.z * vec4(loadExpandWeights(weights + 2)) + value.w * vec4(loadExpandWeights(weights + 3));
}

// hidden[r] += the products with the means of channel groups [begin, begin + count); the first chunk starts at the
// bias.
void reduceChunk(uint begin, uint count) {
    const Split split = splitOver(p.reducedGroups, count);
    const uint part = gl_LocalInvocationIndex % split.parts;
    for (uint first = 0; first < p.reducedGroups; first += split.atOnce) {
        const uint slot = gl_LocalInvocationIndex / split.parts;
        const uint group = first + slot;
        const bool working = slot < split.atOnce && group < p.reducedGroups;
        const int row = int(group * (1 + 4 * p.groups));
        vec4 sum = vec4(0.0);
        for (uint i = part; working && i < count; i += split.parts) {
            sum += multiplyReduce(row + 1 + 4 * int(begin + i), means[i]);
        }
        sum = addParts(sum, split.parts);
        if (working && part == 0) hidden[group] = sum + (begin == 0 ? vec4(loadReduceWeights(row)) : hidden[group]);
    }
    barrier();
}

void expand(uint image) {
    const Split split = splitOver(p.groups, p.reducedGroups);
    const uint part = gl_LocalInvocationIndex % split.parts;
    for (uint first = 0; first < p.groups; first += split.atOnce) {
        const uint slot = gl_LocalInvocationIndex / split.parts;
        const uint group = first + slot;
        const bool working = slot < split.atOnce && group < p.groups;
        const int row = int(group * (1 + 4 * p.reducedGroups));
        vec4 sum = vec4(0.0);
        for (uint i = part; working && i < p.reducedGroups; i += split.parts) {
            sum += multiplyExpand(row + 1 + 4 * int(i), hidden[i]);
        }
        sum = addParts(sum, split.parts);
        if (working && part == 0) {
            const vec4 gate = activate(sum + vec4(loadExpandWeights(row)), kGateActivation);
            storeGate(int(image * p.groups + group) + p.gateBase, keepChannels(gate, group, p.channels));
        }
    }
}

void main() {
    const uint image = p.imageBegin + flatWorkgroup();
    for (uint begin = 0; begin < p.groups; begin += kMaxGroups) {
        const uint count = min(kMaxGroups, p.groups - begin);
        computeMeans(image, begin, count);
        reduceChunk(begin, count);
    }
    // Weights of padding lanes are zero, so what the activation makes of those lanes does no harm.
    for (uint group = gl_LocalInvocationIndex; group < p.reducedGroups; group += kInvocations) {
        hidden[group] = activate(hidden[group], kReduceActivation);
    }
    barrier();
    expand(image);
}
