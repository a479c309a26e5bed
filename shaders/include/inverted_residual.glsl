// The declarations of inverted_residual.comp, whose contract says what they mean: constants, bindings, shared memory,
// and which pixels a workgroup computes.
#ifndef DUNLIN_INVERTED_RESIDUAL_GLSL
#define DUNLIN_INVERTED_RESIDUAL_GLSL

layout(constant_id = 2) const uint kActivation = 0u;
layout(constant_id = 3) const uint kSqueeze = 0u;
layout(constant_id = 4) const int kKernelH = 3;
layout(constant_id = 5) const int kKernelW = 3;
layout(constant_id = 6) const int kStrideH = 1;
layout(constant_id = 7) const int kStrideW = 1;
layout(constant_id = 8) const uint kFirstActivation = 0u;
layout(constant_id = 9) const int kFirstKernelH = 1;
layout(constant_id = 10) const int kFirstKernelW = 1;
layout(constant_id = 11) const int kFirstStrideH = 1;
layout(constant_id = 12) const int kFirstStrideW = 1;
layout(constant_id = 13) const uint kProject = 0u;
layout(constant_id = 14) const uint kProjectActivation = 0u;
layout(constant_id = 15) const uint kResidual = 0u;

layout(push_constant) uniform Push { InvertedResidualParams p; };

READS_TEXELS(0, loadInput)
READS_TEXELS(1, loadFirstWeights)
READS_TEXELS(2, loadDepthwiseWeights)
READS_TEXELS(3, loadProjectWeights)
READS_TEXELS(4, loadResidual)
WRITES(5, storeOutput)
layout(set = 0, binding = 6, std430) writeonly restrict buffer SumsBuffer { vec4 sumsElements[]; };

// What an invocation computes at a time: 4 pixels of 2 groups of the first convolution, strips of 4 columns of one
// group after that, 4 pixels of kProject groups of the projection.
const int kStrip = 4;
const int kPair = 2;
const int kStrips = kTileSize / kStrip;
const int kWindowW = (kTileX - 1) * kStrideW + kKernelW;
const int kWindowH = (kTileY - 1) * kStrideH + kKernelH;
const int kStripWindow = (kStrip - 1) * kStrideW + kKernelW;
const int kSliceGroups = int(kGroupLanes);
const int kHiddenGroups = kWindowW * kWindowH * kSliceGroups;
const uint kDeepGroups = kProject > 0u ? uint(kTileSize) * kGroupLanes : kSqueeze == 1u ? kInvocations : 1u;
shared vec4 hidden[kHiddenGroups];  // [kWindowH][kWindowW][kGroupLanes]
shared vec4 deep[kDeepGroups];      // [kTileSize][kGroupLanes], or each invocation's part of the sums

const int kProjected = kProject > 0u ? int(kProject) : 1;
const int kProjectedSums = kStrip * kProjected;
const uint kProjectLanes = kInvocations / uint(kStrips);  // invocations that share 4 pixels
vec4 projected[kProjectedSums];

struct Tile {
    int image, index;             // of the whole batch; in its image
    int column, row;              // of the first output
    ivec2 windowBegin;            // column and row of the hidden map; may be negative
    ivec2 insideBegin;            // the window's part that is inside the map and needed
    int insideColumns, insidePixels;
};

Tile tileAt(uint image, uint index) {
    const uint columnTiles = (p.outWidth + kTileX - 1) / kTileX;
    const int tileRow = int(index / columnTiles);
    Tile tile;
    tile.image = int(p.imageBegin + image);
    tile.index = int(index);
    tile.column = (int(index) - tileRow * int(columnTiles)) * kTileX;
    tile.row = int(p.rowBegin) + tileRow * kTileY;
    tile.windowBegin = ivec2(tile.column * kStrideW - p.padLeft, tile.row * kStrideH - p.padTop);
    // Input rows below those that are needed may not be bound; a tile that hangs over the end of the strip must not
    // read them.
    const int rowsEnd = int(p.rowBegin + p.rows - 1) * kStrideH - p.padTop + kKernelH;
    const ivec2 mapEnd = ivec2(p.hiddenWidth, min(int(p.hiddenHeight), rowsEnd));
    tile.insideBegin = max(tile.windowBegin, ivec2(0));
    const ivec2 size = max(min(tile.windowBegin + ivec2(kWindowW, kWindowH), mapEnd) - tile.insideBegin, ivec2(0));
    tile.insideColumns = size.x;
    tile.insidePixels = size.x * size.y;
    return tile;
}

// Place in the hidden map of a pixel counted over the window's inside.
ivec2 placeOf(Tile tile, int pixel) {
    const int index = min(pixel, tile.insidePixels - 1), row = index / tile.insideColumns;
    return tile.insideBegin + ivec2(index - row * tile.insideColumns, row);
}

#endif
