// How torchvision and Hugging Face's transformers name the tensors of their networks, written down module by module
// after their sources, beside timm's name of each.
#pragma once

#include <cmath>
#include <string>
#include <vector>

namespace dunlin::test {

// One tensor of a published file. Its shape follows from the canonical tensor's.
struct PublishedTensor {
    std::string file, canonical;
    int piece = 0, pieces = 1;  // a slice of the canonical tensor's first dimension
    int trailingOnes = 0;       // dimensions that the file has besides
};

class PublishedNames {
  public:
    const std::vector<PublishedTensor>& tensors() const { return tensors_; }

    void tensor(const std::string& file, const std::string& canonical, int trailingOnes = 0) {
        tensors_.push_back({file, canonical, 0, 1, trailingOnes});
    }
    void weight(const std::string& file, const std::string& canonical) {
        tensor(file + ".weight", canonical + ".weight");
    }
    void biased(const std::string& file, const std::string& canonical) {
        weight(file, canonical);
        tensor(file + ".bias", canonical + ".bias");
    }
    void batchNorm(const std::string& file, const std::string& canonical) {
        biased(file, canonical);
        tensor(file + ".running_mean", canonical + ".running_mean");
        tensor(file + ".running_var", canonical + ".running_var");
    }
    void pieces(const std::vector<std::string>& files, const std::string& canonical) {
        for (const char* own : {".weight", ".bias"}) {
            for (size_t i = 0; i < files.size(); ++i) {
                tensors_.push_back(
                    {files[i] + own, canonical + own, static_cast<int>(i), static_cast<int>(files.size())});
            }
        }
    }
    // torchvision's Conv2dNormActivation
    void convolutionNorm(const std::string& file, const std::string& convolution, const std::string& norm) {
        weight(file + ".0", convolution);
        batchNorm(file + ".1", norm);
    }

  private:
    std::vector<PublishedTensor> tensors_;
};

inline std::string joined(const std::string& module, int number) {
    return module + "." + std::to_string(number);
}

// --- torchvision/models/efficientnet.py

enum class EfficientBlock { Separable, Inverted, Single, Fused };

struct EfficientStage {
    EfficientBlock kind;
    int blocks;
};

inline void addEfficientBlock(PublishedNames& names, EfficientBlock kind, const std::string& file,
                              const std::string& block) {
    const auto squeeze = [&](int at) {
        names.biased(joined(file, at) + ".fc1", block + ".se.conv_reduce");
        names.biased(joined(file, at) + ".fc2", block + ".se.conv_expand");
    };
    const auto convolution = [&](int at, const char* name, const char* norm) {
        names.convolutionNorm(joined(file, at), block + name, block + norm);
    };
    if (kind == EfficientBlock::Separable) {
        convolution(0, ".conv_dw", ".bn1");
        squeeze(1);
        convolution(2, ".conv_pw", ".bn2");
    } else if (kind == EfficientBlock::Inverted) {
        convolution(0, ".conv_pw", ".bn1");
        convolution(1, ".conv_dw", ".bn2");
        squeeze(2);
        convolution(3, ".conv_pwl", ".bn3");
    } else if (kind == EfficientBlock::Single) {
        convolution(0, ".conv", ".bn1");
    } else {
        convolution(0, ".conv_exp", ".bn1");
        convolution(1, ".conv_pwl", ".bn2");
    }
}

inline PublishedNames torchvisionEfficientNet(const std::vector<EfficientStage>& stages) {
    PublishedNames names;
    names.convolutionNorm("features.0", "conv_stem", "bn1");
    int feature = 1;
    for (const EfficientStage& stage : stages) {
        for (int i = 0; i < stage.blocks; ++i) {
            addEfficientBlock(names, stage.kind, joined(joined("features", feature), i) + ".block",
                              joined(joined("blocks", feature - 1), i));
        }
        ++feature;
    }
    names.convolutionNorm(joined("features", feature), "conv_head", "bn2");
    names.biased("classifier.1", "classifier");
    return names;
}

inline PublishedNames torchvisionEfficientNetB(double depthMultiplier) {
    std::vector<EfficientStage> stages;
    for (const int blocks : {1, 2, 2, 3, 3, 4, 1}) {
        stages.push_back({stages.empty() ? EfficientBlock::Separable : EfficientBlock::Inverted,
                          static_cast<int>(std::ceil(blocks * depthMultiplier))});
    }
    return torchvisionEfficientNet(stages);
}

inline PublishedNames torchvisionEfficientNetV2(const std::vector<int>& depths) {
    std::vector<EfficientStage> stages;
    for (const int blocks : depths) {
        const EfficientBlock kind = stages.empty()      ? EfficientBlock::Single
                                    : stages.size() < 3 ? EfficientBlock::Fused
                                                        : EfficientBlock::Inverted;
        stages.push_back({kind, blocks});
    }
    return torchvisionEfficientNet(stages);
}

// --- torchvision/models/convnext.py

inline PublishedNames torchvisionConvNeXt(const std::vector<int>& depths) {
    PublishedNames names;
    names.biased("features.0.0", "stem.0");
    names.biased("features.0.1", "stem.1");
    for (int stage = 0; stage < static_cast<int>(depths.size()); ++stage) {
        const std::string timm = joined("stages", stage);
        if (stage > 0) {
            names.biased(joined("features", 2 * stage) + ".0", timm + ".downsample.0");
            names.biased(joined("features", 2 * stage) + ".1", timm + ".downsample.1");
        }
        for (int i = 0; i < depths[static_cast<size_t>(stage)]; ++i) {
            const std::string file = joined(joined("features", 2 * stage + 1), i);
            const std::string block = joined(timm + ".blocks", i);
            names.tensor(file + ".layer_scale", block + ".gamma", 2);
            names.biased(file + ".block.0", block + ".conv_dw");
            names.biased(file + ".block.2", block + ".norm");
            names.biased(file + ".block.3", block + ".mlp.fc1");
            names.biased(file + ".block.5", block + ".mlp.fc2");
        }
    }
    names.biased("classifier.0", "head.norm");
    names.biased("classifier.2", "head.fc");
    return names;
}

// --- torchvision/models/vision_transformer.py; the published files have the older names of the two layers

inline PublishedNames torchvisionViT(int layers, bool olderNames) {
    PublishedNames names;
    names.tensor("class_token", "cls_token");
    names.biased("conv_proj", "patch_embed.proj");
    names.tensor("encoder.pos_embedding", "pos_embed");
    for (int i = 0; i < layers; ++i) {
        const std::string file = "encoder.layers.encoder_layer_" + std::to_string(i), block = joined("blocks", i);
        names.biased(file + ".ln_1", block + ".norm1");
        names.tensor(file + ".self_attention.in_proj_weight", block + ".attn.qkv.weight");
        names.tensor(file + ".self_attention.in_proj_bias", block + ".attn.qkv.bias");
        names.biased(file + ".self_attention.out_proj", block + ".attn.proj");
        names.biased(file + ".ln_2", block + ".norm2");
        names.biased(file + (olderNames ? ".mlp.linear_1" : ".mlp.0"), block + ".mlp.fc1");
        names.biased(file + (olderNames ? ".mlp.linear_2" : ".mlp.3"), block + ".mlp.fc2");
    }
    names.biased("encoder.ln", "norm");
    names.biased("heads.head", "head");
    return names;
}

// --- torchvision/models/swin_transformer.py; its buffers are not listed

inline PublishedNames torchvisionSwin(const std::vector<int>& depths) {
    PublishedNames names;
    names.biased("features.0.0", "patch_embed.proj");
    names.biased("features.0.2", "patch_embed.norm");
    for (int stage = 0; stage < static_cast<int>(depths.size()); ++stage) {
        const std::string timm = joined("layers", stage);
        if (stage > 0) {
            names.weight(joined("features", 2 * stage) + ".reduction", timm + ".downsample.reduction");
            names.biased(joined("features", 2 * stage) + ".norm", timm + ".downsample.norm");
        }
        for (int i = 0; i < depths[static_cast<size_t>(stage)]; ++i) {
            const std::string file = joined(joined("features", 2 * stage + 1), i);
            const std::string block = joined(timm + ".blocks", i);
            names.biased(file + ".norm1", block + ".norm1");
            names.tensor(file + ".attn.relative_position_bias_table", block + ".attn.relative_position_bias_table");
            names.biased(file + ".attn.qkv", block + ".attn.qkv");
            names.biased(file + ".attn.proj", block + ".attn.proj");
            names.biased(file + ".norm2", block + ".norm2");
            names.biased(file + ".mlp.0", block + ".mlp.fc1");
            names.biased(file + ".mlp.3", block + ".mlp.fc2");
        }
    }
    names.biased("norm", "norm");
    names.biased("head", "head.fc");
    return names;
}

// --- transformers/models/mobilevit and mobilevitv2

class MobileViTNames {
  public:
    MobileViTNames(int version, const std::string& prefix) : version_(version), prefix_(prefix) {
        convolutionNorm("conv_stem", "stem");
        const int residuals[] = {1, version == 1 ? 3 : 2}, layers[] = {2, 4, 3};
        for (int stage = 0; stage < 2; ++stage) {
            for (int i = 0; i < residuals[stage]; ++i) {
                residual(joined(joined("encoder.layer", stage) + ".layer", i), joined(joined("stages", stage), i));
            }
        }
        for (int stage = 2; stage < 5; ++stage) {
            const std::string file = joined("encoder.layer", stage), timm = joined("stages", stage);
            residual(file + ".downsampling_layer", timm + ".0");
            mobileViT(file, timm + ".1", layers[stage - 2]);
        }
        if (version == 1) convolutionNorm("conv_1x1_exp", "final_conv");
        names.biased("classifier", "head.fc");
    }

    PublishedNames names;

  private:
    void convolutionNorm(const std::string& file, const std::string& timm) {
        names.weight(prefix_ + file + ".convolution", timm + ".conv");
        names.batchNorm(prefix_ + file + ".normalization", timm + ".bn");
    }
    void biased(const std::string& file, const std::string& timm) { names.biased(prefix_ + file, timm); }

    void residual(const std::string& file, const std::string& timm) {
        convolutionNorm(file + ".expand_1x1", timm + ".conv1_1x1");
        convolutionNorm(file + ".conv_3x3", timm + ".conv2_kxk");
        convolutionNorm(file + ".reduce_1x1", timm + ".conv3_1x1");
    }
    void transformer(const std::string& file, const std::string& timm) {
        if (version_ == 1) {
            const std::string attention = prefix_ + file + ".attention.attention.";
            names.pieces({attention + "query", attention + "key", attention + "value"}, timm + ".attn.qkv");
            biased(file + ".attention.output.dense", timm + ".attn.proj");
            biased(file + ".intermediate.dense", timm + ".mlp.fc1");
            biased(file + ".output.dense", timm + ".mlp.fc2");
        } else {
            biased(file + ".attention.qkv_proj.convolution", timm + ".attn.qkv_proj");
            biased(file + ".attention.out_proj.convolution", timm + ".attn.out_proj");
            biased(file + ".ffn.conv1.convolution", timm + ".mlp.fc1");
            biased(file + ".ffn.conv2.convolution", timm + ".mlp.fc2");
        }
        biased(file + ".layernorm_before", timm + ".norm1");
        biased(file + ".layernorm_after", timm + ".norm2");
    }
    void mobileViT(const std::string& file, const std::string& timm, int layers) {
        convolutionNorm(file + ".conv_kxk", timm + ".conv_kxk");
        names.weight(prefix_ + file + ".conv_1x1.convolution", timm + ".conv_1x1");
        for (int i = 0; i < layers; ++i) {
            transformer(joined(file + ".transformer.layer", i), joined(timm + ".transformer", i));
        }
        biased(file + ".layernorm", timm + ".norm");
        convolutionNorm(file + ".conv_projection", timm + ".conv_proj");
        if (version_ == 1) convolutionNorm(file + ".fusion", timm + ".conv_fusion");
    }

    int version_;
    std::string prefix_;
};

// With the prefix "mobilevit.", "mobilevitv2." or none.
inline PublishedNames huggingFaceMobileViT(const std::string& prefix = "mobilevit.") {
    return MobileViTNames(1, prefix).names;
}
inline PublishedNames huggingFaceMobileViTv2(const std::string& prefix = "mobilevitv2.") {
    return MobileViTNames(2, prefix).names;
}

}  // namespace dunlin::test
