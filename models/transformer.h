// The pre-norm transformer layer (Vaswani et al. 2017, with norms as in Dosovitskiy et al. 2021) that MobileViT, ViT
// and Swin share, with timm's names for its parts.
#pragma once

#include <string>

#include "runtime/graph/graph.h"

namespace dunlin {

// Each function appends ops and returns their last value. Parameters are <name>.weight and <name>.bias.

// With the learnt weight and bias of its channels.
ValueId layerNorm(Graph& graph, const std::string& name, ValueId input, double epsilon,
                  LayerNorm::Over over = LayerNorm::Over::Pixel);

enum class Bias { No, Yes };
ValueId linear(Graph& graph, const std::string& name, ValueId input, int outFeatures, Bias bias = Bias::Yes,
               Activation activation = Activation::None);
// A 1x1 convolution: a linear layer whose weight has four dimensions.
ValueId pointwise(Graph& graph, const std::string& name, ValueId input, int outChannels, Bias bias = Bias::Yes,
                  Activation activation = Activation::None);

// Squares of patch x patch pixels become one, by a convolution with bias. Where the last ones hang over the edge, zeros
// lie beyond it.
ValueId patchEmbedding(Graph& graph, const std::string& name, ValueId input, int outChannels, int patch);

struct TransformerLayer {
    Attention attention;  // its input is set here
    int hiddenMultiple;   // width between the two linear layers of the second half, over the layer's own
    Activation activation;
    double epsilon;  // of LayerNorm
};
// x + proj(attention(qkv(norm1(x)))), then x + fc2(activation(fc1(norm2(x)))).
ValueId transformerLayer(Graph& graph, const std::string& name, ValueId input, const TransformerLayer& layer);

}  // namespace dunlin
