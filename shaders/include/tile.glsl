// How many outputs an invocation computes: the variant's tile, set by specialization, so that one module serves every tile.
// What X and Y count is said at the head of each kernel.
#ifndef DUNLIN_TILE_GLSL
#define DUNLIN_TILE_GLSL

layout(constant_id = 16) const int kTileX = 1;
layout(constant_id = 17) const int kTileY = 1;
const int kTileSize = kTileX * kTileY;  // arrays of it are of one type only where this name is their size

#endif
