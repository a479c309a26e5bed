// Dispatches are one-dimensional in meaning; their workgroups are spread over x and y, because a device may allow no
// more than 65,535 in each. Kernels return from invocations past the end. The workgroup's size is set by
// specialization.
#ifndef DUNLIN_INDEX_GLSL
#define DUNLIN_INDEX_GLSL

layout(local_size_x = 64, local_size_x_id = 0) in;

// Kernels whose workgroups share out two things (channel groups, and tiles or pixels) give this many lanes to the
// first. They number lanes themselves: near-square workgroups are compiled wrongly by some drivers, one-dimensional ones are
// right (https://github.com/pytorch/executorch/issues/22327).
layout(constant_id = 1) const uint kGroupLanes = 1u;

const uint kInvocations = gl_WorkGroupSize.x;
const uint kShareLanes = kInvocations / kGroupLanes;

uint groupLane() { return gl_LocalInvocationIndex % kGroupLanes; }
uint shareLane() { return gl_LocalInvocationIndex / kGroupLanes; }

uint flatWorkgroup() { return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x; }
uint flatInvocation() { return flatWorkgroup() * kInvocations + gl_LocalInvocationIndex; }

#endif
