// What the methods of the pointwise kernel share: bindings, constants, what is done to inputs before they are multiplied
// and to sums afterwards. pointwise.comp says what is computed and how the tensors lie; the methods differ in who
// computes what. Included after storage.glsl.
#ifndef DUNLIN_POINTWISE_GLSL
#define DUNLIN_POINTWISE_GLSL

#include "activation.glsl"
#include "index.glsl"
#include "params.h"
#include "window_norm.glsl"

layout(constant_id = 2) const uint kActivation = 0u;
layout(constant_id = 3) const uint kResidual = 0u;
layout(constant_id = 4) const uint kGate = 0u;
layout(constant_id = 5) const uint kNorm = 0u;

layout(push_constant) uniform Push { PointwiseParams p; };

READS(0, loadInput)
READS(1, loadWeights)
READS(2, loadResidual)
READS_TEXELS(3, loadGate)
WRITES(4, storeOutput)

// Of an image: where its gate begins.
int gateOf(uint image) {
    const int gateGroups = kGate == 2u ? 1 : int(p.inGroups);
    return int(p.gateImageBegin + image) * gateGroups + p.gateBase;
}

// What a group of input channels is multiplied by, or for kGate == 2 its image's mean and inverse deviation.
struct Gate {
    Element4 factors;
    float mean, factor;
};

Gate loadGateOf(int gateIndex, int group) {
    Gate gate;
    if (kGate == 1u) gate.factors = loadGate(gateIndex + group);
    if (kGate == 2u) {
        const vec4 moments = vec4(loadGate(gateIndex));
        gate.mean = moments.x + moments.y;
        gate.factor = 1.0 / (moments.z + moments.w);
    }
    return gate;
}

Element4 gated(Element4 value, Gate gate) {
    if (kGate == 1u) value *= gate.factors;
    if (kGate == 2u) value = Element4((vec4(value) - gate.mean) * gate.factor);
    return value;
}

// For kNorm only: the group as what is multiplied, and what it is to be multiplied by afterwards.
Element4 normed(Element4 value, float pivot, int group, inout vec2 moments, out float scale) {
    const vec4 distances = keepChannels(vec4(value) - pivot, uint(group), p.inChannels);
    addMoments(moments, distances);
    return blockOf(distances, scale);
}

float deviationScale(vec2 moments) {
    return kNorm == 1u ? inverseDeviation(moments, float(p.inChannels), p.epsilon) : 1.0;
}

// What is stored of a sum: output `index` (pixel * groups + group).
vec4 finish(vec4 sum, float scale, vec4 bias, int index, uint group) {
    vec4 value = sum * scale + bias;
    if (kResidual == 2u) value += vec4(loadResidual(index + p.residualBase));
    value = activate(value, kActivation);
    if (kResidual == 1u) value += vec4(loadResidual(index + p.residualBase));
    return keepChannels(value, group, p.outChannels);
}

// Element 0 of an output group's weights is its bias; groups past the last take its weights.
int weightsOf(uint group) { return int(min(group, p.outGroups - 1) * (1 + 4 * p.inGroups)); }

#endif
