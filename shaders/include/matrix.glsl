// Cooperative matrices (VK_KHR_cooperative_matrix): float16 factors that lie in shared memory as f16vec4, row by row,
// and float32 sums. A subgroup holds each matrix together. Their shape is the device's: specialization constants, every
// one a multiple of four. Offsets and strides count vectors of four.
//
// What includes this needs the extensions that pointwise_matrix.comp names. With MATRIX_EMULATED the same names mean
// plain arithmetic (tests/kernels/matrix_emulated.glsl): for the tests, which few drivers could run otherwise.
#ifndef DUNLIN_MATRIX_GLSL
#define DUNLIN_MATRIX_GLSL

layout(constant_id = 6) const uint kRows = 16u;     // of the left factor and the sum
layout(constant_id = 7) const uint kColumns = 16u;  // of the right factor and the sum
layout(constant_id = 8) const uint kInner = 16u;    // the left factor's columns, the right one's rows
layout(constant_id = 9) const uint kSubgroupSize = 32u;

#ifdef MATRIX_EMULATED
#include "matrix_emulated.glsl"
#else
#define LeftMatrix coopmat<float16_t, gl_ScopeSubgroup, kRows, kInner, gl_MatrixUseA>
#define RightMatrix coopmat<float16_t, gl_ScopeSubgroup, kInner, kColumns, gl_MatrixUseB>
#define SumMatrix coopmat<float, gl_ScopeSubgroup, kRows, kColumns, gl_MatrixUseAccumulator>
#define CLEAR_MATRIX(sum) sum = SumMatrix(0.0)
#define LOAD_MATRIX(matrix, from, offset, stride) \
    coopMatLoad(matrix, from, offset, stride, gl_CooperativeMatrixLayoutRowMajor)
#define STORE_MATRIX(matrix, to, offset, stride) \
    coopMatStore(matrix, to, offset, stride, gl_CooperativeMatrixLayoutRowMajor)
#define MULTIPLY_ADD(left, right, sum) sum = coopMatMulAdd(left, right, sum)
#endif

#endif
