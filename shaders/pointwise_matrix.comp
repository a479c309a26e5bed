// pointwise by cooperative matrices: what pointwise.comp computes but kNorm, for devices with matrix units.
//
// Work       a workgroup has kGroupLanes subgroups side by side over the channels; the others are side by side over the
//            pixels. Each keeps the sums of kTileX x kTileY matrices, of kRows pixels and kColumns output channels each.
//            The workgroup loads slabs of kSlab input groups into shared memory once, for all of its subgroups. From
//            there and not from where they lie, because packed weights have no stride that a matrix could be read by,
//            and rows of inputs need not be aligned as matrices must; it is also where the gate is multiplied and what
//            lies past an end becomes something harmless.
// Sums       products of float16 are added up in float32, in an order of the device's. No output hangs on what else its
//            matrix has, so results do not hang on the batch.
// Memory     8 * ((kSlab + 2) * pixels + 4 * kSlab * (groups + 2)) bytes of the workgroup, and 4 * kRows * kColumns a
//            subgroup: 14 KiB for 64 x 16 by four subgroups and matrices of 16x16.
// Macros     none: float16 and storage buffers only.
// Dispatch   images * tilesPerImage * ceil(outGroups / kGroups) workgroups over x and y, where a tile of tilesPerImage
//            has kPixels. Full subgroups of kSubgroupSize, which the pipeline must ask for.
//
// Debian 12's glslang knows no cooperative matrices: shaders/kept has the SPIR-V, tools/kept-shaders makes and checks it.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#ifndef MATRIX_EMULATED
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_cooperative_matrix : require
#pragma use_vulkan_memory_model
#endif
#define FP16 1
#include "include/storage.glsl"
#include "include/pointwise.glsl"

#include "include/matrix.glsl"
#include "include/tile.glsl"

const uint kSubgroups = kInvocations / kSubgroupSize;
const uint kPixels = kSubgroups / kGroupLanes * uint(kTileX) * kRows;
const uint kMatrixGroups = kColumns / 4u;
const uint kGroups = kGroupLanes * uint(kTileY) * kMatrixGroups;

// Rows in shared memory have two vectors more than they need: they begin in different banks, and at 16 bytes.
const uint kSlab = 8u;
const uint kInputStride = kSlab + 2u;
const uint kWeightStride = kGroups + 2u;
const uint kInputVectors = kPixels * kInputStride;
const uint kWeightVectors = 4u * kSlab * kWeightStride;
const uint kResultVectors = kSubgroups * kRows * kMatrixGroups;
shared f16vec4 slabInputs[kInputVectors];    // [pixel][input group]
shared f16vec4 slabWeights[kWeightVectors];  // [input channel][output group]
shared vec4 results[kResultVectors];         // a matrix a subgroup: [pixel][output group]
#define LEFT_FACTORS slabInputs
#define RIGHT_FACTORS slabWeights

struct Tile {
    uint image, firstPixel;  // in its image
    uint firstGroup;
};

// Pixels past the end of the image take its last one.
int inputOf(Tile tile, uint pixel) {
    const uint inImage = min(tile.firstPixel + pixel, p.pixelsPerImage - 1);
    return int((p.pixelBegin + tile.image * p.pixelsPerImage + inImage) * p.inGroups) + p.inBase;
}

// Neighbours load neighbouring groups of a pixel, and neighbouring rows of an output group. Past the last input group
// both factors are zero.
void loadSlab(Tile tile, uint firstGroup) {
    const uint slab = min(kSlab, p.inGroups - firstGroup);
    const int gate = gateOf(tile.image);
    for (uint i = gl_LocalInvocationIndex; i < kSlab * kPixels; i += kInvocations) {
        const uint pixel = i / kSlab, group = i % kSlab;
        f16vec4 value = f16vec4(0.0);
        if (group < slab) {
            const int from = int(firstGroup + group);
            value = gated(loadInput(inputOf(tile, pixel) + from), loadGateOf(gate, from));
        }
        slabInputs[pixel * kInputStride + group] = value;
    }
    for (uint i = gl_LocalInvocationIndex; i < 4u * kSlab * kGroups; i += kInvocations) {
        const uint group = i / (4u * kSlab), row = i % (4u * kSlab);
        f16vec4 value = f16vec4(0.0);
        if (row < 4u * slab) value = loadWeights(weightsOf(tile.firstGroup + group) + 1 + int(4u * firstGroup + row));
        slabWeights[row * kWeightStride + group] = value;
    }
}

// The matrix that this subgroup has put into `results`, as pixels and groups of the output.
void storeResults(Tile tile, uint matrixPixel, uint matrixGroup) {
    for (uint i = gl_SubgroupInvocationID; i < kRows * kMatrixGroups; i += kSubgroupSize) {
        const uint pixel = tile.firstPixel + matrixPixel + i / kMatrixGroups;
        const uint group = tile.firstGroup + matrixGroup + i % kMatrixGroups;
        if (pixel >= p.pixelsPerImage || group >= p.outGroups) continue;
        const int index = int((p.pixelBegin + tile.image * p.pixelsPerImage + pixel) * p.outGroups + group);
        const vec4 bias = vec4(loadWeights(weightsOf(group)));
        const vec4 sum = results[gl_SubgroupID * kRows * kMatrixGroups + i];
        storeOutput(index + p.outBase, finish(sum, 1.0, bias, index, group));
    }
}

void main() {
    const uint channelTiles = (p.outGroups + kGroups - 1u) / kGroups;
    const uint pixelTile = flatWorkgroup() / channelTiles;
    if (pixelTile >= p.images * p.tilesPerImage) return;  // the whole workgroup, or none of it
    const uint image = pixelTile / p.tilesPerImage;
    const Tile tile = Tile(image, (pixelTile - image * p.tilesPerImage) * kPixels,
                           (flatWorkgroup() - pixelTile * channelTiles) * kGroups);
    // Of this subgroup's matrices, in the workgroup's tile.
    const uint firstPixel = gl_SubgroupID / kGroupLanes * kTileX * kRows;
    const uint firstGroup = gl_SubgroupID % kGroupLanes * kTileY * kMatrixGroups;

    SumMatrix sums[kTileSize];
    [[unroll]] for (uint i = 0; i < kTileSize; ++i) CLEAR_MATRIX(sums[i]);
    for (uint slabGroup = 0; slabGroup < p.inGroups; slabGroup += kSlab) {
        loadSlab(tile, slabGroup);
        barrier();
        [[unroll]] for (uint inner = 0; inner < 4u * kSlab; inner += kInner) {
            LeftMatrix lefts[kTileX];
            [[unroll]] for (uint x = 0; x < kTileX; ++x) {
                LOAD_MATRIX(lefts[x], slabInputs, (firstPixel + x * kRows) * kInputStride + inner / 4u, kInputStride);
            }
            [[unroll]] for (uint y = 0; y < kTileY; ++y) {
                RightMatrix right;
                LOAD_MATRIX(right, slabWeights, inner * kWeightStride + firstGroup + y * kMatrixGroups, kWeightStride);
                [[unroll]] for (uint x = 0; x < kTileX; ++x) MULTIPLY_ADD(lefts[x], right, sums[x * kTileY + y]);
            }
        }
        barrier();
    }
    [[unroll]] for (uint x = 0; x < kTileX; ++x) {
        [[unroll]] for (uint y = 0; y < kTileY; ++y) {
            STORE_MATRIX(sums[x * kTileY + y], results, gl_SubgroupID * kRows * kMatrixGroups, kMatrixGroups);
            subgroupBarrier();
            storeResults(tile, firstPixel + x * kRows, firstGroup + y * kMatrixGroups);
            subgroupBarrier();
        }
    }
}
