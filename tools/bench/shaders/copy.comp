// The rate at which a working set is copied, again and again: half of it is read, the other half written.
//
// Dispatch   count / 4 invocations. In each pass every element is read once and written once, always by
//            other invocations than in the pass before: what one reads was not left in its own registers, and lies
//            in whatever cache the whole set fits in. No two write the same element.
// Push       count: elements of 16 bytes in either half, a power of two; passes; shift: elements that reading moves on
//            in each pass; a multiple of a cache line, odd in lines.
// Input      elements below 2^31: where a pass writes hangs on it by a bit that is always zero, which no compiler
//            knows, so that none can leave out all passes but the last.
// Output     out[j] = in[(j + (passes - 1) * shift) % count]
// Macros     TEXEL: reads through a uniform texel buffer.
#version 450
layout(local_size_x_id = 0, local_size_y = 1, local_size_z = 1) in;
layout(push_constant) uniform Push { uint count, passes, shift; };
layout(set = 0, binding = 0, std430) writeonly restrict buffer Target { uvec4 target[]; };
#ifdef TEXEL
layout(set = 0, binding = 1) uniform utextureBuffer source;
#define LOAD(index) texelFetch(source, int(index))
#else
layout(set = 0, binding = 1, std430) readonly restrict buffer Source { uvec4 source[]; };
#define LOAD(index) source[index]
#endif

void main() {
    const uint quarter = count >> 2, mask = count - 1;
    const uint i = gl_GlobalInvocationID.x;
    if (i >= quarter) return;
    uint from = i;
    for (uint pass = 0; pass < passes; ++pass) {
        const uvec4 a = LOAD(from & mask);
        const uvec4 b = LOAD((from + quarter) & mask);
        const uvec4 c = LOAD((from + 2 * quarter) & mask);
        const uvec4 d = LOAD((from + 3 * quarter) & mask);
        target[i + (a.x >> 31)] = a;
        target[i + quarter + (b.x >> 31)] = b;
        target[i + 2 * quarter + (c.x >> 31)] = c;
        target[i + 3 * quarter + (d.x >> 31)] = d;
        from += shift;
    }
}
