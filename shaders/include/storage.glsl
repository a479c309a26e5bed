// Element types, and loads that come from texel buffers or storage buffers by the same name. Included first by every
// kernel, because extensions come before declarations.
//
// Macros: FP16   0: elements are vec4; needs no optional feature.
//                1: elements are f16vec4; needs shaderFloat16 and storageBuffer16BitAccess.
//         TEXEL  1: READS declares a uniform texel buffer (rgba32f or rgba16f); 0: a storage buffer.
#ifndef DUNLIN_STORAGE_GLSL
#define DUNLIN_STORAGE_GLSL

#extension GL_EXT_samplerless_texture_functions : require
#extension GL_EXT_control_flow_attributes : require

#ifndef FP16
#define FP16 0
#endif
#ifndef TEXEL
#define TEXEL 0
#endif

#if FP16
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_shader_16bit_storage : require
#define Element4 f16vec4
#else
#define Element4 vec4
#endif

// READS_TEXELS(3, loadGate): binding 3 is a uniform texel buffer, read by loadGate(index) as Element4.
#define READS_TEXELS(slot, load)                                       \
    layout(set = 0, binding = slot) uniform textureBuffer load##Texels; \
    Element4 load(int index) { return Element4(texelFetch(load##Texels, index)); }

// READS(0, loadInput): the same, by the load path of this variant.
#if TEXEL
#define READS(slot, load) READS_TEXELS(slot, load)
#else
#define READS(slot, load)                                                                                      \
    layout(set = 0, binding = slot, std430) readonly restrict buffer load##Buffer { Element4 load##Elements[]; }; \
    Element4 load(int index) { return load##Elements[index]; }
#endif

// What an element can hold: infinity, once stored, would become NaN where a zero meets it.
#if FP16
#define TO_ELEMENT4(value) f16vec4(clamp(value, -65504.0, 65504.0))
#else
#define TO_ELEMENT4(value) value
#endif

// WRITES(4, storeOutput): binding 4 is a storage buffer, written by storeOutput(index, value), rounding to its
// elements.
#define WRITES(slot, store)                                                                                         \
    layout(set = 0, binding = slot, std430) writeonly restrict buffer store##Buffer { Element4 store##Elements[]; }; \
    void store(int index, vec4 value) { store##Elements[index] = TO_ELEMENT4(value); }

// sum += input * weights, where weights[i] are the rows of four input channels. Float16 multiplies and adds the four
// products in float16, then accumulates in float32, so that the error does not grow with the number of channels.
void accumulate(inout vec4 sum, Element4 inputs, Element4 weights[4]) {
#if FP16
    sum += vec4(inputs.x * weights[0] + inputs.y * weights[1] + inputs.z * weights[2] + inputs.w * weights[3]);
#else
    sum += inputs.x * weights[0];
    sum += inputs.y * weights[1];
    sum += inputs.z * weights[2];
    sum += inputs.w * weights[3];
#endif
}

// The same of three input channels.
void accumulateThree(inout vec4 sum, Element4 inputs, Element4 weights[4]) {
#if FP16
    sum += vec4(inputs.x * weights[0] + inputs.y * weights[1] + inputs.z * weights[2]);
#else
    sum += inputs.x * weights[0];
    sum += inputs.y * weights[1];
    sum += inputs.z * weights[2];
#endif
}

// The same for float16 inputs that were divided by `scale`; in float32 that is 1.
void accumulateScaled(inout vec4 sum, Element4 inputs, float scale, Element4 weights[4]) {
#if FP16
    vec4 products = vec4(0.0);
    accumulate(products, inputs, weights);
    sum += scale * products;
#else
    accumulate(sum, inputs, weights);
#endif
}

// A float32 as the sum of two elements. One float16 would keep three digits of it: it holds the upper ten bits of the
// mantissa. They are masked because drivers may leave out a conversion there and back, and with it the second element.
vec2 inTwoElements(float value) {
    const float first = uintBitsToFloat(floatBitsToUint(value) & 0xffffe000u);
    return vec2(first, value - first);
}

// Zero in the lanes of channel group `group` that lie past `channels`.
vec4 keepChannels(vec4 value, uint group, uint channels) {
    return mix(vec4(0.0), value, lessThan(uvec4(0, 1, 2, 3) + 4 * group, uvec4(channels)));
}

#endif
