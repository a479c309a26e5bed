// The names of shaders/include/matrix.glsl as plain arithmetic, so that every index of what uses them is proven by
// drivers without cooperative matrices. A factor is where it lies: it is read when it is multiplied. Of a sum an
// invocation holds every kSubgroupSize-th vector; products are added up in float32, in order. Loops stay loops: unrolled,
// they take software drivers minutes to compile.
struct Factor {
    uint offset, stride;
};
const uint kHeld = kRows * kColumns / 4u / kSubgroupSize;
struct SumMatrix {
    vec4 values[kHeld];
};

#define LeftMatrix Factor
#define RightMatrix Factor
#define EACH_HELD [[dont_unroll]] for (uint held = 0; held < kHeld; ++held)
#define CLEAR_MATRIX(sum) EACH_HELD sum.values[held] = vec4(0.0)
#define LOAD_MATRIX(matrix, from, at, step) matrix = Factor(at, step)
#define STORE_MATRIX(matrix, to, at, step) \
    EACH_HELD { \
        const uint vector = held * kSubgroupSize + gl_SubgroupInvocationID; \
        to[at + vector / (kColumns / 4u) * step + vector % (kColumns / 4u)] = matrix.values[held]; \
    }
#define MULTIPLY_ADD(left, right, sum) \
    EACH_HELD { \
        const uint vector = held * kSubgroupSize + gl_SubgroupInvocationID; \
        const uint row = vector / (kColumns / 4u), columns = vector % (kColumns / 4u); \
        [[dont_unroll]] for (uint inner = 0; inner < kInner; ++inner) { \
            const f16vec4 a = LEFT_FACTORS[left.offset + row * left.stride + inner / 4u]; \
            const f16vec4 b = RIGHT_FACTORS[right.offset + inner * right.stride + columns]; \
            sum.values[held] += float(a[inner % 4u]) * vec4(b); \
        } \
    }
