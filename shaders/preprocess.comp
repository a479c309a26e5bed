// preprocess: a picture as a network's input: crop, antialiased resize exactly as Pillow does it, normalise.
//
// The source's region is resized to round(sourceWidth / scaleX) x round(sourceHeight / scaleY), of which the output is
// a crop; pixels of the crop outside the resized region are zero (black) before normalisation. A resized pixel is the
// weighted mean of a window of source pixels, rows first. Along an axis with scale 1 the window's other weights are
// zero, so that the pass is the identity.
//
// Layouts    source by SOURCE: an image; RGBA8 pixels, one uint each, red lowest; float32 planes
//            [3][rows][sourceRowPitch]; output [outHeight][outWidth] of 4 channels (r, g, b, 0), at outBase.
// SOURCE     kSourceImage 0, kSourcePixels 1, kSourceTensor 2 (params.h). A tensor is neither resized nor normalised:
//            its outHeight rows of outWidth pixels only change layout; its planes lie sourceRowPitch * sourceHeight
//            apart.
// Macros     FP16 (include/storage.glsl), SOURCE.
// Dispatch   at least outWidth * outHeight invocations, workgroups over x and y.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "include/storage.glsl"
#include "include/index.glsl"
#include "include/params.h"

#ifndef SOURCE
#define SOURCE 1
#endif

layout(push_constant) uniform Push { PreprocessParams p; };

WRITES(1, storeOutput)

#if SOURCE == 0

layout(set = 0, binding = 0) uniform texture2D source;

float encodeSrgb(float linear) {
    return linear <= 0.0031308 ? 12.92 * linear : 1.055 * pow(linear, 1.0 / 2.4) - 0.055;
}

vec3 loadColour(int x, int y) {
    vec3 colour = texelFetch(source, ivec2(p.sourceX + x, p.sourceY + y), 0).rgb;
    if ((p.flags & kPreprocessEncodeSrgb) != 0) {
        // The view decoded bytes; rounding undoes what its decoding, often an approximation, left over.
        colour = vec3(encodeSrgb(colour.r), encodeSrgb(colour.g), encodeSrgb(colour.b));
        return floor(colour * 255.0 + 0.5);
    }
    colour *= 255.0;
    // Bytes come back as bytes, so that an image gives the same bits as its pixels in a buffer.
    return (p.flags & kPreprocessRoundBytes) != 0 ? floor(colour + 0.5) : colour;
}

#elif SOURCE == 1

layout(set = 0, binding = 0, std430) readonly restrict buffer SourceBuffer { uint source[]; };

vec3 loadColour(int x, int y) {
    const uint pixel = source[p.sourceOffset + uint(p.sourceY + y) * p.sourceRowPitch + uint(p.sourceX + x)];
    return vec3(pixel & 255u, (pixel >> 8) & 255u, (pixel >> 16) & 255u);
}

#else

layout(set = 0, binding = 0, std430) readonly restrict buffer SourceBuffer { float source[]; };

vec3 loadPlanes(uint x, uint y) {
    const uint planeSize = p.sourceRowPitch * p.sourceHeight;
    const uint index = p.sourceOffset + y * p.sourceRowPitch + x;
    return vec3(source[index], source[index + planeSize], source[index + 2 * planeSize]);
}

#endif

#if SOURCE != 2

// The source pixels along one axis that a resized pixel is made of.
struct Window {
    int begin, end;
    float centre;
    float inverseScale;  // of the filter, which widens when shrinking (antialiasing) but never narrows
};

Window windowOf(int position, float scale, uint size) {
    const float filterScale = max(scale, 1.0);
    const float support = ((p.flags & kPreprocessBicubic) != 0 ? 2.0 : 1.0) * filterScale;
    const float centre = (float(position) + 0.5) * scale;
    const int begin = max(0, int(centre - support + 0.5));
    const int end = min(int(size), int(centre + support + 0.5));
    return Window(begin, end, centre, 1.0 / filterScale);
}

float weightOf(Window window, int position) {
    const float x = abs((float(position) - window.centre + 0.5) * window.inverseScale);
    if ((p.flags & kPreprocessBicubic) == 0) return max(0.0, 1.0 - x);
    const float a = -0.5;  // Keys' cubic, as Pillow has it
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    return x < 2.0 ? (((x - 5.0) * x + 8.0) * x - 4.0) * a : 0.0;
}

float totalWeight(Window window) {
    float total = 0.0;
    for (int i = window.begin; i < window.end; ++i) total += weightOf(window, i);
    return total;
}

// Colours are in 0..255 here.
vec3 roundIfBytes(vec3 colour) {
    return (p.flags & kPreprocessRoundBytes) != 0 ? clamp(floor(colour + 0.5), 0.0, 255.0) : colour;
}

vec3 resampleRow(Window columns, float inverseTotal, int y) {
    vec3 sum = vec3(0.0);
    for (int x = columns.begin; x < columns.end; ++x) sum += weightOf(columns, x) * loadColour(x, y);
    return roundIfBytes(sum * inverseTotal);
}

vec3 resample(Window columns, Window rows) {
    const float inverseColumns = 1.0 / totalWeight(columns);
    vec3 sum = vec3(0.0);
    for (int y = rows.begin; y < rows.end; ++y) {
        sum += weightOf(rows, y) * resampleRow(columns, inverseColumns, y);
    }
    return roundIfBytes(sum / totalWeight(rows));
}

vec3 resizedColour(int x, int y) {
    const int width = int(float(p.sourceWidth) / p.scaleX + 0.5), height = int(float(p.sourceHeight) / p.scaleY + 0.5);
    if (x < 0 || y < 0 || x >= width || y >= height) return vec3(0.0);
    return resample(windowOf(x, p.scaleX, p.sourceWidth), windowOf(y, p.scaleY, p.sourceHeight));
}

#endif

void main() {
    const uint pixel = flatInvocation();
    if (pixel >= p.outWidth * p.outHeight) return;
    const uint y = pixel / p.outWidth, x = pixel - y * p.outWidth;
#if SOURCE == 2
    const vec3 value = loadPlanes(x, y);
#else
    vec3 colour = resizedColour(p.cropX + int(x), p.cropY + int(y)) / 255.0;
    if ((p.flags & kPreprocessSwapRedBlue) != 0) colour = colour.bgr;
    const vec3 value = colour * vec3(p.scale[0], p.scale[1], p.scale[2]) + vec3(p.offset[0], p.offset[1], p.offset[2]);
#endif
    storeOutput(int(pixel) + p.outBase, vec4(value, 0.0));
}
