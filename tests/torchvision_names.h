// How torchvision names the tensors of its MobileNets, module by module and in its order.
#pragma once

#include <string>
#include <vector>

namespace dunlin::test {

using Names = std::vector<std::string>;

inline void addConvolution(Names& names, const std::string& module) {
    names.push_back(module + ".weight");
}

inline void addBatchNorm(Names& names, const std::string& module) {
    for (const char* tensor : {".weight", ".bias", ".running_mean", ".running_var"}) names.push_back(module + tensor);
}

inline void addLinear(Names& names, const std::string& module) {
    for (const char* tensor : {".weight", ".bias"}) names.push_back(module + tensor);
}

// Of MobileNetV3: whether it has an expansion and a squeeze-excite.
struct Block {
    bool expand, squeeze;
};

inline Names torchvisionV3(const std::vector<Block>& blocks) {
    Names names;
    const auto convolutionNorm = [&](const std::string& module) {
        addConvolution(names, module + ".0");
        addBatchNorm(names, module + ".1");
    };
    convolutionNorm("features.0");
    int feature = 1;
    for (const Block& block : blocks) {
        const std::string module = "features." + std::to_string(feature++) + ".block.";
        int layer = 0;
        const auto next = [&] { return module + std::to_string(layer++); };
        if (block.expand) convolutionNorm(next());
        convolutionNorm(next());
        if (block.squeeze) {
            const std::string squeeze = next();
            addLinear(names, squeeze + ".fc1");
            addLinear(names, squeeze + ".fc2");
        }
        convolutionNorm(next());
    }
    convolutionNorm("features." + std::to_string(feature));
    addLinear(names, "classifier.0");
    addLinear(names, "classifier.3");
    return names;
}

inline Names torchvisionV2() {
    Names names;
    addConvolution(names, "features.0.0");
    addBatchNorm(names, "features.0.1");
    for (int feature = 1; feature <= 17; ++feature) {
        const std::string module = "features." + std::to_string(feature) + ".conv.";
        int layer = 0;
        for (; layer < (feature == 1 ? 1 : 2); ++layer) {
            addConvolution(names, module + std::to_string(layer) + ".0");
            addBatchNorm(names, module + std::to_string(layer) + ".1");
        }
        addConvolution(names, module + std::to_string(layer));
        addBatchNorm(names, module + std::to_string(layer + 1));
    }
    addConvolution(names, "features.18.0");
    addBatchNorm(names, "features.18.1");
    addLinear(names, "classifier.1");
    return names;
}

inline const std::vector<Block> kLargeBlocks = {{false, false}, {true, false}, {true, false}, {true, true},
                                                {true, true},   {true, true},  {true, false}, {true, false},
                                                {true, false},  {true, false}, {true, true},  {true, true},
                                                {true, true},   {true, true},  {true, true}};
inline const std::vector<Block> kSmallBlocks = {{false, true}, {true, false}, {true, false}, {true, true},
                                                {true, true},  {true, true},  {true, true},  {true, true},
                                                {true, true},  {true, true},  {true, true}};

}  // namespace dunlin::test
