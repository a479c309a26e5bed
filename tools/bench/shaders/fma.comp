// The rate of fused multiply-adds, of float32 or, with FP16, of float16.
//
// Dispatch   any number of workgroups. Each invocation takes `rounds` rounds of 128 multiply-adds, in eight
//            independent chains.
// Numbers    x = x * factor + addend with |factor| < 1 stays near addend / (1 - factor): never denormal, never
//            infinite. Both come from push constants and differ by invocation, so that nothing can be computed ahead.
// Output     binding 0: one float for each invocation.
#version 450
#ifdef FP16
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define Number float16_t
#define Number4 f16vec4
#else
#define Number float
#define Number4 vec4
#endif

layout(local_size_x_id = 0, local_size_y = 1, local_size_z = 1) in;
layout(push_constant) uniform Push {
    uint rounds;
    float factor, addend;
};
layout(set = 0, binding = 0, std430) writeonly buffer Output { float results[]; };

#define STEP        \
    a = fma(a, f, c); \
    b = fma(b, f, c);
#define STEPS4 STEP STEP STEP STEP
#define STEPS16 STEPS4 STEPS4 STEPS4 STEPS4

void main() {
    const float place = float(gl_LocalInvocationIndex & 63u) * (1.0 / 64.0);  // 0 to 1
    const Number4 f = Number4(Number(factor + place * 0.0625)), c = Number4(Number(addend + place));
    Number4 a = Number4(0.25, 0.5, 0.75, 1.0) + c, b = Number4(1.25, 1.5, 1.75, 2.0) + c;
    for (uint i = 0; i < rounds; ++i) {
        STEPS16
    }
    const Number4 sum = a + b;
    results[gl_GlobalInvocationID.x] = float(sum.x + sum.y + sum.z + sum.w);
}
