// The names of shaders/include/matrix.glsl as plain arithmetic, so that every index of what uses them is proven by
// drivers without cooperative matrices. A factor is where it lies: it is read when it is multiplied. Of a sum an
// invocation holds every kSubgroupSize-th element; products are added up in float32, in order. Loops stay loops: unrolled,
// they take software drivers minutes to compile.
struct Factor {
    uint offset, stride;
};
const uint kHeld = kRows * kColumns / kSubgroupSize;
struct SumMatrix {
    float values[kHeld];
};

#define LeftMatrix Factor
#define RightMatrix Factor
#define EACH_HELD(held) [[dont_unroll]] for (uint held = 0; held < kHeld; ++held)
#define CLEAR_MATRIX(sum) EACH_HELD(held) sum.values[held] = 0.0
#define LOAD_MATRIX(matrix, from, at, step) matrix = Factor(at, step)
#define STORE_MATRIX(matrix, to, at, step)                                    \
    EACH_HELD(held) {                                                         \
        const uint element = held * kSubgroupSize + gl_SubgroupInvocationID;  \
        const uint row = element / kColumns, column = element % kColumns;     \
        to[at + row * step + column / 4u][column % 4u] = matrix.values[held]; \
    }
#define MULTIPLY_ADD(left, right, sum)                                                                     \
    EACH_HELD(held) {                                                                                      \
        const uint element = held * kSubgroupSize + gl_SubgroupInvocationID;                               \
        const uint row = element / kColumns, column = element % kColumns;                                  \
        [[dont_unroll]] for (uint inner = 0; inner < kInner; ++inner) {                                    \
            const float16_t a = LEFT_FACTORS[left.offset + row * left.stride + inner / 4u][inner % 4u];    \
            const float16_t b =                                                                            \
                RIGHT_FACTORS[right.offset + inner * right.stride + column / 4u][column % 4u];             \
            sum.values[held] += float(a) * float(b);                                                       \
        }                                                                                                  \
    }
