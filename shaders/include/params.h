// The push constants of every kernel, one struct each, compiled by both C++ and GLSL.
//
// Indices count channel groups (vec4 or f16vec4) unless a comment says otherwise. A dispatch may be bound to a part of
// a tensor only (micro-batches and strips of tensors that exceed the device's buffer range), so kernels compute the
// index of an element in the whole tensor and add the binding's *base*, which is minus the index of the first bound
// element.
// Images and rows to compute are given as [begin, begin + count).
#ifndef DUNLIN_PARAMS_H
#define DUNLIN_PARAMS_H

#ifdef __cplusplus
#include <cstdint>
namespace dunlin::params {
using uint = uint32_t;
#endif

// Sources of the preprocess kernel (its module variant).
const uint kSourceImage = 0u;   // a sampled VkImage
const uint kSourcePixels = 1u;  // RGBA8 in a storage buffer, one uint a pixel
const uint kSourceTensor = 2u;  // float32 planes (NCHW) in a storage buffer, already normalised

// preprocess: crop, antialiased resize as Pillow does it, normalise; writes one image, channels (r, g, b, 0).
struct PreprocessParams {
    uint outWidth, outHeight;          // pixels of the network's input
    uint sourceWidth, sourceHeight;    // pixels of the region of the source that is resized
    int sourceX, sourceY;              // its corner in the source
    uint sourceRowPitch;               // pixels from one row to the next (kSourcePixels, kSourceTensor)
    uint sourceOffset;                 // first element of the source in its binding (uint or float elements)
    float scaleX, scaleY;              // source pixels per resized pixel
    int cropX, cropY;                  // corner of the network's input in the resized region
    int outBase;                       // index of the image's first pixel in its binding
    uint flags;                        // kPreprocess* below
    float scale[4];                    // 1 / deviation: normalised = colour * scale + offset, colour in 0..1
    float offset[4];
};
const uint kPreprocessBicubic = 1u;      // else bilinear
const uint kPreprocessRoundBytes = 2u;   // round to 1/255 after each pass, as Pillow does on bytes
const uint kPreprocessEncodeSrgb = 4u;   // the view decodes sRGB: encode again after sampling
const uint kPreprocessSwapRedBlue = 8u;  // the network wants BGR

// pointwise and linear:
//   out[p][n] = activation(sum over k of in[p][k] * gate[image of p][k] * weight[k][n] + bias[n]) + residual[p][n]
// with the sum divided by the deviation of in[p] where a LayerNorm comes before it.
struct PointwiseParams {
    uint pixelBegin;        // first pixel to compute, counted over the whole batch
    uint pixelsPerImage;    // pixel tiles do not cross images; without a gate the lowering makes the batch one image
    uint images;            // images (of pixelsPerImage each) from pixelBegin on
    uint tilesPerImage;     // ceil(pixelsPerImage / pixels a tile)
    uint inGroups, outGroups;
    int inBase, outBase, residualBase, gateBase;
    uint gateImageBegin;    // image of pixelBegin in the gate
    uint outChannels;       // logical count: lanes past it are written as zero
    uint inChannels;        // logical count; LayerNorm only
    float epsilon;          // LayerNorm only
};

// conv2d: direct convolution, groups == 1. Same epilogue as pointwise.
struct Conv2dParams {
    uint inHeight, inWidth, outHeight, outWidth;
    uint inGroups, outGroups;
    int padTop, padLeft;
    uint imageBegin, images;
    uint rowBegin, rows;  // output rows of each image
    int inBase, outBase;
    int otherBase;        // of the residual, or of the second input
    uint outChannels;
    uint secondGroups;    // channel groups of the second input, whose channels follow those of the first; 0: none
    uint inChannels;      // logical count; LayerNorm only
    float epsilon;        // LayerNorm only
};

// depthwise: one filter a channel. Optionally adds up its outputs for squeeze-excite: one vec4 of float32 for each
// (image, partial, group), where a partial is one workgroup's share of the image.
struct DepthwiseParams {
    uint inHeight, inWidth, outHeight, outWidth;
    uint groups;
    int padTop, padLeft;
    uint imageBegin, images;
    uint rowBegin, rows;           // output rows of each image
    int inBase, outBase;
    uint partialBegin, partialsPerImage;
    int sumsBase;                  // of the partial sums
    uint channels;                 // logical count
};

// squeeze-excite: gate = activation2(W2 * activation1(W1 * mean + b1) + b2), one workgroup an image.
struct SqueezeExciteParams {
    uint groups, reducedGroups;    // channel groups of the map and of the bottleneck
    uint channels;                 // logical count
    uint partialsPerImage;
    float inversePixels;           // 1 / (height * width) of the map
    uint imageBegin;
    int sumsBase, gateBase;
};

// pool: the mean over each image's pixels [pixelBegin, pixelBegin + pixels).
struct PoolParams {
    uint pixelBegin, pixels;
    uint pixelsPerImage;
    uint groups;
    uint imageBegin, images;
    int inBase, outBase;
};

// head: softmax and top-k of one image a workgroup. Output offsets count floats (or uints, for classes).
struct HeadParams {
    uint classes, groups;
    uint topK;
    uint imageBegin;
    int inBase;
    uint logitsOffset, probabilitiesOffset, topClassesOffset, topProbabilitiesOffset;  // of the batch's first image
};

// export: a map as tight float32 NHWC, for outputs that a caller reads.
struct ExportParams {
    uint pixelBegin, pixels;  // counted over the whole batch
    uint channels, groups;
    int inBase, outBase;      // outBase counts floats
};

// attention: sets of tokens, as attention.comp lays them out. Strides count pixels.
struct AttentionParams {
    uint mapHeight, mapWidth;
    uint heads;
    uint setHeight, setWidth;      // tokens of a set
    uint setsDown, setsAcross;     // of one image
    uint setStepH, setStepW;       // from one set to the next
    uint tokenStepH, tokenStepW;   // from one token to the next
    int shiftH, shiftW;            // windows only; less than the map
    float scale;                   // 1 / sqrt(channels of a head)
    uint imageBegin, images;
    int inBase, outBase;
};

// separable attention, over sets of tokens as above.
struct SeparableAttentionParams {
    uint mapHeight, mapWidth;
    uint groups;                   // channel groups of the output
    uint patchH, patchW;
    uint imageBegin;
    int inBase, outBase;
};

// layer_norm. With moments, epsilon is in them.
struct LayerNormParams {
    uint pixelBegin, pixels;  // counted over the whole batch
    uint pixelsPerImage;
    uint groups;
    uint channels;            // logical count
    float epsilon;
    int inBase, momentsBase, outBase;
};

// moments: of each image's pixels and channels.
struct MomentsParams {
    uint pixels;    // of one image
    uint groups;
    uint channels;  // logical count
    float epsilon;
    uint imageBegin;
    int inBase, outBase;
};

// embed_tokens: `prefix` tokens before an image's pixels.
struct EmbedTokensParams {
    uint pixels;  // of one image
    uint prefix;
    uint groups;
    uint imageBegin, images;
    int inBase, outBase;
};

// resize: bilinear.
struct ResizeParams {
    uint inHeight, inWidth, outHeight, outWidth;
    uint groups;
    uint imageBegin, images;
    uint rowBegin, rows;  // output rows of each image
    int inBase, outBase;
    uint alignCorners;    // 0 or 1
};

// max_pool: one pipeline for every window.
struct MaxPoolParams {
    uint inHeight, inWidth, outHeight, outWidth;
    uint groups;
    int padTop, padLeft;
    int kernelH, kernelW, strideH, strideW;
    uint imageBegin, images;
    uint rowBegin, rows;  // output rows of each image
    int inBase, outBase;
};

// pooled_linear: the mean over each image's pixels [pixelBegin, pixelBegin + pixels), then a linear layer.
struct PooledLinearParams {
    uint pixelBegin, pixels;
    uint pixelsPerImage;
    uint inGroups, outGroups;
    uint outChannels;  // logical count: lanes past it are written as zero
    uint imageBegin;
    int inBase, outBase;
};

// inverted_residual: a first convolution, a depthwise one and optionally the projection, in one dispatch.
struct InvertedResidualParams {
    uint inHeight, inWidth, hiddenHeight, hiddenWidth, outHeight, outWidth;
    uint inGroups, hiddenGroups, outGroups;
    int firstPadTop, firstPadLeft;   // of the first convolution
    int padTop, padLeft;             // of the depthwise one
    uint imageBegin, images;
    uint rowBegin, rows;             // output rows of each image
    int inBase, outBase, residualBase;
    uint partialBegin, partialsPerImage;
    int sumsBase;                    // of the partial sums
    uint outChannels;                // logical count: lanes past it are written as zero
};

#ifdef __cplusplus
}  // namespace dunlin::params
#endif
#endif
