// resize: bilinear, without antialiasing. Row i of the output is read at this row of the input, and columns likewise:
//   max((i + 1/2) * inHeight / outHeight - 1/2, 0)   pixel centres at one half (PyTorch's align_corners=False)
//   i * (inHeight - 1) / (outHeight - 1)             the corners' centres meet (align_corners=True)
//
// Layouts    input, output [images][height][width][groups] of 4 channels.
// Needs      sides below 32,768: positions are computed in integers, exactly. Reads only the input rows that the rows
//            asked for need. Padding lanes of the input are zero, and so are then those of the output.
// Macros     FP16, TEXEL (include/storage.glsl).
// Dispatch   at least images * rows * outWidth * groups invocations, workgroups over x and y.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "include/storage.glsl"
#include "include/index.glsl"
#include "include/params.h"

layout(push_constant) uniform Push { ResizeParams p; };

READS(0, loadInput)
WRITES(1, storeOutput)

// The two pixels of a side between which a resized pixel lies, and the share of the second.
struct Neighbours {
    uint before, after;
    float share;
};

Neighbours neighboursOf(uint at, uint from, uint to) {
    const bool aligned = p.alignCorners == 1u;
    const uint unit = aligned ? max(to - 1, 1) : 2 * to;  // position counts in units of 1 / unit
    const uint position = aligned ? at * (from - 1) : max((2 * at + 1) * from, to) - to;
    const uint before = min(position / unit, from - 1);
    return Neighbours(before, min(before + 1, from - 1), float(position - before * unit) / float(unit));
}

vec4 across(uint row, Neighbours column, uint group) {
    const vec4 before = vec4(loadInput(int((row * p.inWidth + column.before) * p.groups + group) + p.inBase));
    const vec4 after = vec4(loadInput(int((row * p.inWidth + column.after) * p.groups + group) + p.inBase));
    return before * (1.0 - column.share) + after * column.share;
}

void main() {
    const uint columnIndex = flatInvocation() / p.groups;
    const uint group = flatInvocation() - columnIndex * p.groups;
    const uint rowIndex = columnIndex / p.outWidth;  // of all rows of all images
    if (rowIndex >= p.images * p.rows) return;
    const uint image = p.imageBegin + rowIndex / p.rows;
    const uint outRow = p.rowBegin + rowIndex % p.rows, outColumn = columnIndex - rowIndex * p.outWidth;

    const Neighbours row = neighboursOf(outRow, p.inHeight, p.outHeight);
    const Neighbours column = neighboursOf(outColumn, p.inWidth, p.outWidth);
    const uint firstRow = image * p.inHeight;
    const vec4 value = across(firstRow + row.before, column, group) * (1.0 - row.share) +
                       across(firstRow + row.after, column, group) * row.share;
    storeOutput(int(((image * p.outHeight + outRow) * p.outWidth + outColumn) * p.groups + group) + p.outBase, value);
}
