// Dispatches are one-dimensional in meaning; their workgroups are spread over x and y, because a device may allow no
// more than 65,535 in each. Kernels return from invocations past the end. The workgroup's size is set by
// specialization.
#ifndef DUNLIN_INDEX_GLSL
#define DUNLIN_INDEX_GLSL

layout(local_size_x = 64, local_size_y = 1, local_size_x_id = 0, local_size_y_id = 1) in;

const uint kInvocations = gl_WorkGroupSize.x * gl_WorkGroupSize.y;  // of a workgroup

uint flatWorkgroup() { return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x; }
uint flatInvocation() { return flatWorkgroup() * kInvocations + gl_LocalInvocationIndex; }

#endif
