#include "models/inverted_residual.h"

#include <cmath>
#include <string>

namespace dunlin {
namespace {

class Blocks {
  public:
    Blocks(NetworkBuilder& builder, const SqueezeExcite& squeezeExcite)
        : builder_(builder), squeezeExcite_(squeezeExcite) {}

    ValueId append(const std::string& name, const BlockRow& row, int stride, ValueId input) {
        switch (row.block) {
            case Block::Convolution:
            case Block::ResidualConvolution:
                return convolution(name, row, stride, input);
            case Block::Separable:
            case Block::SeparableActivated:
                return separable(name, row, stride, input);
            case Block::InvertedResidual:
                return invertedResidual(name, row, stride, input);
            case Block::FusedInvertedResidual:
                return fusedInvertedResidual(name, row, stride, input);
        }
        return input;
    }

  private:
    ValueId convolution(const std::string& name, const BlockRow& row, int stride, ValueId input) {
        const ValueId x =
            builder_.convNorm({name + ".conv", name + ".bn1"}, input, row.channels, row.kernel, stride, row.activation);
        return row.block == Block::ResidualConvolution ? shortcut(name, stride, input, x) : x;
    }

    ValueId separable(const std::string& name, const BlockRow& row, int stride, ValueId input) {
        const bool activated = row.block == Block::SeparableActivated;
        ValueId x = builder_.depthwise({name + ".conv_dw", name + ".bn1"}, input, row.kernel, stride, row.activation);
        x = squeezeExcite(name, row, input, x);
        x = builder_.convNorm({name + ".conv_pw", name + ".bn2"}, x, row.channels, 1, 1,
                              activated ? row.activation : Activation::None);
        return activated ? x : shortcut(name, stride, input, x);
    }

    ValueId invertedResidual(const std::string& name, const BlockRow& row, int stride, ValueId input) {
        ValueId x =
            builder_.convNorm({name + ".conv_pw", name + ".bn1"}, input, expanded(row, input), 1, 1, row.activation);
        x = builder_.depthwise({name + ".conv_dw", name + ".bn2"}, x, row.kernel, stride, row.activation);
        x = squeezeExcite(name, row, input, x);
        x = builder_.convNorm({name + ".conv_pwl", name + ".bn3"}, x, row.channels, 1, 1, Activation::None);
        return shortcut(name, stride, input, x);
    }

    ValueId fusedInvertedResidual(const std::string& name, const BlockRow& row, int stride, ValueId input) {
        ValueId x = builder_.convNorm({name + ".conv_exp", name + ".bn1"}, input, expanded(row, input), row.kernel,
                                      stride, row.activation);
        x = squeezeExcite(name, row, input, x);
        x = builder_.convNorm({name + ".conv_pwl", name + ".bn2"}, x, row.channels, 1, 1, Activation::None);
        return shortcut(name, stride, input, x);
    }

    int expanded(const BlockRow& row, ValueId input) const {
        return makeDivisible(builder_.channels(input) * row.expansion);
    }

    ValueId squeezeExcite(const std::string& name, const BlockRow& row, ValueId input, ValueId x) {
        if (row.squeeze == 0) return x;
        const int reduced = squeezeExcite_.of == SqueezeExcite::Of::Expanded
                                ? makeDivisible(builder_.channels(x) * row.squeeze)
                                : static_cast<int>(std::lround(builder_.channels(input) * row.squeeze));
        return builder_.squeezeExcite(name + ".se", x, reduced, squeezeExcite_.reduce, squeezeExcite_.gate);
    }

    ValueId shortcut(const std::string& name, int stride, ValueId input, ValueId x) {
        const bool fits = stride == 1 && builder_.channels(input) == builder_.channels(x);
        return fits ? builder_.add(name + ".add", x, input) : x;
    }

    NetworkBuilder& builder_;
    const SqueezeExcite& squeezeExcite_;
};

}  // namespace

ValueId appendStem(NetworkBuilder& builder, int channels, Activation activation) {
    Graph& graph = builder.graph();
    const ValueId x = builder.convNorm({"conv_stem", "bn1"}, graph.input(), channels, 3, 2, activation);
    graph.tap("stem", x);
    graph.untappable("conv_stem", "its BatchNorm is folded into it; 'stem' is what follows its activation");
    return x;
}

ValueId appendStages(NetworkBuilder& builder, std::span<const BlockRow> rows, const SqueezeExcite& squeezeExcite,
                     ValueId input) {
    Blocks blocks(builder, squeezeExcite);
    ValueId x = input;
    int blockInStage = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
        const BlockRow& row = rows[i];
        if (i > 0 && row.stage != rows[i - 1].stage) blockInStage = 0;
        const std::string stage = "blocks." + std::to_string(row.stage);
        for (int repeat = 0; repeat < row.repeats; ++repeat, ++blockInStage) {
            const std::string name = stage + "." + std::to_string(blockInStage);
            x = blocks.append(name, row, repeat == 0 ? row.stride : 1, x);
            builder.graph().tap(name, x);
        }
        if (i + 1 == rows.size() || rows[i + 1].stage != row.stage) tapStage(builder.graph(), stage, x);
    }
    return x;
}

ValueId appendHeadConvolution(NetworkBuilder& builder, ValueId input, int channels, Activation activation) {
    const ValueId x = builder.convNorm({"conv_head", "bn2"}, input, channels, 1, 1, activation);
    builder.graph().untappable("conv_head",
                               "its BatchNorm is folded into it; 'features' is what follows its activation");
    return x;
}

}  // namespace dunlin
