// head: softmax and top-k of one image a workgroup, and the logits as float32.
//
// Layouts    input [images][groups] of 4 logits; outputs, at the offsets of HeadParams (in 4-byte elements from the
//            binding's start, for image 0 of the batch): logits [images][classes], probabilities [images][classes],
//            top classes [images][topK] (uint), top probabilities [images][topK].
// Order      by logit, the lower class first among equals. A logit that is not a number counts as the lowest;
//            probabilities of an image with such a logit are not numbers, its top classes are still classes.
// Work       top-k takes topK passes; each finds the first class after the one found before. Sums are added in a fixed
//            order, so the same input gives the same bits.
// Needs      topK <= classes; what is beyond is not written.
// Macros     FP16 (input), TEXEL (include/storage.glsl).
// Dispatch   [images, 1, 1] workgroups.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "include/storage.glsl"
#include "include/index.glsl"
#include "include/params.h"

layout(push_constant) uniform Push { HeadParams p; };

READS(0, loadLogits)
layout(set = 0, binding = 1, std430) writeonly restrict buffer OutputsBuffer { uint outputs[]; };

const float kLowest = -3.402823466e38;
const float kHighest = 3.402823466e38;

struct Candidate {
    float logit;
    uint number;  // of the class
};
shared float sharedLogits[kInvocations];
shared uint sharedNumbers[kInvocations];

// Infinities and values that are not numbers become finite, so that they are ordered.
float orderable(float logit) { return logit > kLowest ? min(logit, kHighest) : kLowest; }

bool before(Candidate a, Candidate b) { return a.logit > b.logit || (a.logit == b.logit && a.number < b.number); }

// The first of all invocations' candidates, in every invocation.
Candidate firstOf(Candidate candidate) {
    sharedLogits[gl_LocalInvocationIndex] = candidate.logit;
    sharedNumbers[gl_LocalInvocationIndex] = candidate.number;
    barrier();
    for (uint count = kInvocations; count > 1; count = (count + 1) / 2) {
        const uint other = gl_LocalInvocationIndex + (count + 1) / 2;
        if (other < count) {
            const Candidate theirs = Candidate(sharedLogits[other], sharedNumbers[other]);
            if (before(theirs, candidate)) candidate = theirs;
            sharedLogits[gl_LocalInvocationIndex] = candidate.logit;
            sharedNumbers[gl_LocalInvocationIndex] = candidate.number;
        }
        barrier();
    }
    candidate = Candidate(sharedLogits[0], sharedNumbers[0]);
    barrier();
    return candidate;
}

// The sum of all invocations' values, in every invocation.
float sumOf(float value) {
    sharedLogits[gl_LocalInvocationIndex] = value;
    barrier();
    for (uint count = kInvocations; count > 1; count = (count + 1) / 2) {
        const uint other = gl_LocalInvocationIndex + (count + 1) / 2;
        if (other < count) sharedLogits[gl_LocalInvocationIndex] += sharedLogits[other];
        barrier();
    }
    value = sharedLogits[0];
    barrier();
    return value;
}

// The first class of this invocation's share that comes after `previous`.
Candidate findAfter(Candidate previous, int imageBegin) {
    Candidate best = Candidate(kLowest, p.classes);
    for (uint group = gl_LocalInvocationIndex; group < p.groups; group += kInvocations) {
        const vec4 logits = vec4(loadLogits(imageBegin + int(group)));
        for (uint lane = 0; lane < 4; ++lane) {
            const Candidate candidate = Candidate(orderable(logits[lane]), 4 * group + lane);
            if (candidate.number >= p.classes) break;
            if (before(previous, candidate) && before(candidate, best)) best = candidate;
        }
    }
    return best;
}

float sumOfExponentials(float largest, int imageBegin) {
    float sum = 0.0;
    for (uint group = gl_LocalInvocationIndex; group < p.groups; group += kInvocations) {
        const vec4 exponentials = exp(vec4(loadLogits(imageBegin + int(group))) - largest);
        for (uint lane = 0; lane < 4 && 4 * group + lane < p.classes; ++lane) sum += exponentials[lane];
    }
    return sumOf(sum);
}

void storeClasses(uint image, int imageBegin, float largest, float inverseSum) {
    for (uint group = gl_LocalInvocationIndex; group < p.groups; group += kInvocations) {
        const vec4 logits = vec4(loadLogits(imageBegin + int(group)));
        for (uint lane = 0; lane < 4 && 4 * group + lane < p.classes; ++lane) {
            const uint index = image * p.classes + 4 * group + lane;
            outputs[p.logitsOffset + index] = floatBitsToUint(logits[lane]);
            outputs[p.probabilitiesOffset + index] = floatBitsToUint(exp(logits[lane] - largest) * inverseSum);
        }
    }
}

void main() {
    const uint image = p.imageBegin + flatWorkgroup();
    const int imageBegin = int(image * p.groups) + p.inBase;

    const Candidate beforeAll = Candidate(uintBitsToFloat(0x7f800000u), 0);  // infinity, which no orderable logit is
    Candidate found = firstOf(findAfter(beforeAll, imageBegin));
    const float largest = found.logit;
    const float inverseSum = 1.0 / sumOfExponentials(largest, imageBegin);
    storeClasses(image, imageBegin, largest, inverseSum);

    const uint count = min(p.topK, p.classes);
    for (uint k = 0; k < count; ++k) {
        if (gl_LocalInvocationIndex == 0) {
            // The candidate's own logit may have been made finite; its probability is that of what was given.
            const vec4 logits = vec4(loadLogits(imageBegin + int(found.number / 4)));
            const float probability = exp(logits[found.number % 4] - largest) * inverseSum;
            outputs[p.topClassesOffset + image * p.topK + k] = found.number;
            outputs[p.topProbabilitiesOffset + image * p.topK + k] = floatBitsToUint(probability);
        }
        if (k + 1 < count) found = firstOf(findAfter(found, imageBegin));
    }
}
