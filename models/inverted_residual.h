// The blocks of MobileNets and EfficientNets, as rows of the papers' tables, with timm's names of their parts.
#pragma once

#include <span>

#include "models/builder.h"

namespace dunlin {

enum class Block {
    Separable,              // depthwise, squeeze-excite, linear projection
    SeparableActivated,     // MobileNetV1's: an activation after the projection as well, never a shortcut
    InvertedResidual,       // expand, depthwise, squeeze-excite, linear projection (MobileNetV2; MBConv)
    FusedInvertedResidual,  // a whole convolution that expands, linear projection (Fused-MBConv)
    Convolution,            // one convolution
    ResidualConvolution,    // one convolution and a shortcut: Fused-MBConv that expands by 1
};

// One row of a paper's table; rows of one stage follow one another. The first block of a row strides. `squeeze` is the
// bottleneck's width over that of SqueezeExcite::of; 0: no squeeze-excite.
struct BlockRow {
    int stage;
    Block block;
    int repeats, kernel, stride;
    double expansion;
    int channels;
    double squeeze;
    Activation activation;
};

// A family's kind of squeeze-excite (Hu et al. 2018).
struct SqueezeExcite {
    enum class Of {
        Expanded,  // a share of the expanded width, rounded to a multiple of 8 (MobileNetV3)
        Input,     // a share of the block's input (EfficientNet)
    };
    Of of = Of::Expanded;
    Activation reduce = Activation::None, gate = Activation::None;
};

// conv_stem, a 3x3 convolution of stride 2 on the network's input, bn1 and the activation; tap "stem".
ValueId appendStem(NetworkBuilder& builder, int channels, Activation activation);
// Every row's blocks as blocks.<stage>.<index>, with channels and repeats as they stand in the rows; taps every block
// and every stage.
ValueId appendStages(NetworkBuilder& builder, std::span<const BlockRow> rows, const SqueezeExcite& squeezeExcite,
                     ValueId input);
// conv_head, a 1x1 convolution, bn2 and the activation.
ValueId appendHeadConvolution(NetworkBuilder& builder, ValueId input, int channels, Activation activation);

}  // namespace dunlin
