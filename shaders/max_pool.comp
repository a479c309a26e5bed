// max_pool: out[y][x][c] = the largest of in[y * strideH - padTop + ky][x * strideW - padLeft + kx][c] over the ky, kx
// that lie inside the image: padding never wins.
//
// Layouts    input, output [images][height][width][groups] of 4 channels.
// Needs      every window to reach into the image. Reads only input rows inside the image that the rows asked for need.
//            Padding lanes of the input are zero, and so are then those of the output.
// Macros     FP16, TEXEL (include/storage.glsl).
// Dispatch   at least images * rows * outWidth * groups invocations, workgroups over x and y.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "include/storage.glsl"
#include "include/index.glsl"
#include "include/params.h"

layout(push_constant) uniform Push { MaxPoolParams p; };

READS(0, loadInput)
WRITES(1, storeOutput)

void main() {
    const uint columnIndex = flatInvocation() / p.groups;
    const uint group = flatInvocation() - columnIndex * p.groups;
    const uint rowIndex = columnIndex / p.outWidth;  // of all rows of all images
    if (rowIndex >= p.images * p.rows) return;
    const uint image = p.imageBegin + rowIndex / p.rows;
    const uint outRow = p.rowBegin + rowIndex % p.rows, outColumn = columnIndex - rowIndex * p.outWidth;

    const int firstRow = int(outRow) * p.strideH - p.padTop, firstColumn = int(outColumn) * p.strideW - p.padLeft;
    const int rowEnd = min(firstRow + p.kernelH, int(p.inHeight));
    const int columnEnd = min(firstColumn + p.kernelW, int(p.inWidth));
    vec4 largest = vec4(-3.402823466e38);
    for (int row = max(firstRow, 0); row < rowEnd; ++row) {
        const int rowBegin = (int(image * p.inHeight) + row) * int(p.inWidth);
        for (int column = max(firstColumn, 0); column < columnEnd; ++column) {
            largest = max(largest, vec4(loadInput((rowBegin + column) * int(p.groups) + int(group) + p.inBase)));
        }
    }
    storeOutput(int(((image * p.outHeight + outRow) * p.outWidth + outColumn) * p.groups + group) + p.outBase, largest);
}
