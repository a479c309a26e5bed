// The rate of cooperative matrices: float16 factors, float32 sums.
//
// Dispatch   any number of workgroups of whole subgroups. Each subgroup makes kChains products a round, each added to a
//            sum of its own, for `rounds` rounds: 2 * kRows * kColumns * kInner operations each.
// Output     binding 0: the number of subgroups of the workgroup, then the sums' first elements, so that nothing can be
//            left out.
// Factors    of binding 1, kRows * kInner and kInner * kColumns elements around 1/64 with either sign: sums stay small.
//
// Debian 12's glslang knows no cooperative matrices, so the tree has this compiled, as matrix.spv.h, by:
//   glslang -V -g0 --quiet --target-env vulkan1.1 --vn k_matrix -o matrix.spv.h matrix.comp     (glslang 15.2.0)
#version 450
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#pragma use_vulkan_memory_model

layout(local_size_x_id = 0, local_size_y = 1, local_size_z = 1) in;
layout(constant_id = 1) const uint kRows = 16u;     // M
layout(constant_id = 2) const uint kColumns = 16u;  // N
layout(constant_id = 3) const uint kInner = 16u;    // K
const int kChains = 4;

layout(push_constant) uniform Push { uint rounds; };
layout(set = 0, binding = 0, std430) writeonly buffer Sums { float sums[]; };
layout(set = 0, binding = 1, std430) readonly buffer Factors { float16_t factors[]; };

void main() {
    coopmat<float16_t, gl_ScopeSubgroup, kRows, kInner, gl_MatrixUseA> left;
    coopmat<float16_t, gl_ScopeSubgroup, kInner, kColumns, gl_MatrixUseB> right;
    coopMatLoad(left, factors, 0, kInner, gl_CooperativeMatrixLayoutRowMajor);
    coopMatLoad(right, factors, kRows * kInner, kColumns, gl_CooperativeMatrixLayoutRowMajor);
    coopmat<float, gl_ScopeSubgroup, kRows, kColumns, gl_MatrixUseAccumulator> total[kChains];
    for (int i = 0; i < kChains; ++i) {
        total[i] = coopmat<float, gl_ScopeSubgroup, kRows, kColumns, gl_MatrixUseAccumulator>(float(i));
    }
    for (uint round = 0; round < rounds; ++round) {
        total[0] = coopMatMulAdd(left, right, total[0]);
        total[1] = coopMatMulAdd(left, right, total[1]);
        total[2] = coopMatMulAdd(left, right, total[2]);
        total[3] = coopMatMulAdd(left, right, total[3]);
    }
    // Elements of the matrix that this invocation holds, whichever they are.
    float sum = 0.0;
    for (int i = 0; i < kChains; ++i) {
        for (int j = 0; j < total[i].length(); ++j) sum += total[i][j];
    }
    const uint index = gl_WorkGroupID.x * (gl_WorkGroupSize.x + 1);
    if (gl_LocalInvocationIndex == 0) sums[index] = float(gl_NumSubgroups);
    sums[index + 1 + gl_LocalInvocationIndex] = sum;
}
