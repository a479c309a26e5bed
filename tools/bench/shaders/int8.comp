// The rate of int8 multiply-adds: with DOT by packed dot products of four, else by the plain arithmetic that a device
// without them is left with.
//
// Dispatch   any number of workgroups. Each invocation takes `rounds` rounds of 32 dot products, in eight
//            independent chains. A dot product of four that is added to a sum counts eight operations.
// Numbers    each sum's four bytes are the factors of its next dot product: nothing can be computed ahead.
// Output     binding 0: one int for each invocation.
#version 450
#ifdef DOT
// SPV_KHR_integer_dot_product by hand: the glslang of Debian 12 does not know GL_EXT_integer_dot_product. The last
// operand is the packed vector format 4x8.
#extension GL_EXT_spirv_intrinsics : require
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6018, 6019], id = 4450)
int packedDot(int a, int b, spirv_literal int format);
#define DOT4(a, b) packedDot(a, b, 0)
#else
int byteOf(int packed, int index) {
    return bitfieldExtract(packed, 8 * index, 8);
}
#define DOT4(a, b) \
    (byteOf(a, 0) * b##0 + byteOf(a, 1) * b##1 + byteOf(a, 2) * b##2 + byteOf(a, 3) * b##3)
#endif

layout(local_size_x_id = 0, local_size_y = 1, local_size_z = 1) in;
layout(push_constant) uniform Push {
    uint rounds;
    int factors, addend;
};
layout(set = 0, binding = 0, std430) writeonly buffer Output { int results[]; };

#define STEP              \
    a = DOT4(a, f) + c;   \
    b = DOT4(b, f) + c;   \
    d = DOT4(d, f) + c;   \
    e = DOT4(e, f) + c;   \
    g = DOT4(g, f) + c;   \
    h = DOT4(h, f) + c;   \
    k = DOT4(k, f) + c;   \
    l = DOT4(l, f) + c;
#define STEPS4 STEP STEP STEP STEP

void main() {
    const int place = int(gl_LocalInvocationIndex);
    const int f = factors + place, c = addend ^ (place * 0x01030507);
#ifndef DOT
    const int f0 = byteOf(f, 0), f1 = byteOf(f, 1), f2 = byteOf(f, 2), f3 = byteOf(f, 3);
#endif
    int a = c, b = c + 1, d = c + 2, e = c + 3, g = c + 4, h = c + 5, k = c + 6, l = c + 7;
    for (uint i = 0; i < rounds; ++i) {
        STEPS4
    }
    results[gl_GlobalInvocationID.x] = a ^ b ^ d ^ e ^ g ^ h ^ k ^ l;
}
