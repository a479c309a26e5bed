// embed_tokens: a map as a sequence of tokens with their position embeddings (Dosovitskiy et al. 2021):
//
//   out[image][t] = (t < prefix ? 0 : in[image][t - prefix]) + constants[t]
//
// Layouts    input [images][pixels][groups] of 4 channels; constants [prefix + pixels][groups]; output
//            [images][prefix + pixels][groups].
// Needs      padding lanes of the input and the constants are zero, and so are then those of the output.
// Macros     FP16, TEXEL (include/storage.glsl).
// Dispatch   at least images * (prefix + pixels) * groups invocations, workgroups over x and y.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "include/storage.glsl"
#include "include/index.glsl"
#include "include/params.h"

layout(push_constant) uniform Push { EmbedTokensParams p; };

READS(0, loadInput)
READS(1, loadConstants)
WRITES(2, storeOutput)

void main() {
    const uint perImage = (p.prefix + p.pixels) * p.groups;
    const uint imageIndex = flatInvocation() / perImage;
    if (imageIndex >= p.images) return;
    const uint image = p.imageBegin + imageIndex;
    const uint index = flatInvocation() - imageIndex * perImage;  // token and group

    vec4 value = vec4(loadConstants(int(index)));
    if (index >= p.prefix * p.groups) {
        value += vec4(loadInput(int(image * p.pixels * p.groups + index - p.prefix * p.groups) + p.inBase));
    }
    storeOutput(int(image * perImage + index) + p.outBase, value);
}
