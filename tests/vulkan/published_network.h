// Networks of published size, with weights by formula.
#pragma once

#include "models/registry.h"
#include "runtime/backend.h"
#include "runtime/weights/synthetic.h"

namespace dunlin::test {

inline std::shared_ptr<const ModelData> publishedSizeModel(const char* name) {
    const Architecture architecture = *findArchitecture(name);
    auto model = std::make_shared<ModelData>();
    model->architecture = architecture.name;
    model->preprocess = architecture.preprocess;
    model->classes = 1000;
    model->weights = formulaWeights();
    model->buildGraph = [architecture](const Shape& input) -> Result<Graph> { return architecture.build({}, input); };
    return model;
}

}  // namespace dunlin::test
