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
// Tile       an invocation computes kGroupLanes rows of one column, and resamples each row of the source once for them.
// Macros     FP16 (include/storage.glsl), SOURCE.
// Dispatch   at least outWidth * ceil(outHeight / kGroupLanes) invocations, workgroups over x and y.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "include/storage.glsl"
#include "include/index.glsl"
#include "include/params.h"

#ifndef SOURCE
#define SOURCE 1
#endif

layout(push_constant) uniform Push { PreprocessParams p; };

const uint kRows = kGroupLanes;

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

// Colours are in 0..255 here.
vec3 roundIfBytes(vec3 colour) {
    return (p.flags & kPreprocessRoundBytes) != 0 ? clamp(floor(colour + 0.5), 0.0, 255.0) : colour;
}

float totalWeight(Window window) {
    float total = 0.0;
    for (int i = window.begin; i < window.end; ++i) total += weightOf(window, i);
    return total;
}

// The columns that a resized pixel is made of, with the weights of the first few: all there are where nothing shrinks.
const int kKeptWeights = 4;
struct Columns {
    Window window;
    float kept[kKeptWeights];
    float inverseTotal;
};

Columns columnsOf(int position) {
    Columns columns;
    columns.window = windowOf(position, p.scaleX, p.sourceWidth);
    columns.inverseTotal = 1.0 / totalWeight(columns.window);
    [[unroll]] for (int i = 0; i < kKeptWeights; ++i) {
        const int x = columns.window.begin + i;
        columns.kept[i] = x < columns.window.end ? weightOf(columns.window, x) : 0.0;
    }
    return columns;
}

vec3 resampleRow(Columns columns, int y) {
    vec3 sum = vec3(0.0);
    [[unroll]] for (int i = 0; i < kKeptWeights; ++i) {
        sum += columns.kept[i] * loadColour(min(columns.window.begin + i, int(p.sourceWidth) - 1), y);
    }
    for (int x = columns.window.begin + kKeptWeights; x < columns.window.end; ++x) {
        sum += weightOf(columns.window, x) * loadColour(x, y);
    }
    return roundIfBytes(sum * columns.inverseTotal);
}

// A column of resized pixels, from row `y` on, into `colours`. Each row of the source is resampled once for all of them.
void resample(int x, int y, out vec3 colours[kRows]) {
    const ivec2 last = ivec2(p.sourceWidth / p.scaleX + 0.5, p.sourceHeight / p.scaleY + 0.5) - 1;
    const Columns columns = columnsOf(clamp(x, 0, last.x));
    Window rows[kRows];
    float totals[kRows];
    [[unroll]] for (uint i = 0; i < kRows; ++i) {
        rows[i] = windowOf(clamp(y + int(i), 0, last.y), p.scaleY, p.sourceHeight);
        colours[i] = vec3(0.0);
        totals[i] = 0.0;
    }
    const int end = rows[kRows - 1].end;
    for (int row = rows[0].begin; row < end; ++row) {
        const vec3 colour = resampleRow(columns, row);
        [[unroll]] for (uint i = 0; i < kRows; ++i) {
            const float weight = row >= rows[i].begin && row < rows[i].end ? weightOf(rows[i], row) : 0.0;
            totals[i] += weight;
            colours[i] += weight * colour;
        }
    }
    [[unroll]] for (uint i = 0; i < kRows; ++i) colours[i] = roundIfBytes(colours[i] / totals[i]);
}

bool isInside(int x, int y) {
    const int width = int(float(p.sourceWidth) / p.scaleX + 0.5), height = int(float(p.sourceHeight) / p.scaleY + 0.5);
    return x >= 0 && y >= 0 && x < width && y < height;
}

#endif

void main() {
    const uint invocation = flatInvocation();
    const uint strip = invocation / p.outWidth, x = invocation - strip * p.outWidth;
    const uint firstRow = strip * kRows;
    if (firstRow >= p.outHeight) return;
#if SOURCE != 2
    vec3 colours[kRows];
    resample(p.cropX + int(x), p.cropY + int(firstRow), colours);
#endif
    [[unroll]] for (uint i = 0; i < kRows; ++i) {
        const uint y = firstRow + i;
        if (y >= p.outHeight) continue;
#if SOURCE == 2
        const vec3 value = loadPlanes(x, y);
#else
        vec3 colour = isInside(p.cropX + int(x), p.cropY + int(y)) ? colours[i] / 255.0 : vec3(0.0);
        if ((p.flags & kPreprocessSwapRedBlue) != 0) colour = colour.bgr;
        const vec3 value =
            colour * vec3(p.scale[0], p.scale[1], p.scale[2]) + vec3(p.offset[0], p.offset[1], p.offset[2]);
#endif
        storeOutput(int(y * p.outWidth + x) + p.outBase, vec4(value, 0.0));
    }
}
