// A LayerNorm inside a matrix product, whose weights were centred (plan/prepack.h): each output's add up to zero, so
// any constant may be taken off all inputs, and only their deviation is divided by. Included after storage.glsl.
#ifndef DUNLIN_WINDOW_NORM_GLSL
#define DUNLIN_WINDOW_NORM_GLSL

// What is taken off the inputs: from their first group, the mean without the largest and the smallest, because networks
// have channels that lie far from all others. A mean far from zero would eat the digits of the deviation otherwise.
float pivotOf(Element4 firstGroup) {
    const vec4 values = vec4(firstGroup);
    const float largest = max(max(values.x, values.y), max(values.z, values.w));
    const float smallest = min(min(values.x, values.y), min(values.z, values.w));
    return 0.5 * ((values.x + values.y) + (values.z + values.w) - largest - smallest);
}

// Adds a group's distances from the pivot, and their squares.
void addMoments(inout vec2 moments, vec4 distances) {
    moments += vec2(dot(distances, vec4(1.0)), dot(distances, distances));
}

float inverseDeviation(vec2 moments, float count, float epsilon) {
    const vec2 mean = moments / count;  // and the mean of squares
    return inversesqrt(max(mean.y - mean.x * mean.x, 0.0) + epsilon);
}

// Distances as elements times a power of two. Float16 products of a residual stream would overflow, and a fixed scale
// would have others vanish: so each group has its own, which leaves its largest between 1 and 2.
Element4 blockOf(vec4 distances, out float scale) {
#if FP16
    const vec4 sizes = abs(distances);
    const float largest = max(max(sizes.x, sizes.y), max(sizes.z, sizes.w));
    // A float's exponent bits alone are a power of two, and 254 less the exponent is its inverse.
    const uint exponent = floatBitsToUint(largest) & 0x7f800000u;
    scale = uintBitsToFloat(exponent);
    return Element4(distances * uintBitsToFloat((254u << 23) - exponent));
#else
    scale = 1.0;
    return distances;
#endif
}

#endif
